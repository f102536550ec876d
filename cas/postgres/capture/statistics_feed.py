"""What happened on a platform, as far as the server's own counters tell: for platforms without change
capture."""

import json
from collections.abc import Callable, Collection, Sequence

from cas.errors import InvalidInput
from cas.postgres.capture.feed_base import PolledPlatform
from cas.postgres.connecting import ConnectionOptions
from cas.postgres.reading.shapes import CAPTURE_SCHEMA
from cas.records.changes import Happened, MovedRows, PlatformTransaction
from cas.records.large_objects import LARGE_OBJECTS

# A partition's counts are its root's, unless the root cannot be read as one table. What no version holds is
# left out: temporary tables, materialized views, tables that CREATE EXTENSION makes.
_COUNTERS = f"""
WITH split AS (
    SELECT DISTINCT pg_partition_root(oid) AS oid FROM pg_class WHERE relispartition AND relkind = 'f'
), roots AS (
    SELECT c.oid, CASE WHEN c.relispartition AND pg_partition_root(c.oid) NOT IN (SELECT oid FROM split)
                       THEN pg_partition_root(c.oid) ELSE c.oid END AS root
    FROM pg_class c WHERE c.relkind = 'r' AND c.relpersistence <> 't'
), counted(oid, root, schema, name) AS (
    SELECT r.oid, r.root, n.nspname::text, c.relname::text
    FROM roots r JOIN pg_class c ON c.oid = r.root JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
                         AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
    LEFT JOIN pg_extension e ON e.oid = d.refobjid
    WHERE n.nspname <> ALL ('{{pg_catalog,information_schema,{CAPTURE_SCHEMA}}}') AND n.nspname !~ '^pg_toast'
      AND (e.oid IS NULL OR c.oid = ANY (e.extconfig))
  UNION ALL
    SELECT oid, oid, '{LARGE_OBJECTS.schema}', '{LARGE_OBJECTS.name}' FROM pg_class
    WHERE oid = 'pg_catalog.pg_largeobject_metadata'::regclass
)
SELECT oid::int8, root::int8, schema, name, coalesce(pg_stat_get_tuples_inserted(oid), 0),
       coalesce(pg_stat_get_tuples_updated(oid), 0), coalesce(pg_stat_get_tuples_deleted(oid), 0)
FROM counted
"""

_RESETS = """
SELECT concat_ws(' ', (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()),
                 (SELECT stats_reset FROM pg_stat_bgwriter))
"""
# The second one moves when the server recovers from a crash, which loses all counts.

_STATE = "SELECT current_setting('track_counts') = 'on', pg_is_in_recovery()"

BLIND = (
    "Statistics come some seconds late and without transactions, count what was rolled back and what moved"
    " between partitions, and know nothing of TRUNCATE"
)
NOT_COUNTING = "The server counts nothing at all: track_counts is off"
STANDBY = (
    "The server is a standby, which counts nothing: only the schema and the time are seen."
    " Name the primary in CAS_SOURCE"
)
RESET = "the server's counters were reset since the last look"

_Counts = tuple[int, int, int]
_NONE = (0, 0, 0)


class StatisticsFeed(PolledPlatform):
    """See `cas.records.changes.ChangeFeed`. The platform keeps nothing for it."""

    def __init__(
        self,
        url: str,
        options: ConnectionOptions | None = None,
        *,
        position: str = "",
        beside: PolledPlatform | None = None,
        leaving_out: Callable[[], Collection[int]] = tuple,
    ) -> None:
        """`beside`: whose connection is used, too. `leaving_out`: oids of tables that somebody else watches,
        asked at each poll. InvalidInput for what is no position."""
        super().__init__(url, options, beside=beside)
        self._leaving_out = leaving_out
        self._seen: dict[int, _Counts] | None = None
        self._resets = ""
        if position:
            self._seen, self._resets = _counts_of(position)

    @property
    def sees(self) -> str:
        return "the server's statistics"

    def blind_spots(self) -> Sequence[str]:
        with self.connected() as connection:
            is_counting, is_standby = connection.execute(_STATE).fetchall()[0]
        if is_standby:
            return [STANDBY]
        return [BLIND] if is_counting else [BLIND, NOT_COUNTING]

    def poll(self) -> Happened:
        with self.connected() as connection:
            resets = str(connection.execute(_RESETS).fetchall()[0][0])
            rows = connection.execute(_COUNTERS.encode()).fetchall()
        before, self._seen = self._seen, {row[0]: row[4:] for row in rows if any(row[4:])}
        resets, self._resets = self._resets, resets
        if before is None:
            return Happened()
        left_out, missed = self._leaving_out(), ""
        if resets != self._resets:
            before, missed = {}, RESET
        moved: dict[tuple[str, str], _Counts] = {}
        for oid, root, schema, name, *counts in rows:
            old = before.get(oid, _NONE)
            if any(now < then for now, then in zip(counts, old, strict=True)):
                old, missed = _NONE, RESET
            if root in left_out:
                continue
            sums = moved.get((schema, name), _NONE)
            inserted, updated, deleted = (
                total + now - then for total, now, then in zip(sums, counts, old, strict=True)
            )
            moved[schema, name] = (inserted, updated, deleted)
        told = tuple(MovedRows(*label, *counts) for label, counts in sorted(moved.items()) if any(counts))
        return Happened((PlatformTransaction(told),) if told else (), missed)

    def position(self) -> str:
        return json.dumps([self._resets, self._seen]) if self._seen is not None else ""

    def settled(self, position: str) -> None:
        """Nothing is kept."""


def _counts_of(position: str) -> tuple[dict[int, _Counts], str]:
    try:
        resets, counts = json.loads(position)
        return {int(oid): (int(i), int(u), int(d)) for oid, (i, u, d) in counts.items()}, str(resets)
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidInput(f"not a position in the server's statistics: {position[:40]!r}") from error
