"""What database a connection is to, and what its server must not do to a read."""

import psycopg

from cas.errors import Unsupported
from cas.postgres.connecting import server_encoding
from cas.postgres.faults import faults_of
from cas.records.source import SourceIdentity

_SQL = """
SELECT current_database()::text, current_setting('server_version'),
       current_setting('server_version_num')::int4,
       (SELECT system_identifier::text FROM pg_control_system()),
       d.oid::int8, d.datcollate::text, d.datctype::text,
       coalesce(to_json(d)->>'datlocprovider', 'c'),
       coalesce(to_json(d)->>'datlocale', to_json(d)->>'daticulocale', '')
FROM pg_database d WHERE d.datname = current_database()
"""
# Three versions name the locale in three ways; a row as JSON answers for all of them.

_PROVIDERS = {"b": "builtin", "c": "libc", "i": "icu"}

_EXTENSIONS = "SELECT extname::text, extversion FROM pg_extension ORDER BY extname"

_HIDING = ("zero_damaged_pages", "ignore_checksum_failure", "ignore_system_indexes")
"""Settings under which a server answers with fewer rows, or damaged ones, instead of an error."""


def identity_of(connection: psycopg.Connection) -> SourceIdentity:
    """Name, version, encoding, locale and extensions. Raises as faults do."""
    with faults_of("asking the server who it is"):
        row = connection.execute(_SQL).fetchone()
        extensions = connection.execute(_EXTENSIONS).fetchall()
    assert row is not None, "current_database() is in pg_database"
    database, version, number, system, oid, collate, ctype, letter, locale = row
    provider = _PROVIDERS.get(letter, letter)
    return SourceIdentity(
        database=database,
        server_version=version,
        server_version_num=number,
        system_identifier=system,
        database_oid=oid,
        encoding=server_encoding(connection),
        locale=f"provider={provider} collate={collate} ctype={ctype} locale={locale}",
        extensions=tuple((name, extension_version) for name, extension_version in extensions),
    )


def require_honest(connection: psycopg.Connection, where: str) -> None:
    """Unsupported where a setting makes the server hide damage: rows would be missing without a word."""
    with faults_of(where):
        rows = connection.execute(
            "SELECT name FROM pg_settings WHERE name = ANY (%s::text[]) AND setting = 'on'", [list(_HIDING)]
        ).fetchall()
    if rows:
        names = ", ".join(str(name) for (name,) in rows)
        raise Unsupported(
            f"the server is set to pass over damage: {names}", where=where, hint=f"Switch {names} off"
        )
