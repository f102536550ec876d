"""A table that is checked column by column says what checking frame by frame says."""

import struct
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cas.errors import CasError, CorruptData
from cas.format.frame import Encoding, Frame, check_frame, frame_encoding, frame_kind
from cas.format.frame_table import FrameTable, check_lengths
from cas.format.malformed import malformed
from cas.ids import ChunkId, ChunkKind
from cas.limits import (
    LARGE_VALUE_BYTES,
    MAX_CHUNK_BYTES,
    MAX_DELTA_BASES,
    MAX_DELTA_DEPTH,
    MAX_FRAME_BYTES,
    MAX_FRAME_CHUNKS,
)
from tests.format.strategies import trailers

Row = tuple[int, int, int, int, int, int, int]
IDS = tuple(ChunkId(bytes((number,)) * 32) for number in range(4))


def one_by_one(rows: Sequence[Row], references: Sequence[int], bases: Sequence[ChunkId]) -> list[Frame]:
    """What FORMAT.md says, in its order."""
    first = list(dict.fromkeys(references))
    if first != list(range(len(bases))) or len(set(bases)) != len(bases):
        raise malformed("bases are not listed once each in order of first use")
    frames, at = [], 0
    for kind, encoding, depth, count, chunks, stored, plain in rows:
        used = tuple(bases[number] for number in references[at : at + count])
        if len(used) != count:
            raise malformed("frame with more bases than are listed")
        at += count
        frame = Frame(frame_kind(kind), frame_encoding(encoding), depth, chunks, stored, plain, used)
        frames.append(check_frame(frame))
    if at != len(references):
        raise malformed("base references that no frame uses")
    return frames


def around(*limits: int) -> st.SearchStrategy[int]:
    return st.sampled_from(sorted({0, 1, 2, *(limit + more for limit in limits for more in (0, 1))}))


ROWS = st.tuples(
    st.sampled_from([*map(int, ChunkKind), 0, 99]),
    st.sampled_from([*map(int, Encoding), 4]),
    around(MAX_DELTA_DEPTH),
    st.sampled_from([0, 1, 1, 2, 3, MAX_DELTA_BASES + 1]),
    around(MAX_FRAME_CHUNKS),
    around(MAX_FRAME_BYTES),
    around(MAX_FRAME_BYTES),
)
SOUND = st.sampled_from(
    [
        (int(ChunkKind.RECORD), int(Encoding.ZSTD), 0, 0, 1, 5, 7),
        (int(ChunkKind.RECORD), int(Encoding.RAW), 0, 0, 2, 7, 7),
        (int(ChunkKind.NODE), int(Encoding.ZSTD_DELTA), 1, 1, 1, 5, 7),
        (int(ChunkKind.NODE), int(Encoding.ZSTD_DELTA), 2, 2, 1, 5, 7),
        (int(ChunkKind.RECORD), int(Encoding.ZSTD_DICTIONARY), 0, 1, 3, 5, 7),
    ]
)


@given(
    st.lists(SOUND, max_size=6),
    st.lists(ROWS | SOUND, min_size=1, max_size=3),
    st.lists(st.integers(0, 3), max_size=12),
    st.integers(0, 4),
)
@settings(max_examples=1500, deadline=None)
def test_the_verdict_is_that_of_each_frame(
    sound: list[Row], more: list[Row], drawn: list[int], listed: int
) -> None:
    rows = [*sound, *more]
    wanted = sum(row[3] for row in rows)
    numbering: dict[int, int] = {}
    references = [numbering.setdefault(one, len(numbering)) for one in (drawn * 20)[:wanted]]
    bases = IDS[: len(numbering)] if listed < 4 else IDS[:3]
    packed = b"".join(struct.pack("<BBBBIII", *row) for row in rows)
    try:
        expected: object = one_by_one(rows, references, bases)
    except CasError as error:
        expected = (type(error), error.what)
    try:
        found: object = list(FrameTable(packed, struct.pack(f"<{len(references)}I", *references), bases))
    except CasError as error:
        found = (type(error), error.what)
    assert found == expected


@given(trailers())
def test_frames_are_had_one_by_one_as_together(trailer: object) -> None:
    table: FrameTable = trailer.frames  # type: ignore[attr-defined]
    every = list(table)
    assert [table[at] for at in range(len(table))] == every == table[:]
    assert table[::-2] == every[::-2]
    assert table[-1] == every[-1]
    assert FrameTable.of(every) == table
    assert table.column("plain").tolist() == [frame.plain_length for frame in every]
    with pytest.raises(IndexError):
        table[len(table)]


def lengths(*numbers: int) -> bytes:
    return np.array(numbers, dtype="<u4").tobytes()


@pytest.mark.parametrize("kind", [ChunkKind.RECORD, ChunkKind.PIECE, ChunkKind.NODE])
def test_no_chunk_is_longer_than_its_kind_may_be(kind: ChunkKind) -> None:
    longest = MAX_CHUNK_BYTES if kind is ChunkKind.NODE else LARGE_VALUE_BYTES
    for length in (longest, longest + 1):
        if length <= MAX_FRAME_BYTES:
            table = FrameTable.of([Frame(kind, Encoding.ZSTD, 0, 1, 9, length)])
            if length == longest:
                check_lengths(table, lengths(length), "")
            else:
                with pytest.raises(CorruptData, match=f"chunk of {length} bytes"):
                    check_lengths(table, lengths(length), "")


def test_lengths_add_up_frame_by_frame() -> None:
    table = FrameTable.of([Frame(ChunkKind.NODE, Encoding.ZSTD, 0, 2, 9, 30) for _ in range(2)])
    check_lengths(table, lengths(10, 20, 30, 0), "")
    for wrong in ((10, 20, 31, 0), (10, 10, 40, 0), (10, 20, 10, 20, 0), (10, 20, 30)):
        with pytest.raises(CorruptData, match=r"add up|differ in number"):
            check_lengths(table, lengths(*wrong), "")
