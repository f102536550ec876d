"""Export as an SQLite database: one table for each entity, and tables that say what this is.

Integers and booleans are INTEGER, real and double precision REAL, bytea BLOB, everything else is TEXT in
PostgreSQL's form, numeric too, so that it keeps its digits. NaN, which SQLite does not have, is the text NaN.
Text that is not valid in the database's encoding is a BLOB of its bytes.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from cas.contents import Contents, schema_of
from cas.errors import CasError, InsufficientSpace, Unsupported
from cas.format.entities import EntityEntry
from cas.progress import Progress
from cas.records.model import Entity, EntityKind
from cas.records.values import requiring_types, values_of
from cas.tabular.exporting import (
    ExportedEntity,
    ExportFormat,
    ExportReceipt,
    ExportRequest,
    Record,
    chosen,
    records_of,
)
from cas.tabular.layout import facts_of_version
from cas.tabular.placing import digest_of, new_file
from cas.tabular.texts import to_text

Value = int | float | str | bytes | None

MAX_COLUMNS = 2000
"""SQLite's own limit."""

_TYPES = {
    **dict.fromkeys(("smallint", "integer", "bigint", "oid", "boolean"), "INTEGER"),
    **dict.fromkeys(("real", "double precision"), "REAL"),
    "bytea": "BLOB",
}
_OURS = {EntityKind.SEQUENCES: "_cas_sequences", EntityKind.LARGE_OBJECTS: "_cas_large_objects"}

_RESERVED = ("sqlite_", "_cas")
"""How names begin that SQLite and we keep for ourselves."""

_ABOUT = (
    "CREATE TABLE _cas (name TEXT PRIMARY KEY, value TEXT)",
    "CREATE TABLE _cas_tables (name TEXT PRIMARY KEY, entity TEXT, kind TEXT, records INTEGER)",
    "CREATE TABLE _cas_columns (table_name TEXT, place INTEGER, name TEXT, entity_column TEXT, type TEXT,"
    " not_null INTEGER, PRIMARY KEY (table_name, place))",
    "CREATE TABLE _cas_schema (place INTEGER PRIMARY KEY, section TEXT, type TEXT, schema TEXT, name TEXT,"
    " sql TEXT)",
)


def export_sqlite(contents: Contents, request: ExportRequest, progress: Progress) -> ExportReceipt:
    """One file."""
    entries = chosen(contents, request.entities)
    names = _table_names([entry.entity for entry in entries])
    with new_file(request.place, force=request.force) as temporary:
        try:
            _fill(temporary, contents, entries, names, progress)
        except sqlite3.Error as error:
            raise _fault(error, request.place) from error
    size, digest = digest_of(request.place)
    return ExportReceipt(
        version=contents.document.number,
        format=ExportFormat.SQLITE,
        path=str(request.place),
        bytes=size,
        records=sum(entry.records for entry in entries),
        entities=tuple(
            ExportedEntity(entry.entity.label, name, entry.records)
            for entry, name in zip(entries, names, strict=True)
        ),
        sha256=digest,
    )


def _fill(
    place: Path, contents: Contents, entries: Sequence[EntityEntry], names: Sequence[str], progress: Progress
) -> None:
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        # The file has no name yet that anybody reads; it is synced as a whole before it gets one.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        _tell_about(connection, contents, entries, names)
        for entry, name in zip(entries, names, strict=True):
            columns = _column_names(entry.entity)
            connection.execute(_create(entry.entity, name, columns))
            marks = ", ".join("?" * len(columns))
            rows = _rows(contents, entry, progress)
            connection.executemany(f"INSERT INTO {_quoted(name)} VALUES ({marks})", rows)  # noqa: S608
        connection.execute("COMMIT")


def _tell_about(
    connection: sqlite3.Connection,
    contents: Contents,
    entries: Sequence[EntityEntry],
    names: Sequence[str],
) -> None:
    """What this is, for people and programs."""
    for statement in _ABOUT:
        connection.execute(statement)
    version = facts_of_version(contents, entries)
    facts = {
        "what": "a version of the records of a PostgreSQL database, exported by cas",
        "format": "1",
        "version": str(version.number),
        "checksum": version.checksum,
        "created_at": version.created_at,
        "state": version.state,
        "kind": version.kind,
        "database": version.database,
        "encoding": version.encoding,
        "server_version": version.server_version,
        "roles": "\n".join(version.roles),
        "omissions": "\n".join(f"{name}: {reason}" for name, reason in version.omissions),
    }
    connection.executemany("INSERT INTO _cas VALUES (?, ?)", [(n, _shown(v)) for n, v in facts.items()])
    for entry, name in zip(entries, names, strict=True):
        entity = entry.entity
        table = (name, _shown(entity.label), entity.kind.value, entry.records)
        connection.execute("INSERT INTO _cas_tables VALUES (?, ?, ?, ?)", table)
        called = _column_names(entity)
        connection.executemany(
            "INSERT INTO _cas_columns VALUES (?, ?, ?, ?, ?, ?)",
            [
                (name, place, mine, _shown(column.name), _shown(column.type), column.not_null)
                for place, (mine, column) in enumerate(zip(called, entity.columns, strict=False))
            ],
        )
    if contents.document.schema is not None:
        connection.executemany(
            "INSERT INTO _cas_schema VALUES (?, ?, ?, ?, ?, ?)",
            [
                (place, *map(_shown, (item.section, item.type, item.schema, item.name, item.sql)))
                for place, item in enumerate(schema_of(contents))
            ],
        )


def _rows(contents: Contents, entry: EntityEntry, progress: Progress) -> Iterator[Sequence[Value]]:
    encoding = contents.document.source.encoding
    converts = [_conversion(column.type, encoding) for column in entry.entity.columns]
    for record in records_of(contents, entry, progress):
        row = _row(record, entry, converts)
        for _ in range(record.count):
            yield row


def _row(record: Record, entry: EntityEntry, converts: Sequence[Callable[[bytes], Value]]) -> Sequence[Value]:
    values = values_of(entry.entity, record.payload)
    with requiring_types(entry.entity):
        row = [None if v is None else convert(v) for v, convert in zip(values, converts, strict=True)]
    return row or [None]  # a table without columns


def _conversion(kind: str, encoding: str) -> Callable[[bytes], Value]:
    def text(value: bytes) -> Value:
        shown = to_text(value, encoding)
        try:
            shown.encode()
        except UnicodeEncodeError:
            return value
        return shown

    match _TYPES.get(kind):
        case "INTEGER":
            return _boolean if kind == "boolean" else _integer
        case "REAL":
            return lambda value: "NaN" if value == b"NaN" else float(value)
        case "BLOB":
            return lambda value: bytes.fromhex(value[2:].decode("ascii"))
        case _:
            return text


def _boolean(value: bytes) -> Value:
    if value not in (b"t", b"f"):
        raise ValueError("not a boolean")
    return int(value == b"t")


def _integer(value: bytes) -> Value:
    number = int(value)
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError("an integer of more than 64 bits")
    return number


def _create(entity: Entity, name: str, columns: Sequence[str]) -> str:
    if len(columns) > MAX_COLUMNS:
        raise Unsupported(f"{len(columns)} columns, more than SQLite has", where=entity.label)
    types = [_TYPES.get(column.type, "TEXT") for column in entity.columns] or ["TEXT"]
    parts = [f"{_quoted(column)} {kind}" for column, kind in zip(columns, types, strict=True)]
    places = {column.name: place for place, column in enumerate(entity.columns)}
    if entity.key and all(part in places for part, _ in entity.key):
        key = ", ".join(_quoted(columns[places[part]]) for part, _ in entity.key)
        parts.append(f"PRIMARY KEY ({key})")
    return f"CREATE TABLE {_quoted(name)} ({', '.join(parts)})"


def _table_names(entities: Sequence[Entity]) -> list[str]:
    """The bare name where it is the only one; SQLite does not tell case apart, and keeps some for itself."""
    wanted = [_OURS.get(entity.kind) or _shown(entity.name) for entity in entities]
    alike = Counter(name.lower() for name in wanted)
    names = []
    for entity, name in zip(entities, wanted, strict=True):
        is_free = alike[name.lower()] == 1 and not name.lower().startswith(_RESERVED)
        label = _shown(entity.label)
        whole = f"_{label}" if label.lower().startswith(_RESERVED) else label
        names.append(name if is_free or entity.kind in _OURS else whole)
    return _apart(names)


def _column_names(entity: Entity) -> list[str]:
    return _apart([_shown(column.name) for column in entity.columns]) or ["_no_columns"]


def _apart(names: Sequence[str]) -> list[str]:
    """Different whatever the case."""
    used: set[str] = set()
    found = []
    for name in names:
        unique, number = name, 1
        while unique.lower() in used:
            number += 1
            unique = f"{name}_{number}"
        used.add(unique.lower())
        found.append(unique)
    return found


def _shown(text: str) -> str:
    """SQLite takes no surrogates in names and texts."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _fault(error: sqlite3.Error, place: Path) -> CasError:
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_FULL":
        return InsufficientSpace("the disk is full", where=str(place), hint="Free some space and run again")
    if name == "SQLITE_TOOBIG":
        return Unsupported(
            "a value that is larger than SQLite holds", where=str(place), hint="Export as jsonl"
        )
    return CasError(f"SQLite refused: {error}", where=str(place))
