"""`cas import`: files of records as a new version."""

from pathlib import Path
from typing import Annotated

import typer

from cli import flags
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.importing_for_people import import_for_people
from cli.session import Session


def add_import(app: typer.Typer) -> None:
    examples = ["cas import shop.zip", 'cas import shop-csv --edited --reason "new prices"']
    command(app, "import", examples=examples)(import_files)


def import_files(
    cas: Session,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="What `cas export` wrote as jsonl or csv.")],
    edited: Annotated[
        bool, typer.Option("--edited", help="Take files whose rows were changed since the export.")
    ] = False,
    name: flags.Name = "",
    reason: flags.Reason = "",
) -> ExitCode:
    """Check files of records as a whole, and take a new version of them."""
    return import_for_people(cas, path, edited=edited, name=name, reason=reason)
