"""What a role needs to read a database for versions, and what the connected one lacks.

The role needs no right to write anything of the platform's, and no superuser: to read all rows, to be
spared row-level security (a policy would hide rows, and reading is refused then), and to lock tables in the
mode of plain SELECTs, which SELECT allows. Where change capture is installed, it writes to its logs.
"""

from dataclasses import dataclass

import psycopg

from cas.postgres.capture.granting import log_owners, reader_statements
from cas.postgres.faults import faults_of
from cas.postgres.quoting import shown
from cas.postgres.reading.introspection import introspect
from cas.postgres.reading.introspection_sequences import sequences_of
from cas.postgres.reading.large_objects import survey
from cas.postgres.reading.shapes import CAPTURE_SCHEMA, Obstacle

_SURVEY = """
SELECT current_database()::text,
       EXISTS (SELECT FROM pg_class WHERE relrowsecurity AND oid >= 16384),
       EXISTS (SELECT FROM pg_largeobject_metadata)
"""

_SCHEMAS = f"""
SELECT n.nspname::text, array_agg(DISTINCT pg_get_userbyid(c.relowner)::text)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't'
  AND n.nspname <> ALL ('{{pg_catalog,information_schema,{CAPTURE_SCHEMA}}}') AND n.nspname !~ '^pg_toast'
GROUP BY 1 ORDER BY 1
"""  # noqa: S608 - a constant of this program

_LARGE_OBJECTS = """DO $$ DECLARE o oid; BEGIN
  FOR o IN SELECT oid FROM pg_largeobject_metadata LOOP
    EXECUTE format('GRANT SELECT ON LARGE OBJECT %%s TO %%I', o, %s);
  END LOOP;
END $$;"""


@dataclass(frozen=True, slots=True)
class LeastPrivilege:
    """Two ways to the same: statements that a superuser, or the owners, run once.

    `short` trusts PostgreSQL's own role for readers of everything, which also covers whatever is
    created later. `long` names every schema; tables of owners that are new later are not covered,
    nor large objects that are new.
    """

    short: tuple[str, ...]
    long: tuple[str, ...]


def least_privilege(connection: psycopg.Connection, role: str) -> LeastPrivilege:
    """The statements for this database and this (existing) role. Any role may ask."""
    with faults_of("reading the system catalogs"):
        database, guarded, large_objects = connection.execute(_SURVEY).fetchall()[0]
        schemas = connection.execute(_SCHEMAS).fetchall()
    owners_of_logs = log_owners(connection)
    to = shown(role)
    common = [f"GRANT CONNECT ON DATABASE {shown(database)} TO {to};"]
    if owners_of_logs:
        common += [f"{statement};" for statement in reader_statements(role, owners_of_logs)]
    if guarded:
        common.append(f"ALTER ROLE {to} BYPASSRLS;")
    long = list(common)
    for schema, owners in schemas:
        name = shown(schema)
        long.append(f"GRANT USAGE ON SCHEMA {name} TO {to};")
        for kind in ("TABLES", "SEQUENCES"):
            long.append(f"GRANT SELECT ON ALL {kind} IN SCHEMA {name} TO {to};")
            long += [
                f"ALTER DEFAULT PRIVILEGES FOR ROLE {shown(owner)} IN SCHEMA {name}"
                f" GRANT SELECT ON {kind} TO {to};"
                for owner in owners
            ]
    if large_objects:
        text = "'" + role.replace("'", "''") + "'"
        long.append(_LARGE_OBJECTS % text)
    return LeastPrivilege(short=(*common, f"GRANT pg_read_all_data TO {to};"), long=tuple(long))


def missing(connection: psycopg.Connection) -> list[tuple[str, Obstacle]]:
    """(what, why and what helps) for everything that the connected role could not read into a full
    version; empty where it lacks nothing."""
    lacking = [(t.entity.label, t.obstacle) for t in introspect(connection).tables if t.obstacle is not None]
    lacking += [(s.label, s.obstacle) for s in sequences_of(connection) if s.obstacle is not None]
    objects = survey(connection)
    if objects.obstacle is not None:
        lacking.append(objects.obstacle)
    return lacking
