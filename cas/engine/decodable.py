"""Which chunks of a view can be decoded from the view alone, and may therefore be built upon.

A chunk may lie in a live pack while the base of its delta or its dictionary lies in one that is lost or
condemned: nobody needed the chunk any more, and so nobody kept its base. Or two deltas stand on each
other, and the whole copy of both is gone. Whoever took such a chunk for stored would commit a version
that cannot be read (STORAGE protocol, rules 8 and 14).

A frame of depth d is decoded from bases that lie at a depth below d. So if every need of every pack is met
at a lesser depth, everything can be decoded; and where one is not, what fails is found by leaving out
frame after frame until nothing changes.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cas.engine.chunk_index import ChunkIndex
from cas.engine.places import Places, View
from cas.engine.segment import U64, needs_of
from cas.engine.trailers import Trailers
from cas.errors import CorruptData, Unsupported
from cas.format.frame import Frame
from cas.ids import SHORT_ID_BYTES, ChunkId, PackName, split_short_ids
from cas.limits import MAX_DELTA_DEPTH

ROWS_AT_ONCE = 1 << 16
"""Rows that are searched at once, a hundred bytes each meanwhile: a version has millions."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Chunks of a pack, from the one with this ordinal on, that cannot be decoded for want of a base;
    None where the pack's trailer itself is gone. A count of -1 means all of them."""

    pack: PackName
    first: int
    count: int
    base: ChunkId | None


def _never(_: ChunkId) -> bool:
    return False


class Decodable:
    """Finds chunks in a view as far as they can be decoded from it. index: frozen.

    What packs need is in the index, so this costs a look-up for each base; trailers are read only of
    packs that need something which is not there. stands_in: whether a base is to be had although no
    pack holds it.
    """

    def __init__(
        self,
        index: ChunkIndex,
        trailers: Trailers,
        view: View,
        stands_in: Callable[[ChunkId], bool] = _never,
        lost: Sequence[Loss] = (),
    ) -> None:
        """lost: what is known to be lost; it is not among the losses that are found."""
        self._index = index
        self._trailers = trailers
        self._view = view
        self._stands_in = stands_in
        self._bad = np.zeros(len(index), dtype=np.bool_)
        self._has_bad = False
        self.losses: list[Loss] = []
        """In the order in which they follow from each other."""
        for loss in lost:
            self._mark_given(loss)
        while self._round():
            self._has_bad = True

    def locate(self, ids: Sequence[bytes]) -> Places:
        """The places of these chunks, where they can be decoded."""
        return self._index.locate(ids, self._view, self._bad if self._has_bad else None)

    def lacking(self, rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Those rows whose chunks cannot be decoded from the view, whichever copy is asked."""
        lacking = np.zeros(len(rows), dtype=np.bool_)
        first = 0
        for segment in self._index.segments:
            mine = np.flatnonzero(rows[first : first + len(segment.rows)])
            for begin in range(0, len(mine), ROWS_AT_ONCE):
                some = mine[begin : begin + ROWS_AT_ONCE]
                found = self.at_most(segment.rows.high[some], segment.rows.low[some], MAX_DELTA_DEPTH)
                lacking[some[~found] + first] = True
            first += len(segment.rows)
        return lacking

    def at_most(self, high: U64, low: U64, depth: int) -> npt.NDArray[np.bool_]:
        """Whether chunks, by the halves of their short ids, can be decoded from a frame of at most this
        depth."""
        below = np.full(len(high), depth + 1, dtype=np.uint8)
        bad = self._bad if self._has_bad else None
        there: npt.NDArray[np.bool_] = self._index.search(high, low, self._view, below, bad).pack >= 0
        return there

    def _round(self) -> bool:
        """Leave out what cannot be decoded without what was left out before. Whether there was any."""
        unmet = self._index.unmet_needs(self._view, self._bad if self._has_bad else None)
        found = [loss for name, needs in sorted(unmet.items()) for loss in self._losses_of(name, needs)]
        self.losses += found
        return bool(found)

    def _losses_of(self, name: PackName, unmet: frozenset[tuple[bytes, int]]) -> list[Loss]:
        """What is lost in a pack and was not marked yet; it is marked."""
        try:
            trailer = self._trailers.layout(name).trailer
        except (CorruptData, Unsupported):
            return self._mark(name, [Loss(name, 0, -1, None)], None)
        losses = []
        first = 0
        for frame in trailer.frames:
            base = self._lost_base(frame, unmet)
            if base is not None:
                losses.append(Loss(name, first, frame.chunks, base))
            first += frame.chunks
        return self._mark(name, losses, trailer.short_ids)

    def _lost_base(self, frame: Frame, unmet: frozenset[tuple[bytes, int]]) -> ChunkId | None:
        for base, need in zip(frame.bases, needs_of(frame), strict=True):
            if need in unmet and not self._stands_in(base):
                return base
        return None

    def _mark_given(self, loss: Loss) -> None:
        short_ids = None
        if loss.count >= 0:
            with suppress(CorruptData, Unsupported):
                short_ids = self._trailers.layout(loss.pack).trailer.short_ids
        self._mark(loss.pack, [loss], short_ids)
        self._has_bad = True

    def _mark(self, name: PackName, losses: Sequence[Loss], short_ids: bytes | None) -> list[Loss]:
        """Mark the rows of these losses; gives those that were not marked yet."""
        alone = View((name,))
        fresh = []
        for loss in losses:
            if short_ids is None:
                rows = self._index.rows_of(name)
            else:
                begin, end = loss.first * SHORT_ID_BYTES, (loss.first + loss.count) * SHORT_ID_BYTES
                rows = self._index.locate(split_short_ids(short_ids[begin:end]), alone).row
            if not self._bad[rows].all():
                self._bad[rows] = True
                fresh.append(loss)
        return fresh
