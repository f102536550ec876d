"""Where chunks lie, by their ids: pack, frame, and which bytes of it. Nothing is read here but trailers."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from cas.engine.chunk_index import ChunkIndex
from cas.engine.frame_ranges import FrameKey, Spans, gathered, spans_in
from cas.engine.places import View
from cas.engine.segment import halves, short_ids_of
from cas.engine.trailers import Trailers
from cas.errors import CorruptData, Unsupported
from cas.ids import SHORT_ID_BYTES, ChunkId, PackName

NEIGHBOURS = 64
"""Fewer ids are searched one by one."""

_Located: TypeAlias = tuple[PackName, Sequence[int], npt.NDArray[np.int64]]


class Locator:
    """The index says which pack and which chunk of it, the pack's trailer the rest."""

    def __init__(self, index: ChunkIndex, trailers: Trailers) -> None:
        self._index = index
        self._trailers = trailers

    def spans(self, ids: Sequence[ChunkId], view: View) -> Spans:
        """The spans of these chunks within the view. CorruptData names one that is in none of its packs."""
        parts: list[tuple[Sequence[int], Spans]] = []
        for name, positions, ordinals in self._located(ids, view):
            try:
                part = spans_in(name, self._trailers.layout(name), ordinals)
            except (CorruptData, Unsupported):  # the pack went or was damaged since the view was made
                part = self.spans([ids[at] for at in positions], View(view.packs - {name}))
            parts.append((positions, part))
        return gathered(parts, len(ids))

    def _located(self, ids: Sequence[ChunkId], view: View) -> Iterator[_Located]:
        """The packs that hold these chunks, with positions in `ids` and ordinals in the pack."""
        left = np.arange(len(ids))
        if len(ids) >= NEIGHBOURS:
            near = self._neighbours(ids, view)
            if near is not None:
                yield near[0], near[1].tolist(), near[2]
                left = np.delete(left, near[1])
        if not len(left):
            return
        asked = ids if len(left) == len(ids) else [ids[at] for at in left.tolist()]
        found = self._index.locate(asked, view)
        missing = np.flatnonzero(found.pack < 0)
        if len(missing):
            raise _missing(asked[int(missing[0])], len(missing))
        for number in np.unique(found.pack).tolist():
            mine = np.flatnonzero(found.pack == number)
            yield found.packs[number], left[mine].tolist(), found.ordinal[mine]

    def _neighbours(
        self, ids: Sequence[ChunkId], view: View
    ) -> tuple[PackName, npt.NDArray[np.int64], npt.NDArray[np.int64]] | None:
        """Those that lie in one pack as they lie in `ids`: what was written together is asked together, and
        comparing costs a tenth of searching. An update leaves all others in their place."""
        found = self._index.locate(ids[:1], view)
        if found.pack[0] < 0:
            return None
        name, first = found.packs[int(found.pack[0])], int(found.ordinal[0])
        try:
            trailer = self._trailers.layout(name).trailer
        except (CorruptData, Unsupported):
            return None
        there = trailer.short_ids[first * SHORT_ID_BYTES : (first + len(ids)) * SHORT_ID_BYTES]
        high, low = halves(short_ids_of(ids))
        high_there, low_there = halves(there)
        count = len(high_there)
        same = np.flatnonzero((high[:count] == high_there) & (low[:count] == low_there))
        return name, same, same + first

    def copies_beside(self, chunk_id: ChunkId, bad: FrameKey) -> Iterator[tuple[FrameKey, int, int]]:
        """Other copies in the same pack: a writer may put a chunk twice."""
        try:
            layout = self._trailers.layout(bad[0])
        except (CorruptData, Unsupported):
            return
        high, low = halves(layout.trailer.short_ids)
        wanted_high, wanted_low = halves(chunk_id[:SHORT_ID_BYTES])
        spans = spans_in(bad[0], layout, np.flatnonzero((high == wanted_high) & (low == wanted_low)))
        for key, start, stop in zip(spans.keys, spans.starts, spans.stops, strict=True):
            if key != bad:
                yield key, start, stop


def _missing(chunk_id: ChunkId, count: int) -> CorruptData:
    more = f" and {count - 1} more" if count > 1 else ""
    return CorruptData(
        f"chunk {chunk_id.hex()[:16]}{more} is in no pack",
        kind="missing",
        where="packs/",
        hint="Run `cas check` to see which versions need it",
    )
