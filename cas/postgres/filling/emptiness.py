"""What a database holds besides what every database holds: a target must hold nothing.

Counted are tables, views, sequences, types, functions and other objects made by people, and large
objects. Not counted are the system's own, members of extensions, and empty schemas.
"""

import psycopg

from cas.errors import Conflict
from cas.postgres.faults import faults_of
from cas.postgres.filling.marker import MARKER_SCHEMA

SHOWN = 5
"""Objects that an error names."""

# Objects of initdb have OIDs below 16384 (FirstNormalObjectId). An object that another one owns
# (deptype i: a table's row type, an identity column's sequence) goes unnamed; so does a member of an
# extension (deptype e).
_OBJECTS = """
WITH here AS (
  SELECT 'pg_class'::regclass AS class, oid, 1 AS rank, relnamespace AS place FROM pg_class
   WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION ALL SELECT 'pg_type', oid, 2, typnamespace FROM pg_type
   WHERE typtype IN ('d', 'e', 'r', 'c') OR typtype = 'b' AND typelem = 0
  UNION ALL SELECT 'pg_proc', oid, 3, pronamespace FROM pg_proc
  UNION ALL SELECT 'pg_operator', oid, 4, oprnamespace FROM pg_operator
  UNION ALL SELECT 'pg_collation', oid, 4, collnamespace FROM pg_collation
  UNION ALL SELECT 'pg_conversion', oid, 4, connamespace FROM pg_conversion
  UNION ALL SELECT 'pg_ts_config', oid, 4, cfgnamespace FROM pg_ts_config
  UNION ALL SELECT 'pg_ts_dict', oid, 4, dictnamespace FROM pg_ts_dict
  UNION ALL SELECT 'pg_cast', oid, 4, 0 FROM pg_cast
  UNION ALL SELECT 'pg_foreign_server', oid, 5, 0 FROM pg_foreign_server
  UNION ALL SELECT 'pg_publication', oid, 5, 0 FROM pg_publication
  UNION ALL SELECT 'pg_event_trigger', oid, 5, 0 FROM pg_event_trigger
)
SELECT o.type || ' ' || o.identity
FROM here, LATERAL pg_identify_object(here.class, here.oid, 0) o
WHERE here.oid >= 16384
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = here.class AND d.objid = here.oid
                  AND d.deptype IN ('e', 'i'))
  AND NOT EXISTS (SELECT FROM pg_namespace n WHERE n.oid = here.place
                  AND (n.nspname IN ('information_schema', %(marker)s) OR n.nspname ~ '^pg_(toast|temp)'))
ORDER BY here.rank, o.identity COLLATE "C"
"""

_LARGE_OBJECTS = "SELECT count(*) FROM pg_largeobject_metadata"


def objects_of(connection: psycopg.Connection) -> list[str]:
    """What people made in this database, for example `table public.product`."""
    with faults_of("looking whether the target is empty"):
        found = [str(name) for (name,) in connection.execute(_OBJECTS, {"marker": MARKER_SCHEMA})]
        (large,) = connection.execute(_LARGE_OBJECTS).fetchone() or (0,)
    return [*found, f"{large} large objects"] if large else found


def require_empty(connection: psycopg.Connection, where: str) -> None:
    """Conflict where people made anything in this database; names the first few."""
    found = objects_of(connection)
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise Conflict(
            f"the target is not empty: it has {', '.join(found[:SHOWN])}{more}",
            where=where,
            hint="Restore into a new database: createdb --template=template0 NAME",
        )
