"""The frames of a pack as its trailer lists them, checked column by column and made one by one when asked.

A full pack has two thousand of them, a large repository thousands of packs, and whoever looks for some
records wants a few frames of each.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

from cas.format.frame import (
    KNOWN_ENCODINGS,
    KNOWN_KINDS,
    Encoding,
    Frame,
    check_frame,
    frame_encoding,
    frame_kind,
)
from cas.format.malformed import malformed, over_limit
from cas.ids import ChunkId, ChunkKind
from cas.limits import (
    LARGE_VALUE_BYTES,
    MAX_CHUNK_BYTES,
    MAX_DELTA_BASES,
    MAX_DELTA_DEPTH,
    MAX_FRAME_BYTES,
    MAX_FRAME_CHUNKS,
)

_ROW = struct.Struct("<BBBBIII")
ROW_BYTES = _ROW.size
_ROWS = np.dtype(
    [
        ("kind", "u1"),
        ("encoding", "u1"),
        ("depth", "u1"),
        ("bases", "u1"),
        ("chunks", "<u4"),
        ("stored", "<u4"),
        ("plain", "<u4"),
    ]
)
_CUT_KINDS = (ChunkKind.RECORD, ChunkKind.PIECE)
"""Kinds whose values are cut into pieces above LARGE_VALUE_BYTES, so that no chunk is longer."""

Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class FrameTable(Sequence[Frame]):
    """Checked frames. `rows`, `references` and `bases` are the trailer's tables."""

    __slots__ = ("_first_base", "_rows", "bases", "references", "rows")

    def __init__(self, rows: bytes, references: bytes, bases: Sequence[ChunkId], where: str = "") -> None:
        """CorruptData or Unsupported, by the first frame that breaks a rule."""
        self.rows = rows
        self.references = references
        self.bases = tuple(bases)
        self._rows = np.frombuffer(rows, dtype=_ROWS)
        ends = np.cumsum(self.column("bases"))
        self._first_base = ends - self.column("bases")
        numbers = np.frombuffer(references, dtype="<u4").astype(np.int64)
        _check_bases(numbers, self.bases, where)
        broken = np.flatnonzero(self._broken(numbers, ends))
        if len(broken):
            at = int(broken[0])
            if ends[at] > len(numbers):
                raise malformed("frame with more bases than are listed", where)
            check_frame(self._frame(self._rows[at].item(), int(self._first_base[at]), where), where)
            raise malformed("frame that no rule allows", where)
        if len(numbers) != self.column("bases").sum():
            raise malformed("base references that no frame uses", where)

    @classmethod
    def of(cls, frames: Sequence[Frame]) -> "FrameTable":
        """These frames; what breaks a rule raises as when it is read."""
        numbers: dict[ChunkId, int] = {}
        rows, references = bytearray(), bytearray()
        for frame in frames:
            check_frame(frame)
            for base in frame.bases:
                references += struct.pack("<I", numbers.setdefault(base, len(numbers)))
            lengths = frame.chunks, frame.stored_length, frame.plain_length
            rows += _ROW.pack(frame.kind, frame.encoding, frame.depth, len(frame.bases), *lengths)
        return cls(bytes(rows), bytes(references), tuple(numbers))

    def column(self, name: str) -> Numbers:
        """A number of each frame: kind, encoding, depth, bases and chunks (how many), stored and plain
        (bytes)."""
        return self._rows[name].astype(np.int64)

    def dictionaries(self) -> set[ChunkId]:
        """Those that frames were made with."""
        first = self._first_base[self._rows["encoding"] == Encoding.ZSTD_DICTIONARY]
        if not len(first):
            return set()
        numbers = np.frombuffer(self.references, dtype="<u4")[first]
        return {self.bases[number] for number in set(numbers.tolist())}

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, at: int) -> Frame: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Frame]: ...
    def __getitem__(self, at: int | slice) -> Frame | Sequence[Frame]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        return self._frame(self._rows[at].item(), int(self._first_base[at]))

    def __iter__(self) -> Iterator[Frame]:
        return map(self._frame, self._rows.tolist(), self._first_base.tolist())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FrameTable):
            return NotImplemented
        return (self.rows, self.references, self.bases) == (other.rows, other.references, other.bases)

    def _frame(self, row: tuple[int, ...], first: int, where: str = "") -> Frame:
        kind, encoding, depth, count, chunks, stored, plain = row
        bases: tuple[ChunkId, ...] = ()
        if count:
            used = struct.unpack_from(f"<{count}I", self.references, first * 4)
            bases = tuple([self.bases[number] for number in used])
        return Frame(
            frame_kind(kind, where), frame_encoding(encoding, where), depth, chunks, stored, plain, bases
        )

    def _broken(self, references: Numbers, ends: Numbers) -> Mask:
        """The frames that break a rule of `check_frame`, or name more bases than there are."""
        kind, encoding, depth = self._rows["kind"], self._rows["encoding"], self._rows["depth"]
        bases, chunks = self._rows["bases"], self._rows["chunks"]
        stored, plain = self._rows["stored"], self._rows["plain"]
        is_raw, is_delta = encoding == Encoding.RAW, encoding == Encoding.ZSTD_DELTA
        with_dictionary = encoding == Encoding.ZSTD_DICTIONARY
        broken: Mask = ~KNOWN_KINDS[kind] | ~KNOWN_ENCODINGS[encoding]
        broken |= (chunks > MAX_FRAME_CHUNKS) | (chunks == 0)
        broken |= (plain > MAX_FRAME_BYTES) | (stored > MAX_FRAME_BYTES)
        broken |= (depth > MAX_DELTA_DEPTH) | (bases > MAX_DELTA_BASES)
        broken |= np.where(is_raw, stored != plain, plain == 0)
        broken |= (kind == ChunkKind.DICTIONARY) & (with_dictionary | is_delta)
        broken |= np.where(is_delta, (bases == 0) | (depth == 0), (depth > 0) | (bases != with_dictionary))
        broken |= ends > len(references)
        broken[_with_a_base_twice(references, self._rows["bases"])] = True
        return broken


def _check_bases(references: Numbers, bases: Sequence[ChunkId], where: str) -> None:
    known, first = np.unique(references, return_index=True)
    if (
        len(known) != len(bases)
        or not np.array_equal(known, np.arange(len(bases)))
        or not np.all(np.diff(first) > 0)
        or len(set(bases)) != len(bases)
    ):
        raise malformed("bases are not listed once each in order of first use", where)


def _with_a_base_twice(references: Numbers, counts: npt.NDArray[np.uint8]) -> Numbers:
    """Numbers of the frames that refer to a base more than once."""
    if int(counts.max(initial=0)) < 2:
        return np.zeros(0, np.int64)
    owners = np.repeat(np.arange(len(counts)), counts)[: len(references)]
    order = np.lexsort((references[: len(owners)], owners))
    owners, used = owners[order], references[: len(owners)][order]
    twice: Numbers = owners[1:][(owners[1:] == owners[:-1]) & (used[1:] == used[:-1])]
    return twice


def check_lengths(frames: FrameTable, lengths: bytes, where: str) -> None:
    """The lengths of a frame's chunks add up to its own, and none is longer than its kind may be."""
    numbers = np.frombuffer(lengths, dtype="<u4").astype(np.int64)
    chunks = frames.column("chunks")
    if int(chunks.sum()) != len(numbers):
        raise malformed("chunks of the frames and of the pack differ in number", where)
    first = np.cumsum(chunks) - chunks
    if not np.array_equal(np.add.reduceat(numbers, first), frames.column("plain")):
        raise malformed("lengths of chunks do not add up to their frame's", where)
    is_cut = np.isin(frames.column("kind"), _CUT_KINDS)
    longest = np.maximum.reduceat(numbers, first)
    too_long = longest[longest > np.where(is_cut, LARGE_VALUE_BYTES, MAX_CHUNK_BYTES)]
    if len(too_long):
        raise over_limit(f"chunk of {int(too_long[0])} bytes", where)
