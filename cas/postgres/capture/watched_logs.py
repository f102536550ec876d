"""Which logs auto-save goes by. It asks again and again, so all tables are asked for at once.

Less is asked than before a version is read from a log (see `reading`): what a log lost long ago does not
matter here, but that all which is written from now on is told, and that nobody has touched it since the last
time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import psycopg

from cas.postgres.capture.naming import OPERATIONS
from cas.postgres.capture.reading import NO_RIGHT
from cas.postgres.reading.shapes import CAPTURE_SCHEMA

# A log's triggers stand on the table, its partitions, and its inheritance parents. What is altered and put
# back again has the number of another transaction in its row.
_LOGS = f"""
WITH RECURSIVE logs AS (
    SELECT c.oid AS log, t.oid AS root, n.nspname::text AS schema, t.relname::text AS name,
           has_table_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid) AS may_read
    FROM pg_class c JOIN pg_class t ON t.oid::int8 = substr(c.relname::text, 5)::int8
    JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE c.relnamespace = to_regnamespace('{CAPTURE_SCHEMA}') AND c.relkind = 'r'
      AND c.relname::text ~ '^log_[0-9]{{1,10}}$'
), below(root, oid) AS (
    SELECT root, root FROM logs
  UNION
    SELECT b.root, i.inhrelid FROM below b JOIN pg_inherits i ON i.inhparent = b.oid
    JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition
), above(root, oid) AS (
    SELECT l.root, i.inhparent FROM logs l JOIN pg_inherits i ON i.inhrelid = l.root
  UNION
    SELECT a.root, i.inhparent FROM above a JOIN pg_inherits i ON i.inhrelid = a.oid
), wanted AS (
    SELECT root, oid, operation FROM below CROSS JOIN unnest(%(operations)s::text[]) AS operation
  UNION ALL
    SELECT root, oid, operation FROM above CROSS JOIN unnest(%(parents)s::text[]) AS operation
), found AS (
    SELECT w.root, count(*) FILTER (WHERE t.tgenabled IS DISTINCT FROM 'A') AS silent,
           left(md5(string_agg(concat_ws(' ', w.oid, t.oid, t.xmin, p.oid, p.xmin), ','
                               ORDER BY w.oid, w.operation)), 8) AS stands
    FROM wanted w LEFT JOIN pg_trigger t ON t.tgrelid = w.oid
         AND t.tgname = '{CAPTURE_SCHEMA}_' || w.root || '_' || w.operation
    LEFT JOIN pg_proc p ON p.oid = t.tgfoid GROUP BY w.root
)
SELECT l.log::int8, l.root::int8, l.schema, l.name, l.may_read, f.silent > 0, f.stands,
       EXISTS (SELECT FROM below b JOIN pg_subscription_rel s ON s.srrelid = b.oid WHERE b.root = l.root),
       ARRAY(SELECT a.oid::int8 FROM above a WHERE a.root = l.root)
FROM logs l JOIN found f ON f.root = l.root ORDER BY 1
"""

_RIGHTS = f"""
SELECT pg_is_in_recovery(),
       count(*) = 2 AND bool_and(
           has_schema_privilege(c.relnamespace, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
           AND (c.relkind = 'S' OR (has_table_privilege(c.oid, 'INSERT')
                AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'))))
FROM pg_class c
WHERE c.relnamespace = to_regnamespace('{CAPTURE_SCHEMA}') AND c.relname IN ('positions', 'lost')
"""

# As versions hold them, by their names: see `reading.introspection`.
_TABLES = f"""
SELECT c.oid::int8, n.nspname::text, c.relname::text,
       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname <> ALL ('{{pg_catalog,information_schema,{CAPTURE_SCHEMA}}}') AND n.nspname !~ '^pg_toast'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                  AND d.deptype = 'e')
ORDER BY 2, 3
"""

NO_HOLD = (
    "the connected role may not write to the change log, which would be pruned between two looks"
    " (cas capture install --reader ROLE)"
)
STANDBY = "the server is a standby, where change logs cannot be read"
SILENT = "a trigger is missing or disabled"
SUBSCRIBED = "it is the target of logical replication, which fires no statement triggers"
PARENT = "it is written through a parent that is not captured"
NO_KEY = "it has no primary key"
NOT_CAPTURED = "not captured"


@dataclass(frozen=True, slots=True)
class Log:
    """The log of one table. `parents`: above it, by inheritance; what is written through them stands in their
    own logs as well. `doubt`: why its changes are not all in it, a clause; empty where they are. `stands`:
    another text after all that may have kept something from it."""

    oid: int
    table: int
    schema: str
    name: str
    parents: frozenset[int]
    doubt: str
    stands: str

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Logs:
    """All logs at one moment. `why_not`: why none can be gone by, a clause; empty where some can."""

    by_table: Mapping[int, Log] = field(default_factory=dict)
    why_not: str = ""
    is_standby: bool = False

    @property
    def believed(self) -> Mapping[int, Log]:
        """Those that tell all changes of their table."""
        if self.why_not:
            return {}
        return {table: log for table, log in self.by_table.items() if not log.doubt}


def logs_of(connection: psycopg.Connection) -> Logs:
    """In one go, however many there are. Raises as psycopg does."""
    asked = {"operations": list(OPERATIONS), "parents": list(OPERATIONS[1:3])}
    logs = [_log(*row) for row in connection.execute(_LOGS.encode(), asked).fetchall()]
    is_standby, may_hold = connection.execute(_RIGHTS.encode()).fetchall()[0]
    if is_standby:
        return Logs(why_not=STANDBY, is_standby=True)
    why_not = NO_HOLD if logs and not may_hold else ""
    return Logs({log.table: log for log in _with_parents(logs)}, why_not)


def unseen(connection: psycopg.Connection, logs: Logs) -> Sequence[tuple[str, str]]:
    """Labels of the tables whose changes no log tells, and why."""
    found = []
    for oid, schema, name, has_key in connection.execute(_TABLES.encode()).fetchall():
        log = logs.by_table.get(oid)
        reason = logs.why_not or (log.doubt if log else NOT_CAPTURED if has_key else NO_KEY)
        if reason:
            found.append((f"{schema}.{name}", reason))
    return found


def _log(
    oid: int,
    table: int,
    schema: str,
    name: str,
    may_read: bool,
    is_silent: bool,
    stands: str,
    is_subscribed: bool,
    parents: Sequence[int],
) -> Log:
    doubts = ((not may_read, NO_RIGHT), (is_subscribed, SUBSCRIBED), (is_silent, SILENT))
    doubt = next((reason for is_so, reason in doubts if is_so), "")
    return Log(oid, table, schema, name, frozenset(parents), doubt, stands)


def _with_parents(logs: Sequence[Log]) -> Sequence[Log]:
    """Rows that are written through a parent are counted there: it must have a log that tells them."""
    telling = {log.table for log in logs if not log.doubt}
    return [
        log
        if log.doubt or log.parents <= telling
        else Log(log.oid, log.table, log.schema, log.name, log.parents, PARENT, log.stands)
        for log in logs
    ]
