"""Where the chunks of a repository lie, and what is wrong with those that are asked for.

The ground is an index that nobody changes meanwhile, a reader over the same packs, and flags for
chunks that are known to be bad. What it cannot give it blames on an object of the store.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from cas.damage import DamageKind, Fault, Ledger
from cas.engine.chunk_index import ChunkIndex
from cas.engine.chunk_reader import ChunkReader
from cas.engine.places import Places, View
from cas.engine.repository import Repository
from cas.engine.trailers import Trailers
from cas.errors import CasError, CorruptData, Unsupported
from cas.format.frame import Encoding
from cas.format.names import PACKS, dictionary_key, pack_key
from cas.ids import ChunkId, ChunkKind, PackName

COPY_HINT = (
    "`cas repair` brings it back from replicas, from copies named with --from, and with --from-live from"
    " what the platform still has"
)

Faults = Mapping[int, Fault]
"""By position among the ids that were asked for."""


@dataclass(frozen=True, slots=True)
class Packs:
    """What can be known of the packs of a view: an index that nobody adds to, trailers, a reader."""

    index: ChunkIndex
    trailers: Trailers
    view: View
    reader: ChunkReader

    @classmethod
    def over(cls, repository: Repository, index: ChunkIndex, trailers: Trailers, view: View) -> "Packs":
        """index: holds at least the packs of the view."""
        frozen = index.frozen()
        reader = ChunkReader(
            repository.store, repository.config.id_key, frozen, trailers, view, repository.fetchers
        )
        return cls(frozen, trailers, view, reader)


class Ground:
    """Chunks by their places in some packs."""

    def __init__(self, packs: Packs, ledger: Ledger, known: ChunkIndex) -> None:
        """known: an index that may remember in which lost pack a lost chunk was; it decides nothing."""
        self.packs = packs
        self.ledger = ledger
        self._needed = np.zeros(len(packs.index.pack_names), dtype=np.bool_)
        self._known = known
        self._gone = View(known.packs - packs.view.packs)
        self._suspects: set[int] = set()
        self.explain: Callable[[], None] | None = None
        """Called once, when the first chunk is in no pack and nobody knows in which one it was: looks for
        packs that are lost, and calls `suspect` for each."""
        self._first = packs.index.first_chunks()
        self._bad = np.zeros(len(packs.index), dtype=np.int32)
        self._damaged: set[PackName] = set()
        self.flagged: list[tuple[PackName, int, int]] = []
        """What is known to be bad: a pack, the ordinal of a chunk, and how many from there on; -1 for all."""
        self._others: dict[PackName | None, View] = {}
        self.label = ""
        """The entity whose chunks are asked for; empty where it is none's."""

    def suspect(self, finding: int) -> None:
        """A finding about a whole pack: what is in no other pack was perhaps in this one."""
        self._suspects.add(finding)

    def flag(self, name: PackName, first: int, count: int, finding: int) -> None:
        """So many chunks of a pack, from the one with this ordinal on, are bad."""
        for begin in self.first_chunks(name):
            bad = self._bad[begin + first : begin + first + count]
            bad[bad == 0] = finding + 1
        self._damaged.add(name)
        self.flagged.append((name, first, count))

    def flag_pack(self, name: PackName, finding: int) -> None:
        """All chunks of a pack are bad."""
        for begin in self.first_chunks(name):
            after = self._first[self._first > begin]
            self._bad[begin : int(after[0]) if len(after) else None] = finding + 1
        self._damaged.add(name)
        self.flagged.append((name, 0, -1))

    def prove(self, name: PackName, ids: bytes | bytearray) -> None:
        """The ids of all chunks of a pack, one after another, as they were recomputed: nobody remembers
        them here, so an id that a version names is told by the half of it that trailers hold."""

    def first_chunks(self, name: PackName) -> Sequence[int]:
        """The positions of a pack's first chunk; an index may hold a pack more than once."""
        return self._positions[name]

    @cached_property
    def _positions(self) -> dict[PackName, list[int]]:
        positions: dict[PackName, list[int]] = {}
        for name, first in zip(self.packs.index.pack_names, self._first.tolist(), strict=True):
            positions.setdefault(name, []).append(first)
        return positions

    def positions(self, places: Places) -> npt.NDArray[np.int64]:
        """A number of its own for each place; of those that were found only."""
        found = places.pack >= 0
        return self._first[places.pack[found]] + places.ordinal[found]

    def locate(self, kind: ChunkKind, ids: Sequence[ChunkId]) -> tuple[Places, Faults]:
        """The places of chunks that a version needs, and what is wrong with them."""
        places = self.packs.index.locate(ids, self.packs.view)
        self._needed[places.pack[places.pack >= 0]] = True
        sound = self.sound(ids, places)
        if sound.all():
            return places, {}
        wrong = np.flatnonzero(~sound).tolist()
        return places, self._faults(kind, ids, places, wrong)

    def sound(self, ids: Sequence[ChunkId], places: Places) -> npt.NDArray[np.bool_]:
        """For each chunk whether it was found, and is not known to be bad there."""
        sound = places.pack >= 0
        sound[sound] = self._bad[self.positions(places)] == 0
        return sound

    def _faults(
        self, kind: ChunkKind, ids: Sequence[ChunkId], places: Places, wrong: Sequence[int]
    ) -> dict[int, Fault]:
        found = [at for at in wrong if places.pack[at] >= 0]
        missing = [at for at in wrong if places.pack[at] < 0]
        numbers = dict(zip(missing, self._missing([ids[at] for at in missing]), strict=True))
        for at in found:
            numbers[at] = self.finding(ids[at], places, at)
        rescued = self._rescued(kind, {at: ids[at] for at in wrong}, places)
        faults = {}
        for at, number in numbers.items():
            self.ledger.chunk(number, ids[at], kind)
            faults[at] = Fault(number, is_loss=at not in rescued)
        return faults

    def cause(self, base: ChunkId) -> int:
        """The finding about a base that cannot be had: the one about a place where it is bad, else the one
        about the lost pack in which it was."""
        places = self.packs.index.locate((base,), self.packs.view)
        flagged = self.is_flagged(places, 0)
        return self.finding(base, places, 0) if flagged else self._missing((base,))[0]

    def is_flagged(self, places: Places, at: int) -> bool:
        """Whether a chunk was found, and is known to be bad there."""
        return bool(places.pack[at] >= 0) and bool(
            self._bad[self._first[places.pack[at]] + places.ordinal[at]]
        )

    def is_bad(self, name: PackName, ordinal: int) -> bool:
        """Whether a chunk of a pack is known to be bad."""
        return bool(self._bad[self.first_chunks(name)[0] + ordinal])

    def finding(self, chunk_id: ChunkId, places: Places, at: int) -> int:
        """The finding about a chunk that was not found, or is not sound where it was."""
        if places.pack[at] < 0:
            return self._missing((chunk_id,))[0]
        position = self._first[places.pack[at]] + places.ordinal[at]
        return int(self._bad[position]) - 1

    def _missing(self, ids: Sequence[ChunkId]) -> list[int]:
        """Findings for chunks that are in no pack of the view: by the pack in which they were once seen,
        else by the only pack that is lost, else by none."""
        if not ids:
            return []
        remembered = self._known.locate(ids, self._gone)
        return [
            self._lost_pack(remembered.packs[pack] if pack >= 0 else None)
            for pack in remembered.pack.tolist()
        ]

    def _lost_pack(self, name: PackName | None) -> int:
        if name is not None:
            known = self.ledger.of_object(pack_key(name))
            if known is not None:
                return known
            return self.ledger.note(pack_key(name), DamageKind.MISSING, "a pack is missing", COPY_HINT)
        if self.explain is not None:
            explain, self.explain = self.explain, None
            explain()
        if len(self._suspects) == 1:
            return next(iter(self._suspects))
        return self.ledger.note(PACKS, DamageKind.MISSING, "chunks are in no pack", COPY_HINT)

    def _rescued(self, kind: ChunkKind, wrong: Mapping[int, ChunkId], places: Places) -> set[int]:
        """Those of which another place holds a sound copy."""
        waiting = dict(wrong)
        everywhere = View(self.packs.view.packs - self._damaged)
        rescued = self._sound_within(everywhere, waiting)
        by_pack: dict[PackName | None, dict[int, ChunkId]] = {}
        for at in waiting.keys() - rescued:
            pack = int(places.pack[at])
            by_pack.setdefault(places.packs[pack] if pack >= 0 else None, {})[at] = waiting[at]
        for name, mine in by_pack.items():
            if name not in self._others:
                self._others[name] = View(self.packs.view.packs - {name} if name else self.packs.view.packs)
            ids = list(mine.values())
            elsewhere = self.packs.index.locate(ids, self._others[name])
            for at, chunk_id, pack in zip(mine, ids, elsewhere.pack.tolist(), strict=True):
                if pack >= 0 and self._can_be_read(kind, chunk_id):
                    rescued.add(at)
        return rescued

    def _sound_within(self, view: View, wanted: Mapping[int, ChunkId]) -> set[int]:
        ids = list(wanted.values())
        sound = self.sound(ids, self.packs.index.locate(ids, view))
        return {at for at, is_sound in zip(wanted, sound.tolist(), strict=True) if is_sound}

    def _can_be_read(self, kind: ChunkKind, chunk_id: ChunkId) -> bool:
        try:
            self.packs.reader.read(kind, (chunk_id,))
        except CorruptData:
            return False
        return True

    def fetch(self, kind: ChunkKind, ids: Sequence[ChunkId]) -> list[bytes | Fault]:
        """The proven bytes of these chunks, or for each what is wrong."""
        try:
            return list(self.packs.reader.read(kind, ids))
        except CorruptData as error:
            if len(ids) == 1:
                return [self.blame(kind, ids[0], error)]
        return [self.fetch(kind, (chunk_id,))[0] for chunk_id in ids]

    def read(self, kind: ChunkKind, ids: Sequence[ChunkId]) -> tuple[list[bytes | Fault], Faults]:
        """As `fetch`, together with what is wrong though a copy stood in."""
        _, faults = self.locate(kind, ids)
        return self.fetch(kind, ids), faults

    def dictionary(self, dictionary_id: ChunkId) -> frozenset[Fault]:
        """What is wrong with a dictionary. Its second copy stands in for the one in its pack."""
        _, faults = self.locate(ChunkKind.DICTIONARY, (dictionary_id,))
        wrong = set(faults.values())
        try:
            self.packs.reader.dictionary(dictionary_id)
            wrong = {Fault(fault.finding, is_loss=False) for fault in wrong}
        except CorruptData as error:
            wrong.add(self.blame(ChunkKind.DICTIONARY, dictionary_id, error))
        copy = self.ledger.of_object(dictionary_key(dictionary_id))
        if copy is not None:
            wrong.add(Fault(copy, is_loss=False))
        return frozenset(wrong)

    def blame(self, kind: ChunkKind, chunk_id: ChunkId, error: CasError) -> Fault:
        """The fault of a chunk that could not be read, or whose proven bytes are not what they should be."""
        places = self.packs.index.locate((chunk_id,), self.packs.view)
        if places.pack[0] < 0:
            (number,) = self._missing((chunk_id,))
        elif self.is_flagged(places, 0):
            number = self.finding(chunk_id, places, 0)
        elif (fault := self._fault_of_base(kind, places)) is not None:
            number = fault.finding
        else:
            key = pack_key(places.packs[int(places.pack[0])])
            known = self.ledger.of_object(key)
            number = self.ledger.note_error(key, error, COPY_HINT) if known is None else known
        self.ledger.chunk(number, chunk_id, kind)
        return Fault(number, is_loss=True)

    def _fault_of_base(self, kind: ChunkKind, places: Places) -> Fault | None:
        """What is wrong with the base of a chunk's delta, or with its dictionary, if that is what is wrong.
        Depths descend, so this ends."""
        try:
            layout = self.packs.trailers.layout(places.packs[int(places.pack[0])])
        except (CorruptData, Unsupported):
            return None
        number = int(np.searchsorted(layout.first_chunk, places.ordinal[0], side="right")) - 1
        frame = layout.trailer.frames[number]
        for base in frame.bases:
            if frame.encoding is Encoding.ZSTD_DICTIONARY:
                fault = next((fault for fault in self.dictionary(base) if fault.is_loss), None)
            else:
                (plain,) = self.fetch(kind, (base,))
                fault = plain if isinstance(plain, Fault) else None
            if fault is not None:
                return fault
        return None

    def share(self, ids: Sequence[ChunkId]) -> int:
        """Stored bytes of these chunks."""
        return int(self.packs.index.locate(ids, self.packs.view).share.sum())

    def needed_packs(self) -> set[PackName]:
        """The packs of all chunks that were located so far."""
        names = self.packs.index.pack_names
        return {names[number] for number in np.flatnonzero(self._needed).tolist()}
