"""`cas export`: a version as files."""

from pathlib import Path
from typing import Annotated

import typer

from cas.tabular.exporting import ExportFormat
from cli.commanding import command
from cli.commands.show import VersionArgument
from cli.exit_codes import ExitCode
from cli.exporting_for_people import export_for_people
from cli.session import Session


def add_export(app: typer.Typer) -> None:
    examples = [
        "cas export latest --format jsonl -o shop.zip",
        "cas export 12 --format csv -o shop-csv --entity products",
        "cas export 12 --format sql -o shop.sql      (psql -v ON_ERROR_STOP=1 -f shop.sql)",
        "cas export 12 --format sqlite -o shop.sqlite",
    ]
    command(app, "export", examples=examples)(export)


def export(
    cas: Session,
    version: VersionArgument,
    kind: Annotated[
        ExportFormat,
        typer.Option("--format", help="jsonl and csv: a directory, or a zip. sql, sqlite: a file."),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PATH", help="Where; unset: version-N.* here.")
    ] = None,
    entity: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this one; may be repeated.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> ExitCode:
    """Write a version as files that other programs read. No database is needed."""
    return export_for_people(cas, version, kind, output, entity or (), force=force)
