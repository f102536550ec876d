"""What is left of a version that lacks something, as a version of its own, which is restored like any other.

It is incomplete, and says of what and how many records it lacks; `--allow-incomplete` restores it. The old
one can be forgotten then, and garbage collection goes on.

    walk      what the version needs and nobody has        (crash: nothing)
    write     trees without what is lost                   (as every version: cas/engine/write_session.py)

Of sequences all are left out where one is lost. Nothing is stored anew but nodes: all records are those of
the old version, which is pinned as the parent.
"""

from dataclasses import dataclass

from cas.catalog.interface import Catalog
from cas.catalog.model import NewVersion, Trigger, Version, VersionKind
from cas.catalog.rules import COMMITTED
from cas.engine.repository import Repository
from cas.engine.write_session import WriteSession
from cas.errors import Conflict, CorruptData, Unsupported
from cas.format.document import EntityRead, VersionDocument
from cas.format.entities import EntityEntry, encode_definition
from cas.ids import ChunkKind
from cas.progress import Progress, Silent
from cas.records.model import EntityKind
from cas.records.source import Omission, Selection
from cas.repair.lacking import Chunks, SoundGround, lacking, sound_ground, usable
from cas.repair.model import EntityLoss, VersionLoss
from cas.repair.naming import EntityRemains, SoundRun, entries_of
from cas.tree.build import TreeBuilder
from cas.tree.nodes import Leaf
from cas.version_commit import Described, Taken, commit_version


@dataclass(frozen=True, slots=True)
class Rest:
    """The new version, and what it lacks of the old one."""

    version: Version
    loss: VersionLoss


def take_rest(
    repository: Repository,
    catalog: Catalog,
    number: int,
    *,
    created_by: str = "",
    progress: Progress | None = None,
) -> Rest:
    """Conflict for a version that is not complete or incomplete, or lacks nothing; CorruptData where nothing
    is left of it; NotFound. As every writer raises."""
    watcher = progress or Silent()
    old = catalog.version(number)
    if old.state not in COMMITTED:
        raise Conflict(f"version {number} is {old.state.value}", hint="Choose one of `cas versions`")
    watcher.phase("trees")
    ground = sound_ground(repository, usable(repository, catalog, ()))
    left = lacking(repository, ground, (number,), watcher)
    if number not in left.versions:
        raise Conflict(f"version {number} lacks nothing", hint=f"Restore it: cas restore {number}")
    document, hashed, _ = repository.stored_document(number)
    entries, what = entries_of(ground, document)
    if not entries:
        raise CorruptData(
            f"nothing is left of version {number}: {what}", kind="missing", hint="Forget it: `cas delete`"
        )
    new = NewVersion(
        trigger=Trigger.MANUAL,
        kind=VersionKind(document.kind),
        reason=f"what is left of version {number}",
        created_by=created_by,
        source_url=document.source.url,
        source_database=document.source.database,
        source_server_version=document.source.server_version,
        source_system_identifier=document.source.system_identifier,
        included=document.included,
        excluded=document.excluded,
        included_schemas=document.included_schemas,
        parent=number,
    )
    session = WriteSession(repository, catalog, new, on_stored=watcher.stored)
    try:
        return _Taking(repository, catalog, session, ground, document, left.chunks, watcher).take(
            new, hashed, entries, what
        )
    except BaseException as error:
        session.abandon(error)
        raise


class _Taking:
    """One version in the making."""

    def __init__(
        self,
        repository: Repository,
        catalog: Catalog,
        session: WriteSession,
        ground: SoundGround,
        document: VersionDocument,
        lost: Chunks,
        progress: Progress,
    ) -> None:
        self._repository = repository
        self._catalog = catalog
        self._session = session
        self._ground = ground
        self._document = document
        self._lost = lost
        self._progress = progress
        self._losses: list[EntityLoss] = []

    def take(self, new: NewVersion, hashed: bytes, entries: list[EntityEntry], what: str) -> Rest:
        self._progress.phase("write")
        taken = [self._entity(entry) for entry in entries]
        schema = None
        if self._document.schema is not None:
            try:
                items = self._ground.packs.reader.value(self._document.schema, ChunkKind.DEFINITION)
                schema = self._session.put_value(ChunkKind.DEFINITION, items)
            except (CorruptData, Unsupported):
                pass  # `what` says so
        omissions = [
            Omission(loss.label, f"{loss.records:,} records are lost", is_failure=True)
            for loss in self._losses
        ]
        if what:
            omissions.append(Omission("version", what, is_failure=True))
        omissions += [Omission(name, why, is_failure=False) for name, why in self._document.omissions]
        described = Described(
            trigger=new.trigger,
            kind=new.kind,
            source=self._document.source,
            selection=Selection(tables=new.included, exclude=new.excluded, schemas=new.included_schemas),
            reason=new.reason,
            created_by=new.created_by,
            omissions=tuple(omissions),
            parent=self._document.number,
            previous=hashed,
            unasked_bytes=self._catalog.version(self._document.number).stored_bytes or 0,
        )
        version = commit_version(
            self._session,
            self._repository.id,
            self._catalog,
            described,
            taken,
            schema,
            self._progress,
        )
        return Rest(version, VersionLoss(self._document.number, what, tuple(self._losses)))

    def _entity(self, entry: EntityEntry) -> Taken:
        session, entity = self._session, entry.entity
        definition = session.put_chunk(ChunkKind.DEFINITION, encode_definition(entity))
        read = EntityRead(entity.label, "none", f"what is left of version {self._document.number}", 0, 0)
        if entry.root is None:
            return Taken(EntityEntry(entity, definition, None, 0, 0), read)
        self._progress.entity(entity.label, entry.records, entry.payload_bytes)
        session.begin_entity(0)
        nodes = session.nodes(None)
        builder = TreeBuilder(nodes, self._repository.boundary, counted=entity.is_bag)
        remains = EntityRemains(self._ground, entry, self._lost, self._document.source.encoding)
        payload_bytes = 0
        for run in remains.runs():
            if run.ids:
                builder.add(run.keys, run.ids, run.counts, run.large)
                payload_bytes += self._bytes(run)
                self._progress.advance(entity.label, len(run.ids), 0)
        root = builder.finish()
        nodes.flush()
        loss = remains.loss()
        if loss is not None:
            self._losses.append(loss)
            if entity.kind is EntityKind.SEQUENCES:
                # A restore proves all sequences of a database, or sets none of them.
                return Taken(EntityEntry(entity, definition, None, 0, 0), read)
        dictionary = entry.dictionary if entry.dictionary not in self._lost else None
        return Taken(EntityEntry(entity, definition, root.id, root.records, payload_bytes, dictionary), read)

    def _bytes(self, run: SoundRun) -> int:
        counts = run.counts or [1] * len(run.ids)
        large = frozenset(run.large)
        leaves = [
            Leaf(chunk_id, count, at in large)
            for at, (chunk_id, count) in enumerate(zip(run.ids, counts, strict=True))
        ]
        lengths = self._ground.packs.reader.lengths(leaves)
        return sum(length * count for length, count in zip(lengths, counts, strict=True))
