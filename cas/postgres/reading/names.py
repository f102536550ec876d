"""Names that rows may show: what a regclass, regproc, regrole or aclitem prints.

Such a text changes when somebody renames the table, function or role, though the row does not, and
the change shows in the middle of a snapshot. So the names are noted when a read begins, and compared when
it ends. Only what was there at the beginning counts: new objects change no text that was read.
"""

from collections.abc import Mapping

import psycopg

from cas.postgres.faults import faults_of

Names = Mapping[tuple[str, int], str]
"""(catalog, oid) -> what it is called."""

_SQL = """
SELECT 'table', c.oid::int8, c.oid::regclass::text FROM pg_class c WHERE c.oid >= 16384
UNION ALL SELECT 'type', t.oid::int8, t.oid::regtype::text FROM pg_type t WHERE t.oid >= 16384
UNION ALL SELECT 'function', p.oid::int8, p.oid::regprocedure::text FROM pg_proc p WHERE p.oid >= 16384
UNION ALL SELECT 'operator', o.oid::int8, o.oid::regoperator::text FROM pg_operator o WHERE o.oid >= 16384
UNION ALL SELECT 'schema', n.oid::int8, n.nspname::text FROM pg_namespace n
UNION ALL SELECT 'collation', k.oid::int8, k.oid::regcollation::text FROM pg_collation k WHERE k.oid >= 16384
UNION ALL SELECT 'configuration', f.oid::int8, f.oid::regconfig::text FROM pg_ts_config f WHERE f.oid >= 16384
UNION ALL SELECT 'dictionary', d.oid::int8, d.oid::regdictionary::text FROM pg_ts_dict d WHERE d.oid >= 16384
UNION ALL SELECT 'role', r.oid::int8, r.rolname::text FROM pg_roles r
"""


def names_shown(connection: psycopg.Connection) -> Names:
    """What everything is called now."""
    with faults_of("reading names"):
        return {(kind, oid): name for kind, oid, name in connection.execute(_SQL)}


def renamed(before: Names, after: Names) -> list[str]:
    """What was there before and is now called otherwise, or is gone: `kind name`, ascending."""
    return sorted(f"{key[0]} {name}" for key, name in before.items() if after.get(key) != name)
