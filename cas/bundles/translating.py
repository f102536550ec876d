"""Into a repository of another id key: the records are read and stored like those of a database, and then
both sides are read again and compared, since no checksum of the one means anything in the other."""

from collections.abc import Iterator
from dataclasses import dataclass

from blake3 import blake3

from cas.bundles.opening import OpenBundle
from cas.bundles.source import BundleSource
from cas.catalog.interface import Catalog
from cas.contents import Contents, open_contents, schema_of
from cas.engine.repository import Repository
from cas.errors import VerificationFailed
from cas.format.entities import EntityEntry
from cas.pinning import pinned
from cas.progress import Progress
from cas.record_stream import read_records
from cas.snapshot import SnapshotReceipt, SnapshotRequest, take_version
from cas.version_commit import Described

_DIGEST_BITS = 256


@dataclass(frozen=True, slots=True)
class _Sum:
    """Of an entity's records in any order: how many, and the sum of their hashes. Records of other payloads
    with this sum are as hard to find as 256 bits are to guess, by accident; nobody makes them on purpose
    here, since both sides were proven by their ids before."""

    records: int
    total: int


def translate(
    repository: Repository,
    catalog: Catalog,
    bundle: OpenBundle,
    contents: Contents,
    described: Described,
    progress: Progress,
) -> SnapshotReceipt:
    """Commit a version of the same records. VerificationFailed where what was stored, read again, is not what
    the bundle holds: then the version is there, and must not be used."""
    request = SnapshotRequest(
        selection=described.selection,
        with_schema=contents.document.schema is not None,
        with_data=any(entry.root is not None for entry in contents.entries),
        trigger=described.trigger,
        reason=described.reason,
        description=described.description,
        metadata=described.metadata,
        created_by=described.created_by,
        allow_incomplete=contents.document.state != "complete",
        scan=True,
        unusual=None,
    )
    receipt = take_version(repository, catalog, BundleSource(bundle, contents), request, progress)
    number = receipt.version.number
    progress.phase("verify")
    with pinned(repository.environment, catalog, number, "comparing with a bundle"):
        wrong = _difference(contents, open_contents(repository, number), progress)
    if wrong:
        raise VerificationFailed(
            f"version {number}, read again, is not what the bundle holds: {wrong}",
            where=repository.store.url,
            hint=f"Let it go with `cas delete {number}`, run `cas check`, and import once more",
        )
    return receipt


def _difference(left: Contents, right: Contents, progress: Progress) -> str:
    """What differs, in words; empty where nothing does."""
    if [entry.entity for entry in left.entries] != [entry.entity for entry in right.entries]:
        return "other entities"
    has_schema = left.document.schema is not None
    if has_schema and schema_of(left) != schema_of(right):
        return "another schema"
    for ours, theirs in zip(left.entries, right.entries, strict=True):
        label = ours.entity.label
        progress.entity(label, ours.records, ours.payload_bytes)
        if _sum(left, ours) != _sum(right, theirs, progress):
            return f"other records in {label}"
    return ""


def _sum(contents: Contents, entry: EntityEntry, progress: Progress | None = None) -> _Sum:
    records = total = 0
    for key, payload, count in _records(contents, entry):
        digest = blake3(len(key).to_bytes(8, "little") + key + payload).digest()
        total += int.from_bytes(digest) * count
        records += count
        if progress is not None:
            progress.advance(entry.entity.label, count, len(payload) * count)
    return _Sum(records, total % (1 << _DIGEST_BITS))


def _records(contents: Contents, entry: EntityEntry) -> Iterator[tuple[bytes, bytes, int]]:
    """Key, payload, and how often. The keys of a bag are ids, which differ."""
    for batch in read_records(contents.reader, entry):
        if entry.entity.is_bag:
            yield from ((b"", *pair) for pair in zip(batch.payloads, batch.counts, strict=True))
        else:
            yield from ((*pair, 1) for pair in zip(batch.keys, batch.payloads, strict=True))
