"""What must be so after every step: each version that counts can be read to the last record.

It is told without the modules under test as far as that goes: by what the packs that are there say of
themselves. What a version needs is walked once, when it comes to be, and its records are read and compared.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from cas.closure.ground import Faults, Ground, Packs
from cas.closure.versions import VersionWalk
from cas.damage import Ledger
from cas.engine.chunk_index import Places, View
from cas.engine.environment import Environment
from cas.engine.repository import Repository
from cas.errors import CasError
from cas.format.names import PACKS, version_key
from cas.format.pack import parse_end
from cas.ids import ChunkId, ChunkKind, PackName, ShortId, short, split_short_ids
from cas.progress import Silent
from tests.engine.scenes import Records, records_of
from tests.simulation.shared_store import SharedStore


@dataclass(frozen=True, slots=True)
class Copies:
    """A frame: the chunks in it, how deep it is, and what it is decoded from."""

    chunks: tuple[ShortId, ...]
    depth: int
    bases: tuple[ShortId, ...]


@lru_cache(maxsize=20_000)
def frames_of(stored: bytes) -> tuple[Copies, ...]:
    """What a pack says of itself."""
    trailer = parse_end(stored, PackName("the truth"))
    ids = split_short_ids(trailer.short_ids)
    found: list[Copies] = []
    at = 0
    for frame in trailer.frames:
        chunks = tuple(ids[at : at + frame.chunks])
        found.append(Copies(chunks, frame.depth, tuple(map(short, frame.bases))))
        at += frame.chunks
    return tuple(found)


def decodable(packs: Iterable[bytes]) -> set[ShortId]:
    """Chunks that can be had from these packs alone: a delta from bases in frames of lesser depth, what needs
    a dictionary from one that needs none."""
    frames = [frame for stored in packs for frame in frames_of(stored)]
    least: dict[ShortId, int] = {}
    for frame in sorted(frames, key=lambda one: (one.depth, bool(one.bases))):
        if all(base in least and least[base] < max(frame.depth, 1) for base in frame.bases):
            for chunk in frame.chunks:
                least.setdefault(chunk, frame.depth)
    return set(least)


class _Walked(Ground):
    """Remembers what was asked for."""

    def __init__(self, packs: Packs, repository: Repository) -> None:
        super().__init__(packs, Ledger(), repository.index)
        self.ids: set[ChunkId] = set()

    def locate(self, kind: ChunkKind, ids: Sequence[ChunkId]) -> tuple[Places, Faults]:
        self.ids.update(ids)
        return super().locate(kind, ids)


@dataclass(slots=True)
class Promise:
    """A version that counts: its document, what it needs, what is in it."""

    document: bytes
    needs: frozenset[ShortId]
    records: Records


@dataclass(slots=True)
class Truth:
    """Over the store itself, beside all machines."""

    store: SharedStore
    environment: Environment
    promises: dict[int, Promise] = field(default_factory=dict)
    opened: Repository | None = None
    """Kept from one look to the next."""

    def _repository(self) -> Repository:
        if self.opened is None:
            self.opened = Repository(self.store, None, self.environment)
        return self.opened

    def promise(self, number: int, document: bytes, records: Records) -> str:
        """From now on this version counts. What is wrong with it at once, or nothing."""
        repository = self._repository()
        try:
            found = records_of(repository, number)
        except CasError as error:
            return f"version {number} cannot be read when it comes to be: {error}"
        if found != records:
            return f"version {number} is not what was taken"
        self.promises[number] = Promise(document, self._needs(repository, number), records)
        return self.broken()

    def _needs(self, repository: Repository, number: int) -> frozenset[ShortId]:
        listed = set(repository.packs())
        view = View(listed - repository.learn(listed))
        ground = _Walked(Packs.over(repository, repository.index, repository.trailers, view), repository)
        VersionWalk(ground, repository.boundary, Silent()).version(repository.document(number))
        return frozenset(map(short, ground.ids))

    def broken(self) -> str:
        """The first promise that is broken, or nothing."""
        objects = self.store.contents()
        there = decodable(data for key, data in objects.items() if key.startswith(PACKS))
        for number, promise in self.promises.items():
            if objects.get(version_key(number)) != promise.document:
                return f"the document of version {number} is gone, or another one"
            missing = promise.needs - there
            if missing:
                return f"version {number} lacks {len(missing)} chunks"
        return ""

    def read_back(self, number: int) -> str:
        """What a new process without a cache finds wrong with a version."""
        repository = Repository(self.store, None, self.environment)
        try:
            found = records_of(repository, number)
        except CasError as error:
            return f"version {number} cannot be read: {error}"
        return "" if found == self.promises[number].records else f"version {number} has changed"
