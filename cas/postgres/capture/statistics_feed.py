"""What happened on a platform, as far as the server's own counters tell: for platforms without change
capture."""

from collections.abc import Sequence

import psycopg

from cas.postgres.capture.feed_base import PolledPlatform
from cas.postgres.connecting import ConnectionOptions
from cas.postgres.reading.shapes import CAPTURE_SCHEMA
from cas.records.changes import MovedRows, PlatformTransaction

# A partition's counts are its root's.
_COUNTERS = """
SELECT s.relid::int8, n.nspname::text, c.relname::text, s.n_tup_ins, s.n_tup_upd, s.n_tup_del
FROM pg_stat_user_tables s
JOIN pg_class c ON c.oid = coalesce(pg_partition_root(s.relid), s.relid)
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname <> %s
"""

_BLIND = (
    "Counts include rows of transactions that were rolled back",
    "Transactions are not told apart: all that happened between two looks counts as one",
    "The server's counters lag behind: sessions report at the end of a transaction, about once a second",
    "TRUNCATE is not counted, nor is a table that was dropped or created anew",
    "Counters that are reset between two looks, or lost in a crash, hide what came before",
    "A row that moves from one partition to another counts as deleted and inserted",
)

_Counts = tuple[int, int, int]


class StatisticsFeed(PolledPlatform):
    """See `cas.records.changes.ChangeFeed`."""

    def __init__(self, url: str, options: ConnectionOptions | None = None) -> None:
        super().__init__(url, options)
        self._seen: dict[int, _Counts] | None = None

    @property
    def sees(self) -> str:
        return "statistics"

    def blind_spots(self) -> Sequence[str]:
        with self._connected() as connection:
            row = connection.execute("SELECT current_setting('track_counts') = 'on'").fetchall()[0]
        return _BLIND if row[0] else (*_BLIND, "The server counts nothing at all: track_counts is off")

    def poll(self) -> Sequence[PlatformTransaction]:
        with self._connected() as connection:
            rows = _counters(connection)
        before, self._seen = self._seen, {row[0]: (row[3], row[4], row[5]) for row in rows}
        if before is None:
            return ()
        moved: dict[tuple[str, str], _Counts] = {}
        for oid, schema, name, *counts in rows:
            old = before.get(oid, (0, 0, 0))
            if any(now < then for now, then in zip(counts, old, strict=True)):
                old = (0, 0, 0)  # they were reset
            sums = moved.get((schema, name), (0, 0, 0))
            inserted, updated, deleted = (
                total + now - then for total, now, then in zip(sums, counts, old, strict=True)
            )
            moved[schema, name] = (inserted, updated, deleted)
        told = tuple(
            MovedRows(schema, name, *counts)
            for (schema, name), counts in sorted(moved.items())
            if any(counts)
        )
        return (PlatformTransaction(told),) if told else ()


def _counters(connection: psycopg.Connection) -> list[tuple[int, str, str, int, int, int]]:
    return connection.execute(_COUNTERS, [CAPTURE_SCHEMA]).fetchall()
