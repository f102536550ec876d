"""Looking up in many trees at once is looking up in each, at the cost of what differs."""

import random
from collections.abc import Mapping, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from cas.errors import CorruptData
from cas.format.node import encode_node, parse_node
from cas.ids import ChunkId
from cas.tree.edit import edit_tree
from cas.tree.lookups import ReadNodes, lookup_in_many
from cas.tree.nodes import Leaf
from cas.tree.reading import lookup
from tests.tree.memory_nodes import MemoryNodes, build, leaf, store_with

keys = st.integers(0, 200).map(lambda number: number.to_bytes(2, "big"))
contents = st.dictionaries(keys, st.builds(leaf, st.integers(0, 20), is_large=st.booleans()), max_size=80)
edits_of_one = st.dictionaries(keys, st.none() | st.builds(leaf, st.integers(0, 20)), max_size=20)
chains = st.lists(edits_of_one, max_size=8)


def read_from(nodes: MemoryNodes, asked: list[ChunkId] | None = None) -> ReadNodes:
    """Reads the bytes of nodes; `asked` takes down which."""

    def read(ids: Sequence[ChunkId]) -> Sequence[bytes]:
        if asked is not None:
            asked.extend(ids)
        missing = [node_id for node_id in ids if node_id not in nodes.plain]
        if missing:
            raise CorruptData("node is missing", kind="missing", where=missing[0].hex())
        return [nodes.plain[node_id] for node_id in ids]

    return read


def grown(nodes: MemoryNodes, versions: int, records: int = 3000) -> list[ChunkId]:
    """The roots of a tree that changes a little from version to version."""
    rng = random.Random(11)
    store = store_with(nodes, 4)
    roots = [build(store, {key(number): leaf(number) for number in range(records)}).id]
    for version in range(1, versions):
        chosen = sorted(rng.sample(range(records), 3))
        edits = [(key(number), leaf(10_000 * version + number)) for number in chosen]
        roots.append(edit_tree(store, roots[-1], edits).id)
    return roots


def key(number: int) -> bytes:
    return number.to_bytes(8, "big")


def answers(nodes: MemoryNodes, places: Sequence[tuple[ChunkId, bytes]]) -> dict[object, object]:
    """What one lookup after another gives; an error is told by its kind."""
    found: dict[object, object] = {}
    for root, wanted in places:
        try:
            found[root, wanted] = lookup(nodes, root, wanted)
        except CorruptData as error:
            found[root, wanted] = error.kind
    return found


def told(found: Mapping[tuple[ChunkId, bytes], object]) -> dict[object, object]:
    return {place: one.kind if isinstance(one, CorruptData) else one for place, one in found.items()}


@given(contents, chains, st.lists(keys, min_size=1, max_size=4), st.integers(1, 4))
@settings(max_examples=200, deadline=None)
def test_it_finds_what_one_lookup_after_another_finds(
    content: dict[bytes, Leaf], chain: list[dict[bytes, Leaf | None]], wanted: list[bytes], bits: int
) -> None:
    nodes = MemoryNodes()
    store = store_with(nodes, bits)
    roots = [build(store, content).id]
    for edits in chain:
        roots.append(edit_tree(store, roots[-1], sorted(edits.items())).id)
    places = [(root, one) for root in roots for one in wanted]
    assert told(lookup_in_many(read_from(nodes), places)) == answers(nodes, places)


def test_no_node_is_read_twice_and_equal_roots_cost_nothing() -> None:
    nodes = MemoryNodes()
    roots = grown(nodes, 100)
    asked: list[ChunkId] = []
    found = lookup_in_many(read_from(nodes, asked), [(root, key(1234)) for root in [*roots, *roots]])
    assert len(found) == len(set(roots))
    assert len(asked) == len(set(asked))
    leaves_read = sum(parse_node(nodes.plain[node_id]).level == 0 for node_id in asked)
    assert leaves_read < 10, "most versions share the leaf"


def test_a_tree_that_becomes_part_of_a_higher_one_is_read_once() -> None:
    nodes = MemoryNodes()
    store = store_with(nodes, 2)
    small = build(store, {key(number): leaf(number) for number in range(40)}).id
    height = parse_node(nodes.plain[small]).level
    large = edit_tree(store, small, [(key(number), leaf(number)) for number in range(40, 900)]).id
    assert parse_node(nodes.plain[large]).level > height
    places = [(small, key(3)), (large, key(3))]
    expected = answers(nodes, places)
    asked: list[ChunkId] = []
    assert told(lookup_in_many(read_from(nodes, asked), places)) == expected
    assert len(asked) == len(set(asked))


def test_a_damaged_node_hides_only_what_lies_under_it() -> None:
    nodes = MemoryNodes()
    roots = grown(nodes, 60)
    rng = random.Random(5)
    for lost in (roots[7], roots[40], rng.choice(sorted(nodes.plain)), rng.choice(sorted(nodes.plain))):
        nodes.plain.pop(lost, None)
    places = [(root, key(number)) for root in roots for number in range(0, 3000, 173)]
    expected = answers(nodes, places)
    assert told(lookup_in_many(read_from(nodes), places)) == expected
    assert expected[roots[7], key(0)] == "missing"
    assert any(isinstance(one, Leaf) for one in expected.values())


def test_levels_that_do_not_descend_by_one_are_no_tree() -> None:
    nodes = MemoryNodes()
    bottom = nodes.put_node(encode_node(0, [b"k"], [leaf(1).id]), 0, b"k")
    top = nodes.put_node(encode_node(3, [b"k"], [bottom], [1]), 3, b"k")
    right = nodes.put_node(encode_node(1, [b"k"], [bottom], [1]), 1, b"k")
    found = told(lookup_in_many(read_from(nodes), [(top, b"k"), (right, b"k")]))
    assert found == {(top, b"k"): "malformed", (right, b"k"): leaf(1)}


def test_nothing_to_look_for() -> None:
    assert lookup_in_many(read_from(MemoryNodes()), []) == {}
