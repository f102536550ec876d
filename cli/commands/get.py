"""`cas get`: one record as it was in a version, or one file."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.text import Text

from cas.contents import open_contents
from cas.errors import InvalidInput
from cas.lookup import Record, find_record
from cas.records.files import FileType
from cli.commanding import command
from cli.commands.show import VersionArgument
from cli.exit_codes import ExitCode
from cli.getting_file import file_of, hand_over
from cli.session import Session
from cli.tables import cells, indented, table
from cli.words import plain


def add_get(app: typer.Typer) -> None:
    examples = [
        "cas get 12 products 4711",
        "cas get latest public.prices EUR 2026-03-01    (a key of two columns)",
        "cas get 12 public.offsets -- -5                (a key that begins with a minus)",
        "cas get 12 uploads 2026/03/photo.jpg -o photo.jpg    (a file of --files uploads)",
    ]
    command(app, "get", examples=examples)(get)


def get(
    cas: Session,
    version: VersionArgument,
    entity: Annotated[
        str, typer.Argument(metavar="ENTITY", help="schema.table, or table, or the name of files.")
    ],
    key: Annotated[
        list[str], typer.Argument(metavar="KEY...", help="The primary key, column by column, or the path.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where a file goes; unset: standard output."),
    ] = None,
) -> ExitCode:
    """Print one record of a version, by its key, or hand over one file.

    With --json, of a file its record is printed, unless -o says where it goes.
    """
    contents = open_contents(cas.repository, cas.reading(version).number)
    found = file_of(contents, entity, key)
    if found is None and output is not None:
        raise InvalidInput(f"{entity[:60]} are no files", where="--output", hint="Drop it")
    if found is not None and (output or (found[1].type is FileType.FILE and not cas.terminal.as_json)):
        return hand_over(cas, *found, output)
    record = find_record(contents, found[0].paths.entity.label if found else entity, key)
    cas.terminal.result(record, human=_told(record))
    return ExitCode.OK


def _told(record: Record) -> Group:
    listing = table("column", "type", "value")
    for field in record.fields:
        value = Text("NULL", style="dim") if field.text is None else Text(plain(field.text))
        listing.add_row(*cells([field.column, Text(plain(field.type), style="dim"), value]))
    listing.columns[2].overflow = "fold"
    head = Text.assemble(
        (plain(f"{record.entity} {', '.join(record.key)}"), "bold"), f"  in version {record.version}"
    )
    return Group(head, indented(listing))
