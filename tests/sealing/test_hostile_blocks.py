"""Sealed objects of any size come back; whatever is done to their blocks loses these blocks, and no other."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cas.limits import SEALED_BLOCK_BYTES as BLOCK
from cas.sealing.blocks import OVERHEAD_BYTES, Sealer, sealed_size
from cas.sealing.blocks import PLAIN_BLOCK_BYTES as ROOM

NAME = "packs/5f/" + "5f" * 32
KEYS = (bytes([1]) * 32, bytes([2]) * 32)
REPOSITORY = bytes(range(16))
SEALER = Sealer(REPOSITORY, KEYS, random.Random(3).randbytes)
BYTES = random.Random(4).randbytes(4 * ROOM)

sizes = st.builds(
    lambda blocks, more: max(0, blocks * ROOM + more), st.integers(0, 3), st.integers(-40, 40)
) | st.integers(0, 3 * ROOM)


def parts(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)] or [b""]


@given(sizes)
@settings(max_examples=150, deadline=None)
def test_what_was_sealed_is_opened(size: int) -> None:
    sealed = SEALER.seal(NAME, BYTES[:size])
    opened = SEALER.open_blocks(NAME, 0, sealed, is_end=True)
    assert (opened.join(), opened.lost) == (BYTES[:size], 0)
    assert len(sealed) == sealed_size(size)


@given(sizes, st.data())
@settings(max_examples=100, deadline=None)
def test_blocks_open_alone(size: int, data: st.DataObject) -> None:
    blocks = parts(SEALER.seal(NAME, BYTES[:size]), BLOCK)
    first = data.draw(st.integers(0, len(blocks) - 1))
    behind = data.draw(st.integers(first + 1, len(blocks)))
    part = b"".join(blocks[first:behind])
    opened = SEALER.open_blocks(NAME, first, part, is_end=behind == len(blocks))
    assert (opened.join(), opened.lost) == (BYTES[:size][first * ROOM : behind * ROOM], 0)


@given(sizes, st.data())
@settings(max_examples=200, deadline=None)
def test_a_flipped_bit_loses_the_block_in_which_it_lies(size: int, data: st.DataObject) -> None:
    sealed = bytearray(SEALER.seal(NAME, BYTES[:size]))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= 1 << data.draw(st.integers(0, 7))
    expected = parts(BYTES[:size], ROOM)
    expected[at // BLOCK] = bytes(len(expected[at // BLOCK]))
    opened = SEALER.open_blocks(NAME, 0, bytes(sealed), is_end=True)
    assert (opened.join(), opened.lost) == (b"".join(expected), 1)


@given(st.integers(1, 4), st.data())
@settings(max_examples=200, deadline=None)
def test_blocks_open_at_their_places_alone(count: int, data: st.DataObject) -> None:
    """Exchanged, left out, doubled: `order` is what lies there."""
    blocks = parts(SEALER.seal(NAME, BYTES[: count * ROOM]), BLOCK)
    order: Sequence[int] = data.draw(
        st.permutations(range(count)) | st.lists(st.integers(0, count - 1), max_size=count + 1)
    )
    opened = SEALER.open_blocks(NAME, 0, b"".join(blocks[one] for one in order), is_end=True)
    good = [
        one == place and (place == len(order) - 1) == (one == count - 1) for place, one in enumerate(order)
    ]
    assert opened.lost == (good.count(False) or not order)
    assert opened.join() == b"".join(
        BYTES[place * ROOM : (place + 1) * ROOM] if is_good else bytes(ROOM)
        for place, is_good in enumerate(good)
    )
    assert (opened.lost == 0) == (list(order) == list(range(count)))


@given(sizes, st.data())
@settings(max_examples=150, deadline=None)
def test_an_object_that_ends_early_is_noticed(size: int, data: st.DataObject) -> None:
    sealed = SEALER.seal(NAME, BYTES[:size])
    borders = st.sampled_from(range(0, len(sealed), BLOCK))
    end = data.draw(borders | st.integers(0, len(sealed) - 1))
    opened = SEALER.open_blocks(NAME, 0, sealed[:end], is_end=True)
    assert opened.lost == 1
    whole = max(0, end - 1) // BLOCK * ROOM
    assert opened.join()[:whole] == BYTES[:whole]


@given(sizes, st.integers(1, 3 * OVERHEAD_BYTES))
@settings(max_examples=100, deadline=None)
def test_bytes_behind_the_end_are_noticed(size: int, more: int) -> None:
    sealed = SEALER.seal(NAME, BYTES[:size]) + bytes(more)
    assert SEALER.open_blocks(NAME, 0, sealed, is_end=True).lost >= 1


def test_an_object_without_a_block_is_no_empty_object() -> None:
    assert SEALER.open_blocks(NAME, 0, b"", is_end=True).lost == 1
    assert SEALER.open_blocks(NAME, 0, SEALER.seal(NAME, b""), is_end=True).lost == 0


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (Sealer(REPOSITORY, KEYS), "packs/5e/" + "5e" * 32),
        (Sealer(bytes(16), KEYS), NAME),
        (Sealer(REPOSITORY, KEYS[:1]), NAME),
        (Sealer(REPOSITORY, KEYS[::-1]), NAME),
    ],
    ids=["name", "repository", "lacks-the-key", "other-key"],
)
def test_blocks_open_for_their_object_repository_and_key_alone(other: Sealer, name: str) -> None:
    sealed = SEALER.seal(NAME, BYTES[: ROOM + 5])
    opened = other.open_blocks(name, 0, sealed, is_end=True)
    assert (opened.join(), opened.lost) == (bytes(ROOM + 5), 2)
