"""Which materialized views are filled, as the REFRESH statements that a restore runs at its end.

Rows of materialized views are not stored, and `pg_dump --schema-only` creates every one of them
empty. That one was filled is a fact of the source, kept as a schema item of the type that
pg_dump gives to it in a full dump, after everything else.
"""

from collections.abc import Callable
from graphlib import CycleError, TopologicalSorter

import psycopg

from cas.postgres.faults import faults_of
from cas.postgres.quoting import shown
from cas.records.source import SchemaItem

REFRESH = "MATERIALIZED VIEW DATA"

_FILLED = """
SELECT c.oid::int8, n.nspname::text, c.relname::text FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'm' AND c.relispopulated ORDER BY 2, 3
"""

# A view's query is a rule of the view; the rule depends on what the query reads.
_READS = """
SELECT DISTINCT r.ev_class::int8, d.refobjid::int8
FROM pg_rewrite r
JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
JOIN pg_class c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid
WHERE r.ev_type = '1' AND c.relkind IN ('v', 'm') AND r.ev_class <> d.refobjid
"""


def refresh_items(
    connection: psycopg.Connection, is_kept: Callable[[int], bool] = lambda _: True
) -> tuple[SchemaItem, ...]:
    """One item for each filled materialized view, those that others read first. `is_kept` says by the
    view's oid whether the version holds it."""
    with faults_of("materialized views"):
        rows = connection.execute(_FILLED).fetchall()
        filled = {oid: (schema, name) for oid, schema, name in rows if is_kept(oid)}
        reads = connection.execute(_READS).fetchall()
    graph: TopologicalSorter[int] = TopologicalSorter(dict.fromkeys(filled, ()))
    for view, other in reads:
        graph.add(view, other)
    try:
        ordered = [filled[oid] for oid in graph.static_order() if oid in filled]
    except CycleError:  # CREATE OR REPLACE can make views read each other; no such view can be read
        ordered = list(filled.values())
    return tuple(
        SchemaItem("post-data", REFRESH, schema, name, f"REFRESH MATERIALIZED VIEW {shown(schema, name)};\n")
        for schema, name in ordered
    )
