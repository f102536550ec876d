"""`cas get`: one record as it was in a version."""

from typing import Annotated

import typer
from rich.console import Group
from rich.text import Text

from cas.lookup import Record, get_record
from cli.commanding import command
from cli.commands.show import VersionArgument
from cli.exit_codes import ExitCode
from cli.session import Session
from cli.tables import cells, indented, table
from cli.words import plain


def add_get(app: typer.Typer) -> None:
    examples = [
        "cas get 12 products 4711",
        "cas get latest public.prices EUR 2026-03-01    (a key of two columns)",
        "cas get 12 public.offsets -- -5                (a key that begins with a minus)",
    ]
    command(app, "get", examples=examples)(get)


def get(
    cas: Session,
    version: VersionArgument,
    entity: Annotated[str, typer.Argument(metavar="ENTITY", help="schema.table, or table.")],
    key: Annotated[list[str], typer.Argument(metavar="KEY...", help="The primary key, column by column.")],
) -> ExitCode:
    """Print one record of a version, by its key."""
    record = get_record(cas.repository, cas.reading(version).number, entity, key)
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
