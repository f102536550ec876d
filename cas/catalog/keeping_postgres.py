"""What stays and what goes, in PostgreSQL 14 or newer. Guarantees: cas/catalog/keeping.py."""

import os
import socket
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from psycopg.rows import TupleRow

from cas.catalog import keeping_rules, listing
from cas.catalog.connecting import Connection, Connections
from cas.catalog.keeping import Heard
from cas.catalog.model import VersionState
from cas.catalog.rules import COMMITTED, LEASE, MAX_INTEGER, WHOLE
from cas.errors import Fenced
from cas.format.notes import Note, NoteField, Notes, Setting

_LAST_GOOD = """
SELECT max(o.number) FROM cas.versions v JOIN cas.versions o
    USING (source_system_identifier, source_database)
WHERE v.number = %s AND o.state = 'complete' AND o.kind = ANY (%s)
"""

_IS_RELIED_ON = """
SELECT EXISTS (SELECT FROM cas.restores WHERE safety_version = %s
               AND state IN ('safety', 'restoring', 'verifying')), clock_timestamp()
"""

_FENCE_LAPSED = """
WITH fenced AS (
    UPDATE cas.sessions SET state = 'fenced', ended_at = clock_timestamp()
    WHERE parent = %(number)s AND state = 'open' AND lease_until <= clock_timestamp() RETURNING number)
UPDATE cas.versions v
SET state = 'failed', error_code = %(code)s, error_text = %(text)s, finished_at = clock_timestamp(),
    duration_seconds = greatest(0, extract(epoch FROM clock_timestamp() - created_at))
FROM fenced WHERE v.number = fenced.number
"""

_IS_PINNED = """
SELECT EXISTS (SELECT FROM cas.sessions WHERE parent = %(number)s AND state = 'open')
    OR EXISTS (SELECT FROM cas.pins WHERE version = %(number)s)
"""


_TAKE_BACK = """
UPDATE cas.versions
SET state = forgotten_from, forgotten_from = NULL, forgotten_at = NULL, forgotten_why = ''
WHERE number = %s AND state = 'forgotten'
"""

_LOSE = """
UPDATE cas.versions
SET state = 'gone', forgotten_from = NULL, forgotten_at = coalesce(forgotten_at, %s),
    forgotten_why = CASE WHEN forgotten_why = '' THEN %s ELSE forgotten_why END
WHERE number = %s AND state = ANY (%s) AND NOT protected AND hold = ''
"""

_SPOKEN_OF = [state.value for state in (*COMMITTED, VersionState.FORGOTTEN)]


class PostgresKeeping:
    """On the connections of a `PostgresCatalog`, which see for what may be raised."""

    def __init__(self, connections: Connections, demand_owner: Callable[[Connection], object]) -> None:
        """`demand_owner`: that the catalog still belongs to the repository, until the transaction ends."""
        self._connections = connections
        self._demand_owner = demand_owner

    def heard(self) -> Heard:
        with self._connections.transaction() as connection:
            return _heard(connection.execute("SELECT generation, number FROM cas.noted").fetchone())

    def note(self, said: Sequence[Note | Setting], put: Callable[[int], Notes]) -> Notes:
        keeping_rules.check_said(said)
        with self._connections.transaction() as connection:
            self._demand_owner(connection)
            known = _lock_heard(connection).number
            for number in keeping_rules.versions_of(said):
                _demand_committed(connection, number)
            notes = put(known + 1)
            _take(connection, notes)
            return notes

    def take_notes(self, notes: Notes) -> None:
        keeping_rules.check_said(notes.notes)
        with self._connections.transaction() as connection:
            self._demand_owner(connection)
            known = _lock_heard(connection).number
            if notes.number > known + 1:
                raise keeping_rules.missing_notes(notes.number, known)
            if notes.number == known + 1:
                _take(connection, notes)

    def setting(self, name: str) -> tuple[str, ...] | None:
        with self._connections.transaction() as connection:
            row = connection.execute("SELECT given FROM cas.settings WHERE name = %s", [name]).fetchone()
        return None if row is None else tuple(row[0])

    def pin(self, version: int, purpose: str) -> UUID:
        keeping_rules.check_purpose(purpose)
        with self._connections.transaction() as connection:
            self._demand_owner(connection)
            _demand_committed(connection, version)
            row = connection.execute(
                """
                INSERT INTO cas.pins (version, purpose, host, pid, lease_until, epoch)
                SELECT %s, %s, %s, %s, clock_timestamp() + %s, number FROM cas.epoch FOR SHARE RETURNING id
                """,
                [version, purpose, socket.gethostname(), os.getpid(), LEASE],
            ).fetchone()
        assert row is not None
        pin: UUID = row[0]
        return pin

    def renew_pin(self, pin: UUID) -> None:
        with self._connections.transaction() as connection:
            renewed = connection.execute(
                "UPDATE cas.pins SET lease_until = clock_timestamp() + %s WHERE id = %s", [LEASE, pin]
            )
            if not renewed.rowcount:
                raise keeping_rules.let_go_meanwhile()

    def unpin(self, pin: UUID) -> None:
        with self._connections.transaction() as connection:
            connection.execute("DELETE FROM cas.pins WHERE id = %s", [pin])

    def forget(self, number: int, why: str, *, heard: Heard) -> bool:
        keeping_rules.check_why(why)
        with self._connections.transaction() as connection:
            self._demand_owner(connection)
            keeping_rules.require_heard(_lock_heard(connection), heard)
            if _state_of(connection, number) in (VersionState.FORGOTTEN, VersionState.GONE):
                return False
            row = connection.execute(_LAST_GOOD, [number, [kind.value for kind in WHOLE]]).fetchone()
            relied_on = connection.execute(_IS_RELIED_ON, [number]).fetchone()
            assert relied_on is not None
            keeping_rules.refuse_to_forget(
                listing.version(connection, number),
                row[0] if row else None,
                relied_on[1],
                is_relied_on=relied_on[0],
            )
            connection.execute(
                """
                UPDATE cas.versions
                SET state = 'forgotten', forgotten_at = clock_timestamp(), forgotten_why = %s,
                    forgotten_from = state
                WHERE number = %s
                """,
                [why, number],
            )
            return True

    def forgotten(self) -> Sequence[int]:
        with self._connections.transaction() as connection:
            rows = connection.execute(
                "SELECT number FROM cas.versions WHERE state = 'forgotten' ORDER BY number"
            )
            return [number for (number,) in rows]

    def let_go(self, numbers: Sequence[int], put: Callable[[int, Sequence[Note]], Notes]) -> Sequence[int]:
        with self._connections.transaction() as connection:
            self._demand_owner(connection)
            known = _lock_heard(connection).number
            going: dict[int, str] = {}
            for number in sorted(set(numbers)):
                if _state_of(connection, number) is VersionState.FORGOTTEN and not _is_in_use(
                    connection, number
                ):
                    going[number] = _why_forgotten(connection, number)
            if going:
                _take(connection, put(known + 1, keeping_rules.going(going)))
            return list(going)

    def gone(self) -> frozenset[int]:
        with self._connections.transaction() as connection:
            rows = connection.execute("SELECT number FROM cas.versions WHERE state = 'gone'")
            return frozenset(number for (number,) in rows)


def _lock_heard(connection: Connection) -> Heard:
    """It stays so until the transaction ends."""
    return _heard(connection.execute("SELECT generation, number FROM cas.noted FOR UPDATE").fetchone())


def _heard(row: TupleRow | None) -> Heard:
    assert row is not None
    return Heard(row[0], row[1])


def _state_of(connection: Connection, number: int) -> VersionState:
    """With the row locked until the transaction ends. NotFound."""
    row = None
    if 0 < number <= MAX_INTEGER:
        row = connection.execute(
            "SELECT state FROM cas.versions WHERE number = %s FOR UPDATE", [number]
        ).fetchone()
    if row is None:
        raise keeping_rules.none_such(number)
    return VersionState(row[0])


def _demand_committed(connection: Connection, number: int) -> None:
    state = _state_of(connection, number)
    if state not in COMMITTED:
        raise keeping_rules.not_committed(number, state)


def _take(connection: Connection, notes: Notes) -> None:
    for note in notes.notes:
        if isinstance(note, Setting):
            _set(connection, note)
        else:
            _say(connection, note, notes.at)
    connection.execute("UPDATE cas.noted SET number = %s", [notes.number])


def _set(connection: Connection, setting: Setting) -> None:
    connection.execute("DELETE FROM cas.settings WHERE name = %s", [setting.name])
    if setting.values is not None:
        connection.execute(
            "INSERT INTO cas.settings (name, given) VALUES (%s, %s)", [setting.name, list(setting.values)]
        )


def _is_in_use(connection: Connection, number: int) -> bool:
    asked = {"number": number, "code": Fenced.code, "text": keeping_rules.ENDED_FOR_FORGOTTEN}
    connection.execute(_FENCE_LAPSED, asked)
    connection.execute(
        "DELETE FROM cas.pins WHERE version = %(number)s AND lease_until <= clock_timestamp()", asked
    )
    row = connection.execute(_IS_PINNED, asked).fetchone()
    return row is not None and bool(row[0])


def _why_forgotten(connection: Connection, number: int) -> str:
    row = connection.execute("SELECT forgotten_why FROM cas.versions WHERE number = %s", [number]).fetchone()
    assert row is not None, "it was locked just now"
    return str(row[0])


def _say(connection: Connection, note: Note, at: str) -> None:
    if keeping_rules.keeps(note):
        connection.execute(_TAKE_BACK, [note.version])
    match note.field:
        case NoteField.FORGOTTEN:
            _lose(connection, note, at)
            return
        case NoteField.PROTECTED:
            query, value = "UPDATE cas.versions SET protected = %s", note.value
        case NoteField.HOLD:
            query, value = "UPDATE cas.versions SET hold = %s", note.value
        case NoteField.EXPIRES_AT:
            query, value = "UPDATE cas.versions SET expires_at = %s::timestamptz", note.value
    connection.execute(
        f"{query} WHERE number = %s AND state = ANY (%s)".encode(), [value, note.version, _SPOKEN_OF]
    )


def _lose(connection: Connection, note: Note, at: str) -> None:
    """It is gone, unless it stays by what was said before. A version a minute would fill the catalog: what is
    left of it is its own row."""
    gone = connection.execute(_LOSE, [datetime.fromisoformat(at), note.value, note.version, _SPOKEN_OF])
    if gone.rowcount:
        connection.execute("DELETE FROM cas.version_marks WHERE version = %s", [note.version])
        connection.execute("DELETE FROM cas.version_checks WHERE version = %s", [note.version])
        connection.execute("DELETE FROM cas.version_entities WHERE version = %s", [note.version])
