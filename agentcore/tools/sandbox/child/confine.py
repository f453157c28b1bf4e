"""Rights that a process gives up for good, by system calls. Linux only."""

import ctypes
import os
import struct
from collections.abc import Sequence

__all__ = [
    "LEAST_ABI",
    "drop_capabilities",
    "install_filter",
    "landlock_abi",
    "no_new_privileges",
    "restrict_files",
]

LEAST_ABI = 3
"""Before it `truncate` empties files outside: no wall at all."""
_SYSCALL_CREATE, _SYSCALL_ADD, _SYSCALL_RESTRICT = 444, 445, 446
"""`landlock_*`, the same on all architectures."""
_SYSCALL_CAPSET = {"x86_64": 126, "aarch64": 91}
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_CAP_AMBIENT = 38, 22, 24, 47
_CAPABILITIES = 64

# `linux/landlock.h`: LANDLOCK_ACCESS_FS_*
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_ALL_FILES = {3: (1 << 15) - 1, 4: (1 << 15) - 1}
"""By version; (1 << 16) - 1 from 5 on, which brought IOCTL_DEV."""
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_RIGHTS = {
    "read": _EXECUTE | _READ_FILE | _READ_DIR,
    "device": _READ_FILE | _WRITE_FILE,
    "write": ~(_MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEV),
}

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(answer: int, what: str) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return answer


def landlock_abi() -> int:
    """Which version of Landlock the kernel has; 0 for none."""
    return max(0, int(_libc.syscall(_SYSCALL_CREATE, None, ctypes.c_size_t(0), 1)))


def restrict_files(rules: Sequence[tuple[str, str]]) -> None:
    """From now on only what the rules name: (path, "read", "write" or "device").

    A path that does not exist is left out. With it go TCP, abstract sockets and signals to
    processes outside, as far as the kernel can.

    Raises:
        OSError: The kernel does not have Landlock, or too little of it.
    """
    abi = landlock_abi()
    if abi < LEAST_ABI:
        raise OSError(f"Landlock version {abi}; at least {LEAST_ABI} (Linux 6.2) is needed")
    handled = _ALL_FILES.get(abi, (1 << 16) - 1)
    attributes = struct.pack("=Q", handled)
    if abi >= 4:
        attributes += struct.pack("=Q", 0b11)  # bind and connect of TCP
    if abi >= 6:
        attributes += struct.pack("=Q", 0b11)  # abstract unix sockets, signals
    size = ctypes.c_size_t(len(attributes))
    ruleset = _checked(_libc.syscall(_SYSCALL_CREATE, attributes, size, 0), "landlock")
    for path, right in rules:
        _allow(ruleset, path, _RIGHTS[right] & handled)
    no_new_privileges()
    _checked(_libc.syscall(_SYSCALL_RESTRICT, ruleset, 0), "landlock")
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not os.path.isdir(path):
        rights &= _OF_A_FILE
    rule = struct.pack("=Qi", rights, place)
    _checked(_libc.syscall(_SYSCALL_ADD, ruleset, 1, rule, 0), f"landlock: {path}")
    os.close(place)


def no_new_privileges() -> None:
    """No setuid program gives anything."""
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def drop_capabilities() -> None:
    """Also for root, and for what root executes. Needs no privilege: what is not there stays so."""
    for number in range(_CAPABILITIES):
        _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
    _libc.prctl(_PR_CAP_AMBIENT, 4, 0, 0, 0)  # PR_CAP_AMBIENT_CLEAR_ALL
    header = struct.pack("=Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    nothing = bytes(24)
    _checked(_libc.syscall(_SYSCALL_CAPSET[os.uname().machine], header, nothing), "capset")


def install_filter(program: bytes) -> None:
    """A seccomp filter, for good.

    Raises:
        OSError: The kernel does not take it.
    """
    no_new_privileges()
    buffer = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: a count, padding, a pointer.
    head = struct.pack("=H6xQ", len(program) // 8, ctypes.addressof(buffer))
    _checked(_libc.prctl(_PR_SET_SECCOMP, 2, head, 0, 0), "seccomp")
