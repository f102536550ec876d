"""What happened on a platform, transaction by transaction, from the logs of change capture.

Transactions are told apart from those that were seen before by snapshots and not by their numbers: one with a
lower number may commit later. A position in the platform keeps the logs from being pruned further than what
was settled: so who is killed and comes back with its position sees what happened meanwhile.
"""

import time
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

import psycopg

from cas.postgres.capture.feed_base import PolledPlatform
from cas.postgres.capture.naming import POSITIONS, SEAL, log_name
from cas.postgres.capture.patience import CaptureOptions
from cas.postgres.capture.snapshots import COVERS, checked
from cas.postgres.capture.status import status
from cas.postgres.connecting import ConnectionOptions
from cas.postgres.reading.shapes import CAPTURE_SCHEMA
from cas.records.capture import CaptureState
from cas.records.changes import Happened, MovedRows, PlatformTransaction

FEED = "feed:"
"""What the names of feeds begin with, where repositories have theirs."""

RENEW_SECONDS = 3600.0
"""How often a feed says that it is still there, where nothing happens: readers are forgotten after days."""

CANNOT_HOLD = "The role may not write to the change log, so what is pruned between two looks is missed"

UNKNOWN = "the change log does not reach back to when it was last watched"
LOST = "the change log was emptied or pruned since the last look"

_KEPT = f"""
SELECT l.log, EXISTS (SELECT FROM {POSITIONS} p WHERE p.reader = %(reader)s AND p.log = l.log
                      AND {COVERS.format(earlier="p.snapshot", later="%(seen)s::text::pg_snapshot")})
FROM unnest(%(logs)s::oid[]) AS l(log)
"""

_LOGS = """
SELECT c.oid::int8, t.oid::int8, n.nspname::text, t.relname::text
FROM pg_class c JOIN pg_class t ON t.oid::int8 = substr(c.relname::text, 5)::int8
JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE c.relnamespace = to_regnamespace(%s) AND c.relkind = 'r' AND c.relname::text ~ '^log_[0-9]{1,10}$'
ORDER BY 1
"""

# What was written through an inheritance parent stands in the parent's own log, with its count.
_MOVED = """
SELECT xid::text::numeric, %d, coalesce(sum(rows) FILTER (WHERE operation = 'I'), 0)::int8,
       coalesce(sum(rows) FILTER (WHERE operation = 'U'), 0)::int8,
       coalesce(sum(rows) FILTER (WHERE operation = 'D'), 0)::int8, bool_or(operation = 'T')
FROM %s WHERE operation <> '%s' AND NOT pg_visible_in_snapshot(xid, '%s'::pg_snapshot)
  AND (relation = %d OR relation IN (SELECT relid FROM pg_partition_tree(%d)))
GROUP BY xid
"""


class CaptureFeed(PolledPlatform):
    """See `cas.records.changes.ChangeFeed`. One at a time for a reader."""

    def __init__(
        self, url: str, reader: str, options: ConnectionOptions | None = None, *, position: str = ""
    ) -> None:
        """`reader`: who remembers the position: a repository's id. InvalidInput for what is no position."""
        super().__init__(url, options)
        self._reader = f"{FEED}{reader}"
        self._seen = self._settled = checked(position) if position else ""
        self._held: tuple[int, ...] | None = None
        self._told = 0.0
        self.may_hold = True

    @property
    def sees(self) -> str:
        return "change capture"

    def blind_spots(self) -> Sequence[str]:
        blind = [f"Changes of {label} are not seen: {reason}" for label, reason in self.states() if reason]
        return blind if self.may_hold else [*blind, CANNOT_HOLD]

    def states(self) -> Sequence[tuple[str, str]]:
        """All tables, and why they are not captured; empty where they are."""
        return [
            (table.label, "" if table.state is CaptureState.CAPTURED else table.reason or table.state.value)
            for table in status(self._url, CaptureOptions(self._options)).tables
        ]

    def poll(self) -> Happened:
        with self._connected() as connection:
            logs = connection.execute(_LOGS, [CAPTURE_SCHEMA]).fetchall()
            oids = tuple(log for log, *_ in logs)
            if not self._seen:
                self._seen = self._settled = self._hold(connection, oids, None)
                return Happened()
            with connection.transaction():
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                now = str(connection.execute("SELECT pg_current_snapshot()::text").fetchall()[0][0])
                rows = self._rows(connection, logs, self._seen)
                missed = self._missed(connection, oids)
            if missed or oids != self._held:
                self._hold(connection, oids, now if missed else self._settled)
            elif time.monotonic() - self._told > RENEW_SECONDS:
                self._renew(connection)
            self._seen = now
        names = {oid: (schema, name) for _, oid, schema, name in logs}
        transactions = [
            PlatformTransaction(tuple(_moved(names[row[1]], row) for row in group), int(number))
            for number, group in groupby(rows, itemgetter(0))
        ]
        return Happened(transactions, missed)

    def position(self) -> str:
        return self._seen

    def settled(self, position: str) -> None:
        if self._held and self._settled != position:
            with self._connected() as connection:
                self._hold(connection, self._held, checked(position))
        self._settled = position

    def _missed(self, connection: psycopg.Connection, logs: Sequence[int]) -> str:
        """Rows stay in a log for who holds it. A log that nobody had seen before cannot tell what was before
        it; its first rows are told all the same."""
        if not logs or not self.may_hold:
            return ""
        is_kept = {log: bool(kept) for log, kept in connection.execute(_KEPT, self._asked(logs)).fetchall()}
        if self._held is None:
            return "" if all(is_kept.values()) else UNKNOWN
        return "" if all(is_kept[log] for log in logs if log in self._held) else LOST

    def _asked(self, logs: Sequence[int]) -> dict[str, object]:
        return {"reader": self._reader, "logs": list(logs), "seen": self._seen}

    def _rows(
        self, connection: psycopg.Connection, logs: Sequence[tuple[int, int, str, str]], seen: str
    ) -> list[tuple[int, int, int, int, int, bool]]:
        if not logs:
            return []
        parts = [
            _MOVED % (oid, f"{CAPTURE_SCHEMA}.{log_name(oid)}", SEAL, seen, oid, oid) for _, oid, *_ in logs
        ]
        return connection.execute((" UNION ALL ".join(parts) + " ORDER BY 1, 2").encode()).fetchall()

    def _hold(self, connection: psycopg.Connection, logs: Sequence[int], snapshot: str | None) -> str:
        """Keep the logs from this snapshot on, or from now; the snapshot. Pruning must not run beside it."""
        try:
            with connection.transaction():
                if logs:
                    connection.execute("SET LOCAL lock_timeout = '2s'")
                    connection.execute(f"LOCK TABLE {POSITIONS} IN SHARE ROW EXCLUSIVE MODE".encode())
                    connection.execute(f"DELETE FROM {POSITIONS} WHERE reader = %s".encode(), [self._reader])
                row = connection.execute(
                    "SELECT coalesce(%s::text::pg_snapshot, pg_current_snapshot())::text", [snapshot]
                ).fetchall()[0]
                if logs:
                    connection.execute(
                        f"INSERT INTO {POSITIONS} (reader, log, snapshot, noted)"
                        " SELECT %s, unnest(%s::oid[]), %s::text::pg_snapshot, clock_timestamp()".encode(),
                        [self._reader, list(logs), row[0]],
                    )
            self._held, self._told = tuple(logs), time.monotonic()
            return str(row[0])
        except psycopg.errors.InsufficientPrivilege:
            self.may_hold = False
            self._held = tuple(logs)
        except psycopg.errors.LockNotAvailable:
            pass  # the older position still holds, if there is one; the next poll tries again
        return snapshot or str(connection.execute("SELECT pg_current_snapshot()::text").fetchall()[0][0])

    def _renew(self, connection: psycopg.Connection) -> None:
        """Readers that say nothing for days are forgotten."""
        if self.may_hold and self._held:
            renewed = f"UPDATE {POSITIONS} SET noted = clock_timestamp() WHERE reader = %s"
            connection.execute(renewed.encode(), [self._reader])
        self._told = time.monotonic()


def _moved(name: tuple[str, str], row: tuple[int, int, int, int, int, bool]) -> MovedRows:
    schema, table = name
    return MovedRows(schema, table, inserted=row[2], updated=row[3], deleted=row[4], truncated=row[5])
