"""One record of one version, by its key."""

from collections.abc import Sequence
from dataclasses import dataclass

from cas.contents import Contents, open_contents
from cas.engine.repository import Repository
from cas.errors import InvalidInput, NotFound
from cas.record_stream import read_payload
from cas.records.encodings import decode_text, encode_text
from cas.records.keys import encode_key
from cas.records.values import values_of
from cas.tree.reading import lookup


@dataclass(frozen=True, slots=True)
class FieldValue:
    """One column of a record: PostgreSQL's text of it, or None for NULL."""

    column: str
    type: str
    text: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it was in a version. `chunk` is its id, hex."""

    version: int
    entity: str
    key: tuple[str, ...]
    fields: tuple[FieldValue, ...]
    chunk: str


def get_record(repository: Repository, number: int, entity: str, key: Sequence[str]) -> Record:
    """The record with this key. NotFound says what is missing: version, entity or record."""
    return find_record(open_contents(repository, number), entity, key)


def find_record(contents: Contents, entity: str, key: Sequence[str]) -> Record:
    """As `get_record`, in an open version."""
    entry = contents.entry(entity)
    table = entry.entity
    if table.is_bag:
        raise InvalidInput(
            f"{table.label} has no primary key, so its records have no keys to look up",
            hint="Compare versions with `cas diff` to see its records",
        )
    encoding = contents.encoding(table)
    key_bytes = encode_key(table, [encode_text(text, encoding) for text in key])
    leaf = lookup(contents.reader, entry.root, key_bytes) if entry.root else None
    if leaf is None:
        raise NotFound(
            f"no record {', '.join(key)} in {table.label}",
            where=f"version {contents.document.number}",
            hint="It may be in another version: `cas versions` lists them"
            if entry.root
            else "This version holds no data, only the schema",
        )
    texts = values_of(table, read_payload(contents.reader, leaf))
    return Record(
        version=contents.document.number,
        entity=table.label,
        key=tuple(key),
        fields=tuple(
            FieldValue(column.name, column.type, None if text is None else decode_text(text, encoding))
            for column, text in zip(table.columns, texts, strict=True)
        ),
        chunk=leaf.id.hex(),
    )
