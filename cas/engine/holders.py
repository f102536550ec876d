"""Which packs hold some chunks, every copy counted, and all that these packs are decoded from.

Copies are told by the first eight bytes of their ids, which are keyed hashes: two chunks that share them by
chance cost a pack that stays, and never one that goes.
"""

import numpy as np
import numpy.typing as npt

from cas.engine.chunk_index import ChunkIndex
from cas.engine.segment import U64, Segment
from cas.ids import PackName


def holders(index: ChunkIndex, rows: npt.NDArray[np.bool_]) -> set[PackName]:
    """Of all packs of a frozen index. rows: the chunks that are meant, by their rows in it; any copy of each
    will do."""
    segments = index.segments
    wanted = _highs(segments, rows)
    held = [np.zeros(len(segment.packs), dtype=np.bool_) for segment in segments]
    while len(wanted):
        following: list[U64] = []
        for segment, flags in zip(segments, held, strict=True):
            found = np.zeros(len(segment.packs), dtype=np.bool_)
            found[np.unique(segment.rows.pack[_among(segment.rows.high, wanted)])] = True
            fresh = found & ~flags
            flags |= fresh
            following.append(segment.needs.high[fresh[segment.needs.pack]])
        needed = np.unique(np.concatenate(following))
        wanted = needed
    return {
        name
        for segment, flags in zip(segments, held, strict=True)
        for name, is_held in zip(segment.packs, flags.tolist(), strict=True)
        if is_held
    }


def _highs(segments: tuple[Segment, ...], rows: npt.NDArray[np.bool_]) -> U64:
    parts = [np.zeros(0, dtype=np.uint64)]
    first = 0
    for segment in segments:
        parts.append(segment.rows.high[rows[first : first + len(segment.rows)]])
        first += len(segment.rows)
    return np.unique(np.concatenate(parts))


def _among(high: U64, wanted: U64) -> npt.NDArray[np.bool_]:
    """Whether each is among those that are wanted, which ascend."""
    at = np.minimum(np.searchsorted(wanted, high), len(wanted) - 1)
    among: npt.NDArray[np.bool_] = wanted[at] == high
    return among
