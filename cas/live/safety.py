"""The version that is taken before a restore writes: the live tables as edits of the version that comes back.

What does not differ is stored already, so it costs what differs. It is a version like any other: selected
tables, whole.
"""

from collections.abc import Container, Iterable, Iterator, Sequence

from cas.catalog.interface import Catalog
from cas.catalog.model import NewVersion, Trigger, Version, VersionKind
from cas.differences import Difference
from cas.engine.compression import Dictionary
from cas.engine.repository import Repository
from cas.engine.write_session import WriteSession, WriteSettings
from cas.entity_reading import EntityReading
from cas.errors import CorruptData
from cas.format.document import EntityRead
from cas.format.entities import EntityEntry, encode_definition, encode_entities, entity_order
from cas.ids import ChunkKind
from cas.live.comparing import grouped
from cas.live.planned_table import PlannedTable
from cas.live.prepared import PreparedPlan
from cas.live.tables import Name
from cas.progress import Progress
from cas.records.live import LiveTransaction, SequenceValue
from cas.records.marks import Mark
from cas.records.model import RecordBatch
from cas.records.sequences import SEQUENCES, SequenceState, encode_sequence
from cas.records.source import Selection
from cas.tree.edit import Edit, TreeStore, edit_tree
from cas.version_commit import Described, EntityChanges, Taken, commit_version, facts_of


class SafetyVersion:
    """One safety version in the making. `prepare` before writers are locked out, `commit` under the lock and
    before anything is written, or `abandon`.

    Nearly all work is done by `prepare`, from what the plan saw: what is equal under the lock is stored by
    then, and only what moved since is done again. `mark`: the moment whose records it holds, after `commit`.
    """

    def __init__(
        self,
        repository: Repository,
        catalog: Catalog,
        prepared: PreparedPlan,
        tables: Sequence[PlannedTable],
        created_by: str,
        progress: Progress,
    ) -> None:
        """Begin the version: it is listed as running from now on."""
        self._repository = repository
        self._catalog = catalog
        self._prepared = prepared
        self._tables = tables
        self._progress = progress
        self._taken: dict[Name, Taken] = {}
        self._is_committed = False
        self.mark: Mark | None = None
        base = prepared.contents.document
        identity = prepared.identity
        self._new = NewVersion(
            trigger=Trigger.SYSTEM,
            kind=VersionKind.SELECTED,
            reason=f"before restore of {base.number}",
            metadata={"restore": str(prepared.plan.number)},
            created_by=created_by,
            source_url=prepared.plan.target,
            source_database=identity.database,
            source_server_version=identity.server_version,
            source_system_identifier=identity.system_identifier,
            included=tuple(sorted(table.pair.live.label for table in tables)),
            parent=base.number,  # pinned: what does not differ is stored there
        )
        self._session = WriteSession(
            repository, catalog, self._new, WriteSettings(), progress.stored, prepared.nodes
        )

    @property
    def number(self) -> int:
        """Of the version; known before it exists."""
        return self._session.handle.number

    def prepare(self) -> None:
        """Store what differs, as the plan saw it."""
        for table in self._tables:
            if _is_edit(table):
                self._taken[table.name] = self._edit(table)
        if len(self._taken) == len(self._tables):
            self._listed([*self._taken.values(), *self._sequences(self._prepared.sequences)])
        self._session.close_packs()

    def _listed(self, taken: list[Taken]) -> list[Taken]:
        """In their order; the list of them is stored."""
        taken.sort(key=lambda one: entity_order(one.entry.entity))
        listing = encode_entities([one.entry for one in taken])
        self._session.put_value(ChunkKind.ENTITIES, listing)
        return taken

    def commit(self, transaction: LiveTransaction, moved: Container[Name]) -> Version:
        """The version as the transaction sees the tables. `moved`: those that are not as they were
        prepared."""
        self.mark = transaction.mark()
        taken = []
        for table in self._tables:
            if not _is_edit(table):
                taken.append(self._read(table, transaction))
            elif table.name in moved:
                taken.append(self._edit(table))
            else:
                taken.append(self._taken[table.name])
        taken = self._listed([*taken, *self._sequences(transaction.sequences())])
        base = self._prepared.contents.document
        _, hashed, _ = self._repository.stored_document(base.number)
        new, before = self._new, self._catalog.base(base.number)
        described = Described(
            trigger=new.trigger,
            kind=new.kind,
            source=facts_of(transaction.identity, self._prepared.plan.target, ()),
            selection=Selection(tables=new.included),
            reason=new.reason,
            metadata=new.metadata,
            created_by=new.created_by,
            parent=base.number,
            previous=hashed,
            unasked_bytes=self._catalog.version(base.number).stored_bytes or 0,
            mark=self.mark,
            since_scan=before.since_scan + 1 if before else 0,
        )
        version = commit_version(
            self._session, self._repository.id, self._catalog, described, taken, None, self._progress
        )
        self._is_committed = True
        return version

    def abandon(self, error: BaseException) -> None:
        """There will be no such version; it is listed as failed. Without effect once it is committed."""
        if not self._is_committed:
            self._session.abandon(error)

    def _edit(self, table: PlannedTable) -> Taken:
        """One table, by its differences."""
        live, entry, session = table.pair.live, table.pair.entry, self._session
        assert entry.root is not None, "a table of a plan has records in the version"
        definition = session.put_chunk(ChunkKind.DEFINITION, encode_definition(live))
        session.begin_entity(0)
        dictionary = session.known_dictionary(entry.dictionary) if entry.dictionary else None
        writer = session.nodes(entry.root)
        store = TreeStore(session.tree_nodes, writer, self._repository.boundary)
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
        return Taken(made, read, self._changes(table, made))

    def _read(self, table: PlannedTable, transaction: LiveTransaction) -> Taken:
        """One table, whole."""
        live, before = table.pair.live, table.pair.entry
        definition = self._session.put_chunk(ChunkKind.DEFINITION, encode_definition(live))
        reading = EntityReading(self._session, live, before, before.payload_bytes, self._progress)
        root = reading.grow(transaction.batches(live), self._repository.boundary)
        entry = EntityEntry(
            live,
            definition,
            root.id,
            reading.records,
            reading.payload_bytes,
            reading.dictionary.id if reading.dictionary else None,
        )
        why = "its columns differ"
        read = EntityRead(live.label, "scan", why, reading.records, reading.new_chunks)
        return Taken(entry, read, self._changes(table, entry))

    def _changes(self, table: PlannedTable, made: EntityEntry) -> EntityChanges | None:
        """What became of the version's records until now. None where the version has none to tell it by."""
        before = table.pair.entry
        inserted = updated = deleted = 0
        for one in table.differences:
            old, new = (side.count if side else 0 for side in (one.version, one.live))
            inserted += max(new - old, 0)
            deleted += max(old - new, 0)
            updated += bool(one.version and one.live and one.version.id != one.live.id)
        if before.root is None or made.records != before.records + inserted - deleted:
            return None
        return EntityChanges(inserted, updated, deleted, self._prepared.contents.document.number)

    def _sequences(self, found: Sequence[SequenceValue]) -> list[Taken]:
        """The sequences of the tables, as an entity of their own; none where there are none."""
        if not found:
            return []
        values = sorted(found, key=lambda one: one.name)
        definition = self._session.put_chunk(ChunkKind.DEFINITION, encode_definition(SEQUENCES))
        reading = EntityReading(self._session, SEQUENCES, None, 0, self._progress)
        root = reading.grow(iter([_batch(values)]), self._repository.boundary)
        entry = EntityEntry(SEQUENCES, definition, root.id, reading.records, reading.payload_bytes)
        read = EntityRead(SEQUENCES.label, "scan", "every row is read", reading.records, reading.new_chunks)
        return [Taken(entry, read)]


def _is_edit(table: PlannedTable) -> bool:
    """Whether the live table is what differs from the version's, and the rest as it is there."""
    return table.pair.columns.keeps_places and table.pair.entry.root is not None


class _Putting:
    """Stores the live records that the version lacks, and says what the tree becomes."""

    def __init__(self, session: WriteSession, dictionary: Dictionary | None) -> None:
        self._session = session
        self._dictionary = dictionary
        self.new = 0

    def edits(self, differences: Iterable[Difference]) -> Iterator[Edit]:
        """One for each difference; its record is put before."""
        for some in grouped(differences):
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
