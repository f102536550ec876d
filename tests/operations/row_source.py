"""A platform whose tables are rows by column name, so that columns and keys can change between versions."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from cas.records.encodings import encode_text
from cas.records.keys import encode_key
from cas.records.model import Column, Entity, EntityKind, KeyPart, RecordBatch
from cas.records.payload import escape, strip_trailing_nulls
from cas.records.source import Selection
from tests.engine.memory_source import MemorySnapshot, MemorySource

Row = Mapping[str, str | None]
Table = dict[Entity, Sequence[Row]]


def shape(*columns: str, key: Sequence[str] = ("id",), part: KeyPart = KeyPart.INTEGER) -> Entity:
    """The table public.things with these columns; `name:type` where it is not text."""
    made = [(*column.split(":"), "text")[:2] for column in columns]
    parts = tuple((name, part) for name in key)
    return Entity(
        EntityKind.TABLE, "public", "things", tuple(Column(name, kind, False) for name, kind in made), parts
    )


PLAIN = shape("id:bigint", "name")
WIDE = shape("id:bigint", "name", "note")
TURNED = shape("name", "id:bigint")
RETYPED = shape("id:integer", "name")
RENAMED = shape("number:bigint", "name", key=("number",))
BY_TEXT = shape("id:text", "name", part=KeyPart.TEXT)
BY_TWO = shape("id:bigint", "name", key=("id", "name"), part=KeyPart.TEXT)
BAG = shape("id:bigint", "name", key=())


class RowSource(MemorySource):
    """Tables of rows by column name; keys and payloads are made as a database would."""

    def __init__(self, tables: Table) -> None:
        super().__init__({entity: [] for entity in tables})
        self.rows = tables

    @contextmanager
    def _open(self, selection: Selection) -> Iterator[MemorySnapshot]:
        yield _RowSnapshot(self, selection)


class _RowSnapshot(MemorySnapshot):
    def __init__(self, source: RowSource, selection: Selection) -> None:
        super().__init__(source, selection)
        self._rows = source.rows

    def batches(self, entity: Entity) -> Iterator[RecordBatch]:
        records = []
        for row in self._rows[entity]:
            texts = [row.get(column.name) for column in entity.columns]
            stored = [escape(None if text is None else text.encode()) for text in texts]
            payload = strip_trailing_nulls(b"\t".join(stored))
            values = [encode_text(row.get(name) or "", "UTF8") for name, _ in entity.key]
            records.append((b"" if entity.is_bag else encode_key(entity, values), payload))
        records.sort()
        keys = [] if entity.is_bag else [key for key, _ in records]
        if records:
            yield RecordBatch(keys, [payload for _, payload in records])
