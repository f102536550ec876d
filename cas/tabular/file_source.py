"""Checked files as a platform that a version is taken of: the port Source, without a database behind it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

from cas.limits import MIB
from cas.records.marks import Mark
from cas.records.model import Entity, RecordBatch
from cas.records.source import (
    Changed,
    EntityEstimate,
    Omission,
    SchemaItem,
    Selection,
    SourceIdentity,
    SourceSnapshot,
)
from cas.row_spool import RowSpool
from cas.tabular.checking import Checked, CheckedEntity

BATCH_RECORDS = 2048
BATCH_BYTES = 4 * MIB
"""Of records that are given at once, whichever comes first."""


class FileSource:
    """One moment, which never changes."""

    def __init__(self, checked: Checked, url: str) -> None:
        self._checked = checked
        self._url = url

    @property
    def url(self) -> str:
        return self._url

    @contextmanager
    def snapshot(self, selection: Selection, *, allow_incomplete: bool = False) -> Iterator[SourceSnapshot]:
        """All that the files hold: they were chosen when they were written."""
        yield _FileSnapshot(self._checked)

    def kept(self, reader: str, mark: Mark, entities: Sequence[Entity]) -> None:
        """Nothing is noted here."""


class _FileSnapshot:
    """See `cas.records.source.SourceSnapshot`."""

    def __init__(self, checked: Checked) -> None:
        self._checked = checked

    @cached_property
    def _by_entity(self) -> dict[Entity, CheckedEntity]:
        return {one.entity: one for one in self._checked.entities}

    @property
    def identity(self) -> SourceIdentity:
        """As it was, but for what would say that this is the running database: no later version builds upon
        these records, and theirs are not compared with its."""
        facts = self._checked.layout.version
        return SourceIdentity(
            database=facts.database,
            server_version=facts.server_version,
            server_version_num=0,
            system_identifier=f"files of {facts.system_identifier}",
            database_oid=0,
            encoding=facts.encoding,
            locale=facts.locale,
            extensions=facts.extensions,
        )

    @property
    def entities(self) -> Sequence[Entity]:
        return [one.entity for one in self._checked.entities]

    @property
    def omissions(self) -> Sequence[Omission]:
        facts = self._checked.layout.version
        return [Omission(name, why, is_failure=facts.state == "incomplete") for name, why in facts.omissions]

    def estimate(self, entity: Entity) -> EntityEstimate:
        spool = self._spool(entity)
        return EntityEstimate(spool.records, spool.payload_bytes) if spool else EntityEstimate(0, 0)

    def batches(self, entity: Entity) -> Iterator[RecordBatch]:
        keys: list[bytes] = []
        payloads: list[bytes] = []
        size = 0
        spool = self._spool(entity)
        for row in spool.rows() if spool else ():
            if not entity.is_bag:
                keys.append(row.key)
            payloads.append(row.payload)
            size += len(row.payload)
            if len(payloads) >= BATCH_RECORDS or size >= BATCH_BYTES:
                yield RecordBatch(keys, payloads)
                keys, payloads, size = [], [], 0
        if payloads:
            yield RecordBatch(keys, payloads)

    def payloads(self, entity: Entity) -> Iterator[Sequence[bytes]]:
        return (batch.payloads for batch in self.batches(entity))

    def mark(self) -> Mark:
        """Of no server's history."""
        return Mark(0, "0:0:", self.identity.system_identifier, 0, 0, in_recovery=False, started="")

    def changed(self, entity: Entity, since: Mark, reader: str) -> Changed | str:
        return "read from files"

    def count(self, entity: Entity) -> int:
        return self.estimate(entity).records

    def keys(self, entity: Entity) -> Iterator[Sequence[bytes]]:
        return (batch.keys for batch in self.batches(entity))

    def schema_items(self) -> Sequence[SchemaItem]:
        return self._checked.layout.schema or ()

    def roles(self) -> Sequence[str]:
        return self._checked.layout.version.roles

    def finish(self) -> None:
        """Nothing moves here: temporary files of our own were read."""

    def _spool(self, entity: Entity) -> RowSpool | None:
        return self._by_entity[entity].rows
