"""What happened on a platform, as far as the server's own counters tell: for platforms without change
capture."""

import json
from collections.abc import Callable, Collection, Sequence

from cas.errors import InvalidInput
from cas.postgres.capture.feed_base import PolledPlatform
from cas.postgres.connecting import ConnectionOptions
from cas.postgres.reading.shapes import CAPTURE_SCHEMA
from cas.records.changes import Happened, MovedRows, PlatformTransaction

# A partition's counts are its root's.
_COUNTERS = """
SELECT s.relid::int8, n.nspname::text, c.relname::text, s.n_tup_ins, s.n_tup_upd, s.n_tup_del
FROM pg_stat_user_tables s
JOIN pg_class c ON c.oid = coalesce(pg_partition_root(s.relid), s.relid)
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname <> %s
"""

BLIND = (
    "Counts include rows of transactions that were rolled back",
    "Transactions are not told apart: all that happened between two looks counts as one",
    "The server's counters lag behind: sessions report at the end of a transaction, about once a second",
    "TRUNCATE is not counted, nor is a table that was dropped or created anew",
    "A row that moves from one partition to another counts as deleted and inserted",
)
NOT_COUNTING = "The server counts nothing at all: track_counts is off"
RESET = "the server's counters were reset since the last look"

_Counts = tuple[int, int, int]


class StatisticsFeed(PolledPlatform):
    """See `cas.records.changes.ChangeFeed`. The platform keeps nothing for it."""

    def __init__(
        self,
        url: str,
        options: ConnectionOptions | None = None,
        *,
        position: str = "",
        leaving_out: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """`leaving_out`: labels of tables that somebody else watches, asked at each poll. InvalidInput for
        what is no position."""
        super().__init__(url, options)
        self._leaving_out = leaving_out
        self._seen = _counts_of(position) if position else None

    @property
    def sees(self) -> str:
        return "the server's statistics"

    def blind_spots(self) -> Sequence[str]:
        with self._connected() as connection:
            row = connection.execute("SELECT current_setting('track_counts') = 'on'").fetchall()[0]
        return BLIND if row[0] else (*BLIND, NOT_COUNTING)

    def poll(self) -> Happened:
        with self._connected() as connection:
            rows = connection.execute(_COUNTERS, [CAPTURE_SCHEMA]).fetchall()
        before, self._seen = self._seen, {row[0]: (row[3], row[4], row[5]) for row in rows}
        if before is None:
            return Happened()
        left_out, missed = self._leaving_out(), ""
        moved: dict[tuple[str, str], _Counts] = {}
        for oid, schema, name, *counts in rows:
            old = before.get(oid, (0, 0, 0))
            if any(now < then for now, then in zip(counts, old, strict=True)):
                old, missed = (0, 0, 0), RESET
            sums = moved.get((schema, name), (0, 0, 0))
            inserted, updated, deleted = (
                total + now - then for total, now, then in zip(sums, counts, old, strict=True)
            )
            moved[schema, name] = (inserted, updated, deleted)
        told = tuple(
            one
            for (schema, name), counts in sorted(moved.items())
            if any(counts) and (one := MovedRows(schema, name, *counts)).label not in left_out
        )
        return Happened((PlatformTransaction(told),) if told else (), missed)

    def position(self) -> str:
        return json.dumps(self._seen) if self._seen is not None else ""

    def settled(self, position: str) -> None:
        """Nothing is kept."""


def _counts_of(position: str) -> dict[int, _Counts]:
    try:
        return {int(oid): (int(i), int(u), int(d)) for oid, (i, u, d) in json.loads(position).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidInput(f"not a position in the server's statistics: {position[:40]!r}") from error
