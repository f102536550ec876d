"""Copying objects from the primary to a replica, byte for byte: each is proven before it is put, put
create-only, and compared with what is there where something is.

Nothing here makes a version count as copied. What cannot be copied is noted as a problem, and the rest goes
on.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from blake3 import blake3

from cas.catalog.replicating import Replicating
from cas.engine.ahead import ahead
from cas.engine.repository import Repository
from cas.errors import Conflict, CorruptData, Unsupported
from cas.format.config import parse_config
from cas.format.names import (
    CONFIG,
    DICTIONARIES,
    dictionary_key,
    dictionary_of_key,
    notes_key,
    pack_key,
    version_key,
)
from cas.ids import ChunkId, ChunkKind, PackName
from cas.noting import stored_notes
from cas.progress import Progress
from cas.replicas.listing import ReplicaListing
from cas.replicas.model import Problem
from cas.store.interface import ObjectExists, ObjectMissing, Store

PACKS_AHEAD = 4
"""Packs on their way at once, of 16 MiB each as a rule."""

ROUNDS = 10
"""How often packs are asked for again, since garbage collection took some away meanwhile."""

RENEWED_EVERY = 50
"""Packs between two looks at the lease: a run that has lost it stops soon."""

FROM_COPY = "Bring it back from another replica or copy; `cas check --level bytes` tells what it costs"
IN_THE_WAY = "Look who put it there. If nobody needs it, delete the object; the next run puts ours"


_Copied = int | Problem | None
"""Bytes of a pack; what is wrong with it; None where the primary does not have it."""


@dataclass(frozen=True, slots=True)
class SoundPacks:
    """Packs that committed versions may need and that are in the replica as they should be; `are_all`: none
    of those that they may need is missing."""

    names: frozenset[PackName]
    are_all: bool


@dataclass(slots=True)
class Copier:
    """Of one run. `there`: what lies in the replica, kept up to date. `is_committed`: whether a version still
    is. `executor`: copies packs side by side; None: one after the other."""

    primary: Repository
    store: Store
    there: ReplicaListing
    is_committed: Callable[[int], bool]
    progress: Progress
    executor: Executor | None = None
    problems: list[Problem] = field(default_factory=list)
    packs_copied: int = 0
    bytes_copied: int = 0

    def config(self, *, is_known: bool) -> None:
        """`is_known`: an earlier run has compared it. Conflict where it is another repository's."""
        if self.there.has_config and is_known:
            return
        data = self.primary.store.get(CONFIG)
        if parse_config(data) != self.primary.config:
            raise Conflict("the config was exchanged", where=self.primary.store.url, hint="Start again")
        try:
            self.store.put(CONFIG, data, create_only=True)
            self.there.has_config, self.there.config_bytes = True, len(data)
            self._count(len(data))
        except ObjectExists as error:
            if self.store.get(CONFIG) != data:
                raise Conflict(
                    "another repository lies there",
                    where=self.store.url,
                    hint="Choose another prefix, bucket or directory for the replica",
                ) from error

    def packs(self, replicating: Replicating, renew: Callable[[], None]) -> SoundPacks:
        """All packs that a committed version may need; where one of them cannot be had, a problem says which.
        Conflict where garbage collection is always faster."""
        self.progress.phase("packs")
        missing: set[PackName] = set()
        damaged: set[PackName] = set()
        for _ in range(ROUNDS):
            needed = replicating.packs()
            lacking = sorted(needed.keys() - self.there.packs.keys() - damaged)
            self.progress.entity("packs", 0, sum(needed[name] for name in lacking))
            vanished: set[PackName] = set()
            for position, (name, copied) in enumerate(self._copies(lacking), 1):
                self._take(name, copied, vanished, damaged)
                if position % RENEWED_EVERY == 0:
                    renew()
            if vanished <= missing:
                # Still asked for, and twice not there: nobody took it away in order.
                self._lost(vanished)
                unfit = self._unfit(needed)
                sound = (needed.keys() & self.there.packs.keys()) - unfit
                return SoundPacks(frozenset(sound), are_all=len(sound) == len(needed))
            missing |= vanished
        raise Conflict(
            "packs go faster than they are copied", where=self.primary.store.url, hint="Run it again"
        )

    def dictionaries(self) -> None:
        """Second copies, as far as the primary has them."""
        hasher = self.primary.config.id_key.hasher(ChunkKind.DICTIONARY)
        for info in self.primary.store.objects(DICTIONARIES):
            dictionary = dictionary_of_key(info.key)
            if dictionary is None or dictionary in self.there.dictionaries:
                continue
            data = self.primary.store.get(info.key)
            if ChunkId(hasher(data)) != dictionary:
                self._problem(info.key, "a second copy of a dictionary is damaged", FROM_COPY)
            elif self._put(dictionary_key(dictionary), data):
                self.there.dictionaries[dictionary] = len(data)

    def notes(self, heard: int) -> None:
        """All up to this number."""
        for number in range(1, heard + 1):
            if number in self.there.notes:
                continue
            key = notes_key(number)
            try:
                stored_notes(self.primary, number)
                data = self.primary.store.get(key)
            except ObjectMissing:
                self._problem(key, "notes are missing in the primary", FROM_COPY)
            except (CorruptData, Unsupported, Conflict) as error:
                self._problem(key, error.what, FROM_COPY)
            else:
                if self._put(key, data):
                    self.there.notes[number] = len(data)

    def document(self, number: int, digest: bytes) -> bool:
        """`digest`: BLAKE3-256 of its bytes, as the catalog has it. False where it is not there, or in
        vain."""
        key = version_key(number)
        try:
            data = self.primary.store.get(key)
        except ObjectMissing:
            if self.is_committed(number):
                self._problem(key, "the document of a version is missing in the primary", FROM_COPY)
            return False
        if blake3(data).digest() != digest:
            self._problem(key, "the document is not the one that was committed", FROM_COPY)
            return False
        if not self._put(key, data):
            return False
        self.there.documents[number] = len(data)
        return True

    def _copies(self, names: Sequence[PackName]) -> Iterator[tuple[PackName, _Copied]]:
        if self.executor is None:
            return ((name, self._pack(name)) for name in names)
        return ahead(self.executor, self._pack, names, PACKS_AHEAD)

    def _pack(self, name: PackName) -> _Copied:
        """On any thread: it changes nothing of ours."""
        key = pack_key(name)
        try:
            data = self.primary.store.get(key)
        except ObjectMissing:
            return None
        except CorruptData as error:
            return Problem(key, error.what, FROM_COPY)
        if blake3(data).hexdigest() != name:
            return Problem(key, "a pack of the primary is damaged", FROM_COPY)
        return len(data) if _put_once(self.store, key, data) else _in_the_way(key)

    def _take(
        self,
        name: PackName,
        copied: _Copied,
        vanished: set[PackName],
        damaged: set[PackName],
    ) -> None:
        if copied is None:
            vanished.add(name)
        elif isinstance(copied, Problem):
            damaged.add(name)
            self.problems.append(copied)
        else:
            self.there.packs[name] = copied
            self.packs_copied += 1
            self._count(copied)
            self.progress.advance("packs", 0, copied)

    def _lost(self, names: set[PackName]) -> None:
        for name in sorted(names):
            self._problem(pack_key(name), "a pack of the primary is missing", FROM_COPY)

    def _unfit(self, needed: Mapping[PackName, int]) -> set[PackName]:
        """Those that are there, and not with the size that the catalog knows."""
        unfit: set[PackName] = set()
        for name, size in needed.items():
            found = self.there.packs.get(name, size)
            if size > 1 and found != size:
                hint = "Delete it there; the next run copies it again"
                self._problem(pack_key(name), f"a pack of the replica has {found:,} of {size:,} bytes", hint)
                unfit.add(name)
        return unfit

    def _put(self, key: str, data: bytes) -> bool:
        if not _put_once(self.store, key, data):
            self.problems.append(_in_the_way(key))
            return False
        self._count(len(data))
        return True

    def _count(self, size: int) -> None:
        self.bytes_copied += size
        self.progress.stored(size)

    def _problem(self, key: str, what: str, hint: str) -> None:
        self.problems.append(Problem(key, what, hint))


def _put_once(store: Store, key: str, data: bytes) -> bool:
    """Whether these bytes lie there now."""
    try:
        store.put(key, data, create_only=True)
    except ObjectExists:
        return store.get(key) == data
    return True


def _in_the_way(key: str) -> Problem:
    return Problem(key, "another object lies there in the replica", IN_THE_WAY)
