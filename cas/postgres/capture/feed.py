"""What happened on a platform, transaction by transaction, from the logs of change capture.

Transactions are told apart from those that were seen before by snapshots and not by their numbers: one with a
lower number may commit later. A position in the platform keeps the logs from being pruned further than what
was settled: so who is killed and comes back with its position sees what happened meanwhile.

Logs are read some at a time, each part in a statement of its own, so that a thousand of them do not take a
thousand of the server's locks at once. All parts are of one moment all the same: a snapshot says which
transactions count.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby

import psycopg

from cas.postgres.capture.feed_base import PolledPlatform
from cas.postgres.capture.feed_position import FeedPosition, feed_position
from cas.postgres.capture.log_rows import LogRow, log_rows, moved_rows
from cas.postgres.capture.naming import LOST, POSITIONS
from cas.postgres.capture.snapshots import COVERS
from cas.postgres.capture.watched_logs import Logs, logs_of, unseen
from cas.postgres.connecting import ConnectionOptions
from cas.records.changes import Happened, PlatformTransaction

FEED = "feed:"
"""What the names of feeds begin with, where repositories have theirs."""

LOOK_SECONDS = 60.0
LOOK_SHARE = 20
"""How often it is asked which logs can be gone by: at each poll, unless that would take more than a twentieth
of the time; but once a minute."""

RENEW_SECONDS = 3600.0
"""How often a feed says that it is still there, where nothing happens: readers are forgotten after days."""

DISTRUST_SECONDS = 600.0
"""How long statistics are gone by after a log could not be written, which may happen again at once."""

MOST_TRANSACTIONS = 100_000
"""Those of one poll that are told apart; of more only sums are told."""

UNKNOWN = "the change log does not reach back to when it was last watched"
EMPTIED = "the change log was emptied or pruned since the last look"
ALTERED = "change capture was removed or altered since the last look"
UNWRITTEN = "a change log could not be written since the last look"

_NOW = f"SELECT pg_current_snapshot()::text, concat_ws(' ', last_value, is_called) FROM {LOST}"

_KEPT = f"""
SELECT l.log, EXISTS (SELECT FROM {POSITIONS} p WHERE p.reader = %(reader)s AND p.log = l.log
                      AND {COVERS.format(earlier="p.snapshot", later="%(seen)s::text::pg_snapshot")})
FROM unnest(%(logs)s::oid[]) AS l(log)
"""

_THERE = "SELECT count(*) FROM pg_class WHERE oid = ANY (%s::oid[])"


class CaptureFeed(PolledPlatform):
    """See `cas.records.changes.ChangeFeed`. One at a time for a reader."""

    def __init__(
        self, url: str, reader: str, options: ConnectionOptions | None = None, *, position: str = ""
    ) -> None:
        """`reader`: who remembers the position: a repository's id. InvalidInput for what is no position."""
        super().__init__(url, options)
        self._reader = f"{FEED}{reader}"
        self._at = feed_position(position) if position else None
        self._settled = self._at.seen if self._at else ""
        self._held: Collection[int] | None = None
        self._told = 0.0
        self._logs = Logs()
        self._look_at = 0.0
        self._distrusted_until = 0.0
        self.throughout: Collection[int] = ()
        """Tables whose changes the last poll has told, all of them; by their oids."""

    @property
    def sees(self) -> str:
        return "change capture"

    def blind_spots(self) -> Sequence[str]:
        return [f"Changes of {label} are not seen: {reason}" for label, reason in self.unseen()]

    def unseen(self) -> Sequence[tuple[str, str]]:
        """Tables whose changes no log tells, by their labels, and why."""
        with self.connected() as connection:
            return unseen(connection, logs_of(connection))

    def logs(self) -> Logs:
        with self.connected() as connection:
            return logs_of(connection)

    def poll(self) -> Happened:
        with self.connected() as connection:
            try:
                return self._polled(connection)
            except psycopg.errors.UndefinedTable:  # capture was removed just now
                self._look_at = 0.0
                return self._polled(connection)

    def _polled(self, connection: psycopg.Connection) -> Happened:
        before, missed = self._at, self._look(connection)
        logs = self._logs.believed
        stands = {table: log.stands for table, log in logs.items()}
        if not logs:
            self._at, self._held, self.throughout = FeedPosition("", "", stands), None, ()
            return Happened((), missed)
        now, unwritten = connection.execute(_NOW.encode()).fetchall()[0]
        oids = [log.oid for log in logs.values()]
        if before is None or not before.seen:
            self._settled = self._hold(connection, oids, None)
            self._at, self.throughout = FeedPosition(self._settled, unwritten, stands), ()
            return Happened((), missed)
        rows = log_rows(connection, logs, before.seen, now, MOST_TRANSACTIONS)
        reasons = [missed, self._unwritten(before, unwritten), self._missed(connection, oids, before.seen)]
        if reasons[-1] or set(oids) != set(self._held or ()):
            self._hold(connection, oids, now if reasons[-1] else self._settled)
        elif time.monotonic() - self._told > RENEW_SECONDS:
            self._renew(connection)
        self._at = FeedPosition(now, unwritten, stands)
        self.throughout = () if self._is_distrusted else before.stands.keys() & stands.keys()
        told = [] if self._is_distrusted else self._transactions(rows)
        return Happened(told, "; ".join(filter(None, reasons)))

    def _transactions(self, rows: Sequence[LogRow]) -> list[PlatformTransaction]:
        found = []
        for number, group in groupby(rows, lambda row: row.number):
            moved = moved_rows(self._logs.believed, list(group))
            if moved:
                found.append(PlatformTransaction(moved, number))
        return found

    def position(self) -> str:
        return self._at.text() if self._at else ""

    def settled(self, position: str) -> None:
        seen = feed_position(position).seen if position else ""
        if seen and self._held and seen != self._settled:
            with self.connected() as connection:
                self._hold(connection, self._held, seen)
        self._settled = seen or self._settled

    def close(self) -> None:
        super().close()
        self._look_at = 0.0

    def _look(self, connection: psycopg.Connection) -> str:
        """Ask again, if it is time, which logs can be gone by; why something may have been missed."""
        began = time.monotonic()
        if began < self._look_at:
            return ""
        self._logs = logs_of(connection)
        took = time.monotonic() - began
        self._look_at = time.monotonic() + min(took * LOOK_SHARE, LOOK_SECONDS)
        return self._altered(connection, self._at.stands) if self._at else ""

    def _altered(self, connection: psycopg.Connection, before: Mapping[int, str]) -> str:
        now = self._logs.believed
        moved = [table for table, stands in before.items() if table not in now or now[table].stands != stands]
        # Of a table that was dropped no change is missing.
        if not moved or not connection.execute(_THERE, [moved]).fetchall()[0][0]:
            return ""
        why_not = self._logs.why_not
        return f"change capture cannot be used any more: {why_not}" if why_not else ALTERED

    def _unwritten(self, before: FeedPosition, unwritten: str) -> str:
        if before.unwritten == unwritten:
            return ""
        is_new, self._distrusted_until = not self._is_distrusted, time.monotonic() + DISTRUST_SECONDS
        return UNWRITTEN if is_new else ""

    @property
    def _is_distrusted(self) -> bool:
        return time.monotonic() < self._distrusted_until

    def _missed(self, connection: psycopg.Connection, logs: Sequence[int], seen: str) -> str:
        """Rows stay in a log for who holds it. A log that nobody had seen before cannot tell what was before
        it; its first rows are told all the same."""
        asked = {"reader": self._reader, "logs": logs, "seen": seen}
        is_kept = {log: bool(kept) for log, kept in connection.execute(_KEPT.encode(), asked).fetchall()}
        if self._held is None:
            return "" if all(is_kept.values()) else UNKNOWN
        return "" if all(is_kept[log] for log in logs if log in self._held) else EMPTIED

    def _hold(self, connection: psycopg.Connection, logs: Collection[int], snapshot: str | None) -> str:
        """Keep the logs from this snapshot on, or from now; the snapshot. Pruning must not run beside it."""
        try:
            with connection.transaction():
                connection.execute("SET TRANSACTION READ WRITE")  # roles that read have another default
                connection.execute("SET LOCAL lock_timeout = '2s'")
                connection.execute(f"LOCK TABLE {POSITIONS} IN SHARE ROW EXCLUSIVE MODE".encode())
                connection.execute(f"DELETE FROM {POSITIONS} WHERE reader = %s".encode(), [self._reader])
                row = connection.execute(
                    f"""
                    WITH held AS (SELECT coalesce(%s::text::pg_snapshot, pg_current_snapshot()) AS snapshot),
                    noted AS (INSERT INTO {POSITIONS} (reader, log, snapshot, noted)
                              SELECT %s, log, snapshot, clock_timestamp() FROM held, unnest(%s::oid[]) AS log)
                    SELECT snapshot::text FROM held
                    """.encode(),
                    [snapshot, self._reader, list(logs)],
                ).fetchall()[0]
            self._held, self._told = frozenset(logs), time.monotonic()
            return str(row[0])
        except psycopg.errors.LockNotAvailable:
            # The older position still holds, if there is one; the next poll tries again.
            return snapshot or str(connection.execute("SELECT pg_current_snapshot()::text").fetchall()[0][0])

    def _renew(self, connection: psycopg.Connection) -> None:
        """Readers that say nothing for days are forgotten."""
        with connection.transaction():
            connection.execute("SET TRANSACTION READ WRITE")
            renewed = f"UPDATE {POSITIONS} SET noted = clock_timestamp() WHERE reader = %s"
            connection.execute(renewed.encode(), [self._reader])
        self._told = time.monotonic()
