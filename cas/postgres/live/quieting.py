"""What must not act while records are written: the effects of triggers and rules are in the records already.

Two ways. With `session_replication_role = replica`, which superusers may set and, from PostgreSQL 15
on, whoever was granted it, ordinary triggers, foreign keys and rules are silent; those that are enabled
ALWAYS or for REPLICA are disabled by name. Without it, what the owner may do: triggers and rules are
disabled by name, and the foreign keys are dropped and added again, which checks them. Either way each gets
back the very state that it had, within the same transaction.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import psycopg

from cas.postgres.faults import faults_of
from cas.postgres.filling.faults import refusal
from cas.postgres.live.foreign_keys import DatabaseKey

_MAY_REPLICATE = """
SELECT r.rolsuper OR CASE WHEN current_setting('server_version_num')::int >= 150000
       THEN has_parameter_privilege('session_replication_role', 'SET') ELSE false END
FROM pg_roles r WHERE r.rolname = current_user
"""

_TRIGGERS = """
SELECT format('%%I.%%I', n.nspname, c.relname), quote_ident(t.tgname), t.tgenabled::text
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE t.tgrelid = ANY (%s::oid[]) AND NOT t.tgisinternal AND t.tgenabled::text = ANY (%s) ORDER BY 1, 2
"""

_RULES = """
SELECT format('%%I.%%I', n.nspname, c.relname), quote_ident(r.rulename), r.ev_enabled::text
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE r.ev_class = ANY (%s::oid[]) AND r.ev_type IN ('2', '3', '4') AND r.ev_enabled::text = ANY (%s)
ORDER BY 1, 2
"""

_FOREIGN_KEYS = """
SELECT format('%%I.%%I', n.nspname, c.relname), quote_ident(k.conname), pg_get_constraintdef(k.oid),
       obj_description(k.oid, 'pg_constraint')
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.oid = ANY (%s::oid[]) ORDER BY 1, 2
"""

_ENABLING = {"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}


@dataclass(frozen=True, slots=True)
class Quiet:
    """What was silenced, and the statements that give everything back its state."""

    as_replica: bool
    silenced: tuple[str, ...]
    undoing: tuple[str, ...]


def may_replicate(connection: psycopg.Connection) -> bool:
    """Whether the connected role may set session_replication_role."""
    with faults_of("looking at the role's rights"):
        row = connection.execute(_MAY_REPLICATE).fetchone()
    return row is not None and bool(row[0])


def silence(connection: psycopg.Connection, relations: Collection[int], keys: Sequence[DatabaseKey]) -> Quiet:
    """Inside of the transaction. `relations`: the written tables and their partitions; `keys`: the foreign
    keys from or to them. Conflict or PermissionDenied where the role may not."""
    as_replica = may_replicate(connection)
    acting = ["A", "R"] if as_replica else ["O", "A"]
    try:
        if as_replica:
            connection.execute("SET LOCAL session_replication_role = replica")
        doing, undoing = _disabled(connection, sorted(relations), acting)
        if not as_replica:
            dropping, adding = _dropped(connection, keys)
            doing += dropping
            undoing += adding
        for statement in doing:
            connection.execute(statement.encode("utf-8", "surrogateescape"))
    except psycopg.Error as error:
        raise refusal(error, doing="keeping triggers silent", where=connection.info.dbname) from error
    return Quiet(as_replica, tuple(doing), tuple(undoing))


def restore_voices(connection: psycopg.Connection, quiet: Quiet) -> None:
    """Everything acts as before. Deferred constraints are checked first: what is pending bars ALTER TABLE.
    Conflict where a foreign key does not hold."""
    try:
        if not quiet.as_replica:
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for statement in quiet.undoing:
            connection.execute(statement.encode("utf-8", "surrogateescape"))
        if quiet.as_replica:
            connection.execute("SET LOCAL session_replication_role = origin")
    except psycopg.Error as error:
        raise refusal(error, doing="checking constraints", where=connection.info.dbname) from error


def _disabled(
    connection: psycopg.Connection, relations: Sequence[int], acting: Sequence[str]
) -> tuple[list[str], list[str]]:
    doing: list[str] = []
    undoing: list[str] = []
    for query, kind in ((_TRIGGERS, "TRIGGER"), (_RULES, "RULE")):
        only = "ONLY " if kind == "TRIGGER" else ""
        for table, name, state in connection.execute(query, [list(relations), list(acting)]).fetchall():
            doing.append(f"ALTER TABLE {only}{table} DISABLE {kind} {name}")
            undoing.append(f"ALTER TABLE {only}{table} {_ENABLING[state]} {kind} {name}")
    return doing, undoing


def _dropped(connection: psycopg.Connection, keys: Sequence[DatabaseKey]) -> tuple[list[str], list[str]]:
    doing: list[str] = []
    undoing: list[str] = []
    rows = connection.execute(_FOREIGN_KEYS, [[key.oid for key in keys]]).fetchall()
    for table, name, definition, comment in rows:
        doing.append(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        undoing.append(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
        if comment is not None:
            quoted = comment.replace("'", "''")
            undoing.append(f"COMMENT ON CONSTRAINT {name} ON {table} IS '{quoted}'")
    return doing, undoing
