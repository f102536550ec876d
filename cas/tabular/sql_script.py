r"""Export as one file for psql: the schema, the records as COPY blocks, sequences, large objects, in one
transaction.

The order is that of a restore (`cas.postgres.filling.target`). The stored bytes of records are COPY lines
already; they are looked at once more, so that no line can end its block and become a command to psql. Nor can
a statement of the schema (`cas.tabular.psql_text`).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from cas.contents import Contents, schema_of
from cas.errors import CorruptData
from cas.format.entities import EntityEntry
from cas.limits import MIB
from cas.postgres.connecting import PINS
from cas.postgres.filling.filled_views import REFRESH
from cas.postgres.filling.large_objects import PRIVILEGES as LARGE_OBJECT_PRIVILEGES
from cas.postgres.filling.large_objects import SURROUNDINGS
from cas.postgres.filling.loading import copy_statement
from cas.postgres.filling.schema_filter import wanted
from cas.postgres.filling.schema_steps import PLACEMENT, Step, steps
from cas.postgres.filling.step_order import PRIVILEGES, is_after_data, is_event_trigger, is_held
from cas.postgres.quoting import conversation_encoding
from cas.progress import Progress
from cas.records.large_objects import PAGE_BYTES, LargeObjectHead, LargeObjectPage, decode_large_object
from cas.records.model import EntityKind
from cas.records.payload import pad_with_nulls
from cas.records.sequences import SequenceState, decode_sequence
from cas.records.target import SchemaParts
from cas.tabular.exporting import (
    ExportedEntity,
    ExportFormat,
    ExportReceipt,
    ExportRequest,
    chosen,
    records_of,
)
from cas.tabular.placing import digest_of, new_file
from cas.tabular.psql_text import for_psql

_ENCODING = re.compile(r"[A-Za-z0-9_]{1,63}", re.ASCII)

_TABLES = (EntityKind.TABLE, EntityKind.PARTITIONED)

_SETTINGS = {
    **{
        name: value
        for name, value in PINS.items()
        if name not in ("search_path", "jit", "synchronous_commit")
    },
    "check_function_bodies": "off",
    "client_min_messages": "warning",
    "default_tablespace": "",
    "default_table_access_method": "heap",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "transform_null_equals": "off",
}
"""What a row's text means and what the schema's text expects, whatever the database or the role has set."""


def export_sql(contents: Contents, request: ExportRequest, progress: Progress) -> ExportReceipt:
    """One file that `psql -v ON_ERROR_STOP=1 -f` runs on an empty database of the same encoding."""
    entries = [entry for entry in chosen(contents, request.entities) if entry.root is not None]
    with (
        new_file(request.place, force=request.force) as temporary,
        temporary.open("xb", buffering=MIB) as file,
    ):
        _Script(contents, entries, file, progress, is_selected=bool(request.entities)).write()
    size, digest = digest_of(request.place)
    return ExportReceipt(
        version=contents.document.number,
        format=ExportFormat.SQL,
        path=str(request.place),
        bytes=size,
        records=sum(entry.records for entry in entries),
        entities=tuple(ExportedEntity(entry.entity.label, "", entry.records) for entry in entries),
        sha256=digest,
    )


class _Script:
    """Writes one."""

    def __init__(
        self,
        contents: Contents,
        entries: Sequence[EntityEntry],
        file: IO[bytes],
        progress: Progress,
        *,
        is_selected: bool,
    ) -> None:
        self._contents = contents
        self._entries = entries
        self._file = file
        self._progress = progress
        self._is_selected = is_selected
        self._encoding = _name_of_encoding(contents.document.source.encoding)
        self._placement: tuple[str | None, ...] = (None,) * len(PLACEMENT)

    def write(self) -> None:
        encoding = self._encoding
        self._head(encoding)
        planned = self._steps()
        self._run(step for step in planned if not is_after_data(step))
        for entry in self._entries:
            if entry.entity.kind in _TABLES:
                self._copy(entry, encoding)
        self._others()
        after = [step for step in planned if is_after_data(step)]
        self._run(step for step in after if not is_held(step))
        self._run(step for step in after if step.item.type in PRIVILEGES)
        self._run(step for step in after if step.item.type == REFRESH)
        self._run(step for step in after if is_event_trigger(step))
        self._statement("COMMIT")

    def _head(self, encoding: str) -> None:
        document = self._contents.document
        roles = ", ".join(document.source.roles) or "none"
        for line in (
            f"Version {document.number} of the database {document.source.database}, {document.created_at}",
            f"checksum {document.checksum.hex()}",
            f"Run on an empty database with the encoding {encoding} (createdb --template=template0):",
            "  psql -X -v ON_ERROR_STOP=1 -d DATABASE -f FILE",
            f"Roles that must be there: {roles}",
            "What stands in hexadecimal is a statement that psql could misread",
        ):
            self._file.write(f"-- {' '.join(line.split())}\n".encode("ascii", "backslashreplace"))
        self._file.write(b"\n\\set ON_ERROR_STOP on\n")
        self._statement("BEGIN")
        self._statement(f"SET client_encoding = '{conversation_encoding(encoding)}'")
        for name, value in _SETTINGS.items():
            self._statement(f"SET {name} = {_setting(name, value)}")
        self._statement("SELECT pg_catalog.set_config('search_path', '', false)")
        self._statement(
            "DO $$ BEGIN IF pg_catalog.getdatabaseencoding() <> "
            f"'{encoding}' THEN RAISE 'the encoding of this database is %, and not {encoding}', "
            "pg_catalog.getdatabaseencoding(); END IF; END $$"
        )

    def _steps(self) -> list[Step]:
        if self._contents.document.schema is None:
            return []
        tables = frozenset((e.entity.schema, e.entity.name) for e in self._entries)
        parts = SchemaParts(tables=tables if self._is_selected else None)
        return wanted(steps(schema_of(self._contents)), parts)

    def _run(self, planned: Iterable[Step]) -> None:
        for step in planned:
            for name, value, before in zip(PLACEMENT, step.placement, self._placement, strict=True):
                if value is not None and value != before:
                    self._foreign(f"SET {name} = {value}")
            self._placement = tuple(
                before if value is None else value
                for value, before in zip(step.placement, self._placement, strict=True)
            )
            if step.tolerated:
                self._file.write(b"\\set ON_ERROR_STOP off\nSAVEPOINT optional;\n")
            self._foreign(step.statement)
            if step.tolerated:
                self._file.write(
                    b"\\if :ERROR\nROLLBACK TO SAVEPOINT optional;\n\\endif\n\\set ON_ERROR_STOP on\n"
                )

    def _foreign(self, text: str) -> None:
        """A statement of the version."""
        is_utf8 = conversation_encoding(self._encoding) == "UTF8"
        encoding = b"'UTF8'" if is_utf8 else b"pg_catalog.getdatabaseencoding()"
        self._file.write(for_psql(text, encoding=encoding))

    def _statement(self, text: str) -> None:
        self._file.write(text.encode("utf-8", "surrogateescape") + b";\n")

    def _copy(self, entry: EntityEntry, encoding: str) -> None:
        entity = entry.entity
        # Where it fails psql must end: it would read the records as its own commands.
        self._file.write(b"\n\\set ON_ERROR_STOP on\n")
        self._file.write(copy_statement(entity, encoding, freeze=False) + b";\n")
        for record in records_of(self._contents, entry, self._progress):
            line = copy_line(record.payload, len(entity.columns), entity.label)
            for _ in range(record.count):
                self._file.write(line)
        self._file.write(b"\\.\n\n")

    def _others(self) -> None:
        for entry in self._entries:
            label = entry.entity.label
            if entry.entity.kind is EntityKind.SEQUENCES and not self._is_selected:
                for record in records_of(self._contents, entry, self._progress):
                    with _no_other(label):
                        self._sequence(decode_sequence(record.payload))
            elif entry.entity.kind is EntityKind.LARGE_OBJECTS:
                for record in records_of(self._contents, entry, self._progress):
                    with _no_other(label):
                        self._large_object(decode_large_object(record.payload))

    def _sequence(self, state: SequenceState) -> None:
        self._file.write(
            b"SELECT pg_catalog.setval(%b::pg_catalog.regclass, %d, %b);\n"
            % (_text(state.name), state.last_value, b"true" if state.is_called else b"false")
        )

    def _large_object(self, record: LargeObjectHead | LargeObjectPage) -> None:
        if isinstance(record, LargeObjectPage):
            place = (record.oid, record.page * PAGE_BYTES, record.data.hex().encode())
            self._file.write(b"SELECT pg_catalog.lo_put(%d, %d, '\\x%b');\n" % place)
            return
        oid, owner = b"%d" % record.oid, _bytea(record.owner)
        self._file.write(b"SELECT pg_catalog.lo_create(%b);\n" % oid)
        if record.size:
            opened = b"pg_catalog.lo_open(%b, 131072)" % oid
            self._file.write(b"SELECT pg_catalog.lo_truncate64(%b, %d);\n" % (opened, record.size))
        about = SURROUNDINGS.encode() % (oid, _bytea(record.comment), owner)
        self._file.write(about.strip() + b"\n\\gexec\n")
        if record.privileges is not None:
            granted = LARGE_OBJECT_PRIVILEGES.encode() % (oid, owner, _bytea(record.privileges))
            self._file.write(granted.strip() + b"\n\\gexec\n")


def _name_of_encoding(text: str) -> str:
    """It is part of statements."""
    if not _ENCODING.fullmatch(text):
        raise CorruptData("the version's encoding has no name", kind="malformed", where=text[:40])
    return text


@contextmanager
def _no_other(label: str) -> Iterator[None]:
    """What does not decode is damage."""
    try:
        yield
    except ValueError as error:
        raise CorruptData("a record is malformed", kind="malformed", where=label) from error


def copy_line(payload: bytes, columns: int, label: str) -> bytes:
    """A COPY line that is one line, and not the end of the block."""
    line = pad_with_nulls(payload, columns, label)
    if b"\n" in line or b"\r" in line or line == b"\\.":
        raise CorruptData("a record is no line of COPY text", kind="malformed", where=label)
    return line + b"\n"


def _text(text: bytes) -> bytes:
    """A text by its bytes in the server's encoding, whatever the client's is."""
    return b"pg_catalog.convert_from(%b, pg_catalog.getdatabaseencoding())" % _bytea(text)


def _bytea(data: bytes | None) -> bytes:
    return b"NULL::pg_catalog.bytea" if data is None else b"'\\x%b'::pg_catalog.bytea" % data.hex().encode()


def _setting(name: str, value: str) -> str:
    return value if name == "DateStyle" else f"'{value}'"
