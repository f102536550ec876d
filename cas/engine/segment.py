"""A segment of the chunk index: the places of the chunks of some packs, in sorted arrays.

A need is a chunk without which some frame of a pack cannot be decoded: a dictionary, a delta's base.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from cas.format.frame import Frame
from cas.format.pack import Trailer
from cas.ids import SHORT_ID_BYTES, PackName

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
    length: U32
    """Plain bytes."""
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
            self.length[order],
            self.depth[order],
        )


@dataclass(frozen=True, slots=True)
class Needs:
    """What packs need to be decoded, sorted by `high`: many are searched at once, and what is near each other
    is found quickly. A frame of depth d needs bases of depth below d; for a dictionary `below` is 1, since
    nothing stands on one that is itself a delta."""

    high: U64
    low: U64
    pack: U32
    below: U8

    def __len__(self) -> int:
        return len(self.high)

    def sorted(self) -> "Needs":
        order = np.argsort(self.high, kind="stable")
        return Needs(self.high[order], self.low[order], self.pack[order], self.below[order])


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
    length = np.frombuffer(trailer.lengths, dtype="<u4")
    frames = trailer.frames
    per_frame = frames.column("chunks")
    ratio = frames.column("stored") / np.maximum(frames.column("plain"), 1)
    share = np.ceil(length * np.repeat(ratio, per_frame)).astype(np.uint32) + np.uint32(TRAILER_SHARE)
    depth = np.repeat(frames.column("depth").astype(np.uint8), per_frame)
    ordinal = np.arange(count, dtype=np.uint32)
    rows = Rows(high, low, np.full(count, pack, dtype=np.uint32), ordinal, share, length, depth)
    return rows.take(np.argsort(high, kind="stable"))


def segment_of_pack(name: PackName, trailer: Trailer) -> Segment:
    """One pack."""
    bases = list({need for frame in trailer.frames for need in needs_of(frame)})
    high, low = halves(b"".join([base for base, _ in bases]))
    below = np.array([below for _, below in bases], dtype=np.uint8)
    needs = Needs(high, low, np.zeros(len(bases), dtype=np.uint32), below)
    return Segment((name,), _rows_of_pack(trailer), needs.sorted())


def needs_of(frame: Frame) -> list[tuple[bytes, int]]:
    """The short ids of what a frame needs, and below which depth it must be found."""
    return [(base[:SHORT_ID_BYTES], max(frame.depth, 1)) for base in frame.bases]


ROWS_AT_ONCE = 1 << 17
"""Rows that a merge holds in memory, about 80 bytes each. Ids are hashes: shares of their range are even."""


@dataclass(frozen=True, slots=True)
class Merging:
    """One segment that is to be made of several: `parts` hold its `count` rows, ascending."""

    packs: tuple[PackName, ...]
    count: int
    needs: Needs
    parts: Iterable[Rows]


def merging(segments: Sequence[Segment]) -> Merging:
    """One segment with the rows of all. Its parts are made when they are asked for."""
    segments = _without_repeated(segments)
    names = tuple(name for segment in segments for name in segment.packs)
    shifts = [np.uint32(shift) for shift in np.cumsum([0, *(len(each.packs) for each in segments[:-1])])]
    needs = [segment.needs for segment in segments]
    joined = Needs(
        np.concatenate([need.high for need in needs]),
        np.concatenate([need.low for need in needs]),
        np.concatenate([need.pack + shift for need, shift in zip(needs, shifts, strict=True)]),
        np.concatenate([need.below for need in needs]),
    )
    count = sum(len(segment.rows) for segment in segments)
    return Merging(
        names, count, joined.sorted(), _merged_parts([each.rows for each in segments], shifts, count)
    )


def _merged_parts(runs: Sequence[Rows], shifts: Sequence[np.uint32], count: int) -> Iterator[Rows]:
    """All rows in order, one share of the range of ids after the other."""
    shares = count // ROWS_AT_ONCE + 1
    edges = np.array([(share << 64) // shares for share in range(1, shares)], dtype=np.uint64)
    cuts = [[0, *np.searchsorted(run.high, edges).tolist(), len(run)] for run in runs]
    for share in range(shares):
        spans = [(run, slice(cut[share], cut[share + 1])) for run, cut in zip(runs, cuts, strict=True)]
        order = np.argsort(np.concatenate([run.high[span] for run, span in spans]), kind="stable")
        packs = [run.pack[span] + shift for (run, span), shift in zip(spans, shifts, strict=True)]
        yield Rows(
            np.concatenate([run.high[span] for run, span in spans])[order],
            np.concatenate([run.low[span] for run, span in spans])[order],
            np.concatenate(packs)[order],
            np.concatenate([run.ordinal[span] for run, span in spans])[order],
            np.concatenate([run.share[span] for run, span in spans])[order],
            np.concatenate([run.length[span] for run, span in spans])[order],
            np.concatenate([run.depth[span] for run, span in spans])[order],
        )


def merge(segments: Sequence[Segment]) -> Segment:
    """One segment with the rows of all, in memory."""
    whole = merging(segments)
    parts = list(whole.parts)
    return Segment(
        whole.packs,
        Rows(
            np.concatenate([part.high for part in parts]),
            np.concatenate([part.low for part in parts]),
            np.concatenate([part.pack for part in parts]),
            np.concatenate([part.ordinal for part in parts]),
            np.concatenate([part.share for part in parts]),
            np.concatenate([part.length for part in parts]),
            np.concatenate([part.depth for part in parts]),
        ),
        whole.needs,
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
    if len(high) == 1 and len(rows):
        return _find_one(rows, high, low, allowed, below, bad)
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


def _find_one(
    rows: Rows,
    high: U64,
    low: U64,
    allowed: npt.NDArray[np.bool_],
    below: U8 | None,
    bad: npt.NDArray[np.bool_] | None,
) -> npt.NDArray[np.intp]:
    """As `find`, for one id: a quarter of what arrays of one number cost."""
    first, second = high[0], low[0]
    at = int(rows.high.searchsorted(first))
    while at < len(rows.high) and rows.high[at] == first:
        if (
            rows.low[at] == second
            and allowed[rows.pack[at]]
            and (below is None or rows.depth[at] < below[0])
            and (bad is None or not bad[at])
        ):
            return np.array([at], dtype=np.intp)
        at += 1
    return np.array([-1], dtype=np.intp)


def short_ids_of(ids: Sequence[bytes]) -> bytes:
    """The short ids of these chunk ids, packed."""
    joined = b"".join(ids)
    whole = np.frombuffer(joined, dtype=np.uint8).reshape(len(ids), -1)
    return whole[:, :SHORT_ID_BYTES].tobytes()
