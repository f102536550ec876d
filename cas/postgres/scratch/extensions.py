"""Extensions of a version, in a throwaway database whose owner is no superuser.

Trusted ones the owner makes himself. Of the others a few that are common and reach nothing outside of
their database are made by the server's administrator; the rest would give a version's own code, or a
person's statement, more than the database.
"""

from collections.abc import Sequence

import psycopg

from cas.postgres.faults import faults_of
from cas.postgres.filling.schema_steps import steps
from cas.postgres.quoting import shown
from cas.postgres.statements import tokens
from cas.records.source import SchemaItem

HARMLESS = frozenset({"postgis", "postgis_topology", "vector", "bloom", "rum", "pg_stat_statements"})
"""Extensions that are not trusted, and that open no file, no program and no connection to who is no
superuser."""

EXTENSION = "EXTENSION"

_AVAILABLE = """
SELECT name::text, bool_or(trusted) FROM pg_available_extension_versions GROUP BY name
"""

_TABLES = """
SELECT c.oid::regclass::text FROM pg_depend d
JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
WHERE d.deptype = 'e' AND c.relkind IN ('r', 'p', 'v', 'S') AND e.extname = %s
"""


def make_harmless(admin: psycopg.Connection, items: Sequence[SchemaItem], owner: str) -> None:
    """Make those of the version's extensions that only an administrator may make, where this one may."""
    places = _schemas(items)
    with faults_of("making the version's extensions"):
        available = _available(admin)
        for name, schema in places.items():
            if available.get(name) is not False or name not in HARMLESS or not _may(admin):
                continue
            place = shown(schema)
            admin.execute(f"CREATE SCHEMA IF NOT EXISTS {place} AUTHORIZATION {shown(owner)}".encode())
            admin.execute(f"CREATE EXTENSION IF NOT EXISTS {shown(name)} WITH SCHEMA {place}".encode())
            for (table,) in admin.execute(_TABLES, [name]).fetchall():
                admin.execute(f"GRANT ALL ON {table} TO {shown(owner)}".encode())


def beyond_owner(admin: psycopg.Connection, items: Sequence[SchemaItem]) -> set[str]:
    """Extensions of the version that this server has, and that its owner cannot have made."""
    with faults_of("asking for extensions"):
        available = _available(admin)
        may = _may(admin)
    return {
        name for name in _schemas(items) if available.get(name) is False and not (may and name in HARMLESS)
    }


def _available(admin: psycopg.Connection) -> dict[str, bool]:
    """Whether each extension of the server is trusted."""
    return {str(name): bool(trusted) for name, trusted in admin.execute(_AVAILABLE)}


def _may(admin: psycopg.Connection) -> bool:
    row = admin.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    return row is not None and bool(row[0])


def _schemas(items: Sequence[SchemaItem]) -> dict[str, str]:
    """The extensions of a version and where each lies: `CREATE EXTENSION ... WITH SCHEMA name`."""
    found = {}
    for step in steps([item for item in items if item.type == EXTENSION]):
        words = [token.text for token in tokens(step.statement) if token.is_name]
        if words[:2] == ["create", "extension"] and words[-2] == "schema":
            found[step.item.name] = words[-1]
    return found
