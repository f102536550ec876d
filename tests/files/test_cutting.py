"""Where files are cut: pieces make the content, are neither small nor large, and depend on content alone."""

import io
import random

import hypothesis.strategies as st
from blake3 import blake3
from hypothesis import given, settings

from cas.files.cutting import MIN_BYTES, cut
from cas.limits import LARGE_VALUE_BYTES, MIB
from cas.records.files import PIECE_BYTES


def pieces_of(content: bytes, portions: random.Random | None = None) -> list[bytes]:
    """Cut, read at once or in portions of any size."""
    stream = io.BytesIO(content)

    def read_into(buffer: memoryview) -> int:
        most = len(buffer) if portions is None else portions.randint(1, len(buffer))
        return stream.readinto(buffer[:most])

    return list(cut(read_into))


contents = st.builds(
    lambda seed, size, alphabet: (
        bytes(random.Random(seed).choices(range(alphabet), k=997)) * (size // 997)
        if alphabet < 200
        else random.Random(seed).randbytes(size)
    ),
    st.integers(0, 2**32),
    st.integers(PIECE_BYTES, 4 * MIB),
    st.sampled_from((1, 2, 30, 256)),
)


@settings(max_examples=15, deadline=None)
@given(contents, st.integers(0, 2**32))
def test_pieces_make_the_content_within_their_bounds_however_it_is_read(content: bytes, seed: int) -> None:
    pieces = pieces_of(content)
    assert b"".join(pieces) == content
    assert all(MIN_BYTES <= len(piece) <= PIECE_BYTES for piece in pieces[:-1])
    assert 0 < len(pieces[-1]) <= PIECE_BYTES
    assert pieces_of(content, random.Random(seed)) == pieces


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 3 * MIB))
def test_cuts_do_not_depend_on_what_lies_before_the_one_before(seed: int, begin: int) -> None:
    """After a common cut all cuts are common."""
    content = random.Random(seed).randbytes(5 * MIB)
    whole, offset = [], 0
    for piece in pieces_of(content):
        whole.append((offset, piece))
        offset += len(piece)
    start = next(at for at, _ in whole if at >= min(begin, whole[-1][0]))
    assert pieces_of(content[start:]) == [piece for at, piece in whole if at >= start]


def test_a_piece_is_one_chunk() -> None:
    assert PIECE_BYTES <= LARGE_VALUE_BYTES


def test_cuts_are_those_of_all_releases() -> None:
    """Other cuts would store every large file once more. If this fails after an update of the library, keep
    the old release of it."""
    pieces = pieces_of(blake3(b"cuts").digest(length=4 * MIB))
    assert [len(piece) for piece in pieces] == [958917, 394299, 1048576, 540290, 399139, 539125, 313958]
