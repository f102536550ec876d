"""Which packs hold some chunks, every copy counted, and all that these packs are decoded from.

Copies are told by the first eight bytes of their ids, which are keyed hashes: two chunks that share them by
chance cost a pack that stays, and never one that goes.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cas.engine.chunk_index import ChunkIndex
from cas.engine.places import View
from cas.engine.segment import U64, Segment
from cas.ids import PackName


def holders(index: ChunkIndex, rows: npt.NDArray[np.bool_], view: View) -> set[PackName]:
    """Of the packs of a view. index: frozen. rows: the chunks that are meant, by their rows in it; any copy
    of each will do."""
    segments = index.segments
    wanted = highs_of(index, rows)
    held = [np.zeros(len(segment.packs), dtype=np.bool_) for segment in segments]
    while len(wanted):
        following: list[U64] = []
        for segment, flags in zip(segments, held, strict=True):
            found = np.zeros(len(segment.packs), dtype=np.bool_)
            found[segment.rows.pack[among(segment.rows.high, wanted)]] = True
            fresh = found & ~flags & view.allowed(segment)
            flags |= fresh
            following.append(segment.needs.high[fresh[segment.needs.pack]])
        wanted = each_once(following)
    return {
        name
        for segment, flags in zip(segments, held, strict=True)
        for name, is_held in zip(segment.packs, flags.tolist(), strict=True)
        if is_held
    }


def highs_of(index: ChunkIndex, rows: npt.NDArray[np.bool_]) -> U64:
    """The first halves of the short ids of these rows, each once, ascending."""
    return each_once([segment.rows.high[flags] for segment, flags in with_flags(index, rows)])


def each_once(parts: Sequence[U64]) -> U64:
    """The numbers of all parts, ascending. np.unique counts them in a hash table: a million take most of a
    second instead of a hundredth, and 50 MB more."""
    every = np.concatenate([np.zeros(0, dtype=np.uint64), *parts])
    every.sort()
    is_first = np.ones(len(every), dtype=np.bool_)
    np.not_equal(every[1:], every[:-1], out=is_first[1:])
    return every[is_first]


def with_flags(index: ChunkIndex, rows: npt.NDArray[np.bool_]) -> list[tuple[Segment, npt.NDArray[np.bool_]]]:
    """Each segment with what is said of its rows."""
    found, first = [], 0
    for segment in index.segments:
        found.append((segment, rows[first : first + len(segment.rows)]))
        first += len(segment.rows)
    return found


def among(high: U64, wanted: U64) -> npt.NDArray[np.bool_]:
    """Whether each is among those that are wanted, which ascend."""
    if not len(wanted):
        return np.zeros(len(high), dtype=np.bool_)
    at = np.minimum(np.searchsorted(wanted, high), len(wanted) - 1)
    found: npt.NDArray[np.bool_] = wanted[at] == high
    return found
