"""What runs beside a program, in a process of its own: standard library only, quick to start.

The modules here are loaded by `python -I -S` without the packages above them (see `launch`).
"""

__all__: list[str] = []
