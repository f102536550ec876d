"""Differences of a live table and a tree: exactly those, in order, whatever the batches and the bags."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cas.contents import Contents, open_contents
from cas.differences import Difference
from cas.live.comparing import Batches, Counts, compare
from cas.record_ids import RecordIds
from cas.record_stream import read_payload
from cas.records.model import RecordBatch
from tests.engine.memory_source import integer_key
from tests.engine.scenes import NOTES, PRODUCTS, World

ROWS = st.dictionaries(st.integers(0, 60), st.binary(max_size=6), max_size=60)
BAG = st.lists(st.sampled_from([b"a", b"b", b"c", b"d", b"e\tf"]), max_size=30)


def contents_of(world: World) -> Contents:
    return open_contents(world.open(), 1)


def keyed(rows: Mapping[int, bytes], size: int) -> Batches:
    def batches() -> Iterable[RecordBatch]:
        ordered = sorted(rows.items())
        for at in range(0, len(ordered), size):
            some = ordered[at : at + size]
            yield RecordBatch([integer_key(n) for n, _ in some], [payload for _, payload in some])

    return batches


def differences(
    contents: Contents, label: str, batches: Batches, *, alike: bool = True
) -> tuple[list[Difference], Counts]:
    counts = Counts()
    ids = RecordIds(World().open().config.id_key)
    entry = contents.entry(label)
    return list(compare(entry, contents.reader, batches, ids, counts, alike=alike)), counts


def told(found: Sequence[Difference], contents: Contents) -> list[tuple[bytes, bytes | None, bytes | None]]:
    """Key, the version's record, the live one."""
    return [
        (one.key, None if one.version is None else read_payload(contents.reader, one.version), one.payload)
        for one in found
    ]


@pytest.mark.parametrize("alike", [True, False])
@given(ROWS, ROWS, st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_every_key_that_differs_and_no_other(
    alike: bool, old: dict[int, bytes], now: dict[int, bytes], size: int
) -> None:
    world = World()
    world.take({PRODUCTS: old})
    contents = contents_of(world)
    found, counts = differences(contents, PRODUCTS.label, keyed(now, size), alike=alike)
    expected = [
        (integer_key(n), old.get(n), now.get(n))
        for n in sorted(old.keys() | now.keys())
        if not alike or old.get(n) != now.get(n)
    ]
    assert told(found, contents) == expected
    assert counts == Counts(len(now), sum(map(len, now.values())))


def test_one_change_among_many_is_found_by_few_comparisons() -> None:
    old = {n: b"%d\tname" % n for n in range(5000)}
    now = old | {2345: b"2345\tother"}
    del now[77]
    world = World()
    world.take({PRODUCTS: old})
    contents = contents_of(world)
    found, _ = differences(contents, PRODUCTS.label, keyed(now, 1000))
    assert told(found, contents) == [
        (integer_key(77), b"77\tname", None),
        (integer_key(2345), b"2345\tname", b"2345\tother"),
    ]


def test_large_records_are_compared_too() -> None:
    large = b"1\t" + bytes(range(256)).replace(b"\n", b"").replace(b"\t", b"") * 40_000
    world = World()
    world.take({PRODUCTS: {1: large, 2: b"2\tsmall", 3: large + b"3"}})
    contents = contents_of(world)
    found, _ = differences(contents, PRODUCTS.label, keyed({1: large, 2: large, 3: large}, 2))
    assert [(one.key, one.payload == large) for one in found] == [
        (integer_key(2), True),
        (integer_key(3), True),
    ]


@given(BAG, BAG)
@settings(max_examples=40, deadline=None)
def test_a_bag_is_compared_by_counts(old: list[bytes], now: list[bytes]) -> None:
    world = World()
    world.take({NOTES: old})
    contents = contents_of(world)
    found, counts = differences(contents, NOTES.label, lambda: [RecordBatch([], now)] if now else [])
    before, after = Counter(old), Counter(now)
    assert {
        read_payload(contents.reader, one.version) if one.version else one.payload: (
            one.version.count if one.version else 0,
            one.live.count if one.live else 0,
        )
        for one in found
    } == {text: (before[text], after[text]) for text in before | after if before[text] != after[text]}
    for one in found:
        more = (one.live.count if one.live else 0) > (one.version.count if one.version else 0)
        assert (one.payload is not None) == more
    assert [one.key for one in found] == sorted(one.key for one in found)
    assert counts.live_records == len(now)
