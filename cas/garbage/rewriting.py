"""Writing again what is needed of some packs, so that these can go.

What is needed of them: chunks that versions reach, and what such chunks are decoded from, wherever these lie
themselves (cas/garbage/bases.py). Every copy comes again at its depth or above it: so whatever was decoded
with the help of one of these packs is decoded with the new ones.

A chunk of which a pack that stays has a copy, at this depth or above, is left out. A pack that cannot be read
to its end stays as it is.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cas.engine.decodable import Decodable
from cas.engine.holders import highs_of
from cas.engine.packer import ClosedPack, Packer
from cas.engine.packing import packing
from cas.engine.places import View
from cas.engine.repository import Repository
from cas.engine.segment import U64, halves
from cas.errors import CorruptData, Unsupported
from cas.format.frame import Encoding, Frame
from cas.format.malformed import mismatch
from cas.format.names import pack_key
from cas.format.pack import HEADER_BYTES, Trailer
from cas.garbage.bases import frames_of, short_ids_of, with_bases
from cas.garbage.marking import Marked
from cas.ids import SHORT_ID_BYTES, ChunkId, ChunkKind, PackName, pack_name
from cas.progress import Progress
from cas.store.interface import ObjectMissing

PACKS = "packs"
"""What progress calls them; its counters are packs and stored bytes."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """`fresh`: the new packs. `old`: those that they stand in for."""

    fresh: tuple[PackName, ...]
    old: tuple[PackName, ...]


def rewrite(
    repository: Repository,
    marked: Marked,
    old: Collection[PackName],
    staying: Collection[PackName],
    deliver: Callable[[ClosedPack], None],
    progress: Progress,
) -> Rewritten:
    """Write again what is needed of `old`. staying: packs that are not going to be deleted. deliver:
    registers and puts a pack; when it returns, the pack is durable."""
    fresh: list[PackName] = []

    def delivered(pack: ClosedPack) -> None:
        deliver(pack)
        fresh.append(pack.name)

    with packing(repository, delivered) as packer:
        done = _Rewriting(repository, marked, old, staying, packer, progress).run()
    return Rewritten(tuple(sorted(fresh)), tuple(done))


class _Rewriting:
    """One run."""

    def __init__(
        self,
        repository: Repository,
        marked: Marked,
        old: Collection[PackName],
        staying: Collection[PackName],
        packer: Packer,
        progress: Progress,
    ) -> None:
        self._repository = repository
        self._packs = marked.packs
        self._trailers = marked.packs.trailers
        self._reader = marked.packs.reader
        self._old = sorted(old)
        self._packer = packer
        self._progress = progress
        others = View(marked.readable.intersection(staying).difference(old))
        self._others = Decodable(marked.packs.index, marked.packs.trailers, others)
        self._hashers = {kind: repository.config.id_key.batch_hasher(kind) for kind in ChunkKind}
        reached = highs_of(marked.packs.index, marked.rows)
        self._wanted = with_bases(marked.packs, reached, self._old, others)
        self._written: dict[int, int] = {}
        """Depths of chunks that came again, by the first half of their short ids."""

    def run(self) -> list[PackName]:
        """The packs of which all that is needed was put."""
        done = []
        self._progress.entity(PACKS, len(self._old), 0)
        for name in self._old:
            try:
                data = self._repository.store.get(pack_key(name))
                if pack_name(data) != name:
                    continue
                self._pack(name, data, self._trailers.layout(name).trailer)
            except (ObjectMissing, CorruptData, Unsupported):
                continue
            done.append(name)
            self._progress.advance(PACKS, 1, len(data))
        return done

    def _pack(self, name: PackName, data: bytes, trailer: Trailer) -> None:
        lengths = np.frombuffer(trailer.lengths, dtype="<u4")
        high, low = halves(trailer.short_ids)
        offset, first = HEADER_BYTES, 0
        for frame, mine in frames_of(self._packs, name, self._wanted):
            end = first + frame.chunks
            at = np.flatnonzero(mine & ~self._elsewhere(high[first:end], low[first:end], frame.depth))
            if len(at):
                stored = data[offset : offset + frame.stored_length]
                plains = _cut(self._reader.decode(name, frame, stored), lengths[first:end])
                ids = self._proven(frame.kind, plains, trailer.short_ids, first)
                self._put(frame, [ids[one] for one in at.tolist()], [plains[one] for one in at.tolist()])
            offset, first = offset + frame.stored_length, end

    def _elsewhere(self, high: U64, low: U64, depth: int) -> npt.NDArray[np.bool_]:
        """Whether each stays anyway at this depth or above, or has come again already."""
        found = self._others.at_most(high, low, depth)
        deepest = [self._written.get(one, depth + 1) for one in high.tolist()]
        again: npt.NDArray[np.bool_] = np.array(deepest) <= depth
        return found | again

    def _proven(
        self, kind: ChunkKind, plains: Sequence[bytes], short_ids: bytes, first: int
    ) -> list[ChunkId]:
        """The ids of a frame's chunks, which fit what its pack says of them."""
        ids = self._hashers[kind](plains)
        begin = first * SHORT_ID_BYTES
        if short_ids_of(ids) != short_ids[begin : begin + len(ids) * SHORT_ID_BYTES]:
            raise mismatch("chunks do not fit their ids", "a pack that is to be written again")
        return ids

    def _put(self, frame: Frame, ids: list[ChunkId], plains: list[bytes]) -> None:
        if not self._put_delta(frame, ids, plains):
            dictionary = None
            if frame.encoding is Encoding.ZSTD_DICTIONARY:
                dictionary = self._reader.dictionary(frame.bases[0])
            self._packer.put(frame.kind, ids, plains, dictionary)
        for chunk_id in ids:
            half = int(halves(chunk_id[:SHORT_ID_BYTES])[0][0])
            self._written[half] = min(frame.depth, self._written.get(half, frame.depth))

    def _put_delta(self, frame: Frame, ids: list[ChunkId], plains: list[bytes]) -> bool:
        if frame.encoding is not Encoding.ZSTD_DELTA or len(ids) != 1 or len(frame.bases) != 1:
            return False
        base = self._reader.base(frame)
        return self._packer.put_delta(frame.kind, ids[0], plains[0], base, frame.bases[0], frame.depth)


def _cut(plain: bytes, lengths: npt.NDArray[np.uint32]) -> list[bytes]:
    """The chunks of a frame."""
    ends = np.cumsum(lengths, dtype=np.int64)
    if int(ends[-1]) != len(plain):
        raise mismatch("a frame does not hold its chunks", "a pack that is to be written again")
    begins = ends - lengths
    return [plain[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
