"""The tree depends on its content only, and its operations agree with a plain dict."""

import random
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cas.format.node import Node, parse_node
from cas.ids import ChunkId
from cas.limits import MAX_NODE_ENTRIES
from cas.tree.build import TreeBuilder
from cas.tree.diff import diff_trees
from cas.tree.edit import TreeStore, edit_tree
from cas.tree.nodes import Leaf
from cas.tree.reading import entries, lookup
from tests.tree.memory_nodes import MemoryNodes, build, leaf, store_with

leaf_values = st.builds(leaf, st.integers(0, 50), st.integers(1, 3).map(lambda _: 1), is_large=st.booleans())
keys = st.one_of(
    st.integers(0, 400).map(lambda number: number.to_bytes(8, "big")),
    st.binary(min_size=1, max_size=5),
    st.integers(1, 3).map(lambda length: b"x" * length * 20_000),
)
contents = st.dictionaries(keys, leaf_values, max_size=120)
edit_lists = st.dictionaries(keys, st.none() | leaf_values, max_size=60)


def apply(content: Mapping[bytes, Leaf], edits: Mapping[bytes, Leaf | None]) -> dict[bytes, Leaf]:
    merged = {**content, **edits}
    return {key: value for key, value in merged.items() if value is not None}


def numbered(count: int, start: int = 0) -> dict[bytes, Leaf]:
    return {number.to_bytes(8, "big"): leaf(number) for number in range(start, start + count)}


@given(contents, st.lists(edit_lists, min_size=1, max_size=4), st.integers(1, 5))
@example({}, [{b"a": leaf(1)}, {b"a": None}], 3)
@example(numbered(40), [dict.fromkeys(numbered(40))], 2)
@example(numbered(40), [dict.fromkeys(numbered(39))], 2)
@example(numbered(40), [numbered(40, 40), dict.fromkeys(numbered(60))], 1)
@settings(max_examples=400, deadline=None)
def test_a_chain_of_edits_gives_the_root_of_a_fresh_build(
    content: dict[bytes, Leaf], chain: list[dict[bytes, Leaf | None]], bits: int
) -> None:
    store = store_with(MemoryNodes(), bits)
    root = build(store, content)
    for edits in chain:
        content = apply(content, edits)
        root = edit_tree(store, root.id, sorted(edits.items()))
        assert root == build(store_with(MemoryNodes(), bits), content, batch=1000)
        assert root.records == len(content)


@given(contents, edit_lists, st.integers(1, 5))
@example(numbered(40), dict.fromkeys(numbered(39)), 2)
@example(numbered(40), dict.fromkeys(numbered(40)), 2)
@settings(max_examples=200, deadline=None)
def test_what_an_edit_writes_need_not_be_readable_yet(
    content: dict[bytes, Leaf], edits: dict[bytes, Leaf | None], bits: int
) -> None:
    """Nodes wait for their pack while the tree above them is made."""
    stored, written = MemoryNodes(), MemoryNodes()
    store = store_with(stored, bits)
    root = build(store, content)
    apart = TreeStore(stored, written, store.boundary)
    expected = build(store_with(MemoryNodes(), bits), apply(content, edits))
    assert edit_tree(apart, root.id, sorted(edits.items())) == expected


class Remembering(MemoryNodes):
    """Remembers what it was asked for: together with others, or alone."""

    def __init__(self) -> None:
        super().__init__()
        self.together: set[ChunkId] = set()
        self.alone: set[ChunkId] = set()

    def nodes(self, ids: Sequence[ChunkId]) -> Sequence[Node]:
        (self.together if len(ids) > 1 else self.alone).update(
            one for one in ids if one not in self.together | self.alone
        )
        return super().nodes(ids)


def test_the_nodes_of_many_edits_are_read_together() -> None:
    """A reader that remembers what it just read is asked for few nodes alone."""
    rng = random.Random(3)
    content = {b"%06d" % number: Leaf(ChunkId(rng.randbytes(32))) for number in range(20_000)}
    nodes = Remembering()
    store = store_with(nodes, 4)
    root = build(store, content)
    edits = {key: Leaf(ChunkId(rng.randbytes(32))) for key in rng.sample(sorted(content), 3000)}
    assert edit_tree(store, root.id, sorted(edits.items())) == build(
        store_with(MemoryNodes(), 4), content | edits
    )
    assert len(nodes.together) > 900
    assert len(nodes.alone) < 10


@given(contents, contents)
@settings(max_examples=300, deadline=None)
def test_a_diff_is_what_differs_between_two_dicts(left: dict[bytes, Leaf], right: dict[bytes, Leaf]) -> None:
    nodes = MemoryNodes()
    store = store_with(nodes)
    found = list(diff_trees(nodes, build(store, left).id, build(store, right).id))
    expected = [
        (key, left.get(key), right.get(key))
        for key in sorted(left.keys() | right.keys())
        if left.get(key) != right.get(key)
    ]
    assert [(change.key, change.left, change.right) for change in found] == expected


@given(contents, keys, keys)
@settings(max_examples=200, deadline=None)
def test_lookup_and_range_agree_with_a_sorted_dict(content: dict[bytes, Leaf], a: bytes, b: bytes) -> None:
    nodes = MemoryNodes()
    root = build(store_with(nodes), content)
    for key in (a, b, *list(content)[:5]):
        assert lookup(nodes, root.id, key) == content.get(key)
    start, stop = min(a, b), max(a, b)
    assert list(entries(nodes, root.id, start, stop)) == sorted(
        (key, value) for key, value in content.items() if start <= key < stop
    )
    assert dict(entries(nodes, root.id)) == content


@given(st.dictionaries(st.binary(min_size=32, max_size=32), st.integers(1, 9), max_size=60), st.data())
@settings(max_examples=100, deadline=None)
def test_bags_carry_counts_through_build_and_edit(content: dict[bytes, int], data: st.DataObject) -> None:
    bag = {key: Leaf(ChunkId(key), count) for key, count in content.items()}
    store = store_with(MemoryNodes())
    root = build(store, bag, counted=True)
    assert root.records == sum(content.values())
    chosen = data.draw(st.sets(st.sampled_from(sorted(bag)))) if bag else set()
    edits = {key: data.draw(st.none() | st.just(Leaf(ChunkId(key), 77))) for key in chosen}
    edited = edit_tree(store, root.id, sorted(edits.items()), counted=True)
    assert edited == build(store_with(MemoryNodes()), apply(bag, edits), counted=True)


@pytest.mark.parametrize("batch", [1, 3, 64, 1000])
def test_the_batches_in_which_entries_arrive_do_not_matter(batch: int) -> None:
    content = numbered(1000)
    expected = build(store_with(MemoryNodes(), 6), content, batch=1000)
    assert build(store_with(MemoryNodes(), 6), content, batch=batch) == expected


def test_one_change_in_a_large_tree_rewrites_one_path() -> None:
    nodes = MemoryNodes()
    store = store_with(nodes, 6)
    content = numbered(20_000)
    root = build(store, content)
    nodes.writes = nodes.reads = 0
    edited = edit_tree(store, root.id, [(b"\0\0\0\0\0\0\x20\x01", leaf(999_999))])
    assert nodes.writes <= 4
    assert nodes.reads <= 12
    nodes.reads = 0
    assert len(list(diff_trees(nodes, root.id, edited.id))) == 1
    assert nodes.reads <= 12


def test_keys_that_never_are_candidates_still_close_nodes() -> None:
    nodes = MemoryNodes()
    store = store_with(nodes, 7)
    hostile = [
        key
        for key in (number.to_bytes(8, "big") for number in range(40_000))
        if not store.boundary.candidates(0, [key])
    ][:3000]
    content = {key: leaf(at) for at, key in enumerate(hostile)}
    root = build(store, content)
    assert all(len(parse_node(plain).keys) <= MAX_NODE_ENTRIES for plain in nodes.plain.values())
    victim = hostile[0]
    edited = edit_tree(store, root.id, [(victim, None)])
    del content[victim]
    assert edited == build(store_with(MemoryNodes(), 7), content)


def test_random_batches_over_a_long_life_agree_with_a_build() -> None:
    rng = random.Random(7)
    store = store_with(MemoryNodes(), 5)
    content = numbered(3000)
    root = build(store, content)
    for _ in range(60):
        edits: dict[bytes, Leaf | None] = {}
        for _ in range(rng.choice((1, 5, 200))):
            key = rng.randrange(4000).to_bytes(8, "big")
            edits[key] = leaf(rng.randrange(10**6)) if rng.random() < 0.7 else None
        content = apply(content, edits)
        root = edit_tree(store, root.id, sorted(edits.items()))
        assert root == build(store_with(MemoryNodes(), 5), content, batch=500)


def test_unsorted_input_is_refused() -> None:
    store = store_with(MemoryNodes())
    builder = TreeBuilder(store.writer, store.boundary)
    builder.add([b"b"], [bytes(32)])
    with pytest.raises(ValueError, match="ascend"):
        builder.add([b"a"], [bytes(32)])
    with pytest.raises(ValueError, match="ascend"):
        TreeBuilder(store.writer, store.boundary).add([b"a", b"a"], [bytes(32)] * 2)
    root = build(store, numbered(3))
    with pytest.raises(ValueError, match="ascend"):
        edit_tree(store, root.id, [(b"b", leaf(1)), (b"a", leaf(2))])
