"""What must not act while records are written: the effects of triggers and rules are in the records already.

Two ways. With `session_replication_role = replica`, which superusers may set and, from PostgreSQL 15
on, whoever was granted it, ordinary triggers, foreign keys and rules are silent; those that are enabled
ALWAYS or for REPLICA are disabled by name. Without it, what the owner may do: triggers and rules are
disabled by name, and the foreign keys are dropped and added again, which checks them. Either way each gets
back the very state that it had, within the same transaction.

Event triggers see what is altered here. Only a superuser may silence those that a replica does not.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import psycopg

from cas.errors import PermissionDenied
from cas.postgres.faults import faults_of
from cas.postgres.filling.faults import refusal
from cas.postgres.live.foreign_keys import DatabaseKey
from cas.postgres.quoting import literal
from cas.postgres.reading.shapes import CAPTURE_SCHEMA

_MAY_REPLICATE = """
SELECT r.rolsuper OR CASE WHEN current_setting('server_version_num')::int >= 150000
       THEN has_parameter_privilege('session_replication_role', 'SET') ELSE false END
FROM pg_roles r WHERE r.rolname = current_user
"""

# Those of change capture go on noting: what is restored is written, too. The server's own triggers, of
# constraints, act in a replica too where a superuser made them ALWAYS. Without one, those of the written
# tables' foreign keys are gone, and those of deferrable constraints shall act.
_TRIGGERS = """
SELECT format('%%I.%%I', n.nspname, c.relname), quote_ident(t.tgname), t.tgenabled::text
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE t.tgrelid = ANY (%(oids)s::oid[]) AND (%(internal)s OR NOT t.tgisinternal)
  AND t.tgenabled::text = ANY (%(acting)s)
  AND NOT EXISTS (SELECT FROM pg_proc p JOIN pg_namespace s ON s.oid = p.pronamespace
                  WHERE p.oid = t.tgfoid AND s.nspname = %(capture)s) ORDER BY 1, 2
"""

_RULES = """
SELECT format('%%I.%%I', n.nspname, c.relname), quote_ident(r.rulename), r.ev_enabled::text
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE r.ev_class = ANY (%(oids)s::oid[]) AND r.ev_type IN ('2', '3', '4')
  AND r.ev_enabled::text = ANY (%(acting)s)
ORDER BY 1, 2
"""

_EVENT_TRIGGERS = """
SELECT quote_ident(evtname), evtenabled::text FROM pg_event_trigger
WHERE evtenabled::text = ANY (%s) AND evtevent <> 'login'
  AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) ORDER BY 1
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
    """What was silenced. `undoing`: the statements that give everything back its state; `at_last`: those that
    let event triggers act again."""

    as_replica: bool
    undoing: tuple[str, ...]
    at_last: tuple[str, ...]


def may_replicate(connection: psycopg.Connection) -> bool:
    """Whether the connected role may set session_replication_role."""
    with faults_of("looking at the role's rights"):
        row = connection.execute(_MAY_REPLICATE).fetchone()
    return row is not None and bool(row[0])


def acting_states(*, as_replica: bool) -> list[str]:
    """The states of triggers and rules in which they would act, unless they are silenced by name."""
    return ["A", "R"] if as_replica else ["O", "A"]


def silence(connection: psycopg.Connection, relations: Collection[int], keys: Sequence[DatabaseKey]) -> Quiet:
    """Inside of the transaction. `relations`: the written tables and their partitions; `keys`: the foreign
    keys from or to them. Conflict or PermissionDenied where the role may not; TimedOut where somebody holds
    what has to be altered."""
    as_replica = may_replicate(connection)
    acting = acting_states(as_replica=as_replica)
    try:
        if as_replica:
            connection.execute("SET LOCAL session_replication_role = replica")
        events = connection.execute(_EVENT_TRIGGERS, [acting]).fetchall()
        doing = [f"ALTER EVENT TRIGGER {name} DISABLE" for name, _ in events]
        undoing: list[str] = []
        _disable(connection, sorted(relations), acting, doing, undoing)
        if not as_replica:
            _drop(connection, keys, doing, undoing)
        _run(connection, doing)
    except psycopg.Error as error:
        raise refusal(error, doing="keeping triggers silent", where=connection.info.dbname) from error
    at_last = tuple(f"ALTER EVENT TRIGGER {name} {_ENABLING[state]}" for name, state in events)
    return Quiet(as_replica, tuple(undoing), at_last)


def restore_voices(connection: psycopg.Connection, quiet: Quiet) -> None:
    """Tables and foreign keys are as before. Deferred constraints are checked first: what is pending bars
    ALTER TABLE. Conflict where a foreign key does not hold."""
    try:
        if not quiet.as_replica:
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        _run(connection, quiet.undoing)
    except psycopg.Error as error:
        raise refusal(error, doing="checking constraints", where=connection.info.dbname) from error


def end_silence(connection: psycopg.Connection, quiet: Quiet) -> None:
    """Event triggers see again what is altered from here on: nothing more, within this transaction."""
    try:
        _run(connection, quiet.at_last)
        if quiet.as_replica:
            connection.execute("SET LOCAL session_replication_role = origin")
    except psycopg.Error as error:
        raise refusal(error, doing="ending the silence", where=connection.info.dbname) from error


def _run(connection: psycopg.Connection, statements: Sequence[str]) -> None:
    for statement in statements:
        connection.execute(statement.encode("utf-8", "surrogateescape"))


def _disable(
    connection: psycopg.Connection,
    relations: Sequence[int],
    acting: Sequence[str],
    doing: list[str],
    undoing: list[str],
) -> None:
    named = {
        "oids": list(relations),
        "acting": list(acting),
        "internal": "R" in acting,
        "capture": CAPTURE_SCHEMA,
    }
    for query, kind in ((_TRIGGERS, "TRIGGER"), (_RULES, "RULE")):
        only = "ONLY " if kind == "TRIGGER" else ""
        for table, name, state in connection.execute(query, named).fetchall():
            doing.append(f"ALTER TABLE {only}{table} DISABLE {kind} {name}")
            undoing.append(f"ALTER TABLE {only}{table} {_ENABLING[state]} {kind} {name}")


def _drop(
    connection: psycopg.Connection, keys: Sequence[DatabaseKey], doing: list[str], undoing: list[str]
) -> None:
    altered = next((key for key in keys if key.is_altered), None)
    if altered is not None:
        raise PermissionDenied(
            f"the triggers of foreign key {altered.key.name} were disabled or altered, which only a superuser"
            " could do again",
            where=".".join(altered.key.child),
            hint="Connect as a role that may set session_replication_role",
        )
    rows = connection.execute(_FOREIGN_KEYS, [[key.oid for key in keys]]).fetchall()
    for table, name, definition, comment in rows:
        doing.append(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        undoing.append(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
        if comment is not None:
            text = literal(comment).decode("utf-8", "surrogateescape")
            undoing.append(f"COMMENT ON CONSTRAINT {name} ON {table} IS {text}")
