"""Names of a package that are loaded when they are first asked for: its module `__getattr__`.

A package that promises many names, of which each program uses a few, lists them twice: the imports
under `TYPE_CHECKING`, which type checkers and readers follow, and the table that is given here.
`tests/test_imports.py` holds the two together.
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module

__all__ = ["late_names"]


def late_names(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package whose names come from its modules (PEP 562).

    Args:
        package: Its `__name__`.
        modules: Full name of a module → names that the package has from it, blanks between.
    """
    homes = {name: module for module, names in modules.items() for name in names.split()}

    def load(name: str) -> object:
        if name in homes:
            value: object = getattr(import_module(homes[name]), name)
        elif any(f"{module}.".startswith(f"{package}.{name}.") for module in modules):
            # As after the import of all: `agentcore.tools` is there for who imported `agentcore`.
            value = import_module(f"{package}.{name}")
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(sys.modules[package], name, value)  # the next time nothing is called
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return load, names
