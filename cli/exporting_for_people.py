"""`cas export` in the formats that people and their programs read: JSON lines, CSV, SQL, SQLite."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group
from rich.text import Text

from cas.contents import Contents, open_contents
from cas.progress import Progress
from cas.records.source import EntityEstimate
from cas.tabular.exporting import ExportFormat, ExportReceipt, ExportRequest, chosen
from cas.tabular.layout import Rows
from cli.exit_codes import ExitCode
from cli.paths import expanded
from cli.session import Session
from cli.tables import cells, indented, table
from cli.watching_faces import watching
from cli.words import counted, number, plain, size

_ENDINGS = {ExportFormat.JSONL: "jsonl.zip", ExportFormat.CSV: "csv.zip"}
"""Of the file that an export becomes where no place is named; others end as their format."""


def export_for_people(
    cas: Session,
    version: str,
    kind: ExportFormat,
    output: Path | None,
    entities: Sequence[str] = (),
    *,
    force: bool = False,
) -> ExitCode:
    """Write a version, and tell what was written."""
    number_of = cas.reading(version).number
    ending = _ENDINGS.get(kind, kind.value)
    place = expanded(output or f"version-{number_of}.{ending}")
    cas.if_stopped = f"{place} was not written"
    request = ExportRequest(place.absolute(), tuple(entities), force)
    contents = open_contents(cas.repository, number_of)
    with watching(cas.terminal, "export") as counters:
        expected = chosen(contents, request.entities)
        counters.phase("write")
        counters.expect(
            {one.entity.label: EntityEstimate(one.records, one.payload_bytes) for one in expected},
            is_exact=True,
        )
        receipt = _export(contents, kind, request, counters)
    cas.terminal.result(receipt, human=_told(receipt))
    return ExitCode.OK


def _export(
    contents: Contents, kind: ExportFormat, request: ExportRequest, progress: Progress
) -> ExportReceipt:
    # Each is imported when it is wanted.
    match kind:
        case ExportFormat.SQL:
            from cas.tabular.sql_script import export_sql

            return export_sql(contents, request, progress)
        case ExportFormat.SQLITE:
            from cas.tabular.sqlite_file import export_sqlite

            return export_sqlite(contents, request, progress)
        case ExportFormat.JSONL | ExportFormat.CSV:
            from cas.tabular.row_files import export_rows

            return export_rows(contents, Rows(kind.value), request, progress)


def _told(receipt: ExportReceipt) -> Group:
    head = Text.assemble(
        (f"Version {receipt.version} is in {plain(receipt.path)}", "bold green"),
        f": {counted(receipt.records, 'record')}, {size(receipt.bytes)}",
    )
    listing = table("entity", "file or table", ">records")
    for one in receipt.entities:
        listing.add_row(*cells([one.label, one.name, number(one.records)]))
    digest = [Text(f"  SHA-256 {receipt.sha256}", style="dim")] if receipt.sha256 else []
    return Group(head, indented(listing), *digest)
