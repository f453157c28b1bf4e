"""What the probe tries from inside: this file is sent into a sandbox as a program.

It imports nothing of the package. Each function does what must not be possible, and returns
whether it was; a protection counts as enforced when none of its functions succeeded.
"""

import contextlib
import ctypes
import json
import mmap
import os
import resource
import socket
import sys
import time
from collections.abc import Callable
from typing import Final

TARGETS: Final[dict[str, str]] = {}
"""Where to reach for; filled by `main`."""

__all__: list[str] = []


def read_outside() -> bool:
    return bool(open(TARGETS["secret"]).read())


def write_outside() -> bool:
    return bool(open(TARGETS["outside"] + "/new", "w").write("x"))


def truncate_outside() -> bool:
    os.truncate(TARGETS["spoiled"], 0)
    return True


def chmod_outside() -> bool:
    os.chmod(TARGETS["spoiled"], 0o777)
    return os.stat(TARGETS["spoiled"]).st_mode & 0o777 == 0o777


def write_git() -> bool:
    return bool(open(".git/config", "a").write("x"))


def read_env() -> bool:
    return bool(open(".env").read())


def connect_tcp() -> bool:
    address = ("127.0.0.1", int(TARGETS["tcp"]))
    socket.create_connection(address, timeout=2).close()
    return True


def send_udp() -> bool:
    # Where it goes nowhere, sending succeeds too: the receiver tells.
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(
        b"x", ("127.0.0.1", int(TARGETS["udp"]))
    )
    return False


def connect_unix(address: str) -> bool:
    socket.socket(socket.AF_UNIX).connect(address)
    return True


def connect_path() -> bool:
    # By its name alone: an address has room for 107 bytes.
    here = os.getcwd()
    os.chdir(TARGETS["outside"])
    try:
        return connect_unix("socket")
    finally:
        os.chdir(here)


def connect_abstract() -> bool:
    return connect_unix("\0" + TARGETS["abstract"])


def read_environment() -> bool:
    return bool(open(f"/proc/{TARGETS['pid']}/environ").read(1))


def read_command() -> bool:
    return _is_it() and bool(open(f"/proc/{TARGETS['pid']}/cmdline").read(1))


def read_memory() -> bool:
    return _is_it() and open(f"/proc/{TARGETS['pid']}/mem", "rb").fileno() > 0


def _is_it() -> bool:
    """The number may be that of another process, in a namespace."""
    stat = open(f"/proc/{TARGETS['pid']}/stat").read()
    return stat.rpartition(")")[2].split()[19] == TARGETS["started"]


def signal_it() -> bool:
    os.kill(int(TARGETS["pid"]), 0)
    try:
        return _is_it()
    except PermissionError:
        return True


def new_namespace() -> bool:
    return IS_LINUX and bool(LIBC.unshare(0x10000000) == 0)


def make_io_uring() -> bool:
    # Elsewhere the number is that of another call.
    return IS_LINUX and bool(LIBC.syscall(425, 1, ctypes.create_string_buffer(120)) >= 0)


def open_setting() -> bool:
    # Opened, and nothing written: it is the machine's.
    os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))
    return True


def make_setuid() -> bool:
    open("tool", "w").close()
    os.chmod("tool", 0o4755)
    return bool(os.stat("tool").st_mode & 0o4000)


def allocate() -> bool:
    mmap.mmap(-1, int(TARGETS["memory"]) + 1, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return True


def compute_on() -> bool:
    return resource.getrlimit(resource.RLIMIT_CPU)[1] == resource.RLIM_INFINITY


def fill() -> bool:
    with open("filler", "wb") as file:
        os.ftruncate(file.fileno(), int(TARGETS["file"]) + 1)
    return True


def stay() -> bool:
    """Whether it was killed is seen from outside, by its lock."""
    import fcntl

    if not os.fork():
        with contextlib.suppress(OSError):
            os.setsid()
        if os.fork():
            os._exit(0)
        lock = open("daemon", "w")
        fcntl.flock(lock, fcntl.LOCK_EX)
        time.sleep(30)
        os._exit(0)
    while not os.path.exists("daemon"):
        time.sleep(0.001)
    return False


IS_LINUX: Final = sys.platform == "linux"
LIBC: Final = ctypes.CDLL(None)

ATTEMPTS: Final[dict[str, tuple[Callable[[], bool], ...]]] = {
    "files": (read_outside, write_outside, truncate_outside, chmod_outside),
    "kept_places": (write_git, read_env),
    "network": (connect_tcp, send_udp),
    "unix_sockets": (connect_path, connect_abstract),
    "environment": (read_environment,),
    "other_processes": (read_command, read_memory),
    "signals": (signal_it,),
    "nested_namespaces": (new_namespace,),
    "kernel": (make_io_uring, open_setting, make_setuid),
    "memory": (allocate,),
    "cpu": (compute_on,),
    "disk": (fill,),
    "daemons": (stay,),
}


def tried(attempt: Callable[[], bool]) -> bool:
    try:
        return attempt()
    except (OSError, MemoryError, ValueError):
        return False


def main(targets: dict[str, str]) -> None:
    TARGETS.update(targets)
    print(json.dumps({name: not any([*map(tried, tries)]) for name, tries in ATTEMPTS.items()}))
    # At last, more processes than are allowed: that ends all of it, or the kernel refuses them.
    for _ in range(int(TARGETS["processes"]) + 8):
        try:
            child = os.fork()
        except OSError:
            os._exit(int(TARGETS["refused"]))
        if not child:
            time.sleep(30)
            os._exit(0)
    time.sleep(5)
