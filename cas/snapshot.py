"""Taking a version: one consistent moment of a platform becomes chunks, trees and a document."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial

from cas.anomalies import AnomalyRules
from cas.base_holding import held_bases, undamaged
from cas.bases import Bases
from cas.catalog.interface import Catalog
from cas.catalog.model import (
    Anomaly,
    Base,
    NewVersion,
    Trigger,
    Version,
    VersionFilter,
    VersionKind,
    VersionState,
)
from cas.catalog.rules import WHOLE
from cas.engine.compression import DEFAULT_LEVEL
from cas.engine.repository import Repository
from cas.engine.write_session import WriteSession, WriteSettings
from cas.entity_taking import EntityTaking, Findings, Plan, Reading
from cas.errors import CasError, InsufficientSpace, InvalidInput, SourceChanged
from cas.file_taking import FileTaking, require_labels
from cas.format.document import EntityRead, ValueRef
from cas.format.entities import (
    EntityEntry,
    encode_definition,
    entity_order,
)
from cas.format.schema import encode_schema
from cas.ids import ChunkKind
from cas.limits import DEFAULT_DELTA_DEPTH, MIB
from cas.progress import Progress, Silent
from cas.quota import QuotaGuard
from cas.records.file_tree import FileTree
from cas.records.files import files_entity
from cas.records.marks import Mark
from cas.records.model import OF_THE_DATABASE, Entity, EntityKind
from cas.records.source import Omission, Selection, Source, SourceIdentity, SourceSnapshot
from cas.unusual import earlier_entities, find_unusual
from cas.version_commit import Described, Taken, commit_version, facts_of

ATTEMPTS = 3
"""How often a version is begun when the platform's schema moves under it."""

SPARE_BYTES = 64 * MIB
"""Room that a version needs in any case: packs in flight and the catalog's own growth."""

FIRST_VERSION_RATIO = 0.5
"""Stored bytes expected for each byte of a table that was never stored; product data needs 0.4."""


@dataclass(frozen=True, slots=True)
class SnapshotRequest:
    """What to take and what to call it."""

    selection: Selection = field(default_factory=Selection)
    with_schema: bool = True
    with_data: bool = True
    trigger: Trigger = Trigger.MANUAL
    reason: str = ""
    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    created_by: str = ""
    protected: bool = False
    allow_incomplete: bool = False
    level: int = DEFAULT_LEVEL
    threads: int = 1
    delta_depth: int = DEFAULT_DELTA_DEPTH
    """How many changes of a node may be stored as such before it is stored whole again; 0: always whole."""
    scan: bool = False
    """Read every row, whatever could be told of changes."""
    scan_every: int = 0
    """Every so many versions all rows are read and what changed as well, and both are compared; 0: never."""
    unusual: AnomalyRules | None = field(default_factory=AnomalyRules)
    """Which counts of changes are marked; None: none are."""
    destinations: tuple[str, ...] | None = ()
    """Replicas that are to hold it, too, and that somebody copies it to afterwards; None: the enabled
    mirrors."""
    files: tuple[FileTree, ...] = ()
    """Trees of files that are read beside the rows, after them. Not part of a version without data."""

    @property
    def kind(self) -> VersionKind:
        """Selected tables make a selected version, whatever parts of them are taken."""
        if not self.selection.is_everything:
            return VersionKind.SELECTED
        if not self.with_data:
            return VersionKind.SCHEMA_ONLY
        return VersionKind.FULL if self.with_schema else VersionKind.DATA_ONLY


@dataclass(frozen=True, slots=True)
class _Looked:
    """What is known of a platform once its rows were read and its moment is over."""

    identity: SourceIdentity
    roles: tuple[str, ...]
    omissions: tuple[Omission, ...]

    @property
    def is_incomplete(self) -> bool:
        return any(omission.is_failure for omission in self.omissions)


@dataclass(frozen=True, slots=True)
class SnapshotReceipt:
    """A committed version, and what a person should know about how it came to be."""

    version: Version
    warnings: tuple[str, ...] = ()


def take_version(
    repository: Repository,
    catalog: Catalog,
    source: Source,
    request: SnapshotRequest,
    progress: Progress | None = None,
) -> SnapshotReceipt:
    """Take a version and commit it. Whatever goes wrong, the version is listed as failed with its
    reason, and nothing that was there before has changed."""
    if not (request.with_schema or request.with_data):
        raise InvalidInput("neither schema nor data were asked for", hint="Drop one of the two options")
    watcher = progress or Silent()
    watcher.phase("begin")
    guard = QuotaGuard.of(catalog, repository.store.url)
    guard.require()
    parent, known = catalog.latest(), catalog.bases()

    def stored(stored_bytes: int) -> None:
        watcher.stored(stored_bytes)
        guard.stored(stored_bytes)

    session = WriteSession(
        repository,
        catalog,
        _new_version(request, source.url, parent.number if parent else None),
        WriteSettings(request.level, request.threads, request.delta_depth),
        on_stored=stored,
    )
    try:
        with ExitStack() as held:
            known = held_bases(repository, catalog, known, parent.number if parent else None, held)
            known = undamaged(catalog, known)
            return _Taking(repository, session, request, parent, known, guard, watcher).run(catalog, source)
    except BaseException as error:
        session.abandon(error)
        raise


def _new_version(request: SnapshotRequest, source_url: str, parent: int | None) -> NewVersion:
    return NewVersion(
        trigger=request.trigger,
        kind=request.kind,
        reason=request.reason,
        name=request.name,
        description=request.description,
        tags=request.tags,
        metadata=request.metadata,
        created_by=request.created_by,
        protected=request.protected,
        source_url=source_url,
        included=request.selection.tables,
        excluded=request.selection.exclude,
        included_schemas=request.selection.schemas,
        parent=parent,
        destinations=request.destinations,
    )


class _Taking:
    """The steps of one version, over one session."""

    def __init__(
        self,
        repository: Repository,
        session: WriteSession,
        request: SnapshotRequest,
        parent: Version | None,
        known: Sequence[Base],
        guard: QuotaGuard,
        progress: Progress,
    ) -> None:
        """`known`: what the version may be built upon, found before the session began, and there since then:
        so all that it is made of was live when it began, and stays."""
        self._repository = repository
        self._session = session
        self._request = request
        self._progress = progress
        self._parent = parent
        self._known = known
        self._guard = guard
        self._source_url = ""
        self._previous: bytes | None = None
        self._before: dict[tuple[str, str, str], EntityEntry] = {}
        self.retries = 0
        self._warnings: list[str] = []

    def run(self, catalog: Catalog, source: Source) -> SnapshotReceipt:
        self._source_url = source.url
        if self._parent is not None:
            self._look_back(self._parent.number, catalog)
        while True:
            try:
                version = self._attempt(catalog, source)
                break
            except SourceChanged:
                self.retries += 1
                if self.retries == ATTEMPTS:
                    raise
        if self._session.lost_packs:
            self._warnings.append(
                f"{len(self._session.lost_packs)} packs are missing or unreadable in the store; records of"
                " this version were stored anew. Run `cas check` for the older versions"
            )
        if self._guard.warning:
            self._warnings.append(self._guard.warning)
        return SnapshotReceipt(version, tuple(self._warnings))

    def _look_back(self, parent: int, catalog: Catalog) -> None:
        """The hash of the parent's document for the chain; dictionaries and trees to build upon, from the
        parent and, for what it lacks, from the newest version that has all records. A damaged one costs
        compression, not the version."""
        whole = catalog.versions(VersionFilter((VersionState.COMPLETE,), kinds=WHOLE, limit=1))
        for number in sorted({parent, *(version.number for version in whole)}):
            try:
                document, hashed, _ = self._repository.stored_document(number)
                if number == parent:
                    self._previous = hashed
                entries = self._repository.entities(document, self._session.reader)
            except CasError as error:
                self._warnings.append(f"version {number} could not be used as a base: {error}")
                continue
            self._before |= {entity_order(entry.entity): entry for entry in entries if entry.root is not None}

    def _attempt(self, catalog: Catalog, source: Source) -> Version:
        self._progress.phase("connect")
        request = self._request
        with source.snapshot(request.selection, allow_incomplete=request.allow_incomplete) as snapshot:
            identity = snapshot.identity
            catalog.describe_source(
                self._session.handle.id,
                identity.database,
                identity.server_version,
                identity.system_identifier,
            )
            self._require_space(snapshot)
            schema = None
            if request.with_schema:
                # Before the records: a change of schema that waits behind our locks shows here, not after
                # hours of reading.
                self._progress.phase("schema")
                items = encode_schema(snapshot.schema_items())
                schema = self._session.put_value(ChunkKind.DEFINITION, items)
            self._progress.phase("read")
            entities = sorted(snapshot.entities, key=entity_order)
            require_labels(request.files, entities)
            taking = self._taking(catalog, snapshot, entities) if request.with_data else None
            take = partial(taking.rows.take, snapshot) if taking else self._without_data
            taken = [take(entity) for entity in entities]
            snapshot.finish()
            looked = _Looked(identity, tuple(snapshot.roles()), tuple(snapshot.omissions))
        # Files may take hours, and the platform's moment would be held open as long.
        for tree in request.files if taking else ():
            self._progress.phase(f"files {tree.name}")
            assert taking is not None
            found = taking.files.take(tree)
            taken += found.taken
            looked = replace(looked, omissions=(*looked.omissions, *found.omissions))
        taken.sort(key=lambda one: entity_order(one.entry.entity))
        return self._commit(catalog, source, looked, taken, schema, taking.rows if taking else None)

    def _taking(self, catalog: Catalog, snapshot: SourceSnapshot, entities: Sequence[Entity]) -> "_Ways":
        session, repository, now = self._session, self._repository, snapshot.mark()
        bases = Bases(self._known, repository, session.reader)
        paths = [files_entity(tree.name) for tree in self._request.files]
        parts = self._parts(snapshot)
        earlier = earlier_entities(catalog, session.handle.number, [*entities, *paths], parts)
        plan, encoding = self._plan(bases, now), snapshot.identity.encoding
        rows = EntityTaking(
            repository, session, bases, self._before, earlier, plan, now, encoding, self._progress
        )
        allowed = self._request.allow_incomplete
        files = FileTaking(
            repository, session, bases, rows, plan, now, self._progress, allow_incomplete=allowed
        )
        return _Ways(rows, files)

    def _parts(self, snapshot: SourceSnapshot) -> Sequence[EntityKind]:
        """Kinds of entities of which the version may hold a part only."""
        if any(omission.is_failure for omission in snapshot.omissions):
            return (EntityKind.SEQUENCES, EntityKind.LARGE_OBJECTS)
        return () if self._request.selection.is_everything else (EntityKind.SEQUENCES,)

    def _require_space(self, snapshot: SourceSnapshot) -> None:
        """Say before the start what would fail in the middle."""
        expected = 0
        if self._parent is None and self._request.with_data:
            tables = sum(snapshot.estimate(entity).bytes for entity in snapshot.entities)
            expected = int(tables * FIRST_VERSION_RATIO)
        self._guard.require(expected)
        free = self._repository.store.free_bytes()
        if free is None:
            return
        expected += SPARE_BYTES
        if free < expected:
            raise InsufficientSpace(
                f"about {expected // MIB} MiB are needed and {free // MIB} MiB are free",
                where=self._repository.store.url,
                hint="Free some space, or choose another store",
            )

    def _plan(self, bases: Bases, now: Mark) -> Plan:
        """Every row where it was asked for, where it is time to check, or where something is wrong."""
        request, lost = self._request, self._session.lost_packs
        every = partial(Plan, is_whole=request.selection.is_everything)
        if lost:
            return every(Reading.SCAN, "packs are missing or unreadable, and what they held is stored anew")
        if request.scan:
            return every(Reading.SCAN, "asked for")
        if not self._known:
            return every(Reading.SCAN, "first version" if self._parent is None else "nothing to build upon")
        if request.scan_every and bases.since_scan(now) + 1 >= request.scan_every:
            return every(Reading.BOTH, f"every row is read in every {request.scan_every}th version")
        return Plan(Reading.CHANGES)

    def _without_data(self, entity: Entity) -> Taken:
        definition = self._session.put_chunk(ChunkKind.DEFINITION, encode_definition(entity))
        entry = EntityEntry(entity, definition, None, 0, 0)
        return Taken(entry, EntityRead(entity.label, "none", "schema only", 0, 0))

    def _commit(
        self,
        catalog: Catalog,
        source: Source,
        looked: _Looked,
        taken: Sequence[Taken],
        schema: ValueRef | None,
        taking: EntityTaking | None,
    ) -> Version:
        self._progress.phase("store")
        request = self._request
        found = taking.findings(catalog) if taking else Findings()
        self._warnings += found.warnings
        anomalies = self._anomalies(catalog, looked, taken) if taking else ()
        for one in found.incidents:
            keys = f" (for example {'; '.join(one.examples[:3])})" if one.examples else ""
            self._warnings.append(
                f"INCIDENT in {one.label}: {one.what}{keys}. Every row was read, so this version is right;"
                " take versions with --scan until the cause is known"
            )
        described = Described(
            trigger=request.trigger,
            kind=request.kind,
            reason=request.reason,
            name=request.name,
            description=request.description,
            tags=request.tags,
            metadata=request.metadata,
            created_by=request.created_by,
            protected=request.protected,
            source=facts_of(looked.identity, self._source_url, looked.roles),
            selection=request.selection,
            omissions=looked.omissions,
            parent=self._parent.number if self._parent else None,
            previous=self._previous,
            retries=self.retries,
            unasked_bytes=found.unasked_bytes,
            mark=found.mark,
            since_scan=found.since_scan,
            incidents=found.incidents,
            anomalies=anomalies,
        )
        version = commit_version(
            self._session, self._repository.id, catalog, described, taken, schema, self._progress
        )
        if found.mark is not None:
            rows = [one.entry.entity for one in taken if one.entry.entity.kind in OF_THE_DATABASE]
            self._tell_kept(source, found.mark, rows)
        return version

    def _anomalies(self, catalog: Catalog, looked: _Looked, taken: Sequence[Taken]) -> tuple[Anomaly, ...]:
        """The version is worth more than what is said about it."""
        rules, left_out = self._request.unusual, None
        if rules is None:
            return ()
        if self._request.kind in WHOLE and not looked.is_incomplete:
            left_out = {omission.name for omission in looked.omissions}
        try:
            return find_unusual(catalog, self._session.handle.number, looked.identity, taken, rules, left_out)
        except CasError as error:
            self._warnings.append(f"whether its counts are unusual is not known: {error}")
            return ()

    def _tell_kept(self, source: Source, mark: Mark, entities: Sequence[Entity]) -> None:
        """The version is there, whatever the platform says to that."""
        try:
            source.kept(self._repository.id, mark, entities)
        except CasError as error:
            self._warnings.append(f"the platform keeps what it noted of changes, and that grows: {error}")


@dataclass(frozen=True, slots=True)
class _Ways:
    """How the entities of one attempt are taken."""

    rows: EntityTaking
    files: FileTaking
