"""The roles that own something in a database, or are granted something: a restore needs them.

Roles belong to the server and not to the database, so no dump of a database creates them.
"""

import psycopg

from cas.postgres.dumping.dependencies import Thing
from cas.postgres.faults import faults_of

_SQL = """
SELECT d.classid::int8, d.objid::int8, r.rolname::text
FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid
WHERE d.refclassid = 'pg_authid'::regclass
  AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def roles_in_use(connection: psycopg.Connection) -> list[tuple[Thing, str]]:
    """Each object that is owned by, or grants something to, a role; the role that initdb made is not
    recorded by PostgreSQL."""
    with faults_of("reading roles"):
        return [((catalog, oid), role) for catalog, oid, role in connection.execute(_SQL)]
