"""Runs are copied from one journal to another, between SQLite and Postgres too, rows as they are.

A run that can still go on is moved, not copied: two journals would go on with it, and do everything
twice. The one that is left behind gets an end that says where the run is now, before the other has
its first row. So nobody can ever go on with both, wherever the move dies; the same call ends it.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from agentcore.errors import ConfigurationError, JournalError, RunBusy, UnknownRun
from agentcore.journal.records import RunEnded, RunStatus, Stored, record_of
from agentcore.journal.sql import COLUMNS, SqlConnection, SqlStore
from agentcore.journal.state import fold
from agentcore.journal.store import StoredRun

__all__ = ["Outcome", "copy_run"]

Outcome: TypeAlias = Literal["copied", "moved", "there"]
"""`there`: it was there already, with the same rows."""

_MOVED: Final = "The run was moved to "
_GOES_ON: Final = ("running", "failed")
"""What a run must not be in two journals."""
_OWN_COLUMNS: Final = ("seq", "status", "owner", "epoch", "updated_at")
"""Of a run's row, what says how it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """A run as it is written down, column by column."""

    stored: StoredRun
    run: dict[str, Any]
    records: list[tuple[Any, ...]]
    partial: list[tuple[Any, ...]]

    @property
    def what(self) -> tuple[object, ...]:
        """What never changes in the run's own row."""
        return tuple(value for name, value in self.run.items() if name not in _OWN_COLUMNS)


def copy_run(source: SqlStore, target: SqlStore, run_id: str, *, moves: bool = False) -> Outcome:
    """Copy a run, in one transaction.

    Args:
        source: Where it is.
        target: Where it is to be.
        run_id: A run that nobody drives.
        moves: A run without an end goes on in `target` alone, and so does one that failed: in
            `source` it is cancelled, with a text that says where it went. Others are copied.

    Raises:
        UnknownRun: There is none of this id.
        RunBusy: A process that lives drives it.
        JournalError: It has no end, and `moves` is False; it was moved elsewhere before; there is a
            run of this id with other rows; or it cannot be read or written.
        ConfigurationError: Both are the same journal.
    """
    if source.url == target.url:
        raise ConfigurationError(f"{source.place} cannot be copied to itself; give two journals")
    rows = _read(source, run_id)
    _check_free(source, rows.stored)
    moved_to = _moved_to(rows)
    if moved_to and moved_to != target.url:
        raise JournalError(
            f"run {run_id!r} in {source.place}: it was moved to {moved_to}; copy it from there"
        )
    if moved_to:
        rows = _through(rows, rows.stored.seq - 1)
    elif rows.stored.status == "running" and not moves:
        raise JournalError(
            f"run {run_id!r} in {source.place} has no end, and two journals would go on with it. "
            "Move it instead (`runs copy --move`), or end it first"
        )
    if _is_there(target, rows, has_gone_on=bool(moved_to)):
        if rows.run["status"] == "running" and not moved_to:
            raise JournalError(
                f"run {run_id!r}: it has no end, and is in {target.place} too, perhaps because "
                "both are one database by two names. Nothing was done; end it in one of them"
            )
        return "there"
    if moves and not moved_to and rows.stored.status in _GOES_ON:
        rows = _leave(source, rows, target.url)
        moved_to = target.url
    _write(target, rows)
    return "moved" if moved_to else "copied"


def _check_free(store: SqlStore, run: StoredRun) -> None:
    if store.is_owned(run):
        raise RunBusy(
            f"run {run.id!r} in {store.place}: a process drives it now. Wait for its end, or end "
            "that process, and copy it then"
        )


# --- the one that is left behind ------------------------------------------------------------


def _leave(source: SqlStore, rows: _Rows, url: str) -> _Rows:
    """End a run with a text that says where it is now; its rows before that."""
    run_id = rows.stored.id
    claimed = source.claim(run_id)
    try:
        ended = RunEnded(status="cancelled", text=f"{_MOVED}{url}")
        # What had arrived of an answer stays beside it until it is in the other journal.
        seq = source.append(run_id, claimed.epoch, (ended,), status="cancelled")
    finally:
        source.release(run_id, claimed.epoch)
    left = _through(_read(source, run_id), seq - 1)
    # Whether its process died is counted, so that nothing is tried for ever.
    return _Rows(
        stored=left.stored,
        run={**left.run, "owner": rows.run["owner"], "epoch": rows.run["epoch"]},
        records=left.records,
        partial=left.partial,
    )


def _moved_to(rows: _Rows) -> str:
    """The URL of the journal that a run was moved to; empty for one that was not."""
    if rows.stored.status != "cancelled" or not rows.records:
        return ""
    last = _stored(rows.records[-1])
    if not isinstance(last.record, RunEnded) or not last.record.text.startswith(_MOVED):
        return ""
    return last.record.text.removeprefix(_MOVED)


def _through(rows: _Rows, seq: int) -> _Rows:
    """The run as it stood when it had this many rows."""
    records = rows.records[:seq]
    end = fold(rows.stored.new.opening, [_stored(one) for one in records]).end
    status: RunStatus = end.status if end is not None else "running"
    # An answer under way is there only where a process died, or was ended, while it arrived.
    owner = "died" if rows.partial and end is None else rows.run["owner"]
    return _Rows(
        stored=rows.stored,
        run={**rows.run, "seq": seq, "status": status, "owner": owner},
        records=records,
        partial=rows.partial,
    )


def _stored(row: Sequence[Any]) -> Stored:
    _, seq, at, kind, v, body = row
    return Stored(seq=seq, at=at, record=record_of(kind, v, body))


# --- reading and writing --------------------------------------------------------------------


def _read(store: SqlStore, run_id: str) -> _Rows:
    """A run as it stands at one moment.

    Raises:
        UnknownRun: There is none of this id.
        JournalError: It cannot be read, or not all of its rows are there.
    """
    stored = store.get(run_id)
    with store._reads() as connection:
        assert connection is not None  # else it would be unknown
        run = connection.execute(
            f"SELECT {COLUMNS['run']} FROM run WHERE id = ?", (run_id,)
        ).fetchone()
        if run is None:
            raise UnknownRun(f"{store.place}: run {run_id!r} was removed a moment ago")
        named = dict(zip(COLUMNS["run"].split(", "), run, strict=True))
        # Rows are only ever added: those that the run counted then are the same now.
        records = connection.execute(
            f"SELECT {COLUMNS['record']} FROM record WHERE run = ? AND seq <= ? ORDER BY seq",
            (run_id, named["seq"]),
        ).fetchall()
        partial = connection.execute(
            f"SELECT {COLUMNS['partial']} FROM partial WHERE run = ? ORDER BY part", (run_id,)
        ).fetchall()
    if [record[1] for record in records] != list(range(1, named["seq"] + 1)):
        raise JournalError(
            f"run {run_id!r} in {store.place}: {len(records)} rows, and it says that it has "
            f"{named['seq']}. Nothing was copied; `agentcore runs check` says what is wrong"
        )
    return _Rows(stored=stored, run=named, records=list(map(tuple, records)), partial=partial)


def _is_there(target: SqlStore, rows: _Rows, *, has_gone_on: bool) -> bool:
    """Whether a journal has a run already, with the same rows.

    Args:
        target: The journal.
        rows: The run.
        has_gone_on: It may have more of them there.

    Raises:
        JournalError: It has a run of this id with other rows.
    """
    try:
        there = _read(target, rows.stored.id)
    except UnknownRun:
        return False
    count = len(rows.records) if has_gone_on else len(there.records)
    if there.what == rows.what and there.records[:count] == rows.records:
        return True
    raise JournalError(
        f"run {rows.stored.id!r}: there is one of this id in {target.place} already, with other "
        "rows. Nothing was copied; remove or fork one of them first"
    )


def _write(target: SqlStore, rows: _Rows) -> None:
    # An id that nobody has: who drove it there is none of the owners here.
    owner = secrets.token_hex(8) if rows.run["owner"] else ""
    with target._writes() as connection:
        _insert(connection, "run", [tuple({**rows.run, "owner": owner}.values())])
        _insert(connection, "record", rows.records)
        _insert(connection, "partial", rows.partial)
        target._announce(connection, rows.stored.id, len(rows.records))


def _insert(connection: SqlConnection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    marks = ", ".join("?" for _ in COLUMNS[table].split(", "))
    if rows:
        connection.executemany(f"INSERT INTO {table} ({COLUMNS[table]}) VALUES ({marks})", rows)
