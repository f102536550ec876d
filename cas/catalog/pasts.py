"""How earlier versions hold an entity, and which of their counts were unusual, in SQL."""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from cas.catalog import rules
from cas.catalog.connecting import Connection
from cas.catalog.model import Anomaly, EntityPast, Trigger
from cas.errors import NotFound
from cas.ids import CHUNK_ID_BYTES, ChunkId


def entity_pasts(
    connection: Connection, version: int, entities: Sequence[tuple[str, str]], limit: int
) -> Sequence[Sequence[EntityPast]]:
    """See the port. For each entity one walk down the index, whatever the number of versions."""
    known = connection.execute(
        "SELECT source_system_identifier, source_database FROM cas.versions WHERE number = %s", [version]
    ).fetchone()
    if known is None:
        raise NotFound("there is no such version", where=f"version {version}")
    rows = connection.execute(
        """
        SELECT asked.ordinal, past.*
        FROM unnest(%(kinds)s::text[], %(labels)s::text[]) WITH ORDINALITY AS asked (kind, label, ordinal)
        CROSS JOIN LATERAL (
            SELECT v.number, v.trigger_type, e.root, e.records, e.inserted, e.updated, e.deleted,
                   e.compared_with
            FROM cas.version_entities e JOIN cas.versions v ON v.number = e.version
            WHERE left(e.label, 400) = left(asked.label, 400) AND e.label = asked.label
                  AND e.kind = asked.kind AND e.version < %(version)s AND e.root <> %(nothing)s
                  AND v.state = ANY (%(committed)s)
                  AND (e.kind <> 'sequences' OR v.kind = ANY (%(whole)s))
                  AND (e.kind NOT IN ('sequences', 'large_objects') OR v.state = 'complete')
                  AND v.source_system_identifier = %(system)s AND v.source_database = %(database)s
            ORDER BY e.version DESC LIMIT %(limit)s) AS past
        ORDER BY asked.ordinal, past.number DESC
        """,
        {
            "kinds": [kind for kind, _ in entities],
            "labels": [rules.clean(label) for _, label in entities],
            "version": version,
            "nothing": bytes(CHUNK_ID_BYTES),
            "committed": [state.value for state in rules.COMMITTED],
            "whole": [kind.value for kind in rules.WHOLE],
            "system": known[0],
            "database": known[1],
            "limit": limit,
        },
    )
    found: list[list[EntityPast]] = [[] for _ in entities]
    for ordinal, group in groupby(rows, key=itemgetter(0)):
        found[ordinal - 1] = [
            EntityPast(number, Trigger(trigger), ChunkId(root), *counts)
            for _, number, trigger, root, *counts in group
        ]
    return found


def insert_anomalies(connection: Connection, number: int, anomalies: Sequence[Anomaly]) -> None:
    """In the transaction of the version's commit."""
    if not anomalies:
        return
    cleaned = [rules.clean_anomaly(anomaly) for anomaly in anomalies]
    connection.execute(
        """
        INSERT INTO cas.anomalies (version, ordinal, label, kind, count, of, usual, why)
        SELECT %s, ordinal, label, kind, count, of, usual, why
        FROM unnest(%b::text[], %b::text[], %b::bigint[], %b::bigint[], %b::bigint[], %b::text[])
             WITH ORDINALITY AS given (label, kind, count, of, usual, why, ordinal)
        """,
        [
            number,
            [anomaly.label for anomaly in cleaned],
            [anomaly.kind.value for anomaly in cleaned],
            [anomaly.count for anomaly in cleaned],
            [anomaly.of for anomaly in cleaned],
            [anomaly.usual for anomaly in cleaned],
            [anomaly.why for anomaly in cleaned],
        ],
    )
