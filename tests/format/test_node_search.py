"""The way through an upper node is the same in its bytes and in its parsed entries."""

from bisect import bisect_left
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cas.errors import CorruptData
from cas.format.node import Node, encode_node, parse_node
from cas.format.node_search import child_for
from cas.ids import ChunkId

some_keys = st.lists(
    st.binary(max_size=6) | st.binary(min_size=8, max_size=8) | st.integers(120, 135).map(lambda n: b"k" * n),
    min_size=1,
    max_size=256,
    unique=True,
).map(sorted)


def encoded(level: int, keys: list[bytes]) -> bytes:
    ids = [number.to_bytes(32, "big") for number in range(len(keys))]
    return encode_node(level, keys, ids, range(1, len(keys) + 1))


def child_in(node: Node, key: bytes) -> ChunkId | None:
    position = bisect_left(node.keys, key)
    return None if position == len(node.keys) else node.ids[position]


@given(some_keys, st.binary(max_size=9), st.integers(1, 9), st.data())
def test_the_child_is_the_one_that_parsing_finds(
    keys: list[bytes], other: bytes, level: int, data: st.DataObject
) -> None:
    plain = encoded(level, keys)
    for key in (other, data.draw(st.sampled_from(keys)), keys[0], keys[-1], keys[-1] + b"x"):
        found = child_for(plain, key)
        if found is None:
            assert max(map(len, keys)) >= 128
        else:
            assert found == (level, child_in(parse_node(plain), key))


@pytest.mark.parametrize("size", [1, 2, 127, 128, 129, 255, 256])
def test_nodes_of_every_size_are_searched_without_parsing(size: int) -> None:
    keys = [number.to_bytes(8, "big") for number in range(0, 3 * size, 3)]
    plain = encoded(1, keys)
    for number in (0, 1, 3 * size - 3, 3 * size - 2):
        key = number.to_bytes(8, "big")
        assert child_for(plain, key) == (1, child_in(parse_node(plain), key))


def test_everything_else_is_left_to_parsing() -> None:
    plain = encoded(1, [b"a", b"b"])
    assert child_for(encode_node(0, [b"a"], [bytes(32)]), b"a") is None, "a leaf"
    assert child_for(encode_node(0, (), ()), b"a") is None, "an empty tree"
    for at, byte in ((0, 2), (1, 200), (2, 5), (3, 1)):
        assert child_for(plain[:at] + bytes((byte,)) + plain[at + 1 :], b"a") is None


@given(st.binary(max_size=200), st.binary(max_size=4))
def test_bytes_that_are_no_node_raise_nothing_but_our_errors(data: bytes, key: bytes) -> None:
    for plain in (data, b"\x01\x01\x01\x00" + data):
        with suppress(CorruptData):
            child_for(plain, key)


def test_a_node_that_ends_too_early_is_truncated() -> None:
    plain = encoded(1, [b"a", b"b"])
    with pytest.raises(CorruptData) as caught:
        child_for(plain[:40], b"a", "here")
    assert (caught.value.kind, caught.value.where) == ("truncated", "here")
