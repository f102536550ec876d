"""The roots of an entity in all versions, in one query."""

from collections.abc import Sequence
from datetime import UTC
from itertools import groupby
from operator import itemgetter

from cas.catalog.connecting import Connection
from cas.catalog.model import EntityRoot, Trigger, VersionRoots
from cas.catalog.rules import clean
from cas.ids import ChunkId


def entity_roots(connection: Connection, name: str) -> Sequence[VersionRoots]:
    """All committed versions, oldest first, each with its entities that this name may mean."""
    rows = connection.execute(
        """
        SELECT v.number, v.created_at, v.trigger_type, v.reason, v.name, v.source_system_identifier,
               v.source_database, e.label, e.root, e.records, e.checksum
        FROM cas.versions v LEFT JOIN cas.version_entities e
            ON e.version = v.number AND (e.label = %(name)s OR right(e.label, %(length)s) = %(ending)s)
        WHERE v.state IN ('complete', 'incomplete')
        ORDER BY v.number, e.ordinal
        """,
        {"name": clean(name), "length": len(clean(name)) + 1, "ending": f".{clean(name)}"},
    ).fetchall()
    found = []
    for _, group in groupby(rows, key=itemgetter(0)):
        alike = list(group)
        number, created_at, trigger, reason, version_name, system, database = alike[0][:7]
        entities = tuple(
            EntityRoot(label, ChunkId(root), records, checksum)
            for *_, label, root, records, checksum in alike
            if label is not None
        )
        found.append(
            VersionRoots(
                number,
                created_at.astimezone(UTC),
                Trigger(trigger),
                reason,
                version_name,
                system,
                database,
                entities,
            )
        )
    return found
