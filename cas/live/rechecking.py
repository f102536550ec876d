"""Under the lock: is everything still as the plan saw it?

Rows that may have been written since are found by the age of their transaction, and rows that went by
counting; only where a count does not fit is the whole table read again. What moved outside of the scope is
taken into the safety version; what the plan speaks of must not have moved.
"""

from collections.abc import Iterator, Mapping

from cas.differences import Difference, DifferenceSpool
from cas.engine.chunk_reader import ChunkReader
from cas.errors import Conflict
from cas.live.comparing import compare
from cas.live.planned_table import PlannedTable
from cas.record_ids import RecordIds
from cas.record_stream import read_payload
from cas.records.live import LiveTransaction, Noted
from cas.records.marks import Mark
from cas.tree.nodes import Leaf
from cas.tree.reading import lookup

MAX_MOVED = 100_000
"""Rows that may have moved, held in memory. Where there are more, the table is read again."""


def recheck(
    table: PlannedTable,
    transaction: LiveTransaction,
    mark: Mark,
    reader: ChunkReader,
    ids: RecordIds,
    noted: Noted | None = None,
) -> bool:
    """Bring the table's differences up to now; whether any moved. The caller decides anew then. `noted`: what
    change capture is asked by, where it told the plan what was written."""
    believed = noted if table.read_by == "capture" else None
    if transaction.is_as_it_was(table.pair.live, mark, table.counts.live_records, believed):
        return False
    moved = _moved(table, transaction, mark)
    if moved is not None:
        records = _after(table, moved, reader, ids)
        if records.is_equal and transaction.count(table.pair.live) == table.counts.live_records:
            return False
        if transaction.count(table.pair.live) == table.counts.live_records + records.added:
            _overlay(table, moved, reader, ids)
            return True
    return _again(table, transaction, reader, ids)


def refuse(label: str) -> Conflict:
    """The error where the plan no longer holds."""
    return Conflict(
        "records that the plan speaks of were changed since it was made",
        where=label,
        hint="Nothing was changed. Make a new plan and look at it again",
    )


def _moved(table: PlannedTable, transaction: LiveTransaction, mark: Mark) -> dict[bytes, bytes] | None:
    """Records that may have been written since the mark; None where they cannot be told or are too many. Of a
    bag, whose records have no keys to tell them by, it is all or nothing."""
    batches = transaction.moved(table.pair.live, mark)
    if batches is None:
        return None
    most = 0 if table.pair.live.is_bag else MAX_MOVED
    found: dict[bytes, bytes] = {}
    count = 0
    for batch in batches:
        count += len(batch.payloads)
        if count <= most:
            found.update(zip(batch.keys, batch.payloads, strict=True))
    return found if count <= most else None


class _After:
    """What moved, counted: records that were not there, and whether every one is as it was."""

    def __init__(self) -> None:
        self.added = 0
        self.is_equal = True


def _after(table: PlannedTable, moved: Mapping[bytes, bytes], reader: ChunkReader, ids: RecordIds) -> _After:
    told = _After()
    if not moved:
        return told
    planned = {one.key: one for one in table.differences if one.key in moved}
    for key, payload in moved.items():
        one = planned.get(key)
        if one is not None:
            told.added += one.payload is None
            told.is_equal &= one.payload == payload
        else:
            leaf = _leaf(table, reader, key)
            told.added += leaf is None
            told.is_equal &= leaf is not None and leaf.id == ids.of([payload])[0][0]
    return told


def _overlay(table: PlannedTable, moved: Mapping[bytes, bytes], reader: ChunkReader, ids: RecordIds) -> None:
    """The differences with the moved records as they are now."""
    fresh = DifferenceSpool()
    alike = table.pair.columns.keeps_places
    for one in _merged(table, moved, reader, ids):
        if not (alike and one.version == one.live):
            fresh.add(one)
    before = {one.key: one.payload for one in table.differences if one.key in moved}
    for key, payload in moved.items():
        old = before[key] if key in before else _length_of(table, reader, key)
        table.counts.live_records += old is None
        size = old if isinstance(old, int) else len(old or b"")
        table.counts.live_bytes += len(payload) - size
    table.differences.close()
    table.differences = fresh


def _length_of(table: PlannedTable, reader: ChunkReader, key: bytes) -> int | None:
    """The length of a record that was as in the version; None where the version has none."""
    leaf = _leaf(table, reader, key)
    return None if leaf is None else len(read_payload(reader, leaf))


def _merged(
    table: PlannedTable, moved: Mapping[bytes, bytes], reader: ChunkReader, ids: RecordIds
) -> Iterator[Difference]:
    waiting = iter(sorted(moved))
    key = next(waiting, None)
    for one in table.differences:
        while key is not None and key < one.key:
            yield _now(key, moved[key], _leaf(table, reader, key), ids)
            key = next(waiting, None)
        if key == one.key:
            yield _now(key, moved[key], one.version, ids)
            key = next(waiting, None)
        else:
            yield one
    while key is not None:
        yield _now(key, moved[key], _leaf(table, reader, key), ids)
        key = next(waiting, None)


def _now(key: bytes, payload: bytes, version: Leaf | None, ids: RecordIds) -> Difference:
    found, large = ids.of([payload])
    return Difference(key, version, Leaf(found[0], 1, bool(large)), payload)


def _leaf(table: PlannedTable, reader: ChunkReader, key: bytes) -> Leaf | None:
    root = table.pair.entry.root
    return lookup(reader, root, key) if root is not None else None


def _again(table: PlannedTable, transaction: LiveTransaction, reader: ChunkReader, ids: RecordIds) -> bool:
    """Read the whole table again: slow, and always right."""
    fresh = DifferenceSpool()
    counts = type(table.counts)()
    live, alike = table.pair.live, table.pair.columns.keeps_places
    for one in compare(table.pair.entry, reader, lambda: transaction.batches(live), ids, counts, alike=alike):
        fresh.add(one)
    table.differences.close()
    table.differences = fresh
    table.counts = counts
    return True
