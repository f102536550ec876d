"""What frames need to be decoded: dictionaries and the bases of deltas, and the packs that hold them."""

from collections.abc import Iterable, Mapping

from cas.closure.ground import COPY_HINT, Ground
from cas.damage import DamageKind
from cas.engine.decodable import Decodable, Loss
from cas.errors import CorruptData, Unsupported
from cas.format.frame_table import FrameTable
from cas.format.names import pack_key
from cas.format.pack import HEADER_BYTES
from cas.ids import ChunkId, PackName


class Bases:
    """The bases of all frames of a ground's packs. A dictionary is there as long as one of its copies is."""

    def __init__(
        self, ground: Ground, sizes: Mapping[PackName, int], names: Iterable[PackName] | None = None
    ) -> None:
        """sizes: of the packs in the store. names: only these packs; without, all of the ground."""
        self._ground = ground
        self._sizes = sizes
        wanted = ground.packs.view.packs
        self._names = sorted(wanted if names is None else wanted.intersection(names))
        self.dictionaries: set[ChunkId] = set()
        """All that some frame needs."""

    def examine(self) -> None:
        """Flag the chunks that cannot be decoded for want of a base, and the packs whose trailer is gone
        or whose size is not what the trailer says."""
        for name in self._names:
            frames = self._frames(name)
            if frames is not None:
                self.dictionaries |= frames.dictionaries()
        packs = self._ground.packs
        for loss in Decodable(packs.index, packs.trailers, packs.view, self._stands_in).losses:
            if loss.base is None:
                self._frames(loss.pack)
            else:
                finding = self._ground.cause(loss.base)
                self._ground.flag(loss.pack, loss.first, loss.count, finding)

    def follow(self) -> None:
        """Flag the chunks that cannot be decoded any more because of what is flagged by now, though nobody
        has read them."""
        packs = self._ground.packs
        lost = [Loss(name, first, count, None) for name, first, count in self._ground.flagged]
        if not lost:
            return
        for loss in Decodable(packs.index, packs.trailers, packs.view, self._stands_in, lost).losses:
            if loss.base is not None:
                finding = self._ground.cause(loss.base)
                self._ground.flag(loss.pack, loss.first, loss.count, finding)

    def _stands_in(self, base: ChunkId) -> bool:
        """Whether it is a dictionary of which another copy is whole."""
        if base not in self.dictionaries:
            return False
        try:
            self._ground.packs.reader.dictionary(base)
        except CorruptData:
            return False
        return True

    def _frames(self, name: PackName) -> FrameTable | None:
        try:
            trailer, tail = self._ground.packs.trailers.with_tail(name)
            _check_size(self._sizes[name], HEADER_BYTES + trailer.frames_length + len(tail))
            return trailer.frames
        except (CorruptData, Unsupported) as error:
            number = self._ground.ledger.note_error(pack_key(name), error, COPY_HINT)
            self._ground.suspect(number)
            self._ground.flag_pack(name, number)
            return None


def _check_size(found: int, expected: int) -> None:
    if found != expected:
        kind = DamageKind.TRUNCATED if found < expected else DamageKind.MALFORMED
        raise CorruptData(f"{found} bytes of {expected}", kind=kind)


def with_bases(ground: Ground, names: Iterable[PackName], *, must: bool = True) -> set[PackName]:
    """These packs, and all that hold bases of their frames, and so on. CorruptData where a trailer is gone
    meanwhile; without `must`, such a pack counts as one without bases."""
    reached: set[PackName] = set()
    waiting = set(names)
    while waiting:
        reached |= waiting
        bases = {base for name in waiting for base in _bases_in(ground, name, must=must)}
        places = ground.packs.index.locate(sorted(bases), ground.packs.view)
        waiting = {places.packs[pack] for pack in set(places.pack.tolist()) if pack >= 0} - reached
    return reached


def _bases_in(ground: Ground, name: PackName, *, must: bool) -> set[ChunkId]:
    try:
        frames = ground.packs.trailers.layout(name).trailer.frames
    except (CorruptData, Unsupported):
        if must:
            raise
        return set()
    return {base for frame in frames for base in frame.bases}
