"""Which system calls a program is refused, as rows; and the filter that the kernel takes.

Pure: rows in, the bytes of a classic BPF program out. What is not named is allowed, so that
interpreters, compilers and shells work; what is named is a way around a wall that stands elsewhere.
Numbers are those of the kernel's `asm/unistd_64.h` and `asm-generic/unistd.h`.
"""

import errno
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["ROWS", "SYSCALLS", "Row", "Test", "filter_for"]

_ARCHES: Final = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""`AUDIT_ARCH_*` of `linux/audit.h`, and the column of `SYSCALLS`."""
_X32_BIT: Final = 0x40000000
_CLONE_NEW: Final = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET (`linux/sched.h`)."""
_SETUID_BITS: Final = 0o6000
_O_CREAT: Final = 0o100

SYSCALLS: Final[dict[str, tuple[int | None, int | None]]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chmod": (90, None),
    "chown": (92, None),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "clone3": (435, 435),
    "creat": (85, None),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "file_setattr": (469, 469),
    "finit_module": (313, 273),
    "fremovexattr": (199, 16),
    "fsconfig": (431, 431),
    "fsetxattr": (190, 7),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "futimesat": (261, None),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioctl": (16, 29),
    "ioperm": (173, None),
    "iopl": (172, None),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lchown": (94, None),
    "lremovexattr": (198, 15),
    "lsetxattr": (189, 6),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "migrate_pages": (256, 238),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "msgctl": (71, 187),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open": (2, None),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "openat": (257, 56),
    "openat2": (437, 437),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "prlimit64": (302, 261),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "removexattr": (197, 14),
    "removexattrat": (466, 466),
    "request_key": (249, 218),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "semctl": (66, 191),
    "semget": (64, 190),
    "semop": (65, 193),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "setpgid": (109, 154),
    "setpriority": (141, 140),
    "setsid": (112, 157),
    "settimeofday": (164, 170),
    "setxattr": (188, 5),
    "setxattrat": (463, 463),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "shmget": (29, 194),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "utime": (132, None),
    "utimensat": (280, 88),
    "utimes": (235, None),
    "vhangup": (153, 58),
}
"""Number on x86_64 and on aarch64; None where the architecture does not have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """A question about the low 32 bits of one argument."""

    argument: int
    mask: int = 0xFFFFFFFF
    value: int = 0
    equal: bool = True
    """True: holds when `argument & mask == value`; False: when it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """System calls that are answered without being made, when all tests hold."""

    names: tuple[str, ...]
    answer: int = errno.EPERM
    """The error number; 0 lets the program believe that it was done."""
    tests: tuple[Test, ...] = ()
    backends: tuple[str, ...] = ("bubblewrap", "landlock")
    why: str


def _set(argument: int, mask: int) -> Test:
    return Test(argument=argument, mask=mask, value=0, equal=False)


def _is(argument: int, value: int, mask: int = 0xFFFFFFFF) -> Test:
    return Test(argument=argument, mask=mask, value=value)


def _not(argument: int, value: int) -> Test:
    return Test(argument=argument, value=value, equal=False)


_NEVER: Final = (
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease"),
    *("pidfd_getfd", "kcmp", "bpf", "perf_event_open", "userfaultfd", "keyctl", "add_key"),
    *("request_key", "kexec_load", "kexec_file_load", "init_module", "finit_module"),
    *("delete_module", "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree"),
    *("open_tree_attr", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "setns"),
    *("name_to_handle_at", "open_by_handle_at", "swapon", "swapoff", "reboot", "settimeofday"),
    *("clock_settime", "clock_adjtime", "adjtimex", "acct", "quotactl", "quotactl_fd", "syslog"),
    *("iopl", "ioperm", "vhangup", "sethostname", "setdomainname", "fanotify_init"),
    *("migrate_pages", "move_pages", "file_setattr"),
)
_OTHERS: Final = ("prlimit64", "sched_setaffinity", "sched_setscheduler", "sched_setparam")

ROWS: Final[tuple[Row, ...]] = (
    Row(names=_NEVER, why="a program has no use for it; the kernel's bugs are found there"),
    Row(
        names=("io_uring_setup", "io_uring_enter", "io_uring_register"),
        answer=errno.ENOSYS,
        why="it opens files and sockets past every filter of system calls",
    ),
    Row(
        names=("clone3", "openat2"),
        answer=errno.ENOSYS,
        why="its flags lie in memory, where no filter sees them; libraries fall back",
    ),
    Row(
        names=("unshare", "clone"),
        tests=(_set(0, _CLONE_NEW),),
        why="in a user namespace of its own a program has every capability",
    ),
    Row(
        names=("memfd_create", "memfd_secret"),
        answer=errno.ENOSYS,
        why="memory that belongs to no process is not counted",
    ),
    Row(
        names=(
            *("shmget", "shmat", "shmctl", "semget", "semop", "semctl", "msgget", "msgctl"),
            *("mq_open", "mq_unlink"),
        ),
        why="memory that belongs to no process and outlives all; elsewhere, that of others",
    ),
    Row(
        names=("socket",),
        tests=(_not(0, 1), _not(0, 2), _not(0, 10)),
        answer=errno.EAFNOSUPPORT,
        backends=("bubblewrap",),
        why="a network namespace does not hold AF_VSOCK, AF_ALG and others of a host",
    ),
    Row(
        names=("socket",),
        backends=("landlock",),
        why="Landlock knows TCP alone: no datagram, no unix socket, no netlink",
    ),
    Row(
        names=("socketpair",),
        tests=(_is(1, 2, 0xF),),
        backends=("landlock",),
        why="one of a pair of datagram sockets sends to any path",
    ),
    Row(
        names=("ioctl",),
        tests=(_is(1, 0x5412),),
        why="TIOCSTI types into the terminal of whoever runs the agent",
    ),
    Row(names=("ioctl",), tests=(_is(1, 0x541C),), why="TIOCLINUX, likewise"),
    *(
        Row(
            names=(name,),
            tests=(_set(argument, _SETUID_BITS), *others),
            why="what it makes setuid stays behind and is run by another",
        )
        for name, argument, others in (
            ("chmod", 1, ()),
            ("fchmod", 1, ()),
            ("fchmodat", 2, ()),
            ("fchmodat2", 2, ()),
            ("creat", 1, ()),
            ("mknod", 1, ()),
            ("mknodat", 2, ()),
            ("open", 2, (_set(1, _O_CREAT),)),
            ("openat", 3, (_set(2, _O_CREAT),)),
        )
    ),
    *(
        Row(names=(name,), tests=(_is(argument, kind, 0o170000),), why="a device file")
        for name, argument in (("mknod", 1), ("mknodat", 2))
        for kind in (0o020000, 0o060000)
    ),
    Row(names=_OTHERS, tests=(_not(0, 0),), why="the limits of another process"),
    Row(names=("sched_setattr",), tests=(_not(0, 0),), why="likewise"),
    Row(names=("setpriority", "ioprio_set"), tests=(_not(1, 0),), why="likewise"),
    Row(names=("setpriority",), tests=(_is(0, 2),), why="2 means all of this user"),
    Row(names=("ioprio_set",), tests=(_is(0, 3),), why="3 means all of this user"),
    Row(
        names=("setsid", "setpgid"),
        backends=("landlock",),
        why="in one group they are all killed at once, however fast they fork",
    ),
    Row(
        names=(
            *("chmod", "fchmod", "fchmodat", "fchmodat2"),
            *("utime", "utimes", "futimesat", "utimensat"),
        ),
        answer=0,
        backends=("landlock",),
        why="Landlock does not hold modes and times of files outside; copying a file sets them, "
        "and goes on without",
    ),
    Row(
        names=(
            *("chown", "fchown", "lchown", "fchownat", "setxattr", "lsetxattr", "fsetxattr"),
            *("removexattr", "lremovexattr", "fremovexattr", "setxattrat", "removexattrat"),
        ),
        backends=("landlock",),
        why="Landlock does not hold owners and attributes",
    ),
)

_LOAD, _AND, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x45, 0x06
"""BPF_LD|W|ABS, BPF_ALU|AND|K, BPF_JMP|JEQ|K, BPF_JMP|JSET|K, BPF_RET|K (`linux/bpf_common.h`)."""
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
"""SECCOMP_RET_* of `linux/seccomp.h`."""
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
"""Offsets in `struct seccomp_data`."""

_Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, operand."""


def filter_for(backend: str, machine: str) -> bytes:
    """The filter of a backend; empty for a machine whose numbers are not known.

    Args:
        backend: `bubblewrap` or `landlock`.
        machine: As `platform.machine()` says.
    """
    if machine not in _ARCHES:
        return b""
    arch, column = _ARCHES[machine]
    # Another architecture has other numbers: 32-bit calls would pass unseen.
    program: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_ANY_BIT, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, _KILL),
    ]
    for row in ROWS:
        if backend in row.backends:
            for name in row.names:
                number = SYSCALLS[name][column]
                if number is not None:
                    program += _block(number, row)
    program.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _block(number: int, row: Row) -> Sequence[_Instruction]:
    body = list(_tests(row.tests))
    body.append((_RETURN, 0, 0, _ERRNO | row.answer))
    if not row.tests:
        return [(_EQUAL, 0, len(body), number), *body]
    # The tests have overwritten the number for whoever comes after.
    return [(_EQUAL, 0, len(body), number), *body, (_LOAD, 0, 0, _NUMBER_AT)]


def _tests(tests: Sequence[Test]) -> Iterator[_Instruction]:
    left = 3 * len(tests) + 1  # to behind the return
    for test in tests:
        yield (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * test.argument)
        yield (_AND, 0, 0, test.mask)
        left -= 3
        fails = left
        if test.equal:
            yield (_EQUAL, 0, fails, test.value)
        else:
            yield (_EQUAL, fails, 0, test.value)
