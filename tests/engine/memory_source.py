"""A platform in memory that keeps the promises of the Source port: for tests of engine and operations."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from fnmatch import fnmatch

from cas.records.model import Column, Entity, EntityKind, KeyPart, RecordBatch
from cas.records.source import (
    EntityEstimate,
    Omission,
    SchemaItem,
    Selection,
    SourceIdentity,
)

Rows = Mapping[int, bytes]
"""Key -> payload of a keyed table."""


def table(name: str, columns: Sequence[str] = ("id", "name"), *, is_bag: bool = False) -> Entity:
    """An entity with an integer key `id` and text columns, or a bag."""
    key = () if is_bag else (("id", KeyPart.INTEGER),)
    made = tuple(Column(column, "bigint" if column == "id" else "text", column == "id") for column in columns)
    return Entity(EntityKind.TABLE, "public", name, made, key)


def integer_key(number: int) -> bytes:
    return (number + (1 << 63)).to_bytes(8, "big")


class MemorySource:
    """Tables by entity. A keyed table is a dict from integer to payload, a bag a list of payloads."""

    def __init__(self, tables: Mapping[Entity, Rows | Sequence[bytes]], batch: int = 100) -> None:
        self.tables = dict(tables)
        self.batch = batch
        self.fail_after: int | None = None
        """Records after which reading raises OSError, as a lost connection would."""

    @property
    def url(self) -> str:
        return "memory://platform"

    def snapshot(
        self, selection: Selection, *, allow_incomplete: bool = False
    ) -> AbstractContextManager["MemorySnapshot"]:
        return self._open(selection)

    @contextmanager
    def _open(self, selection: Selection) -> Iterator["MemorySnapshot"]:
        yield MemorySnapshot(self, selection)


class MemorySnapshot:
    """One moment: a copy of all rows."""

    def __init__(self, source: MemorySource, selection: Selection) -> None:
        self._source = source
        self._tables = {
            entity: dict(rows) if isinstance(rows, Mapping) else list(rows)
            for entity, rows in source.tables.items()
            if not selection.tables or any(fnmatch(entity.label, p) for p in selection.tables)
        }
        self._left = source.fail_after

    @property
    def identity(self) -> SourceIdentity:
        return SourceIdentity("platform", "18.0", 180000, "7", 5, "UTF8", "C", ())

    @property
    def entities(self) -> Sequence[Entity]:
        return sorted(self._tables, key=lambda entity: (entity.schema, entity.name))

    @property
    def omissions(self) -> Sequence[Omission]:
        return ()

    def estimate(self, entity: Entity) -> EntityEstimate:
        return EntityEstimate(len(self._tables[entity]), 0)

    def batches(self, entity: Entity) -> Iterator[RecordBatch]:
        rows = self._tables[entity]
        if isinstance(rows, Mapping):
            ordered = sorted((integer_key(number), payload) for number, payload in rows.items())
        else:
            ordered = [(b"", payload) for payload in rows]
        for at in range(0, len(ordered), self._source.batch):
            run = ordered[at : at + self._source.batch]
            if self._left is not None:
                self._left -= len(run)
                if self._left < 0:
                    raise OSError("connection lost")
            keys = [key for key, _ in run] if isinstance(rows, Mapping) else []
            yield RecordBatch(keys, [payload for _, payload in run])

    def payloads(self, entity: Entity) -> Iterator[Sequence[bytes]]:
        return (batch.payloads for batch in self.batches(entity))

    def schema_items(self) -> Sequence[SchemaItem]:
        return [
            SchemaItem("pre-data", "TABLE", entity.schema, entity.name, f"CREATE TABLE {entity.label} ();\n")
            for entity in self.entities
        ]

    def roles(self) -> Sequence[str]:
        return ("owner",)

    def finish(self) -> None:
        """Nothing moves here."""
