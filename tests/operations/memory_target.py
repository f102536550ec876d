"""An empty database in memory that keeps the promises of the Target port, and may spoil what it got."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from cas.records.model import Entity, RecordBatch
from cas.records.payload import strip_trailing_nulls
from cas.records.source import SchemaItem, Selection, SourceIdentity
from cas.records.target import Finding, SchemaParts
from tests.engine.memory_source import MemorySnapshot, MemorySource

Tables = dict[Entity, list[bytes]]
"""Payloads in the order in which they lie."""


class MemoryTarget:
    """`spoil` is given the tables when all records are there, as whoever else writes to them would be."""

    url = "memory://target"

    def __init__(self, spoil: Callable[[Tables], None] = lambda _: None) -> None:
        self.tables: Tables = {}
        self.finished = False
        self._spoil = spoil

    def identity(self) -> SourceIdentity:
        return SourceIdentity("target", "18.0", 180000, "7", 5, "UTF8", "C", ())

    def require_empty(self) -> None:
        assert not self.tables

    def findings(
        self,
        source: SourceIdentity,
        items: Sequence[SchemaItem],
        parts: SchemaParts,
        entities: Sequence[Entity],
        roles: Sequence[str] = (),
    ) -> Sequence[Finding]:
        return ()

    def begin(
        self,
        encoding: str,
        items: Sequence[SchemaItem],
        parts: SchemaParts,
        entities: Sequence[Entity] = (),
        *,
        what: str = "a restore",
    ) -> Sequence[Sequence[Entity]]:
        self.require_empty()
        return (tuple(entities),)

    def build_before_data(self) -> None:
        """Tables come into being with their records."""

    def copy_in(self, entity: Entity, lines: Iterable[bytes], *, whole: bool = False) -> int:
        rows = self.tables.setdefault(entity, [])
        before = len(rows)
        rows += [strip_trailing_nulls(line) for line in b"".join(lines).split(b"\n")[:-1]]
        return len(rows) - before

    def set_sequences(self, payloads: Iterable[bytes]) -> None:
        raise NotImplementedError("no platform in memory has sequences")

    def write_large_objects(self, payloads: Iterable[bytes]) -> None:
        raise NotImplementedError("no platform in memory has large objects")

    def build_after_data(self) -> None:
        self._spoil(self.tables)

    def finish(self) -> Sequence[str]:
        self.finished = True
        return ()

    def cancel(self) -> None:
        """Nothing runs beside the caller for long."""

    def close(self) -> None:
        """Nothing is open."""


class WrittenSource(MemorySource):
    """The target, read again. `reads` says which tables were read in the order of their keys."""

    def __init__(self, target: MemoryTarget) -> None:
        super().__init__({})
        self.target = target
        self.reads: list[str] = []

    @contextmanager
    def _open(self, selection: Selection) -> Iterator[MemorySnapshot]:
        self.tables = {
            entity: list(rows) if entity.is_bag else {int(row.split(b"\t")[0]): row for row in rows}
            for entity, rows in self.target.tables.items()
        }
        yield _WrittenSnapshot(self, selection)


class _WrittenSnapshot(MemorySnapshot):
    def __init__(self, source: WrittenSource, selection: Selection) -> None:
        super().__init__(source, selection)
        self._written = source

    def batches(self, entity: Entity) -> Iterator[RecordBatch]:
        self._written.reads.append(entity.label)
        return super().batches(entity)

    def payloads(self, entity: Entity) -> Iterator[Sequence[bytes]]:
        rows = self._written.target.tables[entity]
        return (rows[at : at + 100] for at in range(0, len(rows), 100))
