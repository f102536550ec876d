"""What happened on a platform, as far as the server's own counters tell: for platforms without change
capture."""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import astuple, dataclass, replace

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
SELECT t.oid::int8, root::int8, schema, name, coalesce(pg_stat_get_tuples_inserted(t.oid), 0),
       coalesce(pg_stat_get_tuples_updated(t.oid), 0), coalesce(pg_stat_get_tuples_deleted(t.oid), 0),
       coalesce(pg_stat_get_live_tuples(t.oid), 0), c.relfilenode::int8
FROM counted t JOIN pg_class c ON c.oid = t.oid
"""

_RESETS = """
SELECT concat_ws(' ', (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()),
                 (SELECT stats_reset FROM pg_stat_bgwriter))
"""
# The second one moves when the server recovers from a crash, which loses all counts.

_STATE = "SELECT current_setting('track_counts') = 'on', pg_is_in_recovery()"

BLIND = (
    "Statistics come some seconds late and without transactions, count what was rolled back and what moved"
    " between partitions, and of TRUNCATE see only that a table is a new, empty one"
)
NOT_COUNTING = "The server counts nothing at all: track_counts is off"
STANDBY = (
    "The server is a standby, which counts nothing: only the schema and the time are seen."
    " Name the primary in CAS_SOURCE"
)
RESET = "the server's counters were reset since the last look"

_NONE = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class _File:
    """What holds a table's rows: another one after TRUNCATE, and after what writes all rows anew, and known
    at once, while counts come later. `live`: rows that the server believes to be there. `inserted` and
    `deleted`: ever."""

    number: int
    live: int
    inserted: int
    deleted: int

    def is_emptied(self, now: "_File") -> bool:
        """Whether all rows of this one went: those that are there came since, and what was deleted one by
        one, as from a queue, does not explain it. Half is room for estimates and for what was rolled back."""
        came, went = now.inserted - self.inserted, now.deleted - self.deleted
        unexplained = self.live + came - went - now.live
        is_new = self.number != now.number and self.live > 0
        return is_new and now.live <= came and 2 * unexplained >= self.live


@dataclass(frozen=True, slots=True)
class _Table:
    """What the server says of one table. `moved`: inserted, updated, deleted, ever. `file`: while a new one's
    counts may still come, the one before."""

    moved: tuple[int, int, int]
    file: _File

    def after(self, before: "_Table") -> "_Table":
        """As it is remembered, after having been looked at before."""
        is_new = self.file.number != before.file.number
        return replace(self, file=before.file) if is_new and not before.file.is_emptied(self.file) else self


_Tables = dict[int, _Table]
"""By oid."""


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
        self._seen: _Tables | None = None
        self._resets = ""
        if position:
            self._seen, self._resets = _tables_of(position)

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
        tables = {
            oid: _Table((i, u, d), _File(file, live, i, d)) for oid, _, _, _, i, u, d, live, file in rows
        }
        is_first, were_reset = self._seen is None, resets != self._resets
        before = {} if is_first or were_reset else self._seen or {}
        self._resets = resets
        self._seen = {
            oid: one.after(before[oid]) if oid in before else one
            for oid, one in tables.items()
            if any(one.moved)
        }
        if is_first:
            return Happened()
        left_out, missed = self._leaving_out(), RESET if were_reset else ""
        moved: dict[tuple[str, str], MovedRows] = {}
        for oid, root, schema, name, *_ in rows:
            now, then = tables[oid], before.get(oid)
            old = then.moved if then else _NONE
            if any(count < was for count, was in zip(now.moved, old, strict=True)):
                then, old, missed = None, _NONE, RESET
            if root in left_out:
                continue
            inserted, updated, deleted = (count - was for count, was in zip(now.moved, old, strict=True))
            sums = moved.get((schema, name), MovedRows(schema, name))
            emptied = then is not None and then.file.is_emptied(now.file)
            moved[schema, name] = MovedRows(
                schema,
                name,
                sums.inserted + inserted,
                sums.updated + updated,
                sums.deleted + deleted,
                truncated=emptied and oid == root,
                partitions=sums.partitions + (emptied and oid != root),
            )
        told = tuple(one for _, one in sorted(moved.items()) if one != MovedRows(one.schema, one.name))
        return Happened((PlatformTransaction(told),) if told else (), missed)

    def position(self) -> str:
        if self._seen is None:
            return ""
        tables = {oid: [one.moved, astuple(one.file)] for oid, one in self._seen.items()}
        return json.dumps([self._resets, tables])

    def settled(self, position: str) -> None:
        """Nothing is kept."""


def _tables_of(position: str) -> tuple[_Tables, str]:
    try:
        resets, tables = json.loads(position)
        found = {
            int(oid): _Table((int(i), int(u), int(d)), _File(*map(int, file)))
            for oid, ((i, u, d), file) in tables.items()
        }
        return found, str(resets)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InvalidInput(f"not a position in the server's statistics: {position[:40]!r}") from error
