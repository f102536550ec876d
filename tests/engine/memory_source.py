"""A platform in memory that keeps the promises of the Source port: for tests of engine and operations."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from fnmatch import fnmatch
from uuid import uuid4

from cas.records.marks import Mark
from cas.records.model import Column, Entity, EntityKind, KeyPart, RecordBatch
from cas.records.source import (
    Changed,
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


class History:
    """All moments of one platform in which it was looked at, in their order."""

    def __init__(self) -> None:
        self.name = uuid4().hex
        self.moments: list[dict[Entity, dict[int, bytes] | list[bytes]]] = []

    def add(self, tables: dict[Entity, dict[int, bytes] | list[bytes]]) -> int:
        """Keep a moment; its number, from 1."""
        self.moments.append(tables)
        return len(self.moments)


class MemorySource:
    """Tables by entity. A keyed table is a dict from integer to payload, a bag a list of payloads."""

    def __init__(
        self,
        tables: Mapping[Entity, Rows | Sequence[bytes]],
        batch: int = 100,
        history: "History | None" = None,
        beside: int = 7,
    ) -> None:
        """beside: every so many-th record counts as written though it was not, 0 for none: as a page that
        was frozen, or a transaction that was rolled back, makes it."""
        self.tables = dict(tables)
        self.batch = batch
        self.history = history or History()
        self.beside = beside
        self.fail_after: int | None = None
        """Records after which reading raises OSError, as a lost connection would."""

    @property
    def url(self) -> str:
        return "memory://platform"

    def snapshot(
        self, selection: Selection, *, allow_incomplete: bool = False
    ) -> AbstractContextManager["MemorySnapshot"]:
        return self._open(selection)

    def kept(self, reader: str, mark: Mark, entities: Sequence[Entity]) -> None:
        """Nothing is noted here."""

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
        self._number = source.history.add(self._tables)

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
        return self._batched(self._tables[entity])

    def _batched(self, rows: Rows | Sequence[bytes]) -> Iterator[RecordBatch]:
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

    def mark(self) -> Mark:
        return Mark(self._number, str(self._number), "7", 5, 1, False, self._source.history.name)

    def changed(self, entity: Entity, since: Mark, reader: str) -> Changed | str:
        """What was written since, and some records beside it."""
        if since.started != self._source.history.name:
            return "the server was started again"
        rows, before = self._tables[entity], self._source.history.moments[since.xmin - 1].get(entity)
        if not isinstance(rows, dict) or not isinstance(before, dict):
            return "no primary key"
        beside = self._source.beside
        written = {
            number: payload
            for number, payload in rows.items()
            if (beside and number % beside == 0) or before.get(number) != payload
        }
        return Changed("xmin", self._batched(written), None)

    def count(self, entity: Entity) -> int:
        return len(self._tables[entity])

    def keys(self, entity: Entity) -> Iterator[Sequence[bytes]]:
        return (batch.keys for batch in self.batches(entity))

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
