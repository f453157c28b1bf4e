"""Every way out of a sandbox that we could think of, as rows; each is tried for real.

A program prints `ESCAPED` when it got through; some can only be seen from outside, by a trace.
"""

import sys
from dataclasses import dataclass

from agentcore.tools.sandbox import BACKENDS, Protection
from agentcore.tools.sandbox.choice import Probed, probed
from agentcore.tools.sandbox.plain import Plain

P = Protection
ENFORCED: dict[str, frozenset[Protection]] = {
    "bubblewrap": frozenset(P),
    "landlock": frozenset(P) - {P.KEPT_PLACES},
    "plain": frozenset({P.DAEMONS, P.PROCESSES, P.MEMORY, P.CPU, P.DISK}),
}
"""What the docs promise of each backend, on Linux 6.12 or later; the probe has to see the same."""


def sandboxes() -> dict[str, Probed]:
    """What works on this machine, by name; `plain` always does."""
    found: dict[str, Probed] = {}
    for backend in (*BACKENDS, Plain()):
        try:
            found.setdefault(backend.name, probed(backend, sys.executable))
        except OSError:
            continue
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """A program, and what keeps it from its aim."""

    name: str
    against: Protection
    code: str
    """`{victim}`, `{outside}`, `{tcp}`, `{udp}`, `{abstract}` … are filled in."""
    open_to: tuple[str, ...] = ()
    """Backends that it gets through although they enforce the protection otherwise: said in the
    table of the docs."""
    dangerous_in_the_open: bool = False
    """Where nothing holds it, it is not tried: it would hit the machine or the tests."""
    ended_by: str = ""
    """The limit that must end it."""
    seconds: float = 60.0
    """Of wall time: beside other tests a second of the processor may take many."""


def is_blocked(attack: Attack, backend: str) -> bool:
    """What the docs say."""
    return attack.against in ENFORCED[backend] and backend not in attack.open_to


def attempt(*lines: str) -> str:
    """Prints ESCAPED when the last line is true; an OSError is a wall."""
    *before, last = lines
    body = "\n    ".join([*before, f"if {last}: print('ESCAPED')"])
    return (
        "import ctypes, fcntl, glob, mmap, os, shutil, socket, stat, subprocess, sys, time\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        f"try:\n    {body}\nexcept (OSError, MemoryError) as error:\n    print('held:', error)\n"
    )


ATTACKS: tuple[Attack, ...] = (
    # What belongs to the process that runs the agent.
    Attack(
        name="a key in the environment of the agent",
        against=P.ENVIRONMENT,
        code=attempt("text = open('/proc/{victim}/environ').read()", "'{key}' in text"),
    ),
    Attack(
        name="a key in the environment of any process",
        against=P.ENVIRONMENT,
        code="""
import glob
for path in glob.glob('/proc/*/environ') + glob.glob('/proc/*/task/*/environ'):
    try:
        if '{key}' in open(path).read(): print('ESCAPED')
    except OSError: pass
""",
    ),
    Attack(
        name="a key in its own environment",
        against=P.DAEMONS,
        code=attempt(
            "text = str(os.environ) + open('/proc/self/environ').read()", "'{key}' in text"
        ),
    ),
    Attack(
        name="a key on the command line of another process",
        against=P.OTHER_PROCESSES,
        code="""
import glob
for path in glob.glob('/proc/[0-9]*/cmdline'):
    try:
        if '{key}' in open(path).read(): print('ESCAPED')
    except OSError: pass
""",
    ),
    Attack(
        name="the system through /proc/1/root and /proc/PID/cwd",
        against=P.FILES,
        code="""
for pid in ('1', '{victim}', '{parent}'):
    for link in ('root', 'cwd/../../..'):
        try:
            if '{secret}' in open(f'/proc/{{pid}}/{{link}}{outside}/secret').read(): print('ESCAPED')
        except OSError: pass
""",
    ),
    Attack(
        name="memory of the agent through /proc/PID/mem",
        against=P.OTHER_PROCESSES,
        code=attempt(
            "stat_ = open('/proc/{victim}/stat').read().rpartition(')')[2].split()[19]",
            "file = open('/proc/{victim}/mem', 'rb')",
            "stat_ == '{started}'",
        ),
    ),
    Attack(
        name="ptrace of the agent",
        against=P.OTHER_PROCESSES,
        code=attempt("libc.ptrace(0x4206, {victim}, 0, 0) == 0"),
    ),
    Attack(
        name="memory of the agent by process_vm_readv",
        against=P.OTHER_PROCESSES,
        code=attempt("libc.syscall({process_vm_readv}, {victim}, 0, 0, 0, 0, 0) == 0"),
    ),
    Attack(
        name="other limits for the agent by prlimit",
        against=P.OTHER_PROCESSES,
        code=attempt(
            "import resource",
            "resource.prlimit({victim}, resource.RLIMIT_NOFILE, (77, 77))",
            "False",
        ),
    ),
    Attack(
        name="another priority for the agent",
        against=P.OTHER_PROCESSES,
        code=attempt("os.setpriority(os.PRIO_PROCESS, {victim}, 19)", "False"),
    ),
    Attack(
        name="a signal to the agent",
        against=P.SIGNALS,
        code=attempt("os.kill({victim}, 10)", "False"),
    ),
    Attack(
        name="a signal to everything",
        against=P.SIGNALS,
        code=attempt("os.kill(-1, 10)", "False"),
        dangerous_in_the_open=True,
    ),
    Attack(
        name="a signal through a descriptor of the process",
        against=P.SIGNALS,
        code=attempt(
            "fd = os.pidfd_open({victim})",
            "import signal",
            "signal.pidfd_send_signal(fd, 10)",
            "False",
        ),
    ),
    Attack(
        name="a signal by the owner of a pipe",
        against=P.SIGNALS,
        code=attempt(
            "import fcntl, signal",
            "told, tell = os.pipe()",
            "fcntl.fcntl(told, fcntl.F_SETOWN, {victim})",
            "fcntl.fcntl(told, 10, 10)",
            "fcntl.fcntl(told, fcntl.F_SETFL, os.O_ASYNC)",
            "os.write(tell, b'x')",
            "False",
        ),
    ),
    # Files.
    Attack(
        name="a file outside",
        against=P.FILES,
        code=attempt("'{secret}' in open('{outside}/secret').read()"),
    ),
    Attack(
        name="a file outside by its relative path",
        against=P.FILES,
        code=attempt("'{secret}' in open('../outside/secret').read()"),
    ),
    Attack(
        name="passwords of the system",
        against=P.FILES,
        code=attempt("'root:' in open('/etc/shadow').read()"),
    ),
    Attack(
        name="the home folder",
        against=P.FILES,
        code=attempt(
            "any(os.path.isfile(os.path.join('{home}', name)) for name in os.listdir('{home}'))"
        ),
    ),
    Attack(
        name="a new file outside",
        against=P.FILES,
        code=attempt("open('{outside}/made', 'w').close()", "True"),
    ),
    Attack(
        name="the end of a file outside by truncate",
        against=P.FILES,
        code=attempt("os.truncate('{outside}/spoiled', 0)", "True"),
    ),
    Attack(
        name="another mode for a file outside",
        against=P.FILES,
        code=attempt(
            "os.chmod('{outside}/spoiled', 0o777)",
            "os.stat('{outside}/spoiled').st_mode & 0o777 == 0o777",
        ),
    ),
    Attack(
        name="other times for a file outside",
        against=P.FILES,
        code=attempt(
            "os.utime('{outside}/spoiled', (1, 1))", "os.stat('{outside}/spoiled').st_mtime == 1"
        ),
    ),
    Attack(
        name="an attribute of a file outside",
        against=P.FILES,
        code=attempt("os.setxattr('{outside}/spoiled', 'user.x', b'y')", "True"),
    ),
    Attack(
        name="a hard link to a file outside",
        against=P.FILES,
        code=attempt("os.link('{outside}/secret', 'linked')", "open('linked').read()"),
    ),
    Attack(
        name="a file moved out of the workspace",
        against=P.FILES,
        code=attempt("open('mine', 'w').close()", "os.rename('mine', '{outside}/mine')", "True"),
    ),
    Attack(
        name="a symbolic link that leads out",
        against=P.FILES,
        code=attempt("os.symlink('{outside}/secret', 'way-out')", "open('way-out').read()"),
    ),
    Attack(
        name="a race of a link and a file",
        against=P.FILES,
        code="""
import os, threading, time
end = time.monotonic() + 0.5
def swap():
    while time.monotonic() < end:
        for target in ('inside', '{outside}/secret'):
            os.symlink(target, 'next'); os.replace('next', 'raced')
open('inside', 'w').close()
os.symlink('inside', 'raced')
threading.Thread(target=swap).start()
while time.monotonic() < end:
    try:
        if '{secret}' in open('raced').read(): print('ESCAPED'); break
    except OSError: pass
""",
    ),
    Attack(
        name="the interpreter that runs the agent",
        against=P.FILES,
        code=attempt(
            "path = next(p for p in sys.path if p.endswith('site-packages')) + '/planted.pth'",
            "open(path, 'w').close()",
            "os.unlink(path)",
            "True",
        ),
        dangerous_in_the_open=True,
    ),
    Attack(
        name="a descriptor that was left open",
        against=P.DAEMONS,
        code="""
import os
for fd in range(3, 1024):
    try: os.fstat(fd)
    except OSError: continue
    print('ESCAPED', fd)
""",
    ),
    Attack(
        name="the program that lies in memory, made large",
        against=P.MEMORY,
        code=attempt("os.ftruncate(0, 3 << 30)", "True"),
    ),
    # Of the workspace itself.
    Attack(
        name="a hook of git",
        against=P.KEPT_PLACES,
        code=attempt("open('.git/hooks/pre-commit', 'w').write('x')", "True"),
    ),
    Attack(
        name="a setting of git",
        against=P.KEPT_PLACES,
        code=attempt("open('.git/config', 'a').write('[core]')", "True"),
    ),
    Attack(
        name="another .git in its place",
        against=P.KEPT_PLACES,
        code=attempt("os.rename('.git', 'old')", "os.mkdir('.git')", "True"),
    ),
    Attack(
        name="the settings of a git repository below",
        against=P.KEPT_PLACES,
        code=attempt("open('sub/.git/config', 'a').write('[core]')", "True"),
    ),
    Attack(
        name="a key in .env",
        against=P.KEPT_PLACES,
        code=attempt("'{secret}' in open('.env').read()"),
    ),
    Attack(
        name="a key in .env.local, by another name",
        against=P.KEPT_PLACES,
        code=attempt("os.link('.env.local', 'other')", "'{secret}' in open('other').read()"),
    ),
    Attack(
        name="a key in .ssh",
        against=P.KEPT_PLACES,
        code=attempt("'{secret}' in open('.ssh/id_ed25519').read()"),
    ),
    Attack(
        name="another .ssh in its place",
        against=P.KEPT_PLACES,
        code=attempt("os.rename('.ssh', 'old')", "True"),
    ),
    Attack(
        name="the drafts of the agent",
        against=P.KEPT_PLACES,
        code=attempt("open('.agentcore/planted', 'w').close()", "True"),
    ),
    # The network.
    Attack(
        name="TCP to this machine",
        against=P.NETWORK,
        code=attempt("socket.create_connection(('127.0.0.1', {tcp}), 2).close()", "True"),
    ),
    Attack(
        name="TCP from a subprocess",
        against=P.NETWORK,
        code=attempt(
            "code = \"import socket; socket.create_connection(('127.0.0.1', {tcp}), 2)\"",
            "done = subprocess.run([sys.executable, '-c', code], stderr=subprocess.DEVNULL)",
            "done.returncode == 0",
        ),
    ),
    Attack(
        name="UDP to this machine",
        against=P.NETWORK,
        code=attempt(
            "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {udp}))",
            "False",
        ),
    ),
    Attack(
        name="UDP to another machine",
        against=P.NETWORK,
        code=attempt(
            "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9))",
            "True",
        ),
        dangerous_in_the_open=True,
    ),
    Attack(
        name="a name look-up",
        against=P.NETWORK,
        code=attempt(
            "sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
            "sock.connect(('192.0.2.53', 53))",
            "sock.send(b'q')",
            "True",
        ),
        dangerous_in_the_open=True,
    ),
    Attack(
        name="raw packets",
        against=P.NETWORK,
        code=attempt("socket.socket(socket.AF_PACKET, socket.SOCK_RAW)", "True"),
        dangerous_in_the_open=True,
    ),
    Attack(
        name="raw IP",
        against=P.NETWORK,
        code=attempt("socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)", "True"),
        dangerous_in_the_open=True,
    ),
    Attack(
        name="netlink",
        against=P.NETWORK,
        code=attempt("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)", "True"),
        dangerous_in_the_open=True,
    ),
    Attack(
        name="the hypervisor by AF_VSOCK",
        against=P.NETWORK,
        code=attempt("libc.socket(40, 1, 0) >= 0"),
        dangerous_in_the_open=True,
    ),
    Attack(
        name="the kernel's ciphers by AF_ALG",
        against=P.NETWORK,
        code=attempt("libc.socket(38, 5, 0) >= 0"),
        dangerous_in_the_open=True,
    ),
    # Unix sockets.
    Attack(
        name="a unix socket by its path",
        against=P.UNIX_SOCKETS,
        code=attempt("socket.socket(socket.AF_UNIX).connect('{unix}')", "True"),
    ),
    Attack(
        name="a unix socket that lies in the workspace",
        against=P.UNIX_SOCKETS,
        code=attempt("socket.socket(socket.AF_UNIX).connect('listener')", "True"),
    ),
    Attack(
        name="an abstract unix socket",
        against=P.UNIX_SOCKETS,
        code=attempt("socket.socket(socket.AF_UNIX).connect('\\0{abstract}')", "True"),
    ),
    Attack(
        name="a datagram socket of a pair",
        against=P.UNIX_SOCKETS,
        code=attempt(
            "one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)",
            "one.sendto(b'x', '{datagrams}')",
            "True",
        ),
    ),
    # Namespaces and the kernel.
    Attack(
        name="a user namespace by unshare",
        against=P.NESTED_NAMESPACES,
        code=attempt("libc.unshare(0x10000000) == 0"),
    ),
    Attack(
        name="a user namespace by clone",
        against=P.NESTED_NAMESPACES,
        code=attempt(
            "pid = libc.syscall({clone}, 0x10000000 | 17, 0, 0, 0, 0)",
            "if pid == 0: os._exit(0)",
            "pid > 0",
        ),
    ),
    Attack(
        name="a user namespace by clone3",
        against=P.NESTED_NAMESPACES,
        code=attempt(
            "import struct",
            "args = struct.pack('=8Q', 0x10000000, 0, 0, 0, 17, 0, 0, 0)",
            "pid = libc.syscall(435, args, 64)",
            "if pid == 0: os._exit(0)",
            "pid > 0",
        ),
    ),
    Attack(
        name="a mount",
        against=P.NESTED_NAMESPACES,
        code=attempt("os.mkdir('m')", "libc.mount(b'none', b'm', b'tmpfs', 0, None) == 0"),
        dangerous_in_the_open=True,
    ),
    Attack(
        name="a writable system again, by remounting",
        against=P.NESTED_NAMESPACES,
        code=attempt("libc.mount(None, b'/usr', None, 32 | 4096, None) == 0"),
        dangerous_in_the_open=True,
    ),
    Attack(
        name="another root",
        against=P.NESTED_NAMESPACES,
        code=attempt("os.chroot('.')", "True"),
    ),
    # Bubblewrap left /proc/sys writable for root: core_pattern is run by the kernel, outside.
    Attack(
        name="settings of the machine in /proc",
        against=P.KERNEL,
        code="""
import glob, os
paths = glob.glob('/proc/[a-z]*') + [f'{{top}}/{{n}}' for top, _, ns in os.walk('/proc/sys') for n in ns]
for path in paths:
    if os.path.realpath(path).split('/')[2].isdigit(): continue
    try: os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK)); print('ESCAPED', path)
    except OSError: pass
""",
        dangerous_in_the_open=True,
    ),
    Attack(
        name="io_uring",
        against=P.KERNEL,
        code=attempt("libc.syscall(425, 1, ctypes.create_string_buffer(120)) >= 0"),
    ),
    Attack(
        name="the keyring",
        against=P.KERNEL,
        code=attempt("libc.syscall({keyctl}, 0, -3, 0) > 0"),
    ),
    Attack(
        name="bpf",
        against=P.KERNEL,
        code=attempt(
            "libc.syscall({bpf}, 0, ctypes.create_string_buffer(bytes([2,0,0,0,4,0,0,0,4,0,0,0,1,0,0,0]) + bytes(100)), 116) >= 0"
        ),
    ),
    Attack(
        name="System V memory",
        against=P.KERNEL,
        code=attempt(
            "id_ = libc.shmget(0, 4096, 0o1600)",
            "libc.shmctl(id_, 0, 0) if id_ >= 0 else 0",
            "id_ >= 0",
        ),
    ),
    Attack(
        name="memory that belongs to nobody, by memfd",
        against=P.KERNEL,
        code=attempt("os.memfd_create('x')", "True"),
    ),
    Attack(
        name="system calls with the numbers of x32",
        against=P.KERNEL,
        code=attempt("libc.syscall(0x40000000 + {keyctl}, 0, -3, 0) > 0"),
        dangerous_in_the_open=True,
    ),
    Attack(
        name="typing into the terminal",
        against=P.KERNEL,
        code=attempt(
            "try: master, slave = os.openpty()",
            "except OSError: master = slave = 1",
            "answer = libc.ioctl(slave, 0x5412, b'x')",
            "answer == 0 or ctypes.get_errno() not in (1, 25)",
        ),
    ),
    Attack(
        name="a setuid bit by chmod",
        against=P.KERNEL,
        code=attempt(
            "open('tool', 'w').close()",
            "os.chmod('tool', 0o4755)",
            "os.stat('tool').st_mode & 0o4000",
        ),
    ),
    Attack(
        name="a setuid bit by open",
        against=P.KERNEL,
        code=attempt(
            "os.umask(0)",
            "os.close(os.open('tool2', os.O_CREAT | os.O_WRONLY, 0o4755))",
            "os.stat('tool2').st_mode & 0o4000",
        ),
    ),
    Attack(
        name="a setuid bit by mknod",
        against=P.KERNEL,
        code=attempt("os.mknod('tool3', 0o104755)", "os.stat('tool3').st_mode & 0o4000"),
    ),
    Attack(
        name="root by a setuid program of the system",
        against=P.KERNEL,
        code=attempt(
            "status = open('/proc/self/status').read() if os.path.exists('/proc/self/status') else 'NoNewPrivs:\\t1'",
            "'NoNewPrivs:\\t1' not in status",
        ),
    ),
    Attack(
        name="a disk of the machine, by mknod",
        against=P.KERNEL,
        code=attempt("os.mknod('disk', 0o60600, os.makedev(254, 0))", "True"),
    ),
    # What lasts, and what is used up.
    Attack(
        name="a daemon by two forks",
        against=P.DAEMONS,
        code="""
import fcntl, os, time
if not os.fork():
    try: os.setsid()
    except OSError: pass
    if os.fork(): os._exit(0)
    lock = open('daemon', 'w')
    fcntl.flock(lock, fcntl.LOCK_EX)
    for fd in (0, 1, 2): os.close(fd)
    time.sleep(60)
    os._exit(0)
while not os.path.exists('daemon'): time.sleep(0.01)
""",
    ),
    Attack(
        name="a daemon by nohup and setsid of the shell",
        against=P.DAEMONS,
        code="""
import os, subprocess, sys, time
code = "import fcntl, time; f = open('daemon', 'w'); fcntl.flock(f, 2); time.sleep(60)"
subprocess.Popen(f'(nohup setsid "{{sys.executable}}" -c "{{code}}" || nohup "{{sys.executable}}" '
    f'-c "{{code}}") > /dev/null 2>&1 &', shell=True)
while not os.path.exists('daemon'): time.sleep(0.01)
time.sleep(0.1)
""",
    ),
    Attack(
        name="a daemon that ignores every signal and forks on",
        against=P.DAEMONS,
        code="""
import fcntl, os, signal, time
if not os.fork():
    for number in range(1, 64):
        try: signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError): pass
    lock = open('daemon', 'w')
    fcntl.flock(lock, fcntl.LOCK_EX)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try: os.setsid()
        except OSError: pass
        if os.fork(): os._exit(0)
while not os.path.exists('daemon'): time.sleep(0.01)
time.sleep(0.2)
""",
    ),
    Attack(
        name="the death of the process that watches",
        against=P.SIGNALS,
        code=attempt(
            "os.kill(os.getppid(), 9)",
            "time.sleep(0.3)",
            "False",
        ),
        dangerous_in_the_open=True,
    ),
    Attack(
        name="a fork bomb",
        against=P.PROCESSES,
        code="import os, time\nwhile True:\n    try: os.fork()\n    except OSError: time.sleep(0.01)\n",
        ended_by="processes",
        dangerous_in_the_open=True,
    ),
    Attack(
        name="a thread bomb",
        against=P.PROCESSES,
        code="""
import threading, time
for _ in range(2_000):
    threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
""",
        ended_by="processes",
    ),
    Attack(
        name="memory of one process",
        against=P.MEMORY,
        code=attempt("held = bytearray(1 << 30)", "True"),
    ),
    Attack(
        name="memory of many processes",
        against=P.MEMORY,
        code="""
import os, time
for _ in range(8):
    if not os.fork():
        held = bytearray(os.urandom(1 << 20)) * 100
        time.sleep(30)
time.sleep(30)
""",
        ended_by="memory_bytes",
    ),
    Attack(
        name="memory that processes share",
        against=P.MEMORY,
        code="""
import mmap, time
held = []
while True:
    piece = mmap.mmap(-1, 16 << 20)
    piece.write(b'x' * (16 << 20))
    held.append(piece)
""",
        ended_by="memory_bytes",
    ),
    Attack(
        name="memory in /dev/shm and /dev",
        against=P.MEMORY,
        code=attempt(
            "made = 0",
            "for place in ('/dev/shm', '/dev', '/run', '/', '/tmp'):\n"
            "        try:\n"
            "            for n in range(10):\n"
            "                with open(f'{{place}}/filler{{n}}', 'wb') as f:\n"
            "                    for _ in range(50): f.write(bytes(1 << 20)); made += 1\n"
            "        except OSError: pass",
            "made > 400",
        ),
        open_to=("plain",),
        dangerous_in_the_open=True,
    ),
    Attack(
        name="processor time of many processes",
        against=P.CPU,
        code="import os\nfor _ in range(3): os.fork()\nwhile True: pass\n",
        ended_by="cpu_seconds",
    ),
    Attack(
        name="processor time of processes that end at once",
        against=P.CPU,
        code="""
import os, time
while True:
    if not os.fork():
        end = time.process_time() + 0.2
        while time.process_time() < end: pass
        os._exit(0)
    os.wait()
""",
        ended_by="cpu_seconds",
    ),
    Attack(
        name="a disk filled by one file",
        against=P.DISK,
        code=attempt(
            "f = open('filler', 'wb')",
            "for _ in range(200): f.write(bytes(1 << 20))",
            "True",
        ),
    ),
    Attack(
        name="a disk filled by many files",
        against=P.DISK,
        code="""
for number in range(200):
    with open(f'filler{{number}}', 'wb') as f: f.write(bytes(8 << 20))
import time; time.sleep(30)
""",
        ended_by="disk_bytes",
    ),
    Attack(
        name="a disk filled by files that have no name any more",
        against=P.DISK,
        code="""
import os, time
held = []
for number in range(40):
    held.append(open('filler', 'wb')); os.unlink('filler')
    os.posix_fallocate(held[-1].fileno(), 0, 16 << 20)
time.sleep(30)
""",
        ended_by="disk_bytes",
    ),
    Attack(
        name="a disk filled by empty files",
        against=P.DISK,
        code="""
import time
for number in range(20_000): open(f'empty{{number}}', 'w').close()
time.sleep(30)
""",
        ended_by="files",
    ),
    Attack(
        name="1 GB of output",
        against=P.MEMORY,
        code="import os\nblock = bytes(1 << 20)\nfor _ in range(1024):\n    os.write(1, block)\nprint('ESCAPED')\n",
        ended_by="output_bytes",
    ),
    Attack(
        name="time without end",
        against=P.CPU,
        code="import signal, time\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)\ntime.sleep(99)\n",
        ended_by="wall_seconds",
        seconds=1.0,
    ),
)
