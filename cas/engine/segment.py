"""A segment of the chunk index: sorted arrays in one immutable, memory-mapped file.

    8 bytes   magic
    u64       number of chunks n, u64 number of packs p
    32 bytes  BLAKE3-256 of all that follows
    p x 32    names of the packs
    n x u64   first half of the short ids, ascending      n x u64   their second half
    n x u32   pack (row above)    n x u32   chunk in the pack    n x u32   its share of stored bytes

Little-endian. It is a cache of pack trailers and can be thrown away at any time; a file that is not
what its header says is thrown away by whoever opens it, since a wrong index could take a chunk for
stored that is not.
"""

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from cas.format.pack import Trailer
from cas.ids import SHORT_ID_BYTES, PackName

MAGIC = b"CASIDX1\n"
_HEAD = struct.Struct("<8sQQ32s")
_CHUNK_BYTES = 8 + 8 + 4 + 4 + 4
TRAILER_SHARE = 20
"""Bytes of a trailer that belong to each chunk, added to its share of the stored bytes."""

U64: TypeAlias = npt.NDArray[np.uint64]
U32: TypeAlias = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Rows:
    """The arrays of a segment, row by row: sorted by `high`."""

    high: U64
    low: U64
    pack: U32
    ordinal: U32
    share: U32

    def __len__(self) -> int:
        return len(self.high)

    def take(self, order: npt.NDArray[np.intp]) -> "Rows":
        return Rows(
            self.high[order], self.low[order], self.pack[order], self.ordinal[order], self.share[order]
        )


@dataclass(frozen=True, slots=True)
class Segment:
    """Some packs and the places of all their chunks. `path` is None for one that lives in memory."""

    packs: tuple[PackName, ...]
    rows: Rows
    path: Path | None = None


def halves(short_ids: bytes) -> tuple[U64, U64]:
    """The two halves of packed short ids as numbers that sort the same way everywhere."""
    pairs = np.frombuffer(short_ids, dtype="<u8").reshape(-1, 2)
    return np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])


def rows_of_pack(trailer: Trailer, pack: int = 0) -> Rows:
    """The rows of one pack, sorted."""
    high, low = halves(trailer.short_ids)
    count = len(high)
    lengths = np.frombuffer(trailer.lengths, dtype="<u4").astype(np.float64)
    per_frame = np.array([frame.chunks for frame in trailer.frames], dtype=np.intp)
    ratio = np.array(
        [frame.stored_length / max(frame.plain_length, 1) for frame in trailer.frames], dtype=np.float64
    )
    share = np.ceil(lengths * np.repeat(ratio, per_frame)).astype(np.uint32) + np.uint32(TRAILER_SHARE)
    rows = Rows(high, low, np.full(count, pack, dtype=np.uint32), np.arange(count, dtype=np.uint32), share)
    return rows.take(np.argsort(high, kind="stable"))


def merge(segments: Sequence[Segment]) -> Segment:
    """One segment with the rows of all. Column by column, so that few are in memory twice."""
    segments = _without_repeated(segments)
    names = [name for segment in segments for name in segment.packs]
    first_pack = np.cumsum([0] + [len(segment.packs) for segment in segments[:-1]])
    order = np.argsort(np.concatenate([segment.rows.high for segment in segments]), kind="stable")
    packs = [
        segment.rows.pack + np.uint32(shift) for segment, shift in zip(segments, first_pack, strict=True)
    ]
    return Segment(
        tuple(names),
        Rows(
            np.concatenate([segment.rows.high for segment in segments])[order],
            np.concatenate([segment.rows.low for segment in segments])[order],
            np.concatenate(packs)[order],
            np.concatenate([segment.rows.ordinal for segment in segments])[order],
            np.concatenate([segment.rows.share for segment in segments])[order],
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
            rows = Rows(rows.high, rows.low, number[rows.pack], rows.ordinal, rows.share)
            names = tuple(name for name in segment.packs if name not in seen)
            segment = Segment(names, rows)  # the same segment, less what is known
        seen.update(segment.packs)
        kept.append(segment)
    return kept


def write_segment(segment: Segment, path: Path) -> Segment:
    """Write the file under a temporary name, rename it, and open it. A torn file is never seen."""
    temporary = path.with_suffix(".tmp")  # unique as the path is
    rows = segment.rows
    parts = [memoryview(b"".join(bytes.fromhex(name) for name in segment.packs))]
    arrays = (rows.high, rows.low, rows.pack, rows.ordinal, rows.share)
    parts.extend(np.ascontiguousarray(array).data.cast("B") for array in arrays)
    digest = blake3()
    for part in parts:
        digest.update(part)
    with temporary.open("wb") as file:
        file.write(_HEAD.pack(MAGIC, len(rows), len(segment.packs), digest.digest()))
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
        magic, chunks, packs, digest = _HEAD.unpack(head)
        if magic != MAGIC or size != _HEAD.size + packs * 32 + chunks * _CHUNK_BYTES:
            raise ValueError("not a whole segment")
        names = file.read(packs * 32)
    # A plain array over the mapped file: each slice of a memmap object costs several microseconds.
    data = np.memmap(path, dtype=np.uint8, mode="r").view(np.ndarray)
    if blake3(data[_HEAD.size :].data).digest() != digest:
        raise ValueError("segment does not fit its hash")
    at = _HEAD.size + packs * 32
    arrays = []
    for width in (8, 8, 4, 4, 4):
        arrays.append(data[at : at + chunks * width])
        at += chunks * width
    return Segment(
        tuple(PackName(names[index : index + 32].hex()) for index in range(0, len(names), 32)),
        Rows(
            arrays[0].view("<u8"),
            arrays[1].view("<u8"),
            arrays[2].view("<u4"),
            arrays[3].view("<u4"),
            arrays[4].view("<u4"),
        ),
        path,
    )


def find(segment: Segment, high: U64, low: U64, allowed: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """For each short id the row in `segment` that holds it in an allowed pack, or -1.

    `allowed[i]` says whether the segment's i-th pack may be used. Rows with the same first half lie
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
        result[open_queries[hit]] = places[hit]
        open_queries, places = open_queries[~hit], places[~hit] + 1
    return result


def short_ids_of(ids: Sequence[bytes]) -> bytes:
    """The short ids of these chunk ids, packed."""
    joined = b"".join(ids)
    whole = np.frombuffer(joined, dtype=np.uint8).reshape(len(ids), -1)
    return whole[:, :SHORT_ID_BYTES].tobytes()
