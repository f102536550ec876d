"""Export as JSON lines or CSV: a file for each entity, `schema.json`, `README.txt`."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import IO, Protocol

from cas.contents import Contents, schema_of
from cas.format.entities import EntityEntry
from cas.progress import Progress
from cas.records.model import Column
from cas.records.values import requiring_types, values_of
from cas.tabular.csv_rows import CsvReader, CsvWriter
from cas.tabular.exporting import (
    ExportedEntity,
    ExportFormat,
    ExportReceipt,
    ExportRequest,
    chosen,
    records_of,
)
from cas.tabular.jsonl import JsonReader, JsonWriter
from cas.tabular.layout import (
    README_FILE,
    SCHEMA_FILE,
    EntityFile,
    Layout,
    Rows,
    encode_layout,
    facts_of_version,
    key_column_of,
)
from cas.tabular.names import file_names
from cas.tabular.placing import Members, digest_of, new_members, size_of
from cas.tabular.readme import readme


class RowWriter(Protocol):
    """Writes the lines of one entity."""

    def head(self) -> bytes: ...

    def line(self, values: Sequence[bytes | None]) -> bytes: ...


def columns_of(one: EntityFile) -> list[Column]:
    """The columns of its file."""
    more = [Column(one.key_column, "bytea", not_null=True)] if one.key_column is not None else []
    return [*one.entity.columns, *more]


def writer_of(one: EntityFile, rows: Rows, encoding: str) -> RowWriter:
    """For the file's lines."""
    made = CsvWriter if rows is Rows.CSV else JsonWriter
    return made(columns_of(one), encoding)


def reader_of(one: EntityFile, rows: Rows, encoding: str) -> CsvReader | JsonReader:
    """For the file's lines."""
    made = CsvReader if rows is Rows.CSV else JsonReader
    return made(columns_of(one), encoding)


def export_rows(contents: Contents, rows: Rows, request: ExportRequest, progress: Progress) -> ExportReceipt:
    """Into a directory, or into a zip where the place is called so. The same version gives the same bytes."""
    entries = chosen(contents, request.entities)
    names = file_names([entry.entity.label for entry in entries], rows.value, (SCHEMA_FILE, README_FILE))
    files = [
        EntityFile(entry.entity, name if entry.root is not None else None, key_column_of(entry.entity))
        for entry, name in zip(entries, names, strict=True)
    ]
    with new_members(request.place, force=request.force) as members:
        by_name = sorted(zip(files, entries, strict=True), key=lambda pair: pair[0].file or "")
        written = {
            entry.definition: _write(contents, one, entry, rows, members, progress) for one, entry in by_name
        }
        layout = Layout(
            rows=rows,
            version=facts_of_version(contents, entries),
            entities=tuple(written[entry.definition] for entry in entries),
            schema=schema_of(contents) if contents.document.schema is not None else None,
        )
        with members.member(README_FILE) as file:
            file.write(readme(layout))
        with members.member(SCHEMA_FILE) as file:
            file.write(encode_layout(layout))
    one_file = request.place.is_file()
    size, digest = digest_of(request.place) if one_file else (size_of(request.place), None)
    return ExportReceipt(
        version=contents.document.number,
        format=ExportFormat(rows.value),
        path=str(request.place),
        bytes=size,
        records=sum(one.records for one in layout.entities),
        entities=tuple(
            ExportedEntity(one.entity.label, one.file or "", one.records) for one in layout.entities
        ),
        sha256=digest,
    )


def _write(
    contents: Contents,
    one: EntityFile,
    entry: EntityEntry,
    rows: Rows,
    members: Members,
    progress: Progress,
) -> EntityFile:
    """Write one file; what it became."""
    if one.file is None:
        return one
    writer = writer_of(one, rows, contents.document.source.encoding)
    with members.member(one.file) as file:
        counting = _Counting(file)
        counting.write(writer.head())
        for record in records_of(contents, entry, progress):
            key = [] if one.key_column is None else [b"\\x" + record.key.hex().encode()]
            values = values_of(entry.entity, record.payload)
            with requiring_types(entry.entity):
                line = writer.line([*values, *key])
            for _ in range(record.count):
                counting.write(line)
    return replace(one, records=entry.records, bytes=counting.size, sha256=counting.digest.hexdigest())


class _Counting:
    """Writes, counts and hashes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.size = 0
        self.digest = sha256()

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self.digest.update(data)
        self.size += len(data)
