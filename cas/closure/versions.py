"""Walking whole versions: what a document names, down to the last piece of the last large value."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from cas.closure.ground import Ground
from cas.closure.needs import Needs
from cas.closure.trees import Extent, TreeWalk
from cas.damage import ALL_OF_IT, DamageKind, Fault
from cas.errors import CasError, CorruptData, Unsupported
from cas.format.document import ValueRef, VersionDocument
from cas.format.entities import (
    EntityEntry,
    EntityRow,
    check_order,
    parse_definition,
    parse_entities,
    version_checksum,
)
from cas.format.large import parse_large
from cas.format.malformed import malformed, over_limit
from cas.format.names import version_key
from cas.format.schema import parse_schema
from cas.ids import ChunkId, ChunkKind, PackName
from cas.limits import MAX_JSON_BYTES
from cas.progress import Progress
from cas.records.model import Entity
from cas.tree.boundary import Boundary

AT_ONCE = 64
"""Definitions or pieces read together."""

KEPT_DEFINITIONS = 10_000
"""Parsed definitions kept, some 5 KiB each."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Reached:
    """What a version was found to need. `entries` is None where the list of entities could not be had.

    stored_bytes: of all its chunks, each counted once for each tree; the document is not among them.
    packs: that it needs; None where nobody asked, or where it is not known.
    """

    entries: tuple[EntityEntry, ...] | None
    stored_bytes: int
    faults: frozenset[Fault]
    packs: frozenset[PackName] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether everything is there, be it from a copy that stood in."""
        return not any(fault.is_loss for fault in self.faults)


class VersionWalk:
    """Walks versions over one ground; what they share is walked once. What is wrong is touched in the
    ground's ledger by the version and the entities that need it."""

    def __init__(
        self, ground: Ground, boundary: Boundary, progress: Progress, needs: Needs | None = None
    ) -> None:
        """`needs`: find out which packs each version needs."""
        self._ground = ground
        self._progress = progress
        self._needs = needs
        self.trees = TreeWalk(ground, boundary, progress, needs)
        self.entities = 0
        """Entities of versions: one that ten versions hold counts ten times."""
        self._definitions: dict[ChunkId, tuple[Entity | None, Extent]] = {}
        self._dictionaries: dict[ChunkId, Extent] = {}

    def version(self, document: VersionDocument) -> Reached:
        """Everything that the document names."""
        entries, extent = self._entries(document)
        if document.schema is not None:
            _, found = self._parsed(document.schema, ChunkKind.DEFINITION, parse_schema)
            extent += found
        self._touch(document.number, ALL_OF_IT, extent)
        for entry in entries or ():
            self._ground.label = entry.entity.label
            found = self._entity(entry)
            self._ground.label = ""
            self._touch(document.number, entry.entity.label, found)
            extent += found
        packs = None if self._needs is None else self._needs.names(extent.packs)
        return Reached(entries, extent.stored_bytes, extent.faults, packs)

    def _packs(self, ids: Sequence[ChunkId]) -> int:
        return 0 if self._needs is None else self._needs.of(ids)

    def _touch(self, number: int, label: str, extent: Extent) -> None:
        for fault in extent.faults:
            self._ground.ledger.touch(fault, number, label)

    def _entity(self, entry: EntityEntry) -> Extent:
        self.entities += 1
        extent = Extent()
        if entry.dictionary is not None:
            extent += self._dictionary(entry.dictionary)
        if entry.root is not None:
            label = entry.entity.label
            self._progress.entity(label, entry.records, entry.payload_bytes)
            extent += self.trees.tree(label, entry.root, entry.records, counted=entry.entity.is_bag)
        return extent

    def _dictionary(self, dictionary_id: ChunkId) -> Extent:
        if dictionary_id not in self._dictionaries:
            share, faults = self._ground.share((dictionary_id,)), self._ground.dictionary(dictionary_id)
            self._dictionaries[dictionary_id] = Extent(share, faults, self._packs((dictionary_id,)))
        return self._dictionaries[dictionary_id]

    def _entries(self, document: VersionDocument) -> tuple[tuple[EntityEntry, ...] | None, Extent]:
        """The entities, where they can be had and fit the document."""
        rows, extent = self._parsed(document.entities, ChunkKind.ENTITIES, parse_entities)
        if rows is None:
            return None, extent
        entries: list[EntityEntry] = []
        for begin in range(0, len(rows), AT_ONCE):
            some, found = self._definitions_of(rows[begin : begin + AT_ONCE])
            entries += some
            extent += found
        if len(entries) < len(rows):
            return None, extent
        wrong = _contradiction(document, entries)
        if wrong:
            kind, what = wrong
            number = self._ground.ledger.note(version_key(document.number), kind, what)
            extent += Extent(0, frozenset((Fault(number, is_loss=True),)))
        return tuple(entries), extent

    def _definitions_of(self, rows: Sequence[EntityRow]) -> tuple[list[EntityEntry], Extent]:
        """The entries of these rows; those whose definition cannot be had are left out."""
        self._learn([row.definition for row in rows if row.definition not in self._definitions])
        entries = []
        extent = Extent()
        for row in rows:
            entity, found = self._definitions[row.definition]
            extent += found
            if entity is not None:
                entries.append(
                    EntityEntry(
                        entity, row.definition, row.root, row.records, row.payload_bytes, row.dictionary
                    )
                )
        return entries, extent

    def _learn(self, ids: Sequence[ChunkId]) -> None:
        """Read definitions that were not met before; versions share nearly all of them."""
        if len(self._definitions) > KEPT_DEFINITIONS:
            self._definitions.clear()
        places, faults = self._ground.locate(ChunkKind.DEFINITION, ids)
        plains = self._ground.fetch(ChunkKind.DEFINITION, ids) if ids else []
        for at, (definition, plain) in enumerate(zip(ids, plains, strict=True)):
            wrong = frozenset((faults[at],)) if at in faults else frozenset[Fault]()
            extent = Extent(int(places.share[at]), wrong, self._packs((definition,)))
            entity = None
            if isinstance(plain, Fault):
                extent += Extent(0, frozenset((plain,)))
            else:
                try:
                    entity = parse_definition(plain, definition.hex())
                except (CorruptData, Unsupported) as error:
                    extent += self._fault(ChunkKind.DEFINITION, definition, error)
            self._definitions[definition] = entity, extent

    def _fault(self, kind: ChunkKind, chunk_id: ChunkId, error: CasError) -> Extent:
        return Extent(0, frozenset((self._ground.blame(kind, chunk_id, error),)))

    def _parsed(
        self, ref: ValueRef, kind: ChunkKind, parse: Callable[[bytes], _T]
    ) -> tuple[_T | None, Extent]:
        """A value of the document, large or not, and parsed where it can be had."""
        plain, extent = self._large(ref.id) if ref.is_large else self._small(ref.id, kind)
        if plain is None:
            return None, extent
        try:
            return parse(plain), extent
        except (CorruptData, Unsupported) as error:
            return None, extent + self._fault(ChunkKind.LARGE if ref.is_large else kind, ref.id, error)

    def _small(self, chunk_id: ChunkId, kind: ChunkKind) -> tuple[bytes | None, Extent]:
        (plain,), faults = self._ground.read(kind, (chunk_id,))
        wrong = set(faults.values())
        if isinstance(plain, Fault):
            return None, Extent(0, frozenset((*wrong, plain)))
        share, packs = self._ground.share((chunk_id,)), self._packs((chunk_id,))
        return plain, Extent(share, frozenset(wrong), packs)

    def _large(self, large_id: ChunkId) -> tuple[bytes | None, Extent]:
        extent = self.trees.large(large_id)
        (plain,) = self._ground.fetch(ChunkKind.LARGE, (large_id,))
        if isinstance(plain, Fault):
            return None, extent + Extent(0, frozenset((plain,)))
        try:
            large = parse_large(plain, large_id.hex())
            if large.length > MAX_JSON_BYTES:
                raise over_limit(f"a list or schema of {large.length} bytes")
        except CorruptData as error:
            return None, extent + self._fault(ChunkKind.LARGE, large_id, error)
        pieces: list[bytes] = []
        for begin in range(0, len(large.pieces), AT_ONCE):
            for piece in self._ground.fetch(ChunkKind.PIECE, large.pieces[begin : begin + AT_ONCE]):
                if isinstance(piece, Fault):
                    return None, extent + Extent(0, frozenset((piece,)))
                pieces.append(piece)
        joined = b"".join(pieces)
        if len(joined) != large.length:
            wrong = malformed("pieces do not have the length of their value")
            return None, extent + self._fault(ChunkKind.LARGE, large_id, wrong)
        return joined, extent


def _contradiction(
    document: VersionDocument, entries: Sequence[EntityEntry]
) -> tuple[DamageKind, str] | None:
    """What the document and its entities say differently, if anything."""
    try:
        check_order([entry.entity for entry in entries])
    except CorruptData as error:
        return DamageKind.MALFORMED, error.what
    if version_checksum(entries) != document.checksum:
        return DamageKind.HASH_MISMATCH, "the entities do not fit the version's checksum"
    if sum(entry.records for entry in entries) != document.records:
        return DamageKind.MALFORMED, "the records of the entities do not add up to the version's"
    if sum(entry.payload_bytes for entry in entries) != document.original_bytes:
        return DamageKind.MALFORMED, "the bytes of the entities do not add up to the version's"
    if [read.label for read in document.read] != [entry.entity.label for entry in entries]:
        return DamageKind.MALFORMED, "the receipts are not those of the entities"
    return None
