"""The version that is taken before a restore writes: the live tables as edits of the version that comes back.

What does not differ is stored already, so it costs what differs. It is a version like any other: selected
tables, whole.
"""

from collections.abc import Iterable, Iterator, Sequence

from cas.catalog.interface import Catalog
from cas.catalog.model import NewVersion, Trigger, Version, VersionKind
from cas.engine.compression import Dictionary
from cas.engine.repository import Repository
from cas.engine.write_session import WriteSession, WriteSettings
from cas.entity_reading import EntityReading
from cas.errors import CorruptData
from cas.format.document import EntityRead
from cas.format.entities import EntityEntry, encode_definition, entity_order
from cas.format.node import Node, parse_node
from cas.ids import ChunkId, ChunkKind
from cas.live.comparing import Difference
from cas.live.planned_table import PlannedTable
from cas.live.planning import PreparedPlan
from cas.progress import Progress
from cas.records.live import LiveTransaction, SequenceValue
from cas.records.model import Entity, RecordBatch
from cas.records.sequences import SEQUENCES, SequenceState, encode_sequence
from cas.records.source import Selection
from cas.tree.edit import Edit, TreeStore, edit_tree
from cas.tree.nodes import NodeReader, NodeWriter
from cas.version_commit import Described, Taken, commit_version, facts_of

PUT_TOGETHER = 512
PUT_BYTES = 4 << 20


def take_safety_version(
    repository: Repository,
    catalog: Catalog,
    transaction: LiveTransaction,
    prepared: PreparedPlan,
    tables: Sequence[PlannedTable],
    created_by: str,
    progress: Progress,
) -> Version:
    """Store these tables as the transaction sees them, before it has written anything."""
    base = prepared.contents.document
    labels = tuple(sorted(table.pair.live.label for table in tables))
    reason = f"before restore of {base.number}"
    selection = Selection(tables=labels)
    new = NewVersion(
        trigger=Trigger.SYSTEM,
        kind=VersionKind.SELECTED,
        reason=reason,
        metadata={"restore": str(prepared.plan.number)},
        created_by=created_by,
        source_url=prepared.plan.target,
        source_database=transaction.identity.database,
        source_server_version=transaction.identity.server_version,
        source_system_identifier=transaction.identity.system_identifier,
        included=labels,
        parent=base.number,
    )
    session = WriteSession(repository, catalog, new, WriteSettings(), on_stored=progress.stored)
    try:
        taking = _Taking(repository, session, transaction, prepared, progress)
        taken = [taking.take(table) for table in tables]
        taken += taking.sequences()
        taken.sort(key=lambda one: entity_order(one.entry.entity))
        _, hashed, _ = repository.stored_document(base.number)
        described = Described(
            trigger=new.trigger,
            kind=new.kind,
            source=facts_of(transaction.identity, prepared.plan.target, ()),
            selection=selection,
            reason=reason,
            metadata=new.metadata,
            created_by=created_by,
            parent=base.number,
            previous=hashed,
            unasked_bytes=catalog.version(base.number).stored_bytes or 0,
        )
        return commit_version(session, repository.id, catalog, described, taken, None, progress)
    except BaseException as error:
        session.abandon(error)
        raise


class _Taking:
    """The entities of one safety version."""

    def __init__(
        self,
        repository: Repository,
        session: WriteSession,
        transaction: LiveTransaction,
        prepared: PreparedPlan,
        progress: Progress,
    ) -> None:
        self._repository = repository
        self._session = session
        self._transaction = transaction
        self._reader = prepared.contents.reader
        self._progress = progress

    def take(self, table: PlannedTable) -> Taken:
        """One table: by its differences where equal payloads are equal records, else whole."""
        live, entry = table.pair.live, table.pair.entry
        definition = self._session.put_chunk(ChunkKind.DEFINITION, encode_definition(live))
        if not table.pair.columns.keeps_places or entry.root is None:
            return self._read(live, definition, entry)
        session = self._session
        session.begin_entity(0)
        dictionary = session.known_dictionary(entry.dictionary) if entry.dictionary else None
        writer = session.nodes(entry.root)
        nodes = _LastNodes(self._reader, writer)
        store = TreeStore(nodes, nodes, self._repository.boundary)
        putting = _Putting(session, dictionary)
        root = edit_tree(store, entry.root, putting.edits(table.differences), counted=live.is_bag)
        writer.flush()
        counts = table.counts
        made = EntityEntry(
            live,
            definition,
            root.id,
            counts.live_records,
            counts.live_bytes,
            entry.dictionary if dictionary else None,
        )
        if root.records != counts.live_records:
            raise CorruptData(
                f"the safety version has {root.records} records of {live.label}, the table"
                f" {counts.live_records}",
                kind="malformed",
                hint="Nothing was changed. Run `cas check` for the version that comes back",
            )
        read = EntityRead(live.label, "scan", "as it differs", counts.live_records, putting.new)
        return Taken(made, read)

    def _read(self, live: Entity, definition: ChunkId, before: EntityEntry) -> Taken:
        reading = EntityReading(self._session, live, before, before.payload_bytes, self._progress)
        root = reading.grow(self._transaction.batches(live), self._repository.boundary)
        entry = EntityEntry(
            live,
            definition,
            root.id,
            reading.records,
            reading.payload_bytes,
            reading.dictionary.id if reading.dictionary else None,
        )
        why = "its columns differ"
        return Taken(entry, EntityRead(live.label, "scan", why, reading.records, reading.new_chunks))

    def sequences(self) -> list[Taken]:
        """The sequences of the tables, as an entity of their own; none where there are none."""
        values = sorted(self._transaction.sequences(), key=lambda one: one.name)
        if not values:
            return []
        definition = self._session.put_chunk(ChunkKind.DEFINITION, encode_definition(SEQUENCES))
        reading = EntityReading(self._session, SEQUENCES, None, 0, self._progress)
        root = reading.grow(iter([_batch(values)]), self._repository.boundary)
        entry = EntityEntry(SEQUENCES, definition, root.id, reading.records, reading.payload_bytes)
        read = EntityRead(SEQUENCES.label, "scan", "every row is read", reading.records, reading.new_chunks)
        return [Taken(entry, read)]


class _LastNodes:
    """Reads a tree, and of what was just written the last node of each level: where a tree shrinks to one
    node of a level, that is the one."""

    def __init__(self, reader: NodeReader, writer: NodeWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._last: dict[int, tuple[ChunkId, bytes]] = {}

    def put_node(self, plain: bytes, level: int, last_key: bytes) -> ChunkId:
        node_id = self._writer.put_node(plain, level, last_key)
        self._last[level] = (node_id, plain)
        return node_id

    def nodes(self, ids: Sequence[ChunkId]) -> Sequence[Node]:
        fresh = dict(self._last.values())
        if not any(node_id in fresh for node_id in ids):
            return self._reader.nodes(ids)
        return [
            parse_node(fresh[node_id], node_id.hex())
            if node_id in fresh
            else self._reader.nodes((node_id,))[0]
            for node_id in ids
        ]


class _Putting:
    """Stores the live records that the version lacks, and says what the tree becomes."""

    def __init__(self, session: WriteSession, dictionary: Dictionary | None) -> None:
        self._session = session
        self._dictionary = dictionary
        self.new = 0

    def edits(self, differences: Iterable[Difference]) -> Iterator[Edit]:
        """One for each difference; its record is put before."""
        some: list[Difference] = []
        size = 0
        for one in differences:
            some.append(one)
            size += len(one.payload or b"")
            if len(some) >= PUT_TOGETHER or size >= PUT_BYTES:
                yield from self._put(some)
                some, size = [], 0
        yield from self._put(some)

    def _put(self, some: Sequence[Difference]) -> Iterator[Edit]:
        payloads = [one.payload for one in some if one.payload is not None]
        if payloads:
            self.new += self._session.put_records(payloads, self._dictionary).new
        for one in some:
            yield one.key, one.live


def _batch(values: Sequence[SequenceValue]) -> RecordBatch:
    states = [SequenceState(one.name, one.last_value, one.is_called) for one in values]
    return RecordBatch([state.name + b"\0" for state in states], [encode_sequence(s) for s in states])
