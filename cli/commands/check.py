"""`cas check`: prove that what the versions need is there and undamaged."""

from typing import Annotated

import typer
from rich.console import Group

from cas.check import CheckLevel, check_repository
from cas.errors import ConnectionFailed, NotFound
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.session import Session
from cli.showing_check import told
from cli.watching_faces import watching


def add_check(app: typer.Typer) -> None:
    command(app, "check", examples=["cas check", "cas check 12 --level bytes", "cas check --json"])(check)


def check(
    cas: Session,
    version: Annotated[
        str | None, typer.Argument(metavar="[V]", help="Only this version; unset: everything.")
    ] = None,
    level: Annotated[
        CheckLevel,
        typer.Option(
            help="structure: all trees, and where each record lies; packs: also every trailer; "
            "bytes: also every stored byte."
        ),
    ] = CheckLevel.STRUCTURE,
) -> ExitCode:
    """Prove that the versions hold what they say. Any damage is told with whom it touches; exit code 9."""
    wanted = cas.number(version) if version is not None else None
    repository = cas.repository
    cas.if_stopped = "Nothing was changed; a check only reads"
    expected, noted = _expected(cas)
    with watching(cas.terminal, "check") as counters:
        report = check_repository(
            repository, version=wanted, level=level, progress=counters, expected=expected, noted=noted
        )
    cas.terminal.result(report, human=Group(*told(report)))
    return ExitCode.OK if report.is_clean else ExitCode.CORRUPT


def _expected(cas: Session) -> tuple[tuple[int, ...], int]:
    """What the catalog lists, and up to which notes it knows; a store is checked without a catalog too, if
    that must be."""
    try:
        return tuple(cas.committed_numbers()), cas.catalog.keeping.heard().number
    except (ConnectionFailed, NotFound) as error:
        cas.terminal.warn(f"lost documents cannot be noticed, since the catalog was not asked: {error}")
        return (), 0
