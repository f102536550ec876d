"""What must be so after every step: each version that counts can be read to the last record.

It is told without the modules under test as far as that goes: by what the packs that are there say of
themselves. What a version needs is walked once, when it comes to be, and its records are read and compared.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from cas.engine.chunk_reader import ChunkReader
from cas.engine.environment import Environment
from cas.engine.places import View
from cas.engine.repository import Repository
from cas.errors import CasError, CorruptData
from cas.format.names import PACKS, version_key
from cas.format.pack import parse_end
from cas.ids import ChunkId, ChunkKind, PackName, ShortId, short, split_short_ids
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
    try:
        trailer = parse_end(stored, PackName("the truth"))
    except CorruptData:  # half of it, since whoever put it died
        return ()
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


class _Listening(ChunkReader):
    """Remembers what was asked for: its cache of nodes is new, so it is asked for all of a version."""

    def __init__(self, repository: Repository) -> None:
        listed = set(repository.packs())
        view = View(listed - repository.learn(listed))
        key, index, trailers = repository.config.id_key, repository.index, repository.trailers
        super().__init__(repository.store, key, index, trailers, view, repository.fetchers)
        self.ids: set[ChunkId] = set()

    def read(self, kind: ChunkKind, ids: Sequence[ChunkId]) -> list[bytes]:
        self.ids.update(ids)
        return super().read(kind, ids)


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
            reader = _Listening(repository)
            found = records_of(repository, number, reader)
            needs = self._with_what_is_no_record(repository, number, reader)
        except CasError as error:
            return f"version {number} cannot be read when it comes to be: {error}"
        if found != records:
            return f"version {number} is not what was taken"
        self.promises[number] = Promise(document, needs, records)
        return self.broken()

    def _with_what_is_no_record(
        self, repository: Repository, number: int, reader: _Listening
    ) -> frozenset[ShortId]:
        """All that a version needs, when its records were read: with its schema, and its dictionaries."""
        document = repository.document(number)
        if document.schema is not None:
            reader.value(document.schema, ChunkKind.DEFINITION)
        dictionaries = (entry.dictionary for entry in repository.entities(document, reader))
        return frozenset(map(short, reader.ids | {one for one in dictionaries if one is not None}))

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
