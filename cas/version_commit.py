"""The end of every version: its list of entities, its packs, its document, and the commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC

from blake3 import blake3

from cas.catalog.interface import Catalog
from cas.catalog.model import (
    Anomaly,
    EntitySummary,
    NewIncident,
    Trigger,
    Version,
    VersionKind,
    VersionResult,
    VersionState,
)
from cas.contents import summary_of
from cas.engine.write_session import WriteSession
from cas.format.document import EntityRead, SourceFacts, ValueRef, VersionDocument, encode_document
from cas.format.entities import EntityEntry, encode_entities, version_checksum
from cas.ids import ChunkKind
from cas.progress import Progress
from cas.records.marks import Mark
from cas.records.source import Omission, Selection, SourceIdentity


@dataclass(frozen=True, slots=True)
class EntityChanges:
    """Records by what became of them since an earlier version; None where there is none: all are new.

    `is_redefined`: equal records may have other bytes now, and count as updated."""

    inserted: int
    updated: int
    deleted: int
    since: int | None
    is_redefined: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """One entity in this version: what the document, the catalog and the receipt say of it. `changes`: None
    where they are not known."""

    entry: EntityEntry
    read: EntityRead
    changes: EntityChanges | None = None


@dataclass(frozen=True, slots=True)
class Described:
    """What a document says of its version beside what it holds. `previous` is the hash of the parent's
    document."""

    trigger: Trigger
    kind: VersionKind
    source: SourceFacts
    selection: Selection
    reason: str = ""
    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    created_by: str = ""
    protected: bool = False
    omissions: tuple[Omission, ...] = ()
    parent: int | None = None
    previous: bytes | None = None
    retries: int = 0
    unasked_bytes: int = 0
    """Stored bytes that the version needs and that the session was never asked for."""
    mark: Mark | None = None
    """Where the platform stood, for versions that others may be built upon."""
    since_scan: int = 0
    incidents: tuple[NewIncident, ...] = ()
    anomalies: tuple[Anomaly, ...] = ()


def commit_version(
    session: WriteSession,
    repository_id: str,
    catalog: Catalog,
    described: Described,
    taken: Sequence[Taken],
    schema: ValueRef | None,
    progress: Progress,
) -> Version:
    """Close the packs, write the document, commit. `taken` ascends as entities do. On failure the caller
    abandons the session."""
    entries = [one.entry for one in taken]
    listing = session.put_value(ChunkKind.ENTITIES, encode_entities(entries))
    packs = session.close_packs()
    failures = [omission for omission in described.omissions if omission.is_failure]
    state = VersionState.INCOMPLETE if failures else VersionState.COMPLETE
    document = VersionDocument(
        repository_id=repository_id,
        number=session.handle.number,
        parent=described.parent,
        previous=described.previous,
        created_at=session.handle.created_at.astimezone(UTC).isoformat(timespec="microseconds"),
        finished_at=catalog.now().astimezone(UTC).isoformat(timespec="microseconds"),
        state=state.value,
        trigger=described.trigger.value,
        kind=described.kind.value,
        reason=described.reason,
        name=described.name,
        description=described.description,
        tags=described.tags,
        metadata=described.metadata,
        created_by=described.created_by,
        protected=described.protected,
        source=described.source,
        included=described.selection.tables,
        excluded=described.selection.exclude,
        included_schemas=described.selection.schemas,
        omissions=tuple((omission.name, omission.reason) for omission in described.omissions),
        entities=listing,
        schema=schema,
        records=sum(entry.records for entry in entries),
        original_bytes=sum(entry.payload_bytes for entry in entries),
        added_bytes=session.added_bytes,
        checksum=version_checksum(entries),
        read=tuple(one.read for one in taken),
        packs=packs,
    )
    progress.phase("commit")
    summaries = tuple(map(_summary, taken))
    return session.commit(document, _result(document, session, summaries, described))


def _result(
    document: VersionDocument,
    session: WriteSession,
    entities: tuple[EntitySummary, ...],
    described: Described,
) -> VersionResult:
    """What the catalog keeps of a finished version."""
    stored = encode_document(document)
    added = document.added_bytes + len(stored)
    return VersionResult(
        state=VersionState(document.state),
        entities=entities,
        omissions=document.omissions,
        records=document.records,
        original_bytes=document.original_bytes,
        added_bytes=added,
        stored_bytes=session.reused_bytes + described.unasked_bytes + added,
        objects_written=session.objects_written + 1,
        checksum=document.checksum,
        document_hash=blake3(stored).digest(),
        retries=described.retries,
        mark=described.mark,
        since_scan=described.since_scan,
        incidents=described.incidents,
        anomalies=described.anomalies,
    )


def _summary(taken: Taken) -> EntitySummary:
    summary, changes = summary_of(taken.entry, taken.read), taken.changes
    if changes is None:
        return summary
    return replace(
        summary,
        inserted=changes.inserted,
        updated=changes.updated,
        deleted=changes.deleted,
        compared_with=changes.since,
    )


def facts_of(identity: SourceIdentity, url: str, roles: Sequence[str]) -> SourceFacts:
    """The platform as a document names it."""
    return SourceFacts(
        url=url,
        database=identity.database,
        server_version=identity.server_version,
        system_identifier=identity.system_identifier,
        encoding=identity.encoding,
        locale=identity.locale,
        extensions=identity.extensions,
        roles=tuple(roles),
    )
