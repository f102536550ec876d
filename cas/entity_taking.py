"""How each entity of a version is read: what changed since an earlier version, or every row.

Both give the same root for the same moment. Where changes cannot be told, every row is read, and the receipt
says why. Every so often both are done and compared; then what every row says is right.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice

from cas.bases import Bases, EntityBase
from cas.catalog.interface import Catalog
from cas.catalog.model import EntityPast, NewIncident
from cas.engine.compression import Dictionary
from cas.engine.repository import Repository
from cas.engine.write_session import WriteSession
from cas.entity_changes import ChangeReading, Miscounted
from cas.entity_counts import Comparison
from cas.entity_reading import EntityReading
from cas.errors import CorruptData
from cas.format.document import EntityRead, encode_document
from cas.format.entities import EntityEntry, encode_definition, entity_order
from cas.format.node import Node, parse_node
from cas.ids import ChunkId, ChunkKind
from cas.progress import Progress
from cas.read_ahead import read_ahead
from cas.record_ids import RecordIds
from cas.record_stream import read_payload
from cas.records.encodings import decode_text
from cas.records.keys import key_texts
from cas.records.marks import Mark
from cas.records.model import Entity, RecordBatch
from cas.records.source import Changed, EntityEstimate, SourceSnapshot
from cas.tree.diff import diff_trees
from cas.tree.edit import TreeStore
from cas.tree.nodes import NodeReader, NodeWriter, Root
from cas.version_commit import EntityChanges, Taken

EXAMPLES = 20
"""Keys that an incident names."""


class Reading(StrEnum):
    """How a version is read."""

    CHANGES = "changes"
    """What changed, where that can be told."""
    SCAN = "scan"
    """Every row."""
    BOTH = "both"
    """Every row, and what changed as a check of it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`reading`, and why so where it is not the best way, in words."""

    reading: Reading
    why: str = ""
    is_whole: bool = False
    """Whether every row of everything is read."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a version should remember of how it was read; see `cas.version_commit.Described`."""

    mark: Mark | None = None
    since_scan: int = 0
    unasked_bytes: int = 0
    incidents: tuple[NewIncident, ...] = ()
    warnings: tuple[str, ...] = ()


class EntityTaking:
    """Takes the entities of one attempt at a version."""

    def __init__(
        self,
        repository: Repository,
        session: WriteSession,
        bases: Bases,
        before: Mapping[tuple[str, str, str], EntityEntry],
        earlier: Mapping[tuple[str, str, str], EntityPast | None],
        plan: Plan,
        now: Mark,
        encoding: str,
        progress: Progress,
    ) -> None:
        """`before`: earlier entries, for dictionaries and trees to build upon. `earlier`: see
        `cas.unusual.earlier_entities`."""
        self._repository = repository
        self._session = session
        self._bases = bases
        self._before = before
        self._earlier = earlier
        self._plan = plan
        self._now = now
        self._encoding = encoding
        self._progress = progress
        self._ids = RecordIds(repository.config.id_key)
        self._incidents: list[NewIncident] = []
        self._warnings: list[str] = []
        self._dropped_bytes = 0
        self._built_upon: set[int] = set()

    def take(self, snapshot: SourceSnapshot, entity: Entity) -> Taken:
        """One entity, stored."""
        definition = self._session.put_chunk(ChunkKind.DEFINITION, encode_definition(entity))
        base, changed = self._changed(snapshot, entity)
        if not isinstance(changed, str) and isinstance(base, EntityBase):
            if self._plan.reading is Reading.BOTH:
                return self._checked(snapshot, entity, definition, base, changed)
            try:
                return self._by_changes(snapshot, entity, definition, base, changed)
            except Miscounted as error:
                self._incidents.append(NewIncident(entity.label, f"{changed.read_by}: {error}"))
                return self._scan(snapshot, entity, definition, f"an incident: {error.what}")
            except CorruptData as error:
                why = f"version {base.version} is damaged and cannot be built upon: {error.what}"
                return self._scan(snapshot, entity, definition, why)
        assert isinstance(changed, str)
        return self._scan(snapshot, entity, definition, changed)

    def findings(self, catalog: Catalog) -> Findings:
        """When all entities were taken. What was built upon is needed by this version too, except for the
        records and nodes that went: an estimate, and exact where every row was read."""
        built = max(self._built_upon, default=None)
        unasked = 0
        if built is not None:
            document = encode_document(self._repository.document(built))
            inherited = (catalog.version(built).stored_bytes or 0) - len(document) - self._dropped_bytes
            unasked = max(0, inherited - self._session.reused_bytes)
        since = 0 if self._plan.is_whole else self._bases.since_scan(self._now) + 1
        return Findings(self._now, since, unasked, tuple(self._incidents), tuple(self._warnings))

    def _changed(self, snapshot: SourceSnapshot, entity: Entity) -> tuple[EntityBase | None, Changed | str]:
        """What to build upon, and what changed since; or why not."""
        if self._plan.reading is Reading.SCAN:
            return None, self._plan.why
        base = self._bases.of(entity, self._now)
        if isinstance(base, str):
            return None, base
        return base, snapshot.changed(entity, base.mark, self._repository.id)

    def _scan(self, snapshot: SourceSnapshot, entity: Entity, definition: ChunkId, why: str) -> Taken:
        estimate = snapshot.estimate(entity)
        batches = snapshot.batches(entity)
        if self._repository.environment.threads:
            batches = read_ahead(batches)
        return self.whole(entity, definition, batches, estimate, "scan", why)

    def whole(
        self,
        entity: Entity,
        definition: ChunkId,
        batches: Iterator[RecordBatch],
        estimate: EntityEstimate,
        read_by: str,
        why: str,
    ) -> Taken:
        """An entity of which all records are given."""
        self._progress.entity(entity.label, estimate.records, estimate.bytes)
        before, earlier = self._before.get(entity_order(entity)), self._earlier.get(entity_order(entity))
        reading = EntityReading(self._session, entity, before, estimate.bytes, self._progress)
        comparison = Comparison(earlier, self._session.tree_nodes) if earlier else None
        root = reading.grow(batches, self._repository.boundary, comparison)
        entry = EntityEntry(
            entity,
            definition,
            root.id,
            reading.records,
            reading.payload_bytes,
            reading.dictionary.id if reading.dictionary else None,
        )
        read = EntityRead(entity.label, read_by, why, reading.records, reading.new_chunks)
        return Taken(entry, read, self._counted(entity, root, comparison))

    def built(self, version: int, dropped_bytes: int) -> None:
        """Something was built upon this version; of what it stored, so much is no longer needed."""
        self._built_upon.add(version)
        self._dropped_bytes += dropped_bytes

    def _counted(self, entity: Entity, root: Root, comparison: Comparison | None) -> EntityChanges | None:
        """What changed in an entity that was read whole."""
        order = entity_order(entity)
        if comparison is None:
            return EntityChanges(root.records, 0, 0, since=None) if order in self._earlier else None
        earlier, counts = comparison.earlier, comparison.counts(root)
        if counts is None:
            told = f"what changed in {entity.label} since version {earlier.version} is not known"
            self._warnings.append(f"{told}: {comparison.fault}")
            return None
        before = self._before.get(order)
        is_redefined = (
            before is not None and before.root == earlier.root and before.entity.shape != entity.shape
        )
        return EntityChanges(
            counts.inserted, counts.updated, counts.deleted, earlier.version, is_redefined=is_redefined
        )

    def _by_changes(
        self,
        snapshot: SourceSnapshot,
        entity: Entity,
        definition: ChunkId,
        base: EntityBase,
        changed: Changed,
    ) -> Taken:
        self._progress.entity(entity.label, 0, 0)
        session, entry = self._session, base.entry
        assert entry.root is not None
        session.begin_entity(0)
        dictionary = session.known_dictionary(entry.dictionary) if entry.dictionary else None
        putting = _Putting(session, dictionary)
        writer = session.nodes(entry.root)
        known = session.tree_nodes
        reading = ChangeReading(entity, entry, session.reader, known, putting, self._advance(entity))
        nodes = NotedNodes(known, writer)
        root = reading.root(changed, snapshot, TreeStore(nodes, nodes, self._repository.boundary))
        writer.flush()
        counts = reading.counts
        self.built(base.version, counts.dropped + session.reader.stored_bytes(nodes.replaced))
        made = EntityEntry(
            entity,
            definition,
            root.id,
            root.records,
            entry.payload_bytes + counts.payload_bytes,
            entry.dictionary if dictionary else None,
        )
        why = reading.told(changed, base.version)
        read = EntityRead(entity.label, changed.read_by, why, counts.rows, putting.new)
        changes = EntityChanges(counts.inserted, counts.updated, counts.deleted, base.version)
        return Taken(made, read, changes)

    def _advance(self, entity: Entity) -> Callable[[int, int], None]:
        return lambda records, size: self._progress.advance(entity.label, records, size)

    def _checked(
        self,
        snapshot: SourceSnapshot,
        entity: Entity,
        definition: ChunkId,
        base: EntityBase,
        changed: Changed,
    ) -> Taken:
        """Both ways; every row is right where they do not agree."""
        known = self._session.tree_nodes
        nodes = _KeptNodes(known, self._repository)
        reading = ChangeReading(
            entity, base.entry, self._session.reader, known, self._ids.of, lambda *_: None
        )
        wrong = ""
        found: Root | None = None
        try:
            found = reading.root(changed, snapshot, TreeStore(nodes, nodes, self._repository.boundary))
        except (Miscounted, CorruptData) as error:
            wrong = str(error)
        taken = self._scan(snapshot, entity, definition, self._plan.why)
        if found is not None and found.id == taken.entry.root:
            counts = reading.counts
            changes = EntityChanges(counts.inserted, counts.updated, counts.deleted, base.version)
            return replace(taken, changes=taken.changes or changes)
        examples: tuple[str, ...] = ()
        if found is not None and taken.entry.root is not None:
            self._session.close_packs()
            examples = tuple(self._examples(entity, nodes, found.id, taken.entry.root))
            wrong = "it gives other records than reading every row"
        what = f"reading by {changed.read_by} since version {base.version}: {wrong}"
        self._incidents.append(NewIncident(entity.label, what, examples))
        return taken

    def _examples(self, entity: Entity, nodes: "_KeptNodes", found: ChunkId, right: ChunkId) -> Iterator[str]:
        """Keys of records in which they differ, as people know them; else in hexadecimal."""
        reader = self._repository.reader()
        nodes.reader = reader
        for change in islice(diff_trees(nodes, found, right), EXAMPLES):
            leaf = change.right or change.left
            texts = None
            with suppress(CorruptData):
                texts = key_texts(entity, read_payload(reader, leaf)) if leaf else None
            encoding = self._encoding
            yield ", ".join(decode_text(text, encoding) for text in texts) if texts else change.key.hex()


class _Putting:
    """Stores records, and counts those that are new."""

    def __init__(self, session: WriteSession, dictionary: Dictionary | None) -> None:
        self._session = session
        self._dictionary = dictionary
        self.new = 0

    def __call__(self, payloads: Sequence[bytes]) -> tuple[list[ChunkId], list[int]]:
        stored = self._session.put_records(payloads, self._dictionary)
        self.new += stored.new
        return stored.ids, stored.large


class NotedNodes:
    """Reads and writes a tree's nodes, and notes which are no longer part of it."""

    def __init__(self, reader: NodeReader, writer: NodeWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._read: set[ChunkId] = set()
        self._written: set[ChunkId] = set()

    @property
    def replaced(self) -> list[ChunkId]:
        return list(self._read - self._written)

    def nodes(self, ids: Sequence[ChunkId]) -> Sequence[Node]:
        self._read.update(ids)
        return self._reader.nodes(ids)

    def put_node(self, plain: bytes, level: int, last_key: bytes) -> ChunkId:
        node_id = self._writer.put_node(plain, level, last_key)
        self._written.add(node_id)
        return node_id


class _KeptNodes:
    """Keeps the nodes of a tree in memory, instead of storing them; reads the others."""

    def __init__(self, reader: NodeReader, repository: Repository) -> None:
        self.reader = reader
        self._hasher = repository.config.id_key.hasher(ChunkKind.NODE)
        self._kept: dict[ChunkId, bytes] = {}

    def put_node(self, plain: bytes, level: int, last_key: bytes) -> ChunkId:
        node_id = self._hasher(plain)
        self._kept[node_id] = plain
        return node_id

    def nodes(self, ids: Sequence[ChunkId]) -> Sequence[Node]:
        others = [one for one in ids if one not in self._kept]
        read = dict(zip(others, self.reader.nodes(others), strict=True)) if others else {}
        return [parse_node(self._kept[one], one.hex()) if one in self._kept else read[one] for one in ids]
