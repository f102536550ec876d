"""Exports and imports hold a batch, and not a table."""

import os
import tracemalloc
from contextlib import ExitStack
from pathlib import Path

import pytest

from cas.contents import Contents, open_contents
from cas.progress import Silent
from cas.records.payload import escape
from cas.snapshot import SnapshotRequest, take_version
from cas.tabular.checking import check_files
from cas.tabular.exporting import ExportRequest
from cas.tabular.layout import Rows
from cas.tabular.opening import open_package, read_layout
from cas.tabular.row_files import export_rows
from cas.tabular.sql_script import export_sql
from cas.tabular.sqlite_file import export_sqlite
from tests.engine.memory_source import MemorySource, table
from tests.engine.scenes import World

RECORDS = 120
RECORD_BYTES = 400_000
MOST_BYTES = 50 << 20
"""Of the 96 MB that all records have as text; a batch and what SQLite and zlib hold."""


@pytest.fixture(scope="module")
def contents() -> Contents:
    world = World()
    rows = {at: b"%d\t%b" % (at, escape(os.urandom(RECORD_BYTES).hex().encode())) for at in range(RECORDS)}
    take_version(world.open(), world.catalog, MemorySource({table("t"): rows}, batch=10), SnapshotRequest())
    rows.clear()
    return open_contents(world.open(), 1)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "sql", "sqlite"])
def test_an_export_holds_a_batch(kind: str, contents: Contents, tmp_path: Path) -> None:
    request = ExportRequest(tmp_path / "out")
    tracemalloc.start()
    try:
        match kind:
            case "sql":
                export_sql(contents, request, Silent())
            case "sqlite":
                export_sqlite(contents, request, Silent())
            case _:
                export_rows(contents, Rows(kind), request, Silent())
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < MOST_BYTES


@pytest.mark.parametrize("rows", list(Rows))
def test_an_import_holds_a_run(rows: Rows, contents: Contents, tmp_path: Path) -> None:
    export_rows(contents, rows, ExportRequest(tmp_path / "out"), Silent())
    (file,) = (tmp_path / "out").glob("public.t.*")
    lines = file.read_bytes().splitlines(keepends=True)
    head = 1 if rows is Rows.CSV else 0
    file.write_bytes(b"".join([*lines[:head], *reversed(lines[head:])]))
    del lines
    tracemalloc.start()
    try:
        with ExitStack() as held:
            package = held.enter_context(open_package(tmp_path / "out"))
            checked = check_files(package, read_layout(package), held, Silent(), edited=True)
            (spool,) = (one.rows for one in checked.entities if one.rows is not None)
            assert [row.key for row in spool.rows()] == sorted(row.key for row in spool.rows())
            assert spool.records == RECORDS
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < MOST_BYTES
