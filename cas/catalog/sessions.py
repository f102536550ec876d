"""A writer's life in SQL: begin, renew, announce packs, prepare, fail.

Each function is one transaction's work on the connection it is given. Locks are always taken in
this order: epoch and repository, next number, replicas, session, packs and versions.
"""

import os
import socket
from uuid import UUID

from psycopg import errors
from psycopg.types.json import Jsonb

from cas.catalog import placing_postgres
from cas.catalog.connecting import Connection
from cas.catalog.model import NewPack, NewVersion, SessionHandle, VersionState
from cas.catalog.rules import COMMITTED, LEASE, clean, fenced, known_pack, lapsed, search_text
from cas.errors import CasError, Conflict, NotFound
from cas.ids import PackName


def share_epoch(connection: Connection, repository_id: str) -> tuple[int, int]:
    """Number and the highest journal that a writer may find in the store, kept still until the transaction
    ends; for our repository only."""
    return _epoch(connection, repository_id, "FOR SHARE")


def take_epoch(connection: Connection, repository_id: str) -> tuple[int, int]:
    """Number and journal, with every begin, prepare and commit of others kept out."""
    return _epoch(connection, repository_id, "FOR UPDATE")


def _epoch(connection: Connection, repository_id: str, lock: str) -> tuple[int, int]:
    query = (
        "SELECT e.number, coalesce(e.announced, e.journal), r.id"
        " FROM cas.epoch e CROSS JOIN cas.repository r "
    )
    row = connection.execute(query.encode() + lock.encode()).fetchone()
    if row is None or row[2] != repository_id:
        raise Conflict(
            "the catalog no longer belongs to this repository",
            where=repository_id,
            hint="Somebody replaced the catalog meanwhile; start again",
        )
    return row[0], row[1]


def begin(connection: Connection, repository_id: str, new: NewVersion) -> SessionHandle:
    """The session, the pin of its parent, its number, its running version with its destinations, and the
    view."""
    epoch, _ = share_epoch(connection, repository_id)
    if new.parent is not None:
        _demand_parent(connection, new.parent)
    # A statement of its own, after the epoch was locked: it sees every condemnation that we waited
    # for, and none can follow before we commit.
    view = live_packs(connection)
    counted = connection.execute(
        """
        UPDATE cas.next_version SET number = number + 1
        RETURNING number - 1, clock_timestamp(), gen_random_uuid()
        """
    ).fetchone()
    assert counted is not None
    number, created_at, session = counted
    connection.execute(
        """
        INSERT INTO cas.versions (
            number, state, trigger_type, kind, reason, name, description, search, tags, metadata,
            created_by, protected, source_url, source_database, source_server_version,
            source_system_identifier, included, excluded, included_schemas, parent, created_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        [number, VersionState.RUNNING.value, *described(number, new), created_at],
    )
    placing_postgres.aim(connection, number, new.destinations)
    connection.execute(
        """
        INSERT INTO cas.sessions (id, number, epoch, parent, host, pid, started_at, renewed_at, lease_until)
        VALUES (%(id)s, %(number)s, %(epoch)s, %(parent)s, %(host)s, %(pid)s,
                %(now)s, %(now)s, %(now)s + %(lease)s)
        """,
        {
            "id": session,
            "number": number,
            "epoch": epoch,
            "parent": new.parent,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "now": created_at,
            "lease": LEASE,
        },
    )
    return SessionHandle(session, number, epoch, created_at, view)


def described(number: int, new: NewVersion) -> list[object]:
    """The columns trigger_type to parent of a version, in the order in which both inserts name them."""
    return [
        *(new.trigger.value, new.kind.value, new.reason, new.name, new.description),
        search_text(number, new.name, new.reason, new.description),
        *(list(new.tags), Jsonb(dict(new.metadata)), new.created_by, new.protected),
        *(new.source_url, new.source_database, new.source_server_version, new.source_system_identifier),
        *(list(new.included), list(new.excluded), list(new.included_schemas), new.parent),
    ]


def live_packs(connection: Connection) -> frozenset[PackName]:
    rows = connection.execute("SELECT name FROM cas.packs WHERE state = 'live'")
    return frozenset(PackName(name) for (name,) in rows)


def describe_source(
    connection: Connection, session: UUID, database: str, server_version: str, system_identifier: str
) -> None:
    number = lock_open(connection, session)
    connection.execute(
        """
        UPDATE cas.versions
        SET source_database = %s, source_server_version = %s, source_system_identifier = %s
        WHERE number = %s
        """,
        [database, server_version, system_identifier, number],
    )


def renew(connection: Connection, session: UUID) -> None:
    renewed = connection.execute(
        """
        UPDATE cas.sessions SET renewed_at = clock_timestamp(), lease_until = clock_timestamp() + %s
        WHERE id = %s AND state = 'open'
        """,
        [LEASE, session],
    )
    if renewed.rowcount == 0:
        raise _why_fenced(connection, session)


def register_pack(connection: Connection, session: UUID, pack: NewPack) -> None:
    lock_open(connection, session)
    try:
        connection.execute(
            """
            INSERT INTO cas.packs (name, state, stored_bytes, chunks, holds_nodes, owner)
            VALUES (%s, 'uploading', %s, %s, %s, %s)
            """,
            [pack.name, pack.stored_bytes, pack.chunks, pack.holds_nodes, session],
        )
    except errors.UniqueViolation as error:
        raise known_pack(pack.name) from error


def prepare(connection: Connection, repository_id: str, session: UUID) -> None:
    share_epoch(connection, repository_id)
    lock_open(connection, session)


def fail(connection: Connection, session: UUID, code: str, text: str) -> None:
    ended = connection.execute(
        """
        UPDATE cas.sessions SET state = 'ended', ended_at = clock_timestamp()
        WHERE id = %s AND state = 'open' RETURNING number
        """,
        [session],
    ).fetchone()
    if ended is not None:
        connection.execute(
            """
            UPDATE cas.versions
            SET state = 'failed', error_code = %s, error_text = %s, finished_at = clock_timestamp(),
                duration_seconds = greatest(0, extract(epoch FROM clock_timestamp() - created_at))
            WHERE number = %s
            """,
            [clean(code) or CasError.code, clean(text), ended[0]],
        )


def lock_open(connection: Connection, session: UUID) -> int:
    """Lock the session's row until the transaction ends: open, its lease good. Returns its number.

    The clock is read outside the locking part, hence after a wait for the lock and not before.
    """
    row = connection.execute(
        """
        WITH locked AS MATERIALIZED (
            SELECT number, state, lease_until FROM cas.sessions WHERE id = %s FOR UPDATE)
        SELECT number, state = 'open' AND lease_until > clock_timestamp() FROM locked
        """,
        [session],
    ).fetchone()
    if row is None or not row[1]:
        raise _why_fenced(connection, session)
    number: int = row[0]
    return number


def _why_fenced(connection: Connection, session: UUID) -> CasError:
    row = connection.execute(
        "SELECT number, state, renewed_at FROM cas.sessions WHERE id = %s", [session]
    ).fetchone()
    if row is None:
        return fenced(None, "the catalog does not know it")
    number, state, renewed_at = row
    if state == "open":
        return fenced(number, lapsed(renewed_at))
    return fenced(number, "it has ended" if state == "ended" else "somebody else ended it")


def _demand_parent(connection: Connection, parent: int) -> None:
    row = connection.execute(
        "SELECT state FROM cas.versions WHERE number = %s FOR SHARE", [parent]
    ).fetchone()
    if row is None:
        raise NotFound("there is no such version to build on", where=f"version {parent}")
    if row[0] not in COMMITTED:
        raise Conflict("only a complete or incomplete version can be built on", where=f"version {parent}")
