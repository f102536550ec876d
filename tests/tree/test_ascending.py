"""Looking up many keys at once, and finding what a tree has and a stream of keys has not."""

from hypothesis import given, settings
from hypothesis import strategies as st

from cas.tree.nodes import Leaf
from cas.tree.reading import entries_without, lookup, lookup_ascending
from tests.tree.memory_nodes import MemoryNodes, build, store_with
from tests.tree.test_tree import contents, keys


@given(contents, st.sets(keys, max_size=60), st.integers(1, 5))
@settings(max_examples=200, deadline=None)
def test_many_keys_are_found_as_one_by_one(content: dict[bytes, Leaf], wanted: set[bytes], bits: int) -> None:
    nodes = MemoryNodes()
    root = build(store_with(nodes, bits), content)
    asked = sorted(wanted | set(list(content)[::3]))
    found = lookup_ascending(nodes, root.id, asked)
    assert found == [lookup(nodes, root.id, key) for key in asked]
    assert found == [content.get(key) for key in asked]


@given(contents, st.data(), st.integers(1, 5), st.integers(1, 7))
@settings(max_examples=200, deadline=None)
def test_what_a_stream_of_keys_lacks(
    content: dict[bytes, Leaf], data: st.DataObject, bits: int, run: int
) -> None:
    nodes = MemoryNodes()
    root = build(store_with(nodes, bits), content)
    gone = data.draw(st.sets(st.sampled_from(sorted(content)))) if content else set()
    more = data.draw(st.sets(keys, max_size=5))
    there = sorted((set(content) - gone) | more)
    runs = [there[at : at + run] for at in range(0, len(there), run)]
    missing = [(key, content[key]) for key in sorted(gone - more)]
    assert list(entries_without(nodes, root.id, runs)) == missing
