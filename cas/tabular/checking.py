"""Files of records, checked line by line before anything becomes of them."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from typing import IO

from cas.errors import CasError, InvalidInput
from cas.limits import MAX_KEY_BYTES, MIB
from cas.progress import Progress
from cas.records.keys import decode_key, encode_key
from cas.records.large_objects import decode_large_object
from cas.records.model import Entity, EntityKind
from cas.records.payload import TAB, escape, strip_trailing_nulls
from cas.records.sequences import decode_sequence
from cas.row_spool import Row, RowSpool, TwiceError
from cas.tabular.csv_rows import CsvReader, csv_lines
from cas.tabular.forms import Form, form_of
from cas.tabular.layout import EntityFile, Layout, Rows
from cas.tabular.opening import Package
from cas.tabular.row_files import reader_of

MAX_LINE_BYTES = 1100 * MIB
"""Of one record, which is held in memory: PostgreSQL's largest row, and room for escapes."""

_AGAIN = "Where it was edited on purpose, --edited takes it as it is"


@dataclass(frozen=True, slots=True)
class CheckedEntity:
    """One entity whose file is in order; `rows` is None where the version has no data of it."""

    entity: Entity
    rows: RowSpool | None
    is_edited: bool


@dataclass(frozen=True, slots=True)
class Checked:
    """The whole, and the types of values that nobody but a database can check."""

    layout: Layout
    entities: tuple[CheckedEntity, ...]
    unchecked_types: tuple[str, ...]


def check_files(
    package: Package, layout: Layout, held: ExitStack, progress: Progress, *, edited: bool
) -> Checked:
    """Read everything into temporary files, which `held` removes. InvalidInput names file and line."""
    entities = []
    for one in layout.entities:
        spool = held.enter_context(RowSpool(is_bag=one.entity.is_bag)) if one.file is not None else None
        is_edited = spool is not None and _FileCheck(package, layout, one, progress).run(spool, edited=edited)
        entities.append(CheckedEntity(one.entity, spool, is_edited))
    types = {
        column.type
        for one in layout.entities
        for column in one.entity.columns
        if one.entity.kind in (EntityKind.TABLE, EntityKind.PARTITIONED) and form_of(column) is Form.UNCHECKED
    }
    return Checked(layout, tuple(entities), tuple(sorted(types)))


class _FileCheck:
    """The check of one file."""

    def __init__(self, package: Package, layout: Layout, one: EntityFile, progress: Progress) -> None:
        self._package = package
        self._one = one
        self._entity = one.entity
        self._rows = layout.rows
        self._encoding = layout.version.encoding
        self._reader = reader_of(one, layout.rows, self._encoding)
        places = {column.name: place for place, column in enumerate(one.entity.columns)}
        self._key = [places[name] for name, _ in one.entity.key] if one.key_column is None else None
        self._progress = progress

    def run(self, spool: RowSpool, *, edited: bool) -> bool:
        """Fill the spool; whether the file is another one than was written."""
        one = self._one
        assert one.file is not None, "only entities with a file are checked"
        self._progress.entity(self._entity.label, one.records, one.bytes)
        with self._package.read(one.file) as raw:
            file = _Hashing(raw)
            number = 0
            try:
                for number, line in self._lines(file):
                    spool.add(self._row(number, line))
                    self._progress.advance(self._entity.label, 1, len(line))
                spool.finish()
            except TwiceError as error:
                raise self._wrong(error, error.line) from error
            except (ValueError, InvalidInput) as error:
                raise self._wrong(error, number) from error
        is_edited = file.digest.hexdigest() != one.sha256
        if is_edited:
            self._require_told(spool, edited=edited)
            self._require_not_null(spool)
        return is_edited

    def _lines(self, file: "_Hashing") -> Iterator[tuple[int, bytes]]:
        if self._rows is Rows.JSONL:
            yield from _json_lines(file)
            return
        assert isinstance(self._reader, CsvReader), "CSV is read by its reader"
        lines = csv_lines(file, MAX_LINE_BYTES)
        head = next(lines, None)
        if head is None:
            raise ValueError("no header")
        self._reader.take_head(head[1])
        yield from lines

    def _row(self, number: int, line: bytes) -> Row:
        values = self._reader.values(line)
        key = b""
        if self._one.key_column is not None:
            key = self._given_key(values.pop())
        elif self._key:
            texts = [values[place] for place in self._key]
            if None in texts:
                raise ValueError("NULL in the key")
            key = encode_key(self._entity, [text for text in texts if text is not None])
        if len(key) > MAX_KEY_BYTES:
            raise ValueError("a key that is too long")
        payload = strip_trailing_nulls(TAB.join(map(escape, values)))
        match self._entity.kind:
            case EntityKind.SEQUENCES:
                decode_sequence(payload)
            case EntityKind.LARGE_OBJECTS:
                decode_large_object(payload)
            case _:
                pass
        return Row(key, number, payload)

    def _given_key(self, text: bytes | None) -> bytes:
        key = bytes.fromhex((text or b"")[2:].decode("ascii"))
        decode_key(self._entity, key)
        return key

    def _require_told(self, spool: RowSpool, *, edited: bool) -> None:
        if edited:
            return
        one = self._one
        if spool.records != one.records:
            what = f"{spool.records} records, and schema.json says {one.records}"
        else:
            what = "it is not what was exported: its SHA-256 is another one"
        raise InvalidInput(what, where=self._where(), hint=_AGAIN)

    def _require_not_null(self, spool: RowSpool) -> None:
        """What was edited may not have lost what a column must have."""
        columns = self._entity.columns
        wanted = [place for place, column in enumerate(columns) if column.not_null]
        if not wanted:
            return
        for row in spool.rows():
            parts = row.payload.split(TAB)
            for place in wanted:
                if place >= len(parts) or parts[place] == rb"\N":
                    what = f"column {columns[place].name[:80]}: NULL, and it is NOT NULL"
                    raise self._wrong(ValueError(what), row.line)

    def _where(self, line: int = 0) -> str:
        return f"{self._one.file}, line {line}" if line else str(self._one.file)

    def _wrong(self, error: Exception, line: int) -> InvalidInput:
        what = error.what if isinstance(error, CasError) else str(error)
        return InvalidInput(
            what[:300], where=self._where(line), hint=f"It is the file of {self._entity.label}"
        )


class _Hashing:
    """Lines of a file, which it hashes as they are read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = sha256()

    def readline(self, limit: int, /) -> bytes:
        line = self._file.readline(limit)
        self.digest.update(line)
        return line


def _json_lines(file: _Hashing) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, with their numbers."""
    number = 0
    while line := file.readline(MAX_LINE_BYTES):
        number += 1
        if len(line) == MAX_LINE_BYTES:
            raise ValueError(f"line {number}: a record of more than {MAX_LINE_BYTES} bytes")
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.isspace():
            yield number, line
