"""Versions as rows of the catalog become values."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import LiteralString

from psycopg.rows import DictRow, dict_row

from cas.catalog.connecting import Connection
from cas.catalog.model import (
    Anomaly,
    CountKind,
    EntitySummary,
    Trigger,
    Version,
    VersionFilter,
    VersionKind,
    VersionState,
)
from cas.catalog.placing_postgres import LACKING
from cas.catalog.rules import COMMITTED, MAX_INTEGER, NOT_FORGOTTEN, lapsed
from cas.errors import Fenced, NotFound
from cas.ids import ChunkId

_LISTED: LiteralString = """
    WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now),
    listed AS (
        SELECT v.*, s.renewed_at,
               v.state = 'running' AND NOT coalesce(s.state = 'open' AND s.lease_until > clock.now, false)
                   AS abandoned
        FROM cas.versions v CROSS JOIN clock LEFT JOIN cas.sessions s ON s.number = v.number)
    SELECT listed.*,
           (SELECT coalesce(array_agg(ARRAY[o.name, o.reason] ORDER BY o.ordinal), '{}')
            FROM cas.version_omissions o WHERE o.version = listed.number) AS omissions,
           (SELECT coalesce(jsonb_agg(jsonb_build_array(a.label, a.kind, a.count, a.of, a.usual, a.why)
                                      ORDER BY a.ordinal), '[]')
            FROM cas.anomalies a WHERE a.version = listed.number) AS anomalies
    FROM listed
"""
"""Every version with what it is now: nobody needs to clean up after a killed writer."""

_CONDITIONS: Mapping[str, LiteralString] = {
    "states": "CASE WHEN abandoned THEN 'failed' ELSE state END = ANY (%(states)s)",
    "triggers": "trigger_type = ANY (%(triggers)s)",
    "kinds": "kind = ANY (%(kinds)s)",
    "tags": "tags @> %(tags)s::text[]",
    "since": "created_at >= %(since)s",
    "until": "created_at < %(until)s",
    "text": "strpos(search, %(text)s) > 0",
    "before": "number < %(before)s",
    "unusual": "EXISTS (SELECT FROM cas.anomalies a WHERE a.version = listed.number)",
    "partial": "state = ANY (%(committed)s) AND EXISTS ("
    "SELECT FROM cas.destinations d WHERE d.version = listed.number AND" + LACKING + ")",
}


def versions(connection: Connection, where: VersionFilter) -> Sequence[Version]:
    """Newest first."""
    given: dict[str, object] = {
        "states": [state.value for state in where.states or NOT_FORGOTTEN],
        "triggers": [trigger.value for trigger in where.triggers],
        "kinds": [kind.value for kind in where.kinds],
        "tags": list(where.tags),
        "since": where.since,
        "until": where.until,
        "text": where.text.casefold(),
        "before": None if where.before is None else min(where.before, MAX_INTEGER),
        "unusual": where.unusual or None,
        "partial": where.partial or None,
    }
    demanded: list[LiteralString] = [
        condition for name, condition in _CONDITIONS.items() if given[name] not in ([], None, "")
    ]
    condition: LiteralString = " AND ".join(demanded) or "true"
    query: LiteralString = _LISTED + " WHERE " + condition + " ORDER BY number DESC LIMIT %(limit)s"
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            query, {**given, "committed": [state.value for state in COMMITTED], "limit": where.limit}
        ).fetchall()
    return [_version(row, ()) for row in rows]


def version(connection: Connection, number: int) -> Version:
    """With entities. NotFound."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = None
        if 0 < number <= MAX_INTEGER:
            row = cursor.execute(_LISTED + " WHERE number = %s", [number]).fetchone()
    if row is None:
        raise NotFound("there is no such version", where=f"version {number}")
    # A second statement: what is committed had its entities in the same transaction.
    return _version(row, _entities(connection, number) if row["state"] in COMMITTED else ())


def latest(
    connection: Connection, system_identifier: str, database: str, kinds: Sequence[VersionKind] = ()
) -> Version | None:
    """The highest complete version, of this source and of one of these kinds where given, with entities."""
    row = connection.execute(
        """
        SELECT number FROM cas.versions
        WHERE state = 'complete' AND %(system)s IN ('', source_system_identifier)
              AND %(database)s IN ('', source_database)
              AND (%(kinds)s::text[] = '{}' OR kind = ANY (%(kinds)s))
        ORDER BY number DESC LIMIT 1
        """,
        {"system": system_identifier, "database": database, "kinds": [kind.value for kind in kinds]},
    ).fetchone()
    return None if row is None else version(connection, row[0])


def known_numbers(connection: Connection) -> frozenset[int]:
    return frozenset(number for (number,) in connection.execute("SELECT number FROM cas.versions"))


def _entities(connection: Connection, number: int) -> tuple[EntitySummary, ...]:
    rows = connection.execute(
        """
        SELECT label, kind, root, records, payload_bytes, checksum, read_by, read_reason, rows_read,
               new_chunks, inserted, updated, deleted, compared_with
        FROM cas.version_entities WHERE version = %s ORDER BY ordinal
        """,
        [number],
    )
    return tuple(EntitySummary(row[0], row[1], ChunkId(row[2]), *row[3:]) for row in rows)


def _version(row: DictRow, entities: tuple[EntitySummary, ...]) -> Version:
    abandoned = row["abandoned"]
    silent_since = _utc(row["renewed_at"]) or _utc(row["created_at"])
    assert silent_since is not None
    finished_at = silent_since if abandoned else _utc(row["finished_at"])
    created_at: datetime = row["created_at"].astimezone(UTC)
    return Version(
        number=row["number"],
        state=VersionState.FAILED if abandoned else VersionState(row["state"]),
        trigger=Trigger(row["trigger_type"]),
        kind=VersionKind(row["kind"]),
        reason=row["reason"],
        name=row["name"],
        description=row["description"],
        tags=tuple(row["tags"]),
        metadata=row["metadata"],
        created_by=row["created_by"],
        protected=row["protected"],
        hold=row["hold"],
        source_url=row["source_url"],
        source_database=row["source_database"],
        source_server_version=row["source_server_version"],
        source_system_identifier=row["source_system_identifier"],
        included=tuple(row["included"]),
        excluded=tuple(row["excluded"]),
        included_schemas=tuple(row["included_schemas"]),
        parent=row["parent"],
        created_at=created_at,
        finished_at=finished_at,
        duration_seconds=(silent_since - created_at).total_seconds()
        if abandoned
        else row["duration_seconds"],
        expires_at=_utc(row["expires_at"]),
        forgotten_at=_utc(row["forgotten_at"]),
        forgotten_why=row["forgotten_why"],
        records=row["records"],
        original_bytes=row["original_bytes"],
        added_bytes=row["added_bytes"],
        stored_bytes=row["stored_bytes"],
        objects_written=row["objects_written"],
        checksum=row["checksum"],
        document_hash=row["document_hash"],
        retries=row["retries"],
        error_code=Fenced.code if abandoned else row["error_code"],
        error_text=lapsed(silent_since) if abandoned else row["error_text"],
        entities=entities,
        omissions=tuple((name, reason) for name, reason in row["omissions"]),
        anomalies=tuple(Anomaly(label, CountKind(kind), *rest) for label, kind, *rest in row["anomalies"]),
    )


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)
