"""Telling a platform up to where a repository has read, and deleting what nobody needs any more.

Deleting waits for nobody of the platform and makes nobody wait. Calls for one platform are made one after the
other: what one deletes is what all positions have passed, and no position may come into being beside it.

First comes the seal, in a transaction of its own, then the position and the deleting: who dies between leaves
a seal that counts for later readers only, or none, and never a position beside a seal that holds no longer.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta

import psycopg

from cas.errors import CasError, ConnectionFailed
from cas.postgres.capture.families import family_of, obstacle_of
from cas.postgres.capture.naming import POSITIONS, SEAL, WATERMARKS, log_name
from cas.postgres.capture.patience import CaptureOptions, patiently, run_sql
from cas.postgres.capture.seals import break_seal, log_oid, seal_of, set_seal, standing
from cas.postgres.capture.snapshots import COVERS, checked
from cas.postgres.capture.wholeness import flaw_of
from cas.postgres.connecting import connect, shown_url
from cas.postgres.faults import faults_of
from cas.postgres.reading.introspection import introspect
from cas.postgres.reading.shapes import CAPTURE_SCHEMA, Table


@dataclass(frozen=True, slots=True)
class LogLimits:
    """After what a reader that does not come back is forgotten; it scans when it does.

    age: since it told its position. statements, keys: in one log, above which all but the calling reader are
    forgotten.
    """

    age: timedelta = timedelta(days=14)
    statements: int = 1_000_000
    keys: int = 20_000_000


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a call did. `sealed`: tables whose log is believed again from now on."""

    deleted: int
    forgotten: int
    sealed: Sequence[str]


# A position counts only where the log still has all that was written since.
_NOTE = f"""
INSERT INTO {POSITIONS} (reader, log, snapshot, noted)
SELECT %(reader)s, %(log)s::oid, %(snapshot)s::text::pg_snapshot, clock_timestamp()
WHERE NOT EXISTS (SELECT FROM {WATERMARKS} w WHERE w.log = %(log)s::oid
                  AND NOT ({COVERS.format(earlier="w.snapshot", later="%(snapshot)s::text::pg_snapshot")}))
"""

_FORGET_OWN = f"DELETE FROM {POSITIONS} WHERE reader = %(reader)s AND log = %(log)s::oid"

_FORGET_OLD = (
    f"DELETE FROM {POSITIONS} WHERE log = %(log)s::oid AND noted < clock_timestamp() - %(age)s::interval"
)

_FORGET_OTHERS = f"DELETE FROM {POSITIONS} WHERE log = %(log)s::oid AND reader <> %(reader)s"

# Snapshots of one server are in one order: the first of them sees nothing that another does not.
_OLDEST = f"""
SELECT p.snapshot::text FROM {POSITIONS} p WHERE p.log = %(log)s::oid
ORDER BY pg_snapshot_xmax(p.snapshot), pg_snapshot_xmin(p.snapshot),
         (SELECT count(*) FROM pg_snapshot_xip(p.snapshot)) DESC LIMIT 1
"""


def prune(
    url: str,
    repository_id: str,
    snapshot: str,
    tables: Sequence[tuple[str, str]] | None = None,
    options: CaptureOptions | None = None,
    limits: LogLimits | None = None,
) -> Pruned:
    """After a version was committed whose data are of this snapshot: the repository builds upon it from now
    on.

    tables: (schema, name) of those that the version holds; None: all. Where a log had become doubtful and all
    of its capture is whole again, it is sealed anew, which counts for later versions. Raises as faults do,
    after all other tables were told; nothing is lost then, but later versions read more.
    """
    chosen, bounds = options or CaptureOptions(), limits or LogLimits()
    where = shown_url(url)
    deleted = forgotten = 0
    sealed = []
    failures: list[CasError] = []
    with closing(connect(url, chosen.connection)) as connection:
        for table in _logged(connection, tables):
            work = _Work(connection, table, repository_id, checked(snapshot), bounds)
            try:
                is_done = patiently(connection, chosen, work.seal, where=where) and patiently(
                    connection, chosen, work.run, where=where
                )
            except ConnectionFailed:
                raise
            except CasError as error:
                failures.append(error)
                continue
            sealed += [table.entity.label] if work.is_sealed else []
            if is_done:
                deleted += work.deleted
                forgotten += work.forgotten
    if failures:
        raise failures[0]
    return Pruned(deleted, forgotten, tuple(sealed))


def _logged(connection: psycopg.Connection, tables: Sequence[tuple[str, str]] | None) -> list[Table]:
    """The tables that have a log."""
    with faults_of("looking for logs"):
        rows = connection.execute(
            "SELECT substr(c.relname::text, 5)::int8 FROM pg_class c WHERE c.relkind = 'r'"
            " AND c.relnamespace = to_regnamespace(%s) AND c.relname::text ~ '^log_[0-9]+$'",
            [CAPTURE_SCHEMA],
        ).fetchall()
    logged = {row[0] for row in rows}
    if not logged:
        return []
    wanted = None if tables is None else set(tables)
    return [
        table
        for table in introspect(connection).tables
        if table.oid in logged and (wanted is None or (table.entity.schema, table.entity.name) in wanted)
    ]


class _Work:
    """One table, in two transactions."""

    def __init__(
        self,
        connection: psycopg.Connection,
        table: Table,
        reader: str,
        snapshot: str,
        limits: LogLimits,
    ) -> None:
        self._connection = connection
        self._table = table
        self._reader = reader
        self._snapshot = snapshot
        self._limits = limits
        self.deleted = 0
        self.forgotten = 0
        self.is_sealed = False

    def seal(self) -> None:
        """Where the log is believed no longer: anew, if all is whole again. A log that nobody should believe
        now has no seal, lest one that held before is right again when what is in the way has gone."""
        connection, table = self._connection, self._table
        self.is_sealed = False
        run_sql(connection, f"LOCK TABLE {POSITIONS} IN SHARE ROW EXCLUSIVE MODE")
        log = log_oid(connection, table.oid)
        if log is None:
            return
        family = family_of(connection, table)
        parts = standing(connection, table, family, log)
        seal = seal_of(connection, table)
        is_right = seal is not None and seal.parts == parts
        if obstacle_of(table, family) or (not is_right and flaw_of(connection, table)):
            break_seal(connection, table)
        elif not is_right:
            set_seal(connection, table, parts, is_first=False)
            self.is_sealed = True

    def run(self) -> None:
        connection, table = self._connection, self._table
        self.deleted = self.forgotten = 0
        run_sql(connection, f"LOCK TABLE {POSITIONS} IN SHARE ROW EXCLUSIVE MODE")
        log = log_oid(connection, table.oid)
        if log is None:
            return
        asked = {
            "log": log,
            "reader": self._reader,
            "snapshot": self._snapshot,
            "age": self._limits.age,
        }
        connection.execute(_FORGET_OWN, asked)
        connection.execute(_NOTE, asked)
        self.forgotten = connection.execute(_FORGET_OLD, asked).rowcount
        self._delete(log)
        if self._is_too_large():
            self.forgotten += connection.execute(_FORGET_OTHERS, asked).rowcount
            self._delete(log)

    def _is_too_large(self) -> bool:
        name = f"{CAPTURE_SCHEMA}.{log_name(self._table.oid)}"
        query = f"SELECT count(*) > %s OR coalesce(sum(rows), 0) > %s FROM {name} WHERE operation <> %s"
        asked = [self._limits.statements, self._limits.keys, SEAL]
        return bool(self._connection.execute(query.encode(), asked).fetchall()[0][0])

    def _delete(self, log: int) -> None:
        """What all positions have passed; where there is none, nothing: somebody may be reading just now."""
        oldest = self._connection.execute(_OLDEST, {"log": log}).fetchone()
        if oldest is None:
            return
        name = f"{CAPTURE_SCHEMA}.{log_name(self._table.oid)}"
        deleted = self._connection.execute(
            f"DELETE FROM {name} WHERE operation <> %s"
            " AND pg_visible_in_snapshot(xid, %s::pg_snapshot)".encode(),
            [SEAL, oldest[0]],
        ).rowcount
        self.deleted += deleted
        if deleted:
            self._connection.execute(f"DELETE FROM {WATERMARKS} WHERE log = %s::oid", [log])
            self._connection.execute(
                f"INSERT INTO {WATERMARKS} (log, snapshot) VALUES (%s, %s::pg_snapshot)", [log, oldest[0]]
            )
