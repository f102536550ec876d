"""Planning which frames of packs are fetched and decoded together: pure, no I/O."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cas.engine.trailers import Layout
from cas.format.frame import Frame
from cas.format.malformed import malformed
from cas.ids import PackName
from cas.limits import KIB, MIB

RANGE_BYTES = 4 * MIB
"""Frames are fetched together up to this size: few requests, bounded memory."""

GAP_BYTES = 64 * KIB
"""Unwanted bytes that cost less to fetch than another request."""

FRAMES_AT_ONCE_BYTES = 32 * MIB
"""Plain bytes of the frames that one call holds beside the cache, whatever the trailers of a hostile
store say: a frame of 16 MiB may lie in 2 KiB."""


FrameKey = tuple[PackName, int]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One frame to fetch: where its stored bytes lie and what its entry says."""

    key: FrameKey
    frame: Frame
    offset: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where one chunk's plain bytes lie within its frame, and how long the whole frame is."""

    key: FrameKey
    start: int
    length: int
    frame_length: int


def places_in(name: PackName, layout: Layout, ordinals: npt.NDArray[np.int64]) -> list[Place]:
    """The places of these chunks of one pack."""
    if int(ordinals.max(initial=0)) >= len(layout.start) - 1:
        raise malformed("the index and the trailer disagree", name)
    frames = np.searchsorted(layout.first_chunk, ordinals, side="right") - 1
    starts = layout.start[ordinals] - layout.start[layout.first_chunk[frames]]
    lengths = layout.start[ordinals + 1] - layout.start[ordinals]
    entries = layout.trailer.frames
    return [
        Place((name, frame), start, length, entries[frame].plain_length)
        for frame, start, length in zip(frames.tolist(), starts.tolist(), lengths.tolist(), strict=True)
    ]


def bounded(places: Sequence[Place]) -> Iterator[Sequence[int]]:
    """Positions of places, in runs whose frames together are no larger than may be held at once."""
    if sum({place.key: place.frame_length for place in places}.values()) <= FRAMES_AT_ONCE_BYTES:
        yield range(len(places))
        return
    run: list[int] = []
    held = 0
    last: FrameKey | None = None
    for at in sorted(range(len(places)), key=lambda at: places[at].key):
        place = places[at]
        if place.key != last:
            if run and held + place.frame_length > FRAMES_AT_ONCE_BYTES:
                yield run
                run, held = [], 0
            held += place.frame_length
            last = place.key
        run.append(at)
    yield run


def ranges(wanted: Sequence[Wanted]) -> Iterator[list[list[Wanted]]]:
    """Runs of frames that are fetched by one request each, in groups of up to four requests."""
    runs: list[list[Wanted]] = []
    for want in wanted:
        if runs and _joins(runs[-1], want):
            runs[-1].append(want)
        else:
            if len(runs) == 4:
                yield runs
                runs = []
            runs.append([want])
    if runs:
        yield runs


def _joins(run: Sequence[Wanted], want: Wanted) -> bool:
    last = run[-1]
    end = last.offset + last.frame.stored_length
    return (
        last.key[0] == want.key[0]
        and want.offset - end <= GAP_BYTES
        and want.offset + want.frame.stored_length - run[0].offset <= RANGE_BYTES
    )
