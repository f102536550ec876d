"""What a bundle says of itself and of its entities, without proving more than what is read for that."""

from dataclasses import dataclass

from cas.bundles.opening import OpenBundle
from cas.format.bundle import Since
from cas.format.entities import parse_entities
from cas.format.malformed import malformed
from cas.ids import ChunkKind


@dataclass(frozen=True, slots=True)
class EntityShown:
    """One entity of the version in a bundle."""

    label: str
    records: int
    payload_bytes: int


@dataclass(frozen=True, slots=True)
class Shown:
    """`entities` is empty where the list of them is left out, as that of an earlier version is the same."""

    path: str
    checksum: bytes
    bytes: int
    sealed: bool
    repository_id: str
    version: int
    kind: str
    state: str
    created_at: str
    database: str
    server_version: str
    reason: str
    name: str
    records: int
    since: Since | None
    is_selection: bool
    packs: int
    entities: tuple[EntityShown, ...]


def shown(bundle: OpenBundle) -> Shown:
    head, document = bundle.head, bundle.document
    return Shown(
        path=str(bundle.path),
        bytes=bundle.bytes,
        sealed=bundle.is_sealed,
        repository_id=head.repository_id,
        version=head.number,
        kind=document.kind,
        state=document.state,
        created_at=head.created_at,
        database=head.database,
        server_version=document.source.server_version,
        reason=head.reason,
        name=head.name,
        checksum=head.checksum,
        records=head.records,
        since=head.since,
        is_selection=head.entities is not None,
        packs=len(document.packs),
        entities=_entities(bundle),
    )


def _entities(bundle: OpenBundle) -> tuple[EntityShown, ...]:
    """Labels come from the receipts: definitions may be left out."""
    reader, document = bundle.repository.reader(), bundle.document
    if bundle.head.since is not None and not reader.stored_bytes((document.entities.id,)):
        return ()
    rows = parse_entities(reader.value(document.entities, ChunkKind.ENTITIES))
    if len(rows) != len(document.read):
        raise malformed("the receipts are not those of the entities", str(bundle.path))
    return tuple(
        EntityShown(read.label, row.records, row.payload_bytes)
        for read, row in zip(document.read, rows, strict=True)
    )
