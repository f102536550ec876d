"""Where chunks lie, as segments tell it, within the packs that count."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Literal, overload

import numpy as np
import numpy.typing as npt

from cas.engine.segment import U8, U64, Segment, find
from cas.ids import PackName


class PackNames(Sequence[PackName]):
    """The packs of several segments, one after another, without copying them: there may be a million."""

    def __init__(self, runs: Sequence[tuple[PackName, ...]]) -> None:
        self._runs = runs
        self._ends: list[int] = []
        end = 0
        for run in runs:
            end += len(run)
            self._ends.append(end)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, number: int) -> PackName: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[PackName]: ...
    def __getitem__(self, number: int | slice) -> PackName | Sequence[PackName]:
        if isinstance(number, slice):
            return [self[at] for at in range(*number.indices(len(self)))]
        run = bisect_right(self._ends, number)
        return self._runs[run][number - (self._ends[run - 1] if run else 0)]


class View:
    """A set of packs that count. Remembers per segment which of its packs are meant."""

    def __init__(self, packs: Iterable[PackName]) -> None:
        self.packs = frozenset(packs)
        self._allowed: dict[int, tuple[tuple[PackName, ...], npt.NDArray[np.bool_]]] = {}

    def allowed(self, segment: Segment) -> npt.NDArray[np.bool_]:
        """For each pack of the segment whether it counts."""
        # By identity: the hash of a million names costs more than the search. The names are kept and
        # not the segment, whose file may have been merged away meanwhile.
        known = self._allowed.get(id(segment.packs))
        if known is None or known[0] is not segment.packs:
            flags = np.array([name in self.packs for name in segment.packs], dtype=np.bool_)
            known = self._allowed[id(segment.packs)] = (segment.packs, flags)
        return known[1]


class Places:
    """Where the asked chunks lie. What nobody asks for is not gathered: most want to know the packs only."""

    def __init__(
        self, segments: Sequence[Segment], pack: npt.NDArray[np.int64], row: npt.NDArray[np.int64]
    ) -> None:
        self.packs = PackNames([segment.packs for segment in segments])
        self.pack = pack
        """Indexes `packs`; -1 where the i-th chunk was not found."""
        self.row = row
        """A number below the index's length that no other place has, and -1. It holds as long as nothing
        is added to the index: see `ChunkIndex.frozen`."""
        self._segments = segments

    @property
    def ordinal(self) -> npt.NDArray[np.int64]:
        """The number of each found chunk in its pack; of those that were not found, 0, here and below."""
        return self._gathered("ordinal")

    @property
    def share(self) -> npt.NDArray[np.int64]:
        """Stored bytes that belong to each found chunk."""
        return self._gathered("share")

    @property
    def length(self) -> npt.NDArray[np.int64]:
        """Its plain bytes."""
        return self._gathered("length")

    @property
    def depth(self) -> npt.NDArray[np.int64]:
        """Length of the chain of deltas that leads to each found chunk."""
        return self._gathered("depth")

    def _gathered(self, column: Literal["ordinal", "share", "length", "depth"]) -> npt.NDArray[np.int64]:
        if len(self._segments) == 1 and len(self.row) and self.row.min() >= 0:  # as most often
            return np.asarray(getattr(self._segments[0].rows, column)[self.row], dtype=np.int64)
        found = np.zeros(len(self.row), dtype=np.int64)
        begin = 0
        for segment in self._segments:
            end = begin + len(segment.rows)
            here = np.flatnonzero((self.row >= begin) & (self.row < end))
            if len(here):
                found[here] = getattr(segment.rows, column)[self.row[here] - begin]
            begin = end
        return found


FEW = 256
"""So many ids are looked for as they come: the processor's cache holds them in any order."""


def search(
    segments: Sequence[Segment],
    high: U64,
    low: U64,
    view: View,
    below: U8 | None,
    bad: npt.NDArray[np.bool_] | None,
) -> Places:
    """The places of chunks by the halves of their short ids: as `find`, over all segments."""
    if len(segments) == 1 and len(high) <= FEW:
        return _in_one(segments, find(segments[0], high, low, view.allowed(segments[0]), below, bad))
    pack = np.full(len(high), -1, dtype=np.int64)
    row = np.full(len(high), -1, dtype=np.int64)
    first_pack = first_row = 0
    left = np.argsort(high)  # what is near each other is found quickly
    for segment in segments:
        allowed = view.allowed(segment)
        if allowed.any():
            rows = find(
                segment,
                high[left],
                low[left],
                allowed,
                None if below is None else below[left],
                None if bad is None else bad[first_row : first_row + len(segment.rows)],
            )
            hit = rows >= 0
            found, queries = rows[hit], left[hit]
            pack[queries] = segment.rows.pack[found].astype(np.int64) + first_pack
            row[queries] = found + first_row
            left = left[~hit]
            if not len(left):
                break
        first_pack += len(segment.packs)
        first_row += len(segment.rows)
    return Places(segments, pack, row)


def _in_one(segments: Sequence[Segment], row: npt.NDArray[np.intp]) -> Places:
    """What was found in the only segment."""
    packs = segments[0].rows.pack
    pack = np.where(row >= 0, packs[row].astype(np.int64), -1) if len(packs) else row.astype(np.int64)
    return Places(segments, pack, row.astype(np.int64))
