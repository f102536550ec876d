"""What is needed of some packs so that these can go: also the bases that others stand upon.

A version may reach a delta in a pack that stays, and the chunk that the delta stands upon lies in a pack of
which hardly anything is needed; no version reaches it any more, and yet it has to come again.

Of the packs that are to go, frames are looked at one by one; of those that stay, all that any of their frames
stands upon counts as soon as one of their chunks does: that is told by the index alone, and is a few bases
too many at most.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from cas.closure.ground import Packs
from cas.engine.chunk_index import ChunkIndex
from cas.engine.holders import among, each_once
from cas.engine.places import View
from cas.engine.segment import U64, halves
from cas.errors import CorruptData, Unsupported
from cas.format.frame import Frame
from cas.ids import SHORT_ID_BYTES, ChunkId, PackName


def with_bases(packs: Packs, wanted: U64, old: Sequence[PackName], staying: View) -> U64:
    """These chunks, and all that they are decoded from, by the first halves of their short ids, ascending."""
    while True:
        bases = [*_of_staying(packs.index, wanted, staying), *_of_old(packs, wanted, old)]
        more = each_once([wanted, *bases])
        if len(more) == len(wanted):
            return wanted
        wanted = more


def _of_staying(index: ChunkIndex, wanted: U64, staying: View) -> Iterator[U64]:
    for segment in index.segments:
        holds = np.zeros(len(segment.packs), dtype=np.bool_)
        holds[segment.rows.pack[among(segment.rows.high, wanted)]] = True
        holds &= staying.allowed(segment)
        yield segment.needs.high[holds[segment.needs.pack]]


def _of_old(packs: Packs, wanted: U64, old: Sequence[PackName]) -> Iterator[U64]:
    for name in old:
        for frame, mine in frames_of(packs, name, wanted):
            if frame.bases and mine.any():
                yield halves(short_ids_of(frame.bases))[0]


def frames_of(packs: Packs, name: PackName, wanted: U64) -> Iterator[tuple[Frame, npt.NDArray[np.bool_]]]:
    """The frames of a pack, and which of their chunks are wanted; none where the pack cannot be read."""
    try:
        trailer = packs.trailers.layout(name).trailer
    except (CorruptData, Unsupported):
        return
    mine = among(halves(trailer.short_ids)[0], wanted)
    first = 0
    for frame in trailer.frames:
        yield frame, mine[first : first + frame.chunks]
        first += frame.chunks


def short_ids_of(ids: Sequence[ChunkId]) -> bytes:
    """The first halves of some ids, one after the other."""
    return b"".join(one[:SHORT_ID_BYTES] for one in ids)
