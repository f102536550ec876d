"""What a role needs that reads a platform for versions and does not own it, so that it can use the logs.

It reads them, and it writes them too: who has read says up to where, deletes what nobody needs, and seals a
log that is to be believed again. None of it touches a table of the platform.
"""

from collections.abc import Sequence
from contextlib import closing

import psycopg

from cas.errors import NotFound
from cas.postgres.capture.patience import CaptureOptions, run_sql
from cas.postgres.connecting import connect, shown_url
from cas.postgres.faults import faults_of
from cas.postgres.quoting import shown
from cas.postgres.reading.shapes import CAPTURE_SCHEMA

_RIGHTS = (("TABLES", "SELECT, INSERT, UPDATE, DELETE"), ("SEQUENCES", "SELECT"))

_OWNERS = f"""
SELECT DISTINCT pg_get_userbyid(c.relowner)::text FROM pg_class c
WHERE c.relnamespace = to_regnamespace('{CAPTURE_SCHEMA}') AND c.relkind IN ('r', 'S') ORDER BY 1
"""


def reader_statements(role: str, owners: Sequence[str]) -> list[str]:
    """For the logs that are there, and for those that these owners make later."""
    to = shown(role)
    statements = [f"GRANT USAGE ON SCHEMA {CAPTURE_SCHEMA} TO {to}"]
    for kind, rights in _RIGHTS:
        statements.append(f"GRANT {rights} ON ALL {kind} IN SCHEMA {CAPTURE_SCHEMA} TO {to}")
        statements += [
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {shown(owner)} IN SCHEMA {CAPTURE_SCHEMA}"
            f" GRANT {rights} ON {kind} TO {to}"
            for owner in owners
        ]
    return statements


def log_owners(connection: psycopg.Connection) -> list[str]:
    """Who made the logs; empty where there are none."""
    with faults_of("looking for logs"):
        return [row[0] for row in connection.execute(_OWNERS.encode()).fetchall()]


def grant_readers(url: str, roles: Sequence[str], options: CaptureOptions | None = None) -> None:
    """By the owner of the logs, all or nothing. NotFound for a role that does not exist."""
    chosen = options or CaptureOptions()
    with closing(connect(url, chosen.connection)) as connection, connection.transaction():
        for role in roles:
            _demand_role(connection, role)
            for statement in reader_statements(role, log_owners(connection)):
                with faults_of(shown_url(url)):
                    run_sql(connection, statement)


def _demand_role(connection: psycopg.Connection, role: str) -> None:
    with faults_of("looking for a role"):
        row = connection.execute("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s)", [role]).fetchone()
    if row is None or not row[0]:
        raise NotFound(
            f"there is no role {role[:63]!r}", where="--reader", hint="Create it first: CREATE ROLE"
        )
