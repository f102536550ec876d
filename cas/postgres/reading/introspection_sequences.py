"""The sequences of a database, in the byte order of their quoted names."""

import psycopg

from cas.postgres.faults import faults_of
from cas.postgres.reading.obstacles import Access, obstacle_of
from cas.postgres.reading.shapes import CAPTURE_SCHEMA, Sequence

QUOTED_NAME = (
    """format('"%s"."%s"', replace(n.nspname::text, '"', '""'), replace(c.relname::text, '"', '""'))"""
)
"""Always quoted, since which words need it differs between versions of PostgreSQL."""

_SQL = f"""
SELECT c.oid::int8, n.nspname::text, c.relname::text,
       (SELECT d.refobjid::int8 FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
          AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0 LIMIT 1),
       ARRAY(SELECT DISTINCT a.adrelid::int8 FROM pg_depend d JOIN pg_attrdef a ON a.oid = d.objid
             WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
               AND d.refobjid = c.oid ORDER BY 1),
       coalesce(has_schema_privilege(n.oid, 'USAGE'), false),
       coalesce(has_sequence_privilege(c.oid, 'SELECT'), false),
       c.relpersistence = 'u' AND pg_is_in_recovery(),
       current_user::text
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
                     AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
LEFT JOIN pg_extension e ON e.oid = d.refobjid
WHERE c.relkind = 'S' AND c.relpersistence <> 't'
  AND n.nspname <> ALL ('{{pg_catalog,information_schema,{CAPTURE_SCHEMA}}}') AND n.nspname !~ '^pg_toast'
  AND (e.oid IS NULL OR c.oid = ANY (e.extconfig))
ORDER BY {QUOTED_NAME} COLLATE "C"
"""  # noqa: S608 - two constants of this program


def sequences_of(connection: psycopg.Connection) -> tuple[Sequence, ...]:
    """All sequences that a version may hold; those of extensions only where they hold user data."""
    found = []
    with faults_of("reading the system catalogs"):
        for oid, schema, name, owner, users, may_enter, may_read, only_on_primary, role in connection.execute(
            _SQL
        ):
            access = Access(
                schema, name, may_enter, may_read, only_on_primary=only_on_primary, kind="SEQUENCE"
            )
            tables = tuple(sorted({*users, *([owner] if owner is not None else [])}))
            found.append(Sequence(oid, schema, name, owner, tables, obstacle_of(access, role)))
    return tuple(found)
