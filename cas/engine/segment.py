"""A segment of the chunk index: sorted arrays in one immutable, memory-mapped file.

    8 bytes   magic
    u64       number of chunks n, u64 number of packs p, u64 number of needs m
    32 bytes  BLAKE3-256 of all that follows
    p x 32    names of the packs
    n x u64   first half of the short ids, ascending      n x u64   their second half
    m x u64   first half of a needed short id             m x u64   its second half
    n x u32   pack (row above)    n x u32   chunk in the pack    n x u32   its share of stored bytes
    m x u32   pack that needs it
    n x u8    length of the chain of deltas that leads to the chunk
    m x u8    the chunk that is needed must have a shorter chain than this

A need is a chunk without which some frame of a pack cannot be decoded: a dictionary, a delta's base.
Little-endian. It is a cache of pack trailers and can be thrown away at any time; a file that is not
what its header says is thrown away by whoever opens it, since a wrong index could take a chunk for
stored that is not.
"""

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from cas.format.frame import Frame
from cas.format.pack import Trailer
from cas.ids import SHORT_ID_BYTES, PackName

MAGIC = b"CASIDX3\n"
_HEAD = struct.Struct("<8sQQQ32s")
_CHUNK_BYTES = 8 + 8 + 4 + 4 + 4 + 1
_NEED_BYTES = 8 + 8 + 4 + 1
TRAILER_SHARE = 20
"""Bytes of a trailer that belong to each chunk, added to its share of the stored bytes."""

U64: TypeAlias = npt.NDArray[np.uint64]
U32: TypeAlias = npt.NDArray[np.uint32]
U8: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Rows:
    """The arrays of a segment, row by row: sorted by `high`."""

    high: U64
    low: U64
    pack: U32
    ordinal: U32
    share: U32
    depth: U8

    def __len__(self) -> int:
        return len(self.high)

    def take(self, order: npt.NDArray[np.intp]) -> "Rows":
        return Rows(
            self.high[order],
            self.low[order],
            self.pack[order],
            self.ordinal[order],
            self.share[order],
            self.depth[order],
        )


@dataclass(frozen=True, slots=True)
class Needs:
    """What packs need to be decoded, in any order. A frame of depth d needs bases of depth below d; for
    a dictionary `below` is 1, since nothing stands on one that is itself a delta."""

    high: U64
    low: U64
    pack: U32
    below: U8

    def __len__(self) -> int:
        return len(self.high)


@dataclass(frozen=True, slots=True)
class Segment:
    """Some packs, the places of all their chunks, and what they need. `path` is None for one that lives
    in memory."""

    packs: tuple[PackName, ...]
    rows: Rows
    needs: Needs
    path: Path | None = None


def halves(short_ids: bytes) -> tuple[U64, U64]:
    """The two halves of packed short ids as numbers that sort the same way everywhere."""
    pairs = np.frombuffer(short_ids, dtype="<u8").reshape(-1, 2)
    return np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])


def _rows_of_pack(trailer: Trailer, pack: int = 0) -> Rows:
    """The rows of one pack, sorted."""
    high, low = halves(trailer.short_ids)
    count = len(high)
    lengths = np.frombuffer(trailer.lengths, dtype="<u4").astype(np.float64)
    per_frame = np.array([frame.chunks for frame in trailer.frames], dtype=np.intp)
    ratio = np.array(
        [frame.stored_length / max(frame.plain_length, 1) for frame in trailer.frames], dtype=np.float64
    )
    share = np.ceil(lengths * np.repeat(ratio, per_frame)).astype(np.uint32) + np.uint32(TRAILER_SHARE)
    depth = np.repeat(np.array([frame.depth for frame in trailer.frames], dtype=np.uint8), per_frame)
    ordinal = np.arange(count, dtype=np.uint32)
    rows = Rows(high, low, np.full(count, pack, dtype=np.uint32), ordinal, share, depth)
    return rows.take(np.argsort(high, kind="stable"))


def segment_of_pack(name: PackName, trailer: Trailer) -> Segment:
    """One pack."""
    bases = sorted({need for frame in trailer.frames for need in needs_of(frame)})
    high, low = halves(b"".join([base for base, _ in bases]))
    below = np.array([below for _, below in bases], dtype=np.uint8)
    needs = Needs(high, low, np.zeros(len(bases), dtype=np.uint32), below)
    return Segment((name,), _rows_of_pack(trailer), needs)


def needs_of(frame: Frame) -> list[tuple[bytes, int]]:
    """The short ids of what a frame needs, and below which depth it must be found."""
    return [(base[:SHORT_ID_BYTES], max(frame.depth, 1)) for base in frame.bases]


def merge(segments: Sequence[Segment]) -> Segment:
    """One segment with the rows of all. Column by column, so that few are in memory twice."""
    segments = _without_repeated(segments)
    names = [name for segment in segments for name in segment.packs]
    first_pack = np.cumsum([0] + [len(segment.packs) for segment in segments[:-1]])
    order = np.argsort(np.concatenate([segment.rows.high for segment in segments]), kind="stable")
    packs = [
        segment.rows.pack + np.uint32(shift) for segment, shift in zip(segments, first_pack, strict=True)
    ]
    needing = [
        segment.needs.pack + np.uint32(shift) for segment, shift in zip(segments, first_pack, strict=True)
    ]
    return Segment(
        tuple(names),
        Rows(
            np.concatenate([segment.rows.high for segment in segments])[order],
            np.concatenate([segment.rows.low for segment in segments])[order],
            np.concatenate(packs)[order],
            np.concatenate([segment.rows.ordinal for segment in segments])[order],
            np.concatenate([segment.rows.share for segment in segments])[order],
            np.concatenate([segment.rows.depth for segment in segments])[order],
        ),
        Needs(
            np.concatenate([segment.needs.high for segment in segments]),
            np.concatenate([segment.needs.low for segment in segments]),
            np.concatenate(needing),
            np.concatenate([segment.needs.below for segment in segments]),
        ),
    )


def _without_repeated(segments: Sequence[Segment]) -> list[Segment]:
    """Each pack only in the first segment that has it: two processes may have learned it both."""
    seen: set[PackName] = set()
    kept: list[Segment] = []
    for segment in segments:
        fresh = np.array([name not in seen for name in segment.packs], dtype=np.bool_)
        if not fresh.all():
            number = (np.cumsum(fresh) - 1).astype(np.uint32)
            rows = segment.rows.take(np.flatnonzero(fresh[segment.rows.pack]))
            rows = replace(rows, pack=number[rows.pack])
            needs, wanted = segment.needs, fresh[segment.needs.pack]
            needs = Needs(
                needs.high[wanted], needs.low[wanted], number[needs.pack[wanted]], needs.below[wanted]
            )
            names = tuple(name for name in segment.packs if name not in seen)
            segment = Segment(names, rows, needs)  # the same segment, less what is known
        seen.update(segment.packs)
        kept.append(segment)
    return kept


def write_segment(segment: Segment, path: Path) -> Segment:
    """Write the file under a temporary name, rename it, and open it. A torn file is never seen."""
    temporary = path.with_suffix(".tmp")  # unique as the path is
    rows, needs = segment.rows, segment.needs
    parts = [memoryview(b"".join(bytes.fromhex(name) for name in segment.packs))]
    arrays = (
        *(rows.high, rows.low, needs.high, needs.low),
        *(rows.pack, rows.ordinal, rows.share, needs.pack),
        *(rows.depth, needs.below),
    )
    parts.extend(np.ascontiguousarray(array).data.cast("B") for array in arrays)
    digest = blake3()
    for part in parts:
        digest.update(part)
    with temporary.open("wb") as file:
        file.write(_HEAD.pack(MAGIC, len(rows), len(segment.packs), len(needs), digest.digest()))
        for part in parts:
            file.write(part)
    temporary.replace(path)
    return open_segment(path)


def open_segment(path: Path) -> Segment:
    """Map the file. ValueError where it is not a whole segment."""
    with path.open("rb") as file:
        head = file.read(_HEAD.size)
        size = os.fstat(file.fileno()).st_size
        if len(head) < _HEAD.size:
            raise ValueError("segment is shorter than its header")
        magic, chunks, packs, needs, digest = _HEAD.unpack(head)
        expected = _HEAD.size + packs * 32 + chunks * _CHUNK_BYTES + needs * _NEED_BYTES
        if magic != MAGIC or size != expected:
            raise ValueError("not a whole segment")
        names = file.read(packs * 32)
    # A plain array over the mapped file: each slice of a memmap object costs several microseconds.
    data = np.memmap(path, dtype=np.uint8, mode="r").view(np.ndarray)
    if blake3(data[_HEAD.size :].data).digest() != digest:
        raise ValueError("segment does not fit its hash")
    at = _HEAD.size + packs * 32
    arrays = []
    for width, count in (
        *((8, chunks), (8, chunks), (8, needs), (8, needs)),
        *((4, chunks), (4, chunks), (4, chunks), (4, needs)),
        *((1, chunks), (1, needs)),
    ):
        arrays.append(data[at : at + count * width].view(f"<u{width}"))
        at += count * width
    high, low, need_high, need_low, pack, ordinal, share, need_pack, depth, below = arrays
    return Segment(
        tuple(PackName(names[index : index + 32].hex()) for index in range(0, len(names), 32)),
        Rows(high, low, pack, ordinal, share, depth),
        Needs(need_high, need_low, need_pack, below),
        path,
    )


def find(
    segment: Segment,
    high: U64,
    low: U64,
    allowed: npt.NDArray[np.bool_],
    below: U8 | None = None,
    bad: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.intp]:
    """For each short id the row in `segment` that holds it in an allowed pack, or -1.

    `allowed[i]` says whether the segment's i-th pack may be used, `bad[i]` that its i-th row may not;
    `below[i]`: only a row of lesser depth will do for the i-th id. Rows with the same first half lie
    side by side, be they copies or strangers, and are tried one after another.
    """
    rows = segment.rows
    result = np.full(len(high), -1, dtype=np.intp)
    if not len(rows):
        return result
    open_queries = np.arange(len(high), dtype=np.intp)
    places = np.searchsorted(rows.high, high)
    while len(open_queries):
        inside = places < len(rows)
        open_queries, places = open_queries[inside], places[inside]
        same = rows.high[places] == high[open_queries]
        open_queries, places = open_queries[same], places[same]
        hit = (rows.low[places] == low[open_queries]) & allowed[rows.pack[places]]
        if below is not None:
            hit &= rows.depth[places] < below[open_queries]
        if bad is not None:
            hit &= ~bad[places]
        result[open_queries[hit]] = places[hit]
        open_queries, places = open_queries[~hit], places[~hit] + 1
    return result


def short_ids_of(ids: Sequence[bytes]) -> bytes:
    """The short ids of these chunk ids, packed."""
    joined = b"".join(ids)
    whole = np.frombuffer(joined, dtype=np.uint8).reshape(len(ids), -1)
    return whole[:, :SHORT_ID_BYTES].tobytes()
