"""A bundle as a platform: what a version of another repository holds is read as if it were a database.

Ids depend on the id key, so nothing of its chunks fits here. What is carried over is what they hold: records,
keys, definitions, the schema's items, roles, and what the database was.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

from cas.bundles.opening import OpenBundle
from cas.contents import Contents, schema_of
from cas.format.entities import EntityEntry, entity_order
from cas.record_stream import BATCH_RECORDS, read_records
from cas.records.marks import Mark
from cas.records.model import Entity, RecordBatch
from cas.records.source import (
    Changed,
    EntityEstimate,
    Omission,
    SchemaItem,
    Selection,
    SourceIdentity,
)
from cas.scratch_filling import platform_of


class BundleSource:
    """The port Source over the version in a bundle. All of it is read: a selection was made before."""

    def __init__(self, bundle: OpenBundle, contents: Contents) -> None:
        self._contents = contents
        self._url = bundle.document.source.url

    @property
    def url(self) -> str:
        return self._url

    def snapshot(
        self, selection: Selection, *, allow_incomplete: bool = False
    ) -> AbstractContextManager["BundleSnapshot"]:
        return nullcontext(BundleSnapshot(self._contents))

    def kept(self, reader: str, mark: Mark, entities: Sequence[Entity]) -> None:
        """Nobody reads what changed since."""


class BundleSnapshot:
    """The moment that the version is of."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._entries = {entity_order(entry.entity): entry for entry in contents.entries}

    @property
    def identity(self) -> SourceIdentity:
        return platform_of(self._contents)

    @property
    def entities(self) -> Sequence[Entity]:
        return [entry.entity for entry in self._contents.entries]

    @property
    def omissions(self) -> Sequence[Omission]:
        document = self._contents.document
        is_failure = document.state != "complete"
        return tuple(Omission(name, reason, is_failure) for name, reason in document.omissions)

    def estimate(self, entity: Entity) -> EntityEstimate:
        entry = self._entry(entity)
        return EntityEstimate(entry.records, entry.payload_bytes)

    def batches(self, entity: Entity) -> Iterator[RecordBatch]:
        for batch in read_records(self._contents.reader, self._entry(entity)):
            if not entity.is_bag:
                yield RecordBatch(batch.keys, batch.payloads)
                continue
            yield from _repeated(batch.payloads, batch.counts)

    def payloads(self, entity: Entity) -> Iterator[Sequence[bytes]]:
        return (batch.payloads for batch in self.batches(entity))

    def mark(self) -> Mark:
        """Of no history: nothing that is read elsewhere can be told to have come after it."""
        return Mark(0, "0:0:", "", 0, 0, False, "")

    def changed(self, entity: Entity, since: Mark, reader: str) -> Changed | str:
        return "it comes from a bundle"

    def count(self, entity: Entity) -> int:
        return self._entry(entity).records

    def keys(self, entity: Entity) -> Iterator[Sequence[bytes]]:
        return (batch.keys for batch in self.batches(entity))

    def schema_items(self) -> Sequence[SchemaItem]:
        return schema_of(self._contents)

    def roles(self) -> Sequence[str]:
        return self._contents.document.source.roles

    def finish(self) -> None:
        """Nothing moves in it."""

    def _entry(self, entity: Entity) -> EntityEntry:
        return self._entries[entity_order(entity)]


def _repeated(payloads: Sequence[bytes], counts: Sequence[int]) -> Iterator[RecordBatch]:
    """Each record of a bag as often as it occurs, in batches of bounded length."""
    waiting: list[bytes] = []
    for payload, count in zip(payloads, counts, strict=True):
        left = count
        while left:
            fits = min(left, BATCH_RECORDS - len(waiting))
            waiting += [payload] * fits
            left -= fits
            if len(waiting) == BATCH_RECORDS:
                yield RecordBatch((), waiting)
                waiting = []
    if waiting:
        yield RecordBatch((), waiting)
