"""Each attack is made for real, from inside the tool; `docs/security.md` shows how it ends."""

import fcntl
import os
import resource
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

import anyio
import pytest

from agentcore.messages import JsonObject
from agentcore.tools import ToolContext, ToolResult, read_file
from agentcore.tools.code import code_tool
from agentcore.tools.sandbox import MEANINGS, ProgramLimits, Protection
from agentcore.tools.sandbox.seccomp import SYSCALLS
from tests.tools.attacks import ATTACKS, ENFORCED, Attack, is_blocked, sandboxes

PAGE = Path(__file__).parent.parent.parent / "docs" / "security.md"
LIMITS = ProgramLimits(
    cpu_seconds=30,
    memory_bytes=512 * 1024**2,
    file_bytes=64 * 1024**2,
    disk_bytes=128 * 1024**2,
    files=2_000,
    processes=32,
)
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the attacks are those of Linux")


@dataclass(kw_only=True)
class Scene:
    """A workspace, and around it what must not be reached."""

    workspace: Path
    outside: Path
    victim: subprocess.Popen[bytes]
    udp: socket.socket
    values: dict[str, object] = field(default_factory=dict)

    def run(self, attack: Attack, backend: str) -> ToolResult:
        limits = replace(LIMITS, cpu_seconds=1) if attack.against is Protection.CPU else LIMITS
        tool = code_tool(sandbox=sandboxes()[backend], limits=limits)
        context = ToolContext(workspace=self.workspace, unconfined_allowed=True)
        code = attack.code.format_map(self.values)
        fields: JsonObject = {"code": code, "timeout_seconds": attack.seconds}
        return anyio.run(tool.run, tool.validate(fields), context)

    def traces(self) -> list[str]:
        """What shows from outside that something got out."""
        found = {
            "the victim is dead": self.victim.poll() is not None,
            "a datagram came": self._received(),
            "a file was made": {path.name for path in self.outside.iterdir()} != self._known(),
            "a file was changed": (self.outside / "spoiled").read_text() != "whole",
            "the mode is another": (self.outside / "spoiled").stat().st_mode & 0o777 != 0o600,
            "something lives on": not self._is_free(),
        }
        if self.victim.poll() is None:
            pid = self.victim.pid
            found["the victim's limits"] = resource.prlimit(pid, resource.RLIMIT_NOFILE)[0] == 77
            found["its priority"] = os.getpriority(os.PRIO_PROCESS, pid) == 19
        return [name for name, is_so in found.items() if is_so]

    def _known(self) -> set[str]:
        return {"secret", "spoiled", "socket", "datagrams"}

    def _received(self) -> bool:
        try:
            return bool(self.udp.recv(1))
        except BlockingIOError:
            return False

    def _is_free(self) -> bool:
        path = self.workspace / "daemon"
        if not path.exists():
            return True
        with path.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True


@pytest.fixture
def scene() -> Iterator[Scene]:
    # Not tmp_path: the address of a unix socket has room for 107 bytes.
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory())).resolve()
        workspace, outside = root / "workspace", root / "outside"
        for folder in (".git/hooks", "sub/.git", ".ssh", ".agentcore"):
            (workspace / folder).mkdir(parents=True)
        outside.mkdir()
        secret = uuid4().hex
        for path, text in (
            (outside / "secret", secret),
            (outside / "spoiled", "whole"),
            (workspace / ".git/config", "whole"),
            (workspace / "sub/.git/config", "whole"),
            (workspace / ".env", secret),
            (workspace / ".env.local", secret),
            (workspace / ".ssh/id_ed25519", secret),
        ):
            path.write_text(text)
            path.chmod(0o600)
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        abstract = f"agentcore-{uuid4().hex}"
        for address in (f"{outside}/socket", f"{workspace}/listener", f"\0{abstract}"):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(address)
            listener.listen()
        datagrams = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        datagrams.bind(f"{outside}/datagrams")
        key = uuid4().hex
        victim = subprocess.Popen(
            [sys.executable, "-c", f"import time; time.sleep(120)  # {key}"], env={"A_KEY": key}
        )
        stack.callback(victim.wait)
        stack.callback(victim.kill)
        made = Scene(workspace=workspace, outside=outside, victim=victim, udp=udp)
        started = Path(f"/proc/{victim.pid}/stat").read_text().rpartition(")")[2].split()[19]
        made.values = {
            "abstract": abstract,
            "datagrams": outside / "datagrams",
            "home": Path.home(),
            "key": key,
            "outside": outside,
            "parent": os.getpid(),
            "secret": secret,
            "started": started,
            "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "unix": outside / "socket",
            "victim": victim.pid,
        } | {
            name: numbers[0 if os.uname().machine == "x86_64" else 1]
            for name, numbers in SYSCALLS.items()
        }
        yield made
        for path in workspace.rglob("*"):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)


@pytest.mark.parametrize("backend", list(ENFORCED))
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack(attack: Attack, backend: str, scene: Scene) -> None:
    found = sandboxes().get(backend)
    if found is None:
        pytest.skip(f"no {backend} here")
    is_held = attack.against in found.report.enforced and backend not in attack.open_to
    if not is_held:
        pytest.skip("open, as the table says; see test_the_attacks_are_real")

    result = scene.run(attack, backend)

    assert "ESCAPED" not in result.content, result.content[-2_000:]
    assert not scene.traces()
    assert "Stopped by lost" not in result.content
    # For who is not root the kernel itself may refuse before anybody looks.
    if attack.ended_by and "Error" not in result.content:
        assert f"Stopped by {attack.ended_by}: " in result.content, result.content[-2_000:]


OPEN = [attack for attack in ATTACKS if not is_blocked(attack, "plain")]


def test_the_attacks_are_real(scene: Scene) -> None:
    """Where nothing holds them, they get through: else the table would show nothing."""
    through = {
        attack.name
        for attack in OPEN
        if not attack.dangerous_in_the_open
        and ("ESCAPED" in scene.run(attack, "plain").content or scene.traces())
    }
    assert {
        "a file outside",
        "a key in the environment of the agent",
        "a unix socket by its path",
        "an abstract unix socket",
        "a hook of git",
        "TCP to this machine",
    } <= through


@pytest.mark.parametrize("backend", list(ENFORCED))
def test_the_probe_sees_what_the_docs_promise(backend: str) -> None:
    if backend not in sandboxes():
        pytest.skip(f"no {backend} here")
    report = sandboxes()[backend].report
    if backend == "landlock" and int(report.version.split()[0]) < 6:
        pytest.skip("an old Landlock does not know signals and abstract sockets")
    assert frozenset(report.enforced) == ENFORCED[backend]
    assert frozenset(report.not_enforced) == frozenset(Protection) - ENFORCED[backend]


def test_a_link_that_a_program_left_is_not_followed_out_by_the_file_tools(scene: Scene) -> None:
    attack = Attack(
        name="links for others",
        against=Protection.FILES,
        code="import os\nos.symlink('{outside}/secret', 'file')\nos.symlink('{outside}', 'dir')",
    )
    backend = next(iter(sandboxes()))
    assert not scene.run(attack, backend).is_error
    context = ToolContext(workspace=scene.workspace)
    for path in ("file", "dir/secret"):
        result = anyio.run(read_file.run, read_file.validate({"path": path}), context)
        assert result.is_error
        assert str(scene.values["secret"]) not in result.content


# Bubblewrap bound it over all that was read-only, and the probe's report was not true for it.
@pytest.mark.parametrize("backend", ["bubblewrap", "landlock"])
@pytest.mark.parametrize("workspace", ["/", "/usr/lib"])
def test_a_workspace_that_holds_everything_is_refused(backend: str, workspace: str) -> None:
    if backend not in sandboxes():
        pytest.skip(f"no {backend} here")
    tool = code_tool(sandbox=sandboxes()[backend])
    context = ToolContext(workspace=Path(workspace))
    result = anyio.run(tool.run, tool.validate({"code": "print(1)"}), context)
    assert result.is_error
    assert "Nothing was run" in result.content


# --- docs/security.md


def protections() -> str:
    rows = [
        f"| `{protection}` | {MEANINGS[protection]} | "
        + " | ".join("yes" if protection in ENFORCED[name] else "no" for name in ENFORCED)
        + " |"
        for protection in Protection
    ]
    head = f"| protection | what it means | {' | '.join(ENFORCED)} |"
    return "\n".join([head, "|---|---|" + "---|" * len(ENFORCED), *rows])


def attacks() -> str:
    rows = [
        f"| {attack.name} | `{attack.against}` | "
        + " | ".join("blocked" if is_blocked(attack, name) else "open" for name in ENFORCED)
        + " |"
        for attack in ATTACKS
    ]
    head = f"| attack | against | {' | '.join(ENFORCED)} |"
    return "\n".join([head, "|---|---|" + "---|" * len(ENFORCED), *rows])


def page() -> str:
    text = PAGE.read_text()
    for name, table in (("protections", protections()), ("attacks", attacks())):
        before, rest = text.split(f"<!-- {name} -->\n")
        _, after = rest.split("<!-- end -->", maxsplit=1)
        text = f"{before}<!-- {name} -->\n{table}\n<!-- end -->{after}"
    return text


def test_the_tables_are_those_of_the_attacks() -> None:
    assert PAGE.read_text() == page(), "docs/security.md is out of date: make tables"


if __name__ == "__main__":
    PAGE.write_text(page())
