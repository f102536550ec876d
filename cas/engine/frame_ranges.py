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

GROUP_BYTES = 16 * MIB
RUNS_AT_ONCE = 256
"""Bytes and requests after which what was fetched is handed on."""

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
class Spans:
    """Where chunks lie, column by column: the i-th at `starts[i]` to `stops[i]` in the plain bytes of frame
    `keys[i]`. `frame_lengths`: plain bytes of each frame."""

    keys: list[FrameKey]
    starts: list[int]
    stops: list[int]
    frame_lengths: dict[FrameKey, int]

    def __len__(self) -> int:
        return len(self.keys)


def spans_in(name: PackName, layout: Layout, ordinals: npt.NDArray[np.int64]) -> Spans:
    """The spans of these chunks of one pack."""
    if int(ordinals.max(initial=0)) >= len(layout.start) - 1:
        raise malformed("the index and the trailer disagree", name)
    frames = np.searchsorted(layout.first_chunk, ordinals, side="right") - 1
    begin = layout.start[layout.first_chunk[frames]]
    numbers = frames.tolist()
    keys = {number: (name, number) for number in set(numbers)}
    entries = layout.trailer.frames
    return Spans(
        [keys[number] for number in numbers],
        (layout.start[ordinals] - begin).tolist(),
        (layout.start[ordinals + 1] - begin).tolist(),
        {key: entries[number].plain_length for number, key in keys.items()},
    )


_NOWHERE: FrameKey = (PackName(""), -1)


def gathered(parts: Sequence[tuple[Sequence[int], Spans]], count: int) -> Spans:
    """One from several, each with the positions that its chunks had; each of `count` positions is there."""
    if len(parts) == 1:
        return parts[0][1]
    keys: list[FrameKey] = [_NOWHERE] * count
    starts, stops = [0] * count, [0] * count
    lengths: dict[FrameKey, int] = {}
    for positions, part in parts:
        for at, key, start, stop in zip(positions, part.keys, part.starts, part.stops, strict=True):
            keys[at], starts[at], stops[at] = key, start, stop
        lengths |= part.frame_lengths
    return Spans(keys, starts, stops, lengths)


def bounded(spans: Spans) -> Iterator[Sequence[int]]:
    """Positions, in runs whose frames together are no larger than may be held at once."""
    if sum(spans.frame_lengths.values()) <= FRAMES_AT_ONCE_BYTES:
        yield range(len(spans))
        return
    run: list[int] = []
    held = 0
    last: FrameKey | None = None
    for at in sorted(range(len(spans)), key=spans.keys.__getitem__):
        key = spans.keys[at]
        if key != last:
            length = spans.frame_lengths[key]
            if run and held + length > FRAMES_AT_ONCE_BYTES:
                yield run
                run, held = [], 0
            held += length
            last = key
        run.append(at)
    yield run


def ranges(wanted: Sequence[Wanted]) -> Iterator[list[list[Wanted]]]:
    """Runs of frames that are fetched by one request each, in groups that are held together."""
    runs: list[list[Wanted]] = []
    held = 0
    for want in wanted:
        if runs and _joins(runs[-1], want):
            last = runs[-1][-1]
            held += want.offset - last.offset - last.frame.stored_length  # what lies between comes too
            runs[-1].append(want)
        else:
            if len(runs) == RUNS_AT_ONCE or (runs and held + want.frame.stored_length > GROUP_BYTES):
                yield runs
                runs, held = [], 0
            runs.append([want])
        held += want.frame.stored_length
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
