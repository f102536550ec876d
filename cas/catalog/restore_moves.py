"""A restore's life in SQL: planned, started, executed.

Each function is one transaction's work on the connection it is given. The restore's row is locked
first, and that of the restore that it undoes after it, which always has the lower number.
"""

import os
import socket
from collections.abc import Sequence

from psycopg.types.json import Jsonb

from cas.catalog import restore_rules, restore_standing
from cas.catalog.connecting import Connection
from cas.catalog.restore_listing import restore
from cas.catalog.restore_model import NewRestore, Restore, RestoreEntity, RestorePlanned, RestoreState
from cas.catalog.restore_standing import EXECUTING, HELD, Standing
from cas.catalog.rules import LEASE, MAX_INTEGER, clean


def lock(connection: Connection, number: int) -> Standing:
    """The row, locked until the transaction ends. NotFound.

    The clock is read outside the locking part, hence after a wait for the lock and not before.
    """
    row = None
    if 0 < number <= MAX_INTEGER:
        row = connection.execute(
            """
            WITH locked AS MATERIALIZED (
                SELECT state, renewed_at, lease_until, cancel_requested, transaction_id, plan_hash, undoes
                FROM cas.restores WHERE number = %s FOR UPDATE)
            SELECT state, CASE WHEN lease_until <= clock_timestamp() THEN renewed_at END,
                   cancel_requested, transaction_id, plan_hash, undoes
            FROM locked
            """,
            [number],
        ).fetchone()
    if row is None:
        raise restore_standing.missing(number)
    state, silent_since, cancel_requested, transaction_id, plan_hash, undoes = row
    return Standing(
        number=number,
        state=RestoreState(state),
        silent_since=silent_since,
        cancel_requested=cancel_requested,
        transaction_id=None if transaction_id is None else int(transaction_id),
        plan_hash=plan_hash,
        undoes=undoes,
    )


def begin(connection: Connection, new: NewRestore) -> Restore:
    restore_standing.demand_version(new.version, _version_state(connection, new.version))
    if new.undoes is not None:
        restore_standing.demand_undoable(new.undoes, _state_of(connection, new.undoes))
    row = connection.execute(
        """
        INSERT INTO cas.restores (
            kind, mode, version, undoes, name, description, search, created_by, target_url, request,
            metadata, host, pid, created_at, renewed_at, lease_until)
        SELECT %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, now, now, now + %s
        FROM (SELECT clock_timestamp() AS now) AS clock
        RETURNING number
        """,
        [
            *(new.kind.value, new.mode.value, new.version, new.undoes, new.name, new.description),
            restore_rules.search_text(new.name, new.description, new.created_by),
            *(new.created_by, new.target_url, Jsonb(restore_rules.document(new.request))),
            *(Jsonb(dict(new.metadata)), socket.gethostname(), os.getpid(), LEASE),
        ],
    ).fetchone()
    assert row is not None
    return restore(connection, row[0])


def planned(connection: Connection, number: int, found: RestorePlanned) -> Restore:
    standing = lock(connection, number)
    restore_standing.demand_move(standing, RestoreState.PLANNED)
    restore_standing.demand_wanted(standing)
    end_step(connection, number)
    connection.execute(
        """
        UPDATE cas.restores
        SET state = 'planned', planned_at = clock_timestamp(), renewed_at = NULL, lease_until = NULL,
            plan = %s, plan_hash = %s, warnings = %s, target_database = %s, target_system_identifier = %s
        WHERE number = %s
        """,
        [
            *(Jsonb(restore_rules.document(found.plan)), found.plan_hash),
            [clean(warning) for warning in found.warnings],
            *(found.target_database, found.target_system_identifier, number),
        ],
    )
    _insert_entities(connection, number, [restore_rules.clean_entity(entity) for entity in found.entities])
    return restore(connection, number)


def start(connection: Connection, number: int, plan_hash: str, approved_by: str) -> Restore:
    standing = lock(connection, number)
    restore_standing.demand_move(standing, RestoreState.SAFETY)
    undone = None if standing.undoes is None else _state_of(connection, standing.undoes)
    restore_standing.demand_plan(standing, plan_hash, undone)
    connection.execute(
        """
        UPDATE cas.restores
        SET state = 'safety', started_at = now, renewed_at = now, lease_until = now + %s,
            approved_by = %s, host = %s, pid = %s
        FROM (SELECT clock_timestamp() AS now) AS clock WHERE number = %s
        """,
        [LEASE, approved_by, socket.gethostname(), os.getpid(), number],
    )
    return restore(connection, number)


def renew(connection: Connection, number: int) -> None:
    restore_standing.demand_renewable(lock(connection, number))
    connection.execute(
        """
        UPDATE cas.restores SET renewed_at = now, lease_until = now + %s
        FROM (SELECT clock_timestamp() AS now) AS clock WHERE number = %s
        """,
        [LEASE, number],
    )


def step(connection: Connection, number: int, name: str, text: str) -> None:
    restore_standing.demand_held(lock(connection, number), HELD, "steps")
    end_step(connection, number)
    connection.execute(
        """
        INSERT INTO cas.restore_steps (restore, ordinal, name, text, started_at)
        SELECT %(number)s, coalesce(max(ordinal), 0) + 1, %(name)s, %(text)s, clock_timestamp()
        FROM cas.restore_steps WHERE restore = %(number)s
        """,
        {"number": number, "name": clean(name), "text": clean(text)},
    )


def enter(connection: Connection, number: int, state: RestoreState) -> None:
    standing = lock(connection, number)
    restore_standing.demand_entering(standing, state)
    restore_standing.demand_wanted(standing)
    connection.execute(
        """
        UPDATE cas.restores
        SET state = %(state)s,
            restoring_at = CASE %(state)s WHEN 'restoring' THEN clock_timestamp() ELSE restoring_at END,
            verifying_at = CASE %(state)s WHEN 'verifying' THEN clock_timestamp() ELSE verifying_at END
        WHERE number = %(number)s
        """,
        {"state": state.value, "number": number},
    )


def progress(connection: Connection, number: int, label: str, done: int) -> None:
    restore_standing.demand_held(lock(connection, number), EXECUTING, "progress")
    updated = connection.execute(
        "UPDATE cas.restore_entities SET done = %s WHERE restore = %s AND label = %s",
        [done, number, clean(label)],
    )
    if updated.rowcount == 0:
        raise restore_standing.missing_entity(number, label)


def safety(connection: Connection, number: int, version: int) -> None:
    restore_standing.demand_held(lock(connection, number), (RestoreState.SAFETY,), "safety version")
    restore_standing.demand_version(version, _version_state(connection, version))
    connection.execute(
        "UPDATE cas.restores SET safety_version = %s, safety_at = clock_timestamp() WHERE number = %s",
        [version, number],
    )


def end_step(connection: Connection, number: int) -> None:
    """The step that runs, if any, ends now."""
    connection.execute(
        """
        UPDATE cas.restore_steps SET finished_at = greatest(started_at, clock_timestamp())
        WHERE restore = %s AND finished_at IS NULL
        """,
        [number],
    )


def _insert_entities(connection: Connection, number: int, entities: Sequence[RestoreEntity]) -> None:
    connection.execute(
        """
        INSERT INTO cas.restore_entities (restore, ordinal, label, inserted, updated, deleted, conflicts,
                                          version_records, live_records, after_records, done)
        SELECT %s, ordinal, label, inserted, updated, deleted, conflicts,
               version_records, live_records, after_records, done
        FROM unnest(%b::text[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[],
                    %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[]) WITH ORDINALITY
             AS given (label, inserted, updated, deleted, conflicts,
                       version_records, live_records, after_records, done, ordinal)
        """,
        [
            number,
            [entity.label for entity in entities],
            [entity.inserted for entity in entities],
            [entity.updated for entity in entities],
            [entity.deleted for entity in entities],
            [entity.conflicts for entity in entities],
            [entity.version_records for entity in entities],
            [entity.live_records for entity in entities],
            [entity.after_records for entity in entities],
            [entity.done for entity in entities],
        ],
    )


def _version_state(connection: Connection, number: int) -> str | None:
    if not 0 < number <= MAX_INTEGER:
        return None
    row = connection.execute("SELECT state FROM cas.versions WHERE number = %s", [number]).fetchone()
    return None if row is None else str(row[0])


def _state_of(connection: Connection, number: int) -> RestoreState | None:
    """Of the restore that another one undoes; it stays so until the transaction ends."""
    row = connection.execute(
        "SELECT state FROM cas.restores WHERE number = %s FOR SHARE", [number]
    ).fetchone()
    return None if row is None else RestoreState(row[0])
