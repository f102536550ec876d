"""What is needed of the packs in which it lies, decoded and proven, pack by pack.

First everything that is needed is marked. Then each pack gives what is marked of it, in the order in which
they were first met: itself, where all of it is needed and it is large; else its frames, one all of whose
chunks are needed as it is stored, of others the needed chunks. So nothing leaves a pack that nobody asked
for.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import accumulate, compress

import numpy as np
import numpy.typing as npt

from cas.bundles.marks import Owners, PackMarks, numbers_of
from cas.bundles.needs import Need
from cas.check_packs import PACKS_LABEL
from cas.closure.ground import Packs
from cas.engine.chunk_reader import ChunkReader
from cas.engine.fetching import fetched
from cas.engine.frame_ranges import Wanted
from cas.engine.pack_proof import PackProof
from cas.engine.packer import DATA_KINDS
from cas.errors import CorruptData, Unsupported
from cas.format.frame import Encoding, Frame
from cas.format.malformed import mismatch
from cas.format.names import pack_key
from cas.format.pack import Trailer, parse_end, parse_header
from cas.ids import SHORT_ID_BYTES, ChunkId, ChunkKind, IdKey, PackName, pack_name
from cas.limits import PACK_TARGET_BYTES
from cas.progress import Progress
from cas.store.interface import ObjectMissing, Store

MARKED_AT_ONCE = 1 << 15
"""Ids that are looked for together: sorted, the more the faster; 64 bytes each until then."""

WHOLE_FROM_BYTES = PACK_TARGET_BYTES // 4
"""Smaller packs are not taken as they are: what thousands of small versions have left becomes few packs."""


@dataclass(frozen=True, slots=True)
class WholePack:
    """A pack all of which is needed. `stored`: its bytes, which are those of its name, and belong to whoever
    takes it. `owners`: by chunk."""

    name: PackName
    stored: bytearray
    trailer: Trailer
    owners: Owners

    @property
    def holds_nodes(self) -> bool | None:
        """None where it holds both sorts of chunks."""
        sorts = {
            ChunkKind(kind) not in DATA_KINDS for kind in set(self.trailer.frames.column("kind").tolist())
        }
        return sorts.pop() if len(sorts) == 1 else None

    def kinds(self) -> npt.NDArray[np.int64]:
        """The kind of each chunk."""
        frames = self.trailer.frames
        return np.repeat(frames.column("kind"), frames.column("chunks"))


@dataclass(frozen=True, slots=True)
class Taken:
    """Chunks that are needed, with their recomputed ids and whose they are. `frame`, `stored`: the frame in
    which they lie, where nothing else lies in it; None for chunks of which no frame can be taken as it is.
    `base`: the dictionary that their frame was made with."""

    kind: ChunkKind
    ids: Sequence[ChunkId]
    plains: Sequence[bytes]
    owners: Owners
    base: ChunkId | None = None
    frame: Frame | None = None
    stored: bytes = b""


class NeededFrames:
    """Over one set of packs. `reader`: tries other copies, where a frame turns out damaged."""

    def __init__(
        self,
        store: Store,
        fetchers: Executor,
        key: IdKey,
        packs: Packs,
        elsewhere: Callable[[Sequence[ChunkId]], npt.NDArray[np.bool_]] | None = None,
    ) -> None:
        """`elsewhere`: which of chunks that no pack of the view holds are to be had without it; they are not
        taken."""
        self._store = store
        self._fetchers = fetchers
        self._packs = packs
        self._elsewhere = elsewhere
        self._hashers = {kind: key.batch_hasher(kind) for kind in ChunkKind}
        self._proof = PackProof(packs.reader, key, fetchers)
        self._marks: dict[PackName, PackMarks] = {}
        self._waiting: list[Need] = []
        self._waiting_ids = 0
        self._owners: list[str] = []
        self._without_pack: list[ChunkId] = []

    @property
    def reader(self) -> ChunkReader:
        return self._packs.reader

    @property
    def owners(self) -> Sequence[str]:
        """The labels of needs, by their numbers less 1."""
        return self._owners

    def mark(self, need: Need) -> None:
        """These will be taken. CorruptData, now or by `taken`, where one is in no pack."""
        if self._waiting and self._waiting[0].label != need.label:
            self._look_up()
        self._waiting.append(need)
        self._waiting_ids += len(need.ids)
        if self._waiting_ids >= MARKED_AT_ONCE:
            self._look_up()

    def mark_all(self, marks: Mapping[PackName, PackMarks], owners: Sequence[str]) -> None:
        """As `mark`, of whole packs; nothing else was marked before but dictionaries."""
        self._marks.update(marks)
        self._owners = list(owners)

    def mark_dictionary(self, dictionary_id: ChunkId) -> None:
        """It will be taken, from its second copy where no pack has it."""
        self._look_up()
        places = self._packs.index.locate((dictionary_id,), self._packs.view)
        if places.pack[0] >= 0:
            self.mark(Need(ChunkKind.DICTIONARY, (dictionary_id,)))
        elif self._elsewhere is None or not self._elsewhere((dictionary_id,)).all():
            self._without_pack.append(dictionary_id)

    def dictionaries(self) -> list[ChunkId]:
        """Those that frames of which anything is needed were made with, each once."""
        self._look_up()
        found: dict[ChunkId, None] = {}
        for name, marks in self._marks.items():
            frames = self._packs.trailers.layout(name).trailer.frames
            if marks.is_whole:
                found |= dict.fromkeys(sorted(frames.dictionaries()))
            elif frames.dictionaries():
                found |= {base: None for at in marks.frames() if (base := _dictionary_of(frames[at]))}
        return list(found)

    def taken(
        self, usable: Collection[ChunkId], progress: Progress, *, proven: bool = False
    ) -> Iterator[WholePack | Taken]:
        """What was marked. `usable`: dictionaries that frames may keep. `proven`: all packs were read whole
        and proven before, so that one whose bytes are still those of its name needs no proof. CorruptData
        where something cannot be had."""
        self._look_up()
        for dictionary_id in self._without_pack:
            plain = self.reader.dictionary(dictionary_id).plain
            yield Taken(ChunkKind.DICTIONARY, (dictionary_id,), (plain,), np.zeros(1, np.uint32))
        sizes = {name: self._packs.trailers.layout(name).trailer.frames_length for name in self._marks}
        progress.entity(PACKS_LABEL, len(sizes), sum(sizes.values()))
        for name, marks in self._marks.items():
            whole = self._whole(name, marks, usable, is_proven=proven)
            if whole is not None:
                yield whole
                del whole  # its bytes are somebody else's
            else:
                yield from self.frames(name)
            progress.advance(PACKS_LABEL, 1, sizes[name])

    def frames(self, name: PackName) -> Iterator[Taken]:
        """What was marked of one pack, in pieces."""
        layout, marks = self._packs.trailers.layout(name), self._marks[name]
        offsets = layout.offset.tolist()
        wanted = [Wanted((name, at), layout.trailer.frames[at], offsets[at]) for at in marks.frames()]
        came: set[int] = set()
        for group in fetched(self._store, self._fetchers, wanted):
            for want, stored in group:
                taken = self._decoded(want, stored)
                if taken is not None:
                    came.add(want.key[1])
                    yield taken
        for want in wanted:
            if want.key[1] not in came:
                yield from self._other_copies(want)

    def _look_up(self) -> None:
        """Mark what waits."""
        needs, self._waiting, self._waiting_ids = self._waiting, [], 0
        if not needs:
            return
        label = needs[0].label
        if not self._owners or self._owners[-1] != label:
            self._owners.append(label)
        ids = [chunk_id for need in needs for chunk_id in need.ids]
        places = self._packs.index.locate(ids, self._packs.view)
        missing = np.flatnonzero(places.pack < 0)
        if len(missing) and self._elsewhere is not None:
            missing = missing[~self._elsewhere([ids[at] for at in missing.tolist()])]
        if len(missing):
            raise CorruptData(
                f"chunk {ids[int(missing[0])].hex()[:16]} is in no pack",
                kind="missing",
                where=label or "packs/",
                hint="`cas check` tells what is wrong",
            )
        numbers, ordinals = numbers_of(ids), places.ordinal
        met, first = np.unique(places.pack, return_index=True)
        for number in met[np.argsort(first)].tolist():
            if number >= 0:
                mine = np.flatnonzero(places.pack == number)
                self._marks_of(places.packs[number]).set(ordinals[mine], numbers[mine], len(self._owners))

    def _marks_of(self, name: PackName) -> PackMarks:
        marks = self._marks.get(name)
        if marks is None:
            marks = self._marks[name] = PackMarks.none(self._packs.trailers.layout(name))
        return marks

    def _whole(
        self, name: PackName, marks: PackMarks, usable: Collection[ChunkId], *, is_proven: bool
    ) -> WholePack | None:
        """The pack, where all of it is needed, can be taken as it is, and is sound."""
        layout = self._packs.trailers.layout(name)
        frames = layout.trailer.frames
        if layout.trailer.frames_length < WHOLE_FROM_BYTES:
            return None
        if not marks.is_whole or frames.column("depth").any():
            return None
        if any(base not in usable for base in frames.bases):
            return None
        try:
            stored = self._store.get(pack_key(name))
            if pack_name(stored) != name:
                raise mismatch("the stored bytes are not those of the pack's name", name)
            parse_header(stored, name)
            if parse_end(stored, name, size=len(stored)) != layout.trailer:
                raise mismatch("the pack has another trailer than was read before", name)
        except (ObjectMissing, CorruptData, Unsupported):
            if is_proven:
                raise
            return None
        if not is_proven:
            ids = self._proof.ids(name, stored, layout.trailer)
            if ids is None or not marks.are_all(ids):
                return None
        return WholePack(name, bytearray(stored), layout.trailer, marks.owners)

    def _decoded(self, want: Wanted, stored: bytes) -> Taken | None:
        """The marked chunks of a frame; None where one of its chunks is not what the pack says, or what is
        asked for."""
        (name, number), frame = want.key, want.frame
        layout, marks = self._packs.trailers.layout(name), self._marks[name]
        first = int(layout.first_chunk[number])
        end = first + frame.chunks
        try:
            plain = self.reader.decode(name, frame, stored)
        except CorruptData:
            return None
        lengths = np.frombuffer(layout.trailer.lengths, dtype="<u4")[first:end].tolist()
        plains = [
            plain[stop - length : stop] for stop, length in zip(accumulate(lengths), lengths, strict=True)
        ]
        ids = self._hashers[frame.kind](plains)
        said = layout.trailer.short_ids[first * SHORT_ID_BYTES : end * SHORT_ID_BYTES]
        if b"".join([chunk_id[:SHORT_ID_BYTES] for chunk_id in ids]) != said or not marks.are_meant(
            first, ids
        ):
            return None
        owners, base = marks.owners[first:end], _dictionary_of(frame)
        if owners.all():
            return Taken(frame.kind, ids, plains, owners, base, None if frame.depth else frame, stored)
        chosen = owners.tolist()
        kept = owners[owners != 0]
        return Taken(frame.kind, list(compress(ids, chosen)), list(compress(plains, chosen)), kept, base)

    def _other_copies(self, want: Wanted) -> Iterator[Taken]:
        """What is needed of a damaged frame, from elsewhere; one by one: what a hostile store says of their
        lengths is not believed."""
        (name, number), kind = want.key, want.frame.kind
        first = int(self._packs.trailers.layout(name).first_chunk[number])
        for chunk_id, owner in self._marks[name].needed(first, first + want.frame.chunks):
            if kind is ChunkKind.DICTIONARY:
                plain = self.reader.dictionary(chunk_id).plain
            else:
                (plain,) = self.reader.read(kind, (chunk_id,))
            yield Taken(kind, (chunk_id,), (plain,), np.array([owner], np.uint32))


def _dictionary_of(frame: Frame) -> ChunkId | None:
    return frame.bases[0] if frame.encoding is Encoding.ZSTD_DICTIONARY else None
