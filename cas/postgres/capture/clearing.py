"""What has to be dropped so that nothing of one table's capture is left."""

from collections.abc import Iterator

import psycopg

from cas.postgres.capture.naming import box_name, function_name, log_name, marking_name
from cas.postgres.quoting import shown
from cas.postgres.reading.shapes import CAPTURE_SCHEMA

_TRIGGERS = f"""
SELECT n.nspname::text, c.relname::text, t.tgname::text
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace s ON s.oid = p.pronamespace
WHERE s.nspname = '{CAPTURE_SCHEMA}' AND p.proname = ANY (%s) ORDER BY c.oid, 3
"""

_TYPES = f"""
SELECT t.typname::text FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = '{CAPTURE_SCHEMA}' AND t.typtype = 'c' AND starts_with(t.typname::text, %s) ORDER BY 1
"""


def clearing(connection: psycopg.Connection, oid: int) -> Iterator[str]:
    """The statements, for the table with this oid, whether it is still there or not. Each is asked for when
    those before it have run."""
    functions = [function_name(oid), marking_name(oid)]
    for schema, table, trigger in connection.execute(_TRIGGERS, [functions]).fetchall():
        yield f"DROP TRIGGER {shown(trigger)} ON {shown(schema, table)}"
    for function in functions:
        yield f"DROP FUNCTION IF EXISTS {CAPTURE_SCHEMA}.{function}()"
    yield f"DROP TABLE IF EXISTS {CAPTURE_SCHEMA}.{log_name(oid)}"
    for (name,) in connection.execute(_TYPES, [box_name(oid, 0)[:-1]]).fetchall():
        yield f"DROP TYPE {CAPTURE_SCHEMA}.{name}"
