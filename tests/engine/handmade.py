"""Versions made by hand, for trees and documents that no snapshot makes."""

from collections.abc import Callable, Sequence
from datetime import UTC

from blake3 import blake3

from cas.catalog.model import Version, VersionResult, VersionState
from cas.contents import summary_of
from cas.engine.repository import Repository
from cas.engine.write_session import WriteSession
from cas.format.document import EntityRead, SourceFacts, VersionDocument, encode_document
from cas.format.entities import EntityEntry, encode_definition, encode_entities, version_checksum
from cas.ids import ChunkId, ChunkKind
from cas.records.model import Entity
from tests.engine.scenes import World

SOURCE = SourceFacts("memory://platform", "platform", "18.0", "7", "UTF8", "C", (), ("owner",))


def entry_of(
    session: WriteSession, entity: Entity, root: ChunkId | None, records: int, payload_bytes: int = 0
) -> EntityEntry:
    """An entity whose definition is stored too."""
    definition = session.put_chunk(ChunkKind.DEFINITION, encode_definition(entity))
    return EntityEntry(entity, definition, root, records, payload_bytes)


def commit(
    world: World,
    repository: Repository,
    session: WriteSession,
    entries: Sequence[EntityEntry],
    alter: Callable[[VersionDocument], VersionDocument] = lambda document: document,
) -> Version:
    """Commit a version of these entities. `alter` may make the document say something else."""
    listing = session.put_value(ChunkKind.ENTITIES, encode_entities(entries))
    packs = session.close_packs()
    reads = tuple(EntityRead(entry.entity.label, "scan", "by hand", entry.records, 0) for entry in entries)
    moment = session.handle.created_at.astimezone(UTC).isoformat(timespec="microseconds")
    document = VersionDocument(
        repository_id=repository.id,
        number=session.handle.number,
        parent=None,
        previous=None,
        created_at=moment,
        finished_at=world.catalog.now().isoformat(timespec="microseconds"),
        state="complete",
        trigger="MANUAL",
        kind="full",
        reason="",
        name="",
        description="",
        tags=(),
        metadata={},
        created_by="",
        protected=False,
        source=SOURCE,
        included=(),
        excluded=(),
        included_schemas=(),
        omissions=(),
        entities=listing,
        schema=None,
        records=sum(entry.records for entry in entries),
        original_bytes=sum(entry.payload_bytes for entry in entries),
        added_bytes=session.added_bytes,
        checksum=version_checksum(entries),
        read=reads,
        packs=packs,
    )
    document = alter(document)
    result = VersionResult(
        state=VersionState.COMPLETE,
        entities=tuple(summary_of(entry, read) for entry, read in zip(entries, reads, strict=True)),
        omissions=(),
        records=document.records,
        original_bytes=document.original_bytes,
        added_bytes=document.added_bytes,
        stored_bytes=0,
        objects_written=0,
        checksum=document.checksum,
        document_hash=blake3(encode_document(document)).digest(),
    )
    return session.commit(document, result)


def rewrite(
    world: World, number: int, alter: Callable[[VersionDocument], VersionDocument], at: int | None = None
) -> None:
    """Put an altered document in the place of one that is there, as somebody hostile would."""
    document = world.open().document(number)
    world.store.put(f"versions/{at or number:010d}", encode_document(alter(document)))
