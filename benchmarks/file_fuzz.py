"""The file tools against random trees, links, encodings, other writers and swapped folders.

Run as `python benchmarks/file_fuzz.py --rounds 200 --seed 1`; the exit status is 1 when a byte was
lost or something escaped. What a file must hold is kept beside, as bytes, by code of its own.

Each round: calls one after the other on files of any encoding; then three agents and somebody from
outside on one file; then calls through a folder that is exchanged for a link all the time.
"""

import argparse
import ctypes
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from agentcore.tools import (
    FileRules,
    Tool,
    ToolContext,
    ToolResult,
    edit_file,
    file_tools,
    list_files,
    read_file,
    search_files,
    write_file,
)

SECRET = "the secret outside"
CODECS = [
    ("utf-8", b""),
    ("utf-8", b"\xef\xbb\xbf"),
    ("utf-16-le", b"\xff\xfe"),
    ("utf-16-be", b"\xfe\xff"),
]
WORDS = ["alpha", "über", "𝄞", "日本", "x" * 300, " indented", "tab\there", "\u2028", "\x0c", ""]


@dataclass
class Score:
    """What the rounds have come to."""

    operations: int = 0
    refused: int = 0
    lost_bytes: int = 0
    escapes: int = 0
    left_behind: int = 0
    notes: list[str] = field(default_factory=list)

    def lose(self, count: int, note: str) -> None:
        self.lost_bytes += max(count, 1)
        self.notes.append(note)

    def escape(self, note: str) -> None:
        self.escapes += 1
        self.notes.append(note)


def call(score: Score, tool: Tool, context: ToolContext, **fields: object) -> ToolResult:
    result = tool.function(**tool.validate(fields), context=context)
    score.operations += 1
    score.refused += result.is_error
    if SECRET in result.content:
        score.escape(f"{tool.name} {fields}: read what is outside")
    return result


@dataclass
class Known:
    """What a file must hold."""

    codec: str
    mark: bytes
    end: str
    data: bytes

    @property
    def text(self) -> str:
        return self.data[len(self.mark) :].decode(self.codec)

    def encode(self, text: str) -> bytes:
        return text.encode(self.codec)


def exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step, where the system can (Linux: `renameat2(2)`)."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "renameat2"):
        return False
    here = ctypes.c_int(-100)  # AT_FDCWD
    paths = (ctypes.c_char_p(os.fsencode(one)), ctypes.c_char_p(os.fsencode(other)))
    return library.renameat2(here, paths[0], here, paths[1], ctypes.c_uint(2)) == 0


class Round:
    """One tree, and what is done to it."""

    def __init__(self, chance: random.Random, score: Score, root: Path) -> None:
        self.chance, self.score = chance, score
        self.outside, self.workspace = root / "outside", root / "workspace"
        (self.outside / "deep").mkdir(parents=True)
        (self.outside / "a.md").write_text(SECRET)
        (self.outside / "deep" / "a.md").write_text(SECRET)
        self.workspace.mkdir()
        self.context = ToolContext(workspace=self.workspace)
        self.known: dict[str, Known] = {}
        self.number = 0
        self.seen: set[str] = set()
        self.before = self.look_outside()

    def look_outside(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.outside)): path.read_bytes() if path.is_file() else b"/"
            for path in self.outside.rglob("*")
        }

    def token(self) -> str:
        self.number += 1
        return f"<{self.number}:{self.chance.choice(WORDS)}>"

    def make_tree(self) -> None:
        for number in range(self.chance.randint(2, 6)):
            folder = "/".join(self.chance.choices("pqr", k=self.chance.randint(0, 3)))
            path = f"{folder}/f{number}".lstrip("/")
            codec, mark = self.chance.choice(CODECS)
            end = self.chance.choice(["\n", "\r\n"])
            style = self.chance.random()
            lines = [
                self.token() + (end if style < 0.8 else self.chance.choice(["\n", "\r\n"]))
                for _ in range(self.chance.randint(0, 30))
            ]
            text = "".join(lines)
            if self.chance.random() < 0.3:
                text += self.token()
            crlf = text.count("\r\n")
            end = "\r\n" if crlf > text.count("\n") - crlf else "\n"
            target = self.workspace / path
            target.parent.mkdir(parents=True, exist_ok=True)
            data = mark + text.encode(codec)
            target.write_bytes(data)
            self.known[path] = Known(codec, mark, end, data)
        for number, target in enumerate(
            ["../outside", str(self.outside / "a.md"), "..", "/etc/passwd", "l9/../../outside/deep"]
        ):
            (self.workspace / f"l{number}").symlink_to(target)
        name = self.chance.choice(list(self.known))
        (self.workspace / "inside").symlink_to(name)

    # --- one call after the other -------------------------------------------------------

    def step(self) -> None:
        path = self.chance.choice(list(self.known))
        name = path
        if self.chance.random() < 0.2:
            name, path = "inside", str((self.workspace / "inside").readlink())
        here = self.known[path]
        kind = self.chance.choice(
            ["edit", "edit", "append", "overwrite", "read", "wild", "outside"]
        )
        if kind == "edit":
            self.edit(name, here)
        elif kind == "append":
            fresh = "".join(self.token() + "\n" for _ in range(self.chance.randint(1, 5)))
            gap = here.encode(here.end) if here.text and not here.text.endswith("\n") else b""
            if call(
                self.score,
                write_file,
                self.context,
                path=name,
                mode="append",
                content="".join(fresh),
            ).changed:
                here.data += gap + here.encode(fresh.replace("\n", here.end))
        elif kind == "overwrite":
            content = "".join(self.token() + "\n" for _ in range(self.chance.randint(1, 9)))
            if call(
                self.score, write_file, self.context, path=name, mode="overwrite", content=content
            ).changed:
                here.data = here.mark + here.encode(content.replace("\n", here.end))
        elif kind == "read":
            call(self.score, read_file, self.context, path=name)
        elif kind == "outside":
            here.data += here.encode(self.token() + here.end)
            (self.workspace / path).write_bytes(here.data)
            if call(
                self.score, write_file, self.context, path=name, mode="overwrite", content="gone"
            ).changed and path in {key.removeprefix("files/seen/") for key in self.seen}:
                self.score.lose(len(here.data), f"{path}: overwrote what somebody else wrote")
            here.data = (self.workspace / path).read_bytes()
            call(self.score, read_file, self.context, path=name)
        else:
            self.wild()
        self.seen = set(self.context.notes)
        crlf = here.text.count("\r\n")
        here.end = "\r\n" if crlf > here.text.count("\n") - crlf else "\n"

    def edit(self, name: str, here: Known) -> None:
        tokens = [line for line in here.text.replace("\r\n", "\n").split("\n") if line]
        if not tokens:
            return
        old = self.chance.choice(tokens)
        new = self.token()
        if here.text.count(old) != 1:
            return
        if call(self.score, edit_file, self.context, path=name, old=old, new=new).changed:
            at = here.text.index(old)
            text = here.text[:at] + new + here.text[at + len(old) :]
            here.data = here.mark + here.encode(text)

    def wild(self) -> None:
        parts = [
            "..",
            "l0",
            "l1",
            "l2",
            "l3",
            "l4",
            "a.md",
            "deep",
            ".",
            "etc",
            "passwd",
            "p",
            "outside",
        ]
        path = "/".join(self.chance.choices(parts, k=self.chance.randint(1, 5)))
        if self.chance.random() < 0.2:
            path = str(self.outside / "a.md")
        if "l" not in path and ".." not in path and not path.startswith("/"):
            call(self.score, read_file, self.context, path=path)
            return
        call(self.score, write_file, self.context, path=path, mode="overwrite", content="escaped")
        call(self.score, edit_file, self.context, path=path, old=SECRET, new="escaped")
        call(self.score, read_file, self.context, path=path)
        call(self.score, list_files, self.context, path=path)
        found = call(self.score, search_files, self.context, text="secret out", path=path)
        if SECRET in found.content:
            self.score.escape(f"search {path}")

    def check(self) -> None:
        for path, here in self.known.items():
            data = (self.workspace / path).read_bytes()
            if data != here.data:
                gone = Counter(here.data) - Counter(data)
                self.score.lose(gone.total(), f"{path}: {data[:80]!r} is not {here.data[:80]!r}")
        if self.look_outside() != self.before:
            self.score.escape("what is outside has changed")
        self.score.left_behind += sum(1 for _ in self.workspace.rglob("*.tmp"))

    # --- several at once ----------------------------------------------------------------

    def together(self) -> None:
        """Three agents edit and append; somebody from outside replaces the file now and then."""
        file = self.workspace / "shared.md"
        file.write_text("".join(f"[{number}]\n" for number in range(30)) + "outside 0\n")
        done: list[tuple[str, str]] = []
        over = threading.Event()

        def agent(first: int) -> None:
            context = ToolContext(workspace=self.workspace)
            for number in range(first, 30, 3):
                call(self.score, read_file, context, path="shared.md")
                old, new = f"[{number}]", f"<{number}>"
                if call(self.score, edit_file, context, path="shared.md", old=old, new=new).changed:
                    done.append((old, new))
                page = call(self.score, read_file, context, path="shared.md").content
                content = page.split("\n", 1)[1] + f"whole {number}\n"
                call(
                    self.score, write_file, context, path="shared.md", mode="overwrite",
                    content=content,
                )  # fmt: skip

        latest = [0]

        def person() -> None:
            while not over.is_set():
                latest[0] += 1
                lines = file.read_text().splitlines()
                lines = [line for line in lines if not line.startswith("outside")]
                fresh = self.workspace.parent / "fresh"
                fresh.write_text("\n".join([*lines, f"outside {latest[0]}", ""]))
                fresh.replace(file)
                time.sleep(random.random() / 500)

        self.run(agent, person, over)
        if f"outside {latest[0]}\n" not in file.read_text():
            self.score.lose(12, f"what was written from outside last ({latest[0]}) is not there")
        file.write_text("".join(f"[{number}]\n" for number in range(30)))
        done.clear()
        self.run(agent, None, over)
        text = file.read_text()
        for old, new in done:
            if old in text or text.count(new) != 1:
                self.score.lose(len(new), f"an edit to {new} is not there")
        file.unlink()

    def run(self, agent, person, over: threading.Event) -> None:
        over.clear()
        threads = [threading.Thread(target=agent, args=(first,)) for first in range(3)]
        beside = threading.Thread(target=person) if person is not None else None
        for thread in [*threads, *([beside] if beside else [])]:
            thread.start()
        for thread in threads:
            thread.join()
        over.set()
        if beside is not None:
            beside.join()

    def swapped(self) -> None:
        """A folder that is a link outside every other moment."""
        docs, link, real = (self.workspace / name for name in ("docs", "link", "real"))
        docs.mkdir()
        (docs / "a.md").write_text("inside\n")
        link.symlink_to(self.outside)
        over = threading.Event()

        def swap() -> None:
            while not over.is_set():
                if not exchange(docs, link):
                    with suppress(OSError):
                        docs.rename(real)
                        link.rename(docs)
                    with suppress(OSError):
                        docs.rename(link)
                        real.rename(docs)

        swapping = threading.Thread(target=swap)
        swapping.start()
        for _ in range(30):
            call(self.score, read_file, self.context, path="docs/a.md")
            call(
                self.score, write_file, self.context, path="docs/a.md", mode="append", content="x\n"
            )
            call(
                self.score,
                write_file,
                self.context,
                path="docs/deep/n",
                mode="append",
                content="x\n",
            )
            call(self.score, edit_file, self.context, path="docs/a.md", old="inside", new="inside ")
            call(self.score, search_files, self.context, path="docs", text="the secret")
            call(self.score, list_files, self.context, path="docs")
        over.set()
        swapping.join()


def fuzz(rounds: int, seed: int) -> Score:
    """So many rounds."""
    score = Score()
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            one = Round(random.Random(f"{seed}:{number}"), score, Path(folder).resolve())
            one.make_tree()
            for _ in range(40):
                one.step()
                one.check()
            if number % 4 == 0:
                one.together()
                one.swapped()
                one.check()
    return score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    assert len(file_tools(FileRules())) == 5
    began = time.perf_counter()
    score = fuzz(options.rounds, options.seed)
    print(
        f"{options.rounds} rounds, {score.operations} operations ({score.refused} refused) in "
        f"{time.perf_counter() - began:.0f} s: {score.lost_bytes} lost bytes, {score.escapes} "
        f"escapes, {score.left_behind} temporary files left behind"
    )
    for note in score.notes[:10]:
        print(f"  {note}")
    sys.exit(bool(score.lost_bytes or score.escapes or score.left_behind))


if __name__ == "__main__":
    main()
