"""Where a journal is: a path, or a URL as SQLAlchemy and others write it."""

from pathlib import Path
from typing import Final

from agentcore.errors import ConfigurationError
from agentcore.journal.sqlite import SqliteStore
from agentcore.journal.store import JournalStore

__all__ = ["default_place", "journal_at"]

_SQLITE: Final = "sqlite:///"
_IN_MEMORY: Final = ":memory:"
"""What SQLite calls a database without a file: it would be lost with its process."""
_POSTGRES: Final = ("postgresql", "postgres")


def default_place(workspace: Path) -> str:
    """The file for the runs of a workspace."""
    return str(workspace / ".agentcore" / "runs.db")


def journal_at(place: str) -> JournalStore:
    """The journal at a place; nothing is opened yet.

    Args:
        place: A file; or `sqlite:///` and a file, which is absolute after four slashes; or
            `postgresql://user@host/database`.

    Raises:
        ConfigurationError: It is another kind of URL, or names no file.
    """
    scheme, mark, _ = place.partition("://")
    if scheme in _POSTGRES and mark:
        from agentcore.journal.postgres import PostgresStore

        return PostgresStore(place)
    path = place.removeprefix(_SQLITE) if place.startswith(_SQLITE) else place
    if mark and path == place:
        raise ConfigurationError(
            f"journal={scheme}://…: there is no journal of this kind. Give a file, sqlite:/// "
            "and a file, as in sqlite:////var/lib/agents/runs.db, or postgresql://host/database"
        )
    if path in ("", _IN_MEMORY) or Path(path).is_dir():
        raise ConfigurationError(f"journal={place!r}: names no file")
    return SqliteStore(path)
