"""Restores as rows of the catalog become values."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, LiteralString

from psycopg.rows import DictRow, dict_row

from cas.catalog.connecting import Connection
from cas.catalog.restore_model import (
    MeasuredRestore,
    Restore,
    RestoreEntity,
    RestoreFilter,
    RestoreKind,
    RestoreMode,
    RestoreState,
    RestoreStep,
)
from cas.catalog.restore_standing import abandoned, missing
from cas.catalog.rules import MAX_INTEGER

_COLUMNS: LiteralString = """
    number, state, kind, mode, version, name, description, created_by, target_url, request, metadata,
    undoes, host, pid, created_at, renewed_at, lease_until, safety_version, undone_by, approved_by,
    target_database, target_system_identifier, plan_hash, warnings, cancel_requested, planned_at,
    started_at, safety_at, restoring_at, verifying_at, finished_at, duration_seconds, lock_seconds,
    wal_bytes, records_inserted, records_updated, records_deleted, data_bytes, transaction_id,
    error_code, error_step, error_text, resolution, undo_until, undo_note
"""
"""Named as the fields of `Restore`; all but its plan, which may be long."""

_LISTED: LiteralString = """
    WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now),
    listed AS (
        SELECT r.*, r.transaction_id IS NULL AND coalesce(r.lease_until <= clock.now, false) AS is_abandoned
        FROM cas.restores r CROSS JOIN clock)
"""
"""Every restore with what it is now: nobody needs to clean up after a killed executor."""

_CONDITIONS: Mapping[str, LiteralString] = {
    "states": "CASE WHEN is_abandoned THEN 'failed' ELSE state END = ANY (%(states)s)",
    "kinds": "kind = ANY (%(kinds)s)",
    "mode": "mode = %(mode)s",
    "version": "version = %(version)s",
    "since": "created_at >= %(since)s",
    "until": "created_at < %(until)s",
    "text": "strpos(number || E'\\x1f' || search, %(text)s) > 0",
    "before": "number < %(before)s",
}


def restores(connection: Connection, where: RestoreFilter) -> Sequence[Restore]:
    """Newest first."""
    given: dict[str, object] = {
        "states": [state.value for state in where.states],
        "kinds": [kind.value for kind in where.kinds],
        "mode": None if where.mode is None else where.mode.value,
        "version": None if where.version is None else min(where.version, MAX_INTEGER),
        "since": where.since,
        "until": where.until,
        "text": where.text.casefold(),
        "before": None if where.before is None else min(where.before, MAX_INTEGER),
    }
    demanded: list[LiteralString] = [
        condition for name, condition in _CONDITIONS.items() if given[name] not in ([], None, "")
    ]
    condition: LiteralString = " AND ".join(demanded) or "true"
    return _listed(
        connection, condition + " ORDER BY number DESC LIMIT %(limit)s", {**given, "limit": where.limit}
    )


def unresolved(connection: Connection) -> Sequence[Restore]:
    """Committing when their lease lapsed, oldest first."""
    return _listed(
        connection,
        "transaction_id IS NOT NULL AND lease_until <= (SELECT now FROM clock) ORDER BY number",
        {},
    )


def restore(connection: Connection, number: int) -> Restore:
    """With plan, entities and steps; of one moment where the row is locked or the transaction is
    REPEATABLE READ. NotFound."""
    query: LiteralString = _LISTED + "SELECT is_abandoned, plan," + _COLUMNS + "FROM listed WHERE number = %s"
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(query, [number]).fetchone() if 0 < number <= MAX_INTEGER else None
    if row is None:
        raise missing(number)
    return _restore(row, _entities(connection, number), _steps(connection, number))


def measured(connection: Connection, limit: int) -> Sequence[MeasuredRestore]:
    """Newest first."""
    rows = connection.execute(
        """
        SELECT r.number, r.mode, r.records_inserted::numeric + r.records_updated + r.records_deleted,
               coalesce(e.live, 0), coalesce(e.version, 0),
               r.data_bytes, r.wal_bytes, r.duration_seconds, r.lock_seconds, s.names, s.seconds
        FROM cas.restores r
        CROSS JOIN LATERAL (
            SELECT sum(live_records) AS live, sum(version_records) AS version
            FROM cas.restore_entities WHERE restore = r.number) e
        CROSS JOIN LATERAL (
            SELECT coalesce(array_agg(name ORDER BY ordinal), '{}') AS names,
                   coalesce(array_agg(extract(epoch FROM finished_at - started_at)::double precision
                                      ORDER BY ordinal), '{}') AS seconds
            FROM cas.restore_steps WHERE restore = r.number) s
        WHERE r.state IN ('completed', 'undone') AND r.resolution = ''
        ORDER BY r.number DESC LIMIT %s
        """,
        [limit],
    )
    return [
        MeasuredRestore(
            number=row[0],
            mode=RestoreMode(row[1]),
            changed_records=int(row[2]),
            live_records=int(row[3]),
            version_records=int(row[4]),
            data_bytes=row[5],
            wal_bytes=row[6],
            duration_seconds=row[7],
            lock_seconds=row[8],
            steps=tuple(zip(row[9], row[10], strict=True)),
        )
        for row in rows
    ]


def _listed(connection: Connection, rest: LiteralString, given: Mapping[str, object]) -> Sequence[Restore]:
    query: LiteralString = _LISTED + "SELECT is_abandoned," + _COLUMNS + "FROM listed WHERE " + rest
    with connection.cursor(row_factory=dict_row) as cursor:
        return [_restore(row) for row in cursor.execute(query, given).fetchall()]


def _entities(connection: Connection, number: int) -> tuple[RestoreEntity, ...]:
    rows = connection.execute(
        """
        SELECT label, inserted, updated, deleted, conflicts, version_records, live_records, after_records,
               done
        FROM cas.restore_entities WHERE restore = %s ORDER BY ordinal
        """,
        [number],
    )
    return tuple(RestoreEntity(*row) for row in rows)


def _steps(connection: Connection, number: int) -> tuple[RestoreStep, ...]:
    rows = connection.execute(
        """
        SELECT name, text, started_at, finished_at
        FROM cas.restore_steps WHERE restore = %s ORDER BY ordinal
        """,
        [number],
    )
    return tuple(
        RestoreStep(name, text, started_at.astimezone(UTC), finished_at and finished_at.astimezone(UTC))
        for name, text, started_at, finished_at in rows
    )


def _restore(
    row: DictRow, entities: tuple[RestoreEntity, ...] = (), steps: tuple[RestoreStep, ...] = ()
) -> Restore:
    values: dict[str, Any] = {
        name: value.astimezone(UTC) if isinstance(value, datetime) else value for name, value in row.items()
    }
    is_abandoned = values.pop("is_abandoned")
    values["state"] = RestoreState(values["state"])
    values["kind"] = RestoreKind(values["kind"])
    values["mode"] = RestoreMode(values["mode"])
    values["warnings"] = tuple(values["warnings"])
    if values["transaction_id"] is not None:
        values["transaction_id"] = int(values["transaction_id"])
    found = Restore(**values, entities=entities, steps=steps)
    return abandoned(found) if is_abandoned else found
