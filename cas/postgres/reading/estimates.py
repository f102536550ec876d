"""How much there is to read, by the statistics: for progress and for the check of free space."""

from collections.abc import Sequence

import psycopg

from cas.postgres.faults import faults_of
from cas.postgres.reading.shapes import Table
from cas.records.source import EntityEstimate

GUESSED_ROW_BYTES = 200
"""Of a table that was never analysed: only its size is known."""

_SQL = """
SELECT m.root::int8, sum(greatest(c.reltuples, 0))::int8,
       coalesce(sum(pg_table_size(c.oid)), 0)::int8,
       coalesce(sum(pg_table_size(c.oid)) FILTER (WHERE c.reltuples < 0), 0)::int8
FROM unnest(%s::oid[], %s::oid[]) AS m(root, member)
JOIN pg_class c ON c.oid = m.member AND c.relkind = 'r'
GROUP BY 1
"""


def estimates(connection: psycopg.Connection, tables: Sequence[Table]) -> dict[int, EntityEstimate]:
    """By oid. Tables must be locked: pg_table_size would wait for whoever has one exclusively."""
    pairs = [(table.oid, member) for table in tables for member in table.relations]
    with faults_of("reading statistics"):
        rows = connection.execute(_SQL, [[root for root, _ in pairs], [member for _, member in pairs]])
        return {
            root: EntityEstimate(records=known + unknown // GUESSED_ROW_BYTES, bytes=size)
            for root, known, size, unknown in rows
        }
