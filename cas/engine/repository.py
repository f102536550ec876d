"""A repository: config, packs and version documents under one prefix of a store.

It opens what is there and gives readers; writing goes through `cas.engine.write_session`. Clock and
randomness are arguments, so that a simulation can own them.
"""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from blake3 import blake3

from cas.engine.ahead import ahead
from cas.engine.chunk_index import ChunkIndex
from cas.engine.chunk_reader import ChunkReader
from cas.engine.environment import Environment
from cas.engine.fetching import FETCH_THREADS
from cas.engine.node_file import NodeFile
from cas.engine.places import View
from cas.engine.trailers import Trailers
from cas.errors import CasError, Conflict, CorruptData, NotFound, Unsupported
from cas.format.config import REPOSITORY_ID_BYTES, Config, encode_config, parse_config
from cas.format.document import VersionDocument, parse_document
from cas.format.entities import EntityEntry, parse_definition, parse_entities
from cas.format.malformed import malformed
from cas.format.names import (
    CONFIG,
    JOURNALS,
    PACKS,
    VERSIONS,
    number_of_key,
    pack_of_key,
    version_key,
)
from cas.format.pack import Trailer
from cas.ids import ID_KEY_BYTES, ChunkKind, IdKey, PackName
from cas.limits import MAX_VERSION_NUMBER, MIB, NODE_CANDIDATE_BITS
from cas.store.interface import ObjectExists, ObjectMissing, Store
from cas.tree.boundary import Boundary

NEWEST_NODES_BYTES = 1024 * MIB
"""Of the file that holds the nodes of the newest trees: what those of 25 million records need."""

TRAILERS_AHEAD = 8
"""Trailers on their way while the last one is put into the index; up to some MiB each."""


def create_repository(
    store: Store, environment: Environment | None = None, *, node_bits: int = NODE_CANDIDATE_BITS
) -> Config:
    """Make an empty repository. Conflict where one is there already, of whoever's making. node_bits: a key in
    2 ** node_bits may end a node of a tree."""
    world = environment or Environment()
    config = Config(
        repository_id=world.entropy(REPOSITORY_ID_BYTES).hex(),
        created_at=world.now().isoformat(timespec="microseconds"),
        id_key=IdKey(world.entropy(ID_KEY_BYTES)),
        node_bits=node_bits,
    )
    left_over = next(store.objects(VERSIONS), None)
    if left_over is not None:
        raise Conflict(
            "the store holds versions but no config",
            where=store.url,
            hint="A repository lost its config here; restore the object `config` from a replica",
        )
    try:
        store.put(CONFIG, encode_config(config), create_only=True)
    except ObjectExists as error:
        raise Conflict(
            "there is a repository already", where=store.url, hint="Use it as it is, or choose another prefix"
        ) from error
    return config


class Repository:
    """An open repository. One per process and store; thread-safe.

    cache: a directory of this user for everything that can be rebuilt; below it, one folder a
    repository. None keeps everything in memory.
    """

    def __init__(self, store: Store, cache: Path | None, environment: Environment | None = None) -> None:
        self.store = store
        self.environment = environment or Environment()
        try:
            self.config = parse_config(store.get(CONFIG))
        except ObjectMissing as error:
            raise NotFound(
                "not a repository", where=store.url, hint="Make one with `cas init`, or correct CAS_STORE"
            ) from error
        home = cache / self.config.repository_id if cache else None
        self.index = ChunkIndex(home / "index" if home else None)
        self.trailers = Trailers(store, home / "trailers" if home else None)
        self.newest_nodes = NodeFile(
            home / "newest-nodes.sqlite" if home else None, self.config.id_key, NEWEST_NODES_BYTES
        )
        self.boundary = Boundary.of(self.config.id_key, self.config.node_bits)

    @property
    def id(self) -> str:
        """32 hex digits."""
        return self.config.repository_id

    @cached_property
    def fetchers(self) -> Executor:
        """Ranged reads side by side, made when first needed."""
        return self.environment.executor(FETCH_THREADS, "cas-fetch")

    def packs(self) -> dict[PackName, int]:
        """The packs in the store now, with their sizes in bytes."""
        found = ((pack_of_key(info.key), info.size) for info in self.store.objects(PACKS))
        return {name: size for name, size in found if name is not None}

    def reader(self) -> ChunkReader:
        """A reader of everything that the store holds now. Learns new packs by their trailers; one
        whose trailer is damaged is left out of the view, so that copies elsewhere are found."""
        listed = set(self.packs())
        unreadable = self.learn(listed)
        return self.reader_of(View(listed - unreadable))

    def reader_of(self, view: View) -> ChunkReader:
        """A reader within a view whose packs were learned."""
        return ChunkReader(self.store, self.config.id_key, self.index, self.trailers, view, self.fetchers)

    def learn(self, packs: set[PackName]) -> set[PackName]:
        """Bring the index up to these packs. Returns those whose trailer could not be read."""
        unknown = sorted(packs - self.index.packs)
        if len(unknown) < 2:
            return self.index.sync(unknown, self.trailers.trailer)
        coming = ahead(self.fetchers, self._trailer, unknown, TRAILERS_AHEAD)

        def fetch(name: PackName) -> Trailer:
            # Another thread may have added packs meanwhile; those are not asked for.
            found = next(trailer for fetched, trailer in coming if fetched == name)
            if isinstance(found, CasError):
                raise found
            return found

        return self.index.sync(unknown, fetch)

    def _trailer(self, name: PackName) -> Trailer | CasError:
        try:
            return self.trailers.trailer(name)
        except (CorruptData, Unsupported) as error:
            return error

    def numbers(self) -> list[int]:
        """Numbers of all version documents in the store, ascending."""
        found = (number_of_key(VERSIONS, info.key) for info in self.store.objects(VERSIONS))
        return sorted(number for number in found if number is not None)

    def journal(self) -> int:
        """The highest number among the gc journals in the store; 0 where there is none."""
        found = (number_of_key(JOURNALS, info.key) for info in self.store.objects(JOURNALS))
        return max((number for number in found if number is not None), default=0)

    def document(self, number: int) -> VersionDocument:
        """The document of a version. NotFound; CorruptData; Conflict where it is another repository's."""
        return self.stored_document(number)[0]

    def stored_document(self, number: int) -> tuple[VersionDocument, bytes, int]:
        """The document, the BLAKE3-256 of its stored bytes, and their length."""
        absent = NotFound(
            f"version {number} is not in the store", where=self.store.url, hint="List with `cas versions`"
        )
        if not 1 <= number <= MAX_VERSION_NUMBER:
            raise absent
        key = version_key(number)
        try:
            data = self.store.get(key)
        except ObjectMissing as error:
            raise absent from error
        document = parse_document(data, key)
        if document.repository_id != self.id:
            raise Conflict("the document belongs to another repository", where=key)
        if document.number != number:
            raise malformed(f"document of version {document.number} under the name of {number}", key)
        return document, blake3(data).digest(), len(data)

    def entities(self, document: VersionDocument, reader: ChunkReader) -> tuple[EntityEntry, ...]:
        """What a version holds, entity by entity, checked against the version's checksum by the caller."""
        rows = parse_entities(reader.value(document.entities, ChunkKind.ENTITIES))
        definitions = reader.read(ChunkKind.DEFINITION, [row.definition for row in rows])
        return tuple(
            EntityEntry(
                parse_definition(plain, row.definition.hex()),
                row.definition,
                row.root,
                row.records,
                row.payload_bytes,
                row.dictionary,
            )
            for row, plain in zip(rows, definitions, strict=True)
        )

    def documents(self) -> Iterator[VersionDocument]:
        """All documents, ascending; one that vanishes meanwhile is passed over."""
        for number in self.numbers():
            with suppress(NotFound):
                yield self.document(number)

    def close(self) -> None:
        """Stop the threads; the store stays open."""
        self.newest_nodes.close()
        if "fetchers" in self.__dict__:
            self.fetchers.shutdown()
