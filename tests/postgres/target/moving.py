"""A database moved to a target without the engine: pg_dump's items and COPY lines go straight over."""

import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from cas.postgres.connecting import ConnectionOptions, connect, server_encoding
from cas.postgres.filling.target import PostgresTarget
from cas.postgres.quoting import column, qualified
from cas.postgres.reading.introspection import introspect
from cas.records.large_objects import PAGE_BYTES, LargeObjectHead, LargeObjectPage, encode_large_object
from cas.records.model import Entity, EntityKind
from cas.records.sequences import SequenceState, encode_sequence
from cas.records.source import SchemaItem
from cas.records.target import SchemaParts
from tests.servers.postgres import Cluster

TOOLS = Path(__file__).parents[4] / "shared" / "tools"
DATA = Path(__file__).parents[4] / "shared" / "data"

_HEADER = re.compile(r"^-- Name: (.*); Type: ([A-Z ]+); Schema: (.*); Owner: .*\n--\n", re.MULTILINE)


def dumped_items(cluster: Cluster, url: str) -> list[SchemaItem]:
    """Both sections, as `pg_dump` writes them, with the REFRESH of filled materialized views."""
    return [item for section in ("pre-data", "post-data") for item in _section(cluster, url, section)]


def _section(cluster: Cluster, url: str, section: str) -> Iterator[SchemaItem]:
    program = [
        str(cluster.bin_directory / "pg_dump"),
        f"--section={section}",
        "--no-blobs",
        "--encoding=UTF8",
        "-d",
        url,
    ]
    text = subprocess.run(program, check=True, capture_output=True, text=True).stdout
    text = re.sub(r"(?m)^\\(un)?restrict .*$", "", text)
    pieces = _HEADER.split(text)
    yield SchemaItem(section, "SETTINGS", "", "", pieces[0])
    for name, kind, schema, sql in zip(*(pieces[at::4] for at in (1, 2, 3, 4)), strict=True):
        yield SchemaItem(section, kind, "" if schema == "-" else schema, name, sql)


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved: per entity the rows that the target counted."""

    rows: dict[str, int]
    notes: Sequence[str]


def entities_of(url: str) -> list[Entity]:
    with connect(url, ConnectionOptions()) as connection:
        oids = [table.oid for table in introspect(connection).tables]
        return [table.entity for table in introspect(connection, oids).tables]


def lines_of(url: str, entity: Entity) -> Iterator[bytes]:
    """The entity's COPY lines in the server's encoding, in buffers of some 64 KiB."""
    with connect(url, ConnectionOptions()) as connection:
        encoding = server_encoding(connection)
        connection.execute(f"SET client_encoding = '{encoding}'".encode())
        names = b", ".join(column(c.name, encoding) for c in entity.columns)
        table = qualified(entity.schema, entity.name, encoding)
        only = b"ONLY " if entity.kind is EntityKind.TABLE else b""
        encoded = b"COPY (SELECT %b FROM %b%b) TO STDOUT" % (names, only, table)
        buffer, size = [], 0
        with connection.cursor().copy(encoded) as copy:
            for row in copy:
                buffer.append(bytes(row))
                size += len(row)
                if size > 65536:
                    yield b"".join(buffer)
                    buffer, size = [], 0
        yield b"".join(buffer)


def sequences_of(url: str) -> Iterator[bytes]:
    with connect(url, ConnectionOptions()) as connection:
        connection.execute("SET search_path = ''")
        names = connection.execute("SELECT oid::regclass::text FROM pg_class WHERE relkind = 'S'").fetchall()
        for (name,) in names:
            query = f"SELECT last_value, is_called FROM {name}".encode()
            value, called = connection.execute(query).fetchall()[0]
            yield encode_sequence(SequenceState(name.encode(), value, called))


def large_objects_of(url: str) -> Iterator[bytes]:
    with connect(url, ConnectionOptions()) as connection:
        rows = connection.execute(
            "SELECT oid::int8, lo_get(oid), pg_get_userbyid(lomowner)::text, lomacl::text,"
            " obj_description(oid, 'pg_largeobject') FROM pg_largeobject_metadata ORDER BY oid"
        ).fetchall()
        for oid, data, owner, acl, comment in rows:
            texts = [text and text.encode() for text in (owner, acl, comment)]
            yield encode_large_object(LargeObjectHead(oid, len(data), texts[0], texts[1], texts[2]))
            for page in range((len(data) + PAGE_BYTES - 1) // PAGE_BYTES):
                piece = data[page * PAGE_BYTES : (page + 1) * PAGE_BYTES]
                if piece.strip(b"\0"):
                    yield encode_large_object(LargeObjectPage(oid, page, piece))


def move(
    cluster: Cluster,
    source: str,
    target: PostgresTarget,
    *,
    parts: SchemaParts | None = None,
    with_schema: bool = True,
    only: Iterable[str] | None = None,
) -> Moved:
    """Everything from the source database into the target, whose connections are closed in the end."""
    parts = parts or SchemaParts()
    items = dumped_items(cluster, source) if with_schema else []
    entities = [e for e in entities_of(source) if only is None or e.label in only]
    rows: dict[str, int] = {}
    try:
        groups = target.begin("UTF8", items, parts, entities, what="a test")
        target.build_before_data()
        for group in groups:
            for entity in group:
                rows[entity.label] = target.copy_in(entity, lines_of(source, entity), whole=True)
        target.set_sequences(sequences_of(source))
        target.write_large_objects(large_objects_of(source))
        target.build_after_data()
        return Moved(rows, target.finish())
    finally:
        target.close()


def differences(pg_dump: Path, source: str, restored: str, *flags: str) -> str:
    """What the judge of two databases says; empty where they are the same."""
    done = subprocess.run(
        [TOOLS / "same-database", source, restored, *flags],
        env={"PATH": "/usr/bin:/bin", "PG_DUMP": str(pg_dump)},
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def ask(url: str, query: str) -> list[tuple[object, ...]]:
    """The rows of the last of some statements."""
    with psycopg.connect(url, autocommit=True, client_encoding="UTF8") as connection:
        cursor = connection.execute(query.encode())
        while cursor.nextset():
            pass
        return cursor.fetchall() if cursor.description else []
