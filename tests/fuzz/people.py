"""Files for people as a whole: `schema.json`, zips; and versions with odd records, as all that is made of
them."""

import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, suppress
from functools import cache
from pathlib import Path
from random import Random

from cas.contents import Contents, open_contents
from cas.diff import diff_versions
from cas.errors import CorruptData, InvalidInput, NotFound, Unsupported
from cas.lookup import find_record
from cas.progress import Silent
from cas.records.model import Column, Entity, EntityKind, KeyPart
from cas.records.payload import escape
from cas.tabular.checking import check_files
from cas.tabular.exporting import ExportRequest
from cas.tabular.layout import SCHEMA_FILE, Rows, encode_layout, parse_layout
from cas.tabular.opening import open_package, read_layout
from cas.tabular.row_files import export_rows
from cas.tabular.sql_script import export_sql
from cas.tabular.sqlite_file import export_sqlite
from tests.engine.scenes import World
from tests.fuzz.changing import by_words, changed_json
from tests.fuzz.model import Blind, Target
from tests.fuzz.rows import COLUMNS, VALUES, WORDS

ENTITY = Entity(
    EntityKind.TABLE,
    "public",
    "t",
    (Column("id", "bigint", not_null=True), *COLUMNS),
    (("id", KeyPart.INTEGER),),
)
PAYLOAD = b"\t".join((b"1", *map(escape, VALUES)))
_change_lines = by_words(WORDS)


def _world(payload: bytes) -> World:
    world = World()
    world.take({ENTITY: {1: payload}})
    return world


@cache
def _exported(rows: Rows) -> Mapping[str, bytes]:
    """The files of a good version."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory, "out")
        with closing(_world(PAYLOAD).open()) as repository:
            export_rows(open_contents(repository, 1), rows, ExportRequest(place), Silent())
        return {file.name: file.read_bytes() for file in sorted(place.iterdir())}


def _layout(data: bytes) -> None:
    layout = parse_layout(data, "schema.json")
    assert parse_layout(encode_layout(layout), "schema.json") == layout


def zipped(members: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return file.getvalue()


def _zip(data: bytes) -> None:
    """A zip that somebody gave: checked as an import does before it registers anything."""
    with tempfile.TemporaryDirectory() as directory, ExitStack() as held:
        place = Path(directory, "shop.zip")
        place.write_bytes(data)
        package = held.enter_context(open_package(place))
        checked = check_files(package, read_layout(package), held, Silent(), edited=True)
        for one in checked.entities:
            for row in one.rows.rows() if one.rows is not None else ():
                assert row.line > 0


def _changed_zip(data: bytes, random: Random, blind: Blind) -> bytes:
    """Another content of a file in it; now and then other bytes of the zip itself."""
    if random.random() < 0.4:
        return blind(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {info.filename: archive.read(info) for info in archive.infolist()[:5]}
    except Exception:
        return blind(data)
    if not members:
        return blind(data)
    name = random.choice(list(members))
    if name == SCHEMA_FILE:
        members[name] = changed_json(members[name], random, blind)
    else:
        members[name] = _change_lines(members[name], random, blind)
    return zipped(members)


def _version(data: bytes) -> None:
    """A record of a version that somebody made: shown, compared, and exported in all forms."""
    world = _world(data)
    world.take({ENTITY: {1: PAYLOAD}})
    with closing(world.open()) as repository:
        contents = open_contents(repository, 1)
        looks: list[Callable[[], object]] = [
            lambda: find_record(contents, "public.t", ["1"]),
            lambda: list(diff_versions(repository, 1, 2).records("public.t")),
            *(lambda how=how: _export(contents, how) for how in ("jsonl", "csv", "sql", "sqlite")),
        ]
        for look in looks:
            with suppress(CorruptData, Unsupported, NotFound):
                look()


def _export(contents: Contents, how: str) -> None:
    with tempfile.TemporaryDirectory() as directory, ExitStack() as held:
        request = ExportRequest(Path(directory, "out"))
        match how:
            case "sql":
                export_sql(contents, request, Silent())
            case "sqlite":
                export_sqlite(contents, request, Silent())
            case _:
                export_rows(contents, Rows(how), request, Silent())
                package = held.enter_context(open_package(request.place))
                layout = read_layout(package)
                if how == Rows.JSONL:
                    _require_json(request.place / str(layout.entities[0].file))
                with suppress(InvalidInput):  # where values are none of their types
                    check_files(package, layout, held, Silent(), edited=False)


def _require_json(file: Path) -> None:
    """One line that holds one object with all columns."""
    (line,) = file.read_bytes().splitlines()
    assert list(json.loads(line)) == [column.name for column in ENTITY.columns]


def _versions() -> list[bytes]:
    fields = PAYLOAD.split(b"\t")
    return [PAYLOAD, b"1", *(b"\t".join(fields[:at]) for at in range(2, len(fields)))]


TARGETS = (
    Target(
        "schema-file",
        _layout,
        lambda: [json.dumps(json.loads(_exported(Rows.CSV)[SCHEMA_FILE])).encode()],
        (InvalidInput, Unsupported),
        changed_json,
    ),
    Target(
        "zip",
        _zip,
        lambda: [zipped(_exported(rows)) for rows in Rows],
        (InvalidInput, Unsupported, NotFound),
        _changed_zip,
        16384,
    ),
    Target("version", _version, _versions, (), _change_lines, 4000),
)
