"""What changed since an earlier tree is counted while a new one is built, and few nodes are read for it."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cas.errors import CorruptData
from cas.format.node import Node, encode_node, parse_node
from cas.ids import ChunkId
from cas.limits import MAX_NODE_ENTRIES
from cas.tree.counting import READ_AT_ONCE, LeafCounter, NewLeaf, RecordCounts
from cas.tree.edit import TreeStore
from cas.tree.nodes import Leaf, Root
from tests.tree.memory_nodes import MemoryNodes, build, leaf, store_with

leaf_values = st.builds(leaf, st.integers(0, 50))
keys = st.one_of(
    st.integers(0, 400).map(lambda number: number.to_bytes(8, "big")),
    st.binary(min_size=1, max_size=5),
)
contents = st.dictionaries(keys, leaf_values, max_size=150)


class Watched(MemoryNodes):
    """Notes the leaves that are written, and what is read in which batches."""

    def __init__(self) -> None:
        super().__init__()
        self.leaves: list[NewLeaf] = []
        self.earlier: set[ChunkId] = set()
        """The leaves of the tree that is compared with."""
        self.batches: list[int] = []
        self.asked: list[ChunkId] = []

    def put_node(self, plain: bytes, level: int, last_key: bytes) -> ChunkId:
        node_id = super().put_node(plain, level, last_key)
        if level == 0:
            self.leaves.append(NewLeaf(node_id, plain))
        return node_id

    def nodes(self, ids: Sequence[ChunkId]) -> Sequence[Node]:
        self.batches.append(len(ids))
        self.asked += ids
        return super().nodes(ids)


def count(
    left: Mapping[bytes, Leaf], right: Mapping[bytes, Leaf], *, bits: int = 3, at_once: int = 64, **kind: bool
) -> tuple[RecordCounts, Watched, Root]:
    """Count from one content to another. `kind`: whether both are bags (counted)."""
    nodes = Watched()
    store = store_with(nodes, bits)
    earlier = build(store, left, **kind)
    nodes.earlier, nodes.leaves = {one.id for one in nodes.leaves}, []
    root = build(store, right, batch=100, **kind)
    new, nodes.batches, nodes.asked = nodes.leaves, [], []
    counter = LeafCounter(nodes, earlier.id)
    for at in range(0, len(new), at_once):
        counter.leaves(new[at : at + at_once])
    return counter.finish(), nodes, root


def numbered(count: int, start: int = 0, edition: int = 0) -> dict[bytes, Leaf]:
    return {
        number.to_bytes(8, "big"): leaf(number + 10**7 * edition) for number in range(start, start + count)
    }


def without(content: Mapping[bytes, Leaf], every: int) -> dict[bytes, Leaf]:
    return {key: value for at, (key, value) in enumerate(content.items()) if at % every}


@given(
    contents, contents | st.none(), st.dictionaries(keys, st.none() | leaf_values), *[st.integers(1, 5)] * 2
)
@example(numbered(300), numbered(300, 1000), {}, 2, 1)
@example(numbered(300, 1000), numbered(300), {}, 2, 64)
@example(numbered(300), numbered(300, edition=1), {}, 2, 64)
@example(numbered(300), without(numbered(300), 2), {}, 3, 5)
@example(without(numbered(300), 2), numbered(300), {}, 3, 5)
@example({}, numbered(40), {}, 3, 1)
@example(numbered(40), {}, {}, 3, 1)
@settings(max_examples=600, deadline=None)
def test_counts_are_those_of_two_dicts(
    left: dict[bytes, Leaf],
    other: dict[bytes, Leaf] | None,
    edits: dict[bytes, Leaf | None],
    bits: int,
    at_once: int,
) -> None:
    merged = {**left, **edits} if other is None else other
    right = {key: value for key, value in merged.items() if value is not None}
    found, nodes, _ = count(left, right, bits=bits, at_once=at_once)
    assert found == RecordCounts(
        inserted=len(right.keys() - left.keys()),
        updated=sum(left[key].id != right[key].id for key in left.keys() & right.keys()),
        deleted=len(left.keys() - right.keys()),
    )
    leaves = [one for one in nodes.asked if not parse_node(nodes.plain[one]).level]
    assert len(leaves) <= len(set(leaves)) + 1, "no leaf is read twice but one that is the root"
    again, new = set(leaves) & {one.id for one in nodes.leaves}, {one.id for one in nodes.leaves}
    assert len(again) <= len(new - nodes.earlier) + 1, "what is in both is read beside what differs only"


bags = st.dictionaries(st.integers(0, 80).map(lambda n: bytes([n]) * 32), st.integers(1, 9), max_size=60)


@given(bags, bags, st.integers(1, 4))
@settings(max_examples=200, deadline=None)
def test_equal_records_of_a_bag_come_and_go(old: dict[bytes, int], new: dict[bytes, int], bits: int) -> None:
    left, right = ({key: Leaf(ChunkId(key), n) for key, n in bag.items()} for bag in (old, new))
    found, _, root = count(left, right, bits=bits, counted=True)
    more = [new.get(key, 0) - old.get(key, 0) for key in old.keys() | new.keys()]
    assert found == RecordCounts(sum(n for n in more if n > 0), 0, -sum(n for n in more if n < 0))
    assert root.records == sum(old.values()) + found.inserted - found.deleted


def test_a_table_that_lost_its_key_is_another_one() -> None:
    nodes = Watched()
    store = store_with(nodes)
    keyed = build(store, numbered(500))
    nodes.leaves = []
    build(store, {one.id: Leaf(one.id, 3) for one in numbered(200).values()}, counted=True)
    counter = LeafCounter(nodes, keyed.id)
    counter.leaves(nodes.leaves)
    assert counter.finish() == RecordCounts(600, 0, 500)


def test_what_did_not_change_is_not_read() -> None:
    content = numbered(30_000)
    found, nodes, _ = count(content, content, bits=6)
    assert found == RecordCounts()
    assert all(parse_node(nodes.plain[one]).level for one in nodes.asked)
    assert len(nodes.asked) < 30


def test_one_change_costs_one_leaf() -> None:
    content = numbered(30_000)
    found, nodes, _ = count(content, {**content, (777).to_bytes(8, "big"): leaf(10**6)}, bits=6)
    assert found == RecordCounts(0, 1, 0)
    assert sum(not parse_node(nodes.plain[one]).level for one in nodes.asked) == 1


def test_what_changed_is_read_in_batches_that_are_bounded() -> None:
    found, nodes, _ = count(numbered(30_000), numbered(30_000, edition=1), bits=6)
    assert found == RecordCounts(0, 30_000, 0)
    assert len(nodes.batches) < len(nodes.asked) / 10
    assert max(nodes.batches) <= READ_AT_ONCE < MAX_NODE_ENTRIES


def test_a_stretch_that_went_is_counted_unread() -> None:
    content = numbered(30_000)
    kept = {key: value for at, (key, value) in enumerate(content.items()) if not 1000 <= at < 29_000}
    found, nodes, _ = count(content, kept, bits=6)
    assert found == RecordCounts(0, 0, 28_000)
    assert len(nodes.asked) < 30


def test_a_leaf_that_does_not_fit_the_node_above_it_is_damage() -> None:
    nodes = Watched()
    store: TreeStore = store_with(nodes, 3)
    first, second = (sorted(numbered(5, start)) for start in (0, 10))
    ids = [nodes.put_node(encode_node(0, run, [bytes(32)] * 5), 0, run[-1]) for run in (first, second)]
    wrong = encode_node(1, [first[-1], b"\xff"], ids, [5, 5])
    root = nodes.put_node(wrong, 1, b"\xff")
    nodes.leaves = []
    build(store, numbered(40, edition=1))
    counter = LeafCounter(nodes, root)
    with pytest.raises(CorruptData, match="does not end where"):
        counter.leaves(nodes.leaves)
