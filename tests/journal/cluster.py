"""A private Postgres on loopback, made for a session of tests and removed with it.

As a program it says why there can be none here, and ends with 1 then.
"""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

__all__ = ["Cluster", "private_cluster", "why_not"]


def _binaries() -> Path | None:
    """Where `initdb` is: Debian keeps it out of the path."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "postgres").exists()), None)


def _user() -> str | None:
    """Who the server runs as: it refuses to run as root. None for this user."""
    if os.name != "posix" or os.getuid() != 0:
        return None
    return "postgres"


def why_not() -> str:
    """Why there is no Postgres here; empty where there is one."""
    if _binaries() is None:
        return "PostgreSQL is not installed (apt-get install postgresql)"
    if (user := _user()) is not None:
        try:
            pwd.getpwnam(user)
        except KeyError:
            return "PostgreSQL does not run as root, and there is no user postgres"
    return ""


@dataclass(kw_only=True)
class Cluster:
    """A server and its files."""

    folder: Path
    binaries: Path
    port: int
    addresses: tuple[str, ...] = ()
    """More than loopback, each with its mask, as `10.0.0.1/24`: who is in their networks is let in.
    """
    settings: tuple[str, ...] = ()
    """As `fsync=off`."""

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str, address: str = "127.0.0.1") -> str:
        return f"postgresql://postgres@{address}:{self.port}/{database}"

    def start(self) -> None:
        listened = ",".join(["127.0.0.1", *(one.partition("/")[0] for one in self.addresses)])
        options = (
            f"-c listen_addresses={listened} -c port={self.port} "
            f"-c unix_socket_directories={self.folder} -c max_connections=300 "
        ) + " ".join(f"-c {setting}" for setting in self.settings)
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", self.data, "-l", log, "-w", "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "-D", self.data, "-w", "-m", mode, "stop")

    def create(self, database: str) -> str:
        """A database of its own; its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {database}".encode())
        return self.url_of(database)

    def _run(self, name: str, *arguments: str) -> None:
        ran = subprocess.run(
            [str(self.binaries / name), *arguments],
            user=_user(),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if name != "pg_ctl" else subprocess.DEVNULL,
            stderr=subprocess.PIPE if name != "pg_ctl" else subprocess.DEVNULL,
            check=False,
        )
        if ran.returncode:
            log = self.folder / "log"
            told = log.read_text() if log.exists() else ""
            raise RuntimeError(f"{name} failed: {(ran.stderr or b'').decode()}{told[-2000:]}")


@contextmanager
def private_cluster(*settings: str, addresses: tuple[str, ...] = ()) -> Iterator[Cluster]:
    """A server that runs inside the block.

    Args:
        settings: Of the server, as `fsync=off`.
        addresses: Where it listens beside loopback; see `Cluster`.
    """
    binaries = _binaries()
    assert binaries is not None, why_not()
    folder = Path(tempfile.mkdtemp(prefix="agentcore-pg-"))
    if (user := _user()) is not None:
        shutil.chown(folder, user)
    cluster = Cluster(
        folder=folder,
        binaries=binaries,
        port=_free_port(),
        addresses=addresses,
        settings=settings,
    )
    cluster._run("initdb", "-D", cluster.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N")
    with (folder / "data" / "pg_hba.conf").open("a") as file:
        file.writelines(f"host all all {address} trust\n" for address in addresses)
    cluster.start()
    try:
        yield cluster
    finally:
        for _ in range(3):
            try:
                cluster.stop("immediate")
                break
            except RuntimeError:
                time.sleep(0.2)
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


if __name__ == "__main__":
    if reason := why_not():
        sys.exit(reason)
