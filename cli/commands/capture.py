"""`cas capture install | status | remove`: change capture in the platform."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cas.errors import InvalidInput
from cas.postgres.capture.granting import grant_readers
from cas.postgres.capture.installing import install, installation_sql
from cas.postgres.capture.patience import CaptureOptions
from cas.postgres.capture.removing import remove
from cas.postgres.capture.status import status
from cas.records.capture import CaptureReport, CaptureState, CaptureStatus, Outcome, TableOutcome
from cli import flags
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.session import Session
from cli.tables import cells, indented, table
from cli.words import counted, number, plain, size

Entities = Annotated[
    list[str] | None,
    typer.Option(
        "--entity", metavar="TABLE", help="Only this table: schema.table, table or with *; may be repeated."
    ),
]

_STATES = {
    CaptureState.CAPTURED: "green",
    CaptureState.BROKEN: "bold yellow",
    CaptureState.ABSENT: "dim",
}
_OUTCOMES = {
    Outcome.INSTALLED: "green",
    Outcome.RENEWED: "green",
    Outcome.REMOVED: "green",
    Outcome.UNCHANGED: "dim",
    Outcome.SKIPPED: "yellow",
    Outcome.BUSY: "bold red",
}


def add_capture(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
    examples = [
        "cas capture install",
        "cas capture install --entity products --entity 'stock.*' --yes",
        "cas capture install --reader backup",
        "cas capture install --print-sql",
    ]
    command(group, "install", examples=examples)(install_capture)
    command(group, "status", examples=["cas capture status", "cas capture status --json"])(show_status)
    examples = ["cas capture remove", "cas capture remove --entity products --yes"]
    command(group, "remove", examples=examples)(remove_capture)
    app.add_typer(
        group, name="capture", help="Change capture in the platform: triggers that note written keys."
    )


def install_capture(
    cas: Session,
    entity: Entities = None,
    source: flags.Platform = None,
    reader: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE", help="A role that takes versions and does not own the tables; may be repeated."
        ),
    ] = None,
    print_sql: Annotated[
        bool, typer.Option("--print-sql", help="Only show the statements of a first installation.")
    ] = False,
    yes: flags.Yes = False,
) -> ExitCode:
    """Let the platform note which keys are written, so that a version costs what changed.

    Makes the schema cas_capture, and for each table with a primary key a log and triggers. To be run by the
    owner of the tables. Writers wait for moments while a table's triggers are made. Run it again after new
    partitions, or whenever `cas capture status` says that something is broken.
    """
    cas.set(source=source)
    url, patterns = cas.source_url, tuple(entity or ())
    if print_sql:
        statements = installation_sql(url, patterns, _options(cas))
        cas.terminal.result(statements, human=Text(plain_sql(statements)))
        return ExitCode.OK
    question = "Make schema cas_capture and triggers on the platform's tables?"
    if not _is_agreed(cas, question, is_given=yes):
        return ExitCode.DECLINED
    cas.if_stopped = "Tables that were done stay captured; run it again to go on"
    report = install(url, patterns, _options(cas))
    grant_readers(url, reader or (), _options(cas))
    cas.terminal.result(report, human=Group(*_told(report, "installed")))
    return ExitCode.OK if report.is_complete else ExitCode.INCOMPLETE


def show_status(cas: Session, source: flags.Platform = None) -> ExitCode:
    """Say of every table whether its changes are captured, and why not; and how much its log holds.

    Exit code 21 where something of it is broken: versions scan such a table.
    """
    cas.set(source=source)
    found = status(cas.source_url, _options(cas))
    cas.terminal.result(found, human=Group(*_told_status(found)))
    is_broken = any(one.state is CaptureState.BROKEN for one in found.tables)
    return ExitCode.NOT_HEALTHY if is_broken else ExitCode.OK


def remove_capture(
    cas: Session, entity: Entities = None, source: flags.Platform = None, yes: flags.Yes = False
) -> ExitCode:
    """Take change capture away: triggers, functions, logs and, without --entity, the schema.

    Nothing of it is left. Versions read in another way from then on. Who uses a table waits for moments while
    its triggers are dropped.
    """
    cas.set(source=source)
    url = cas.source_url
    if not _is_agreed(cas, "Take change capture away from the platform?", is_given=yes):
        return ExitCode.DECLINED
    cas.if_stopped = "What was taken away is gone; run it again to go on"
    report = remove(url, tuple(entity or ()), _options(cas))
    for name in report.leftovers:
        cas.terminal.warn(f"left in the schema cas_capture, since it is not ours or in use: {name}")
    cas.terminal.result(report, human=Group(*_told(report, "removed")))
    return ExitCode.OK if report.is_complete else ExitCode.INCOMPLETE


def plain_sql(statements: list[str]) -> str:
    """As a script; line ends stay, and nothing else that could steer a terminal."""
    script = ";\n\n".join(statements) + ";"
    return "\n".join(plain(line) for line in script.split("\n"))


def _options(cas: Session) -> CaptureOptions:
    return CaptureOptions(connection=cas.connection_options)


def _is_agreed(cas: Session, question: str, *, is_given: bool) -> bool:
    if is_given:
        return True
    if not cas.terminal.is_interactive:
        raise InvalidInput(
            "changes to the platform want to be confirmed, and nobody can be asked",
            where="capture",
            hint="Add --yes",
        )
    if cas.terminal.ask(f"{question} [y/N] ").strip().lower() in ("y", "yes"):
        return True
    cas.terminal.note("Nothing was done")
    return False


def _told(report: CaptureReport, done: str) -> Iterator[RenderableType]:
    if not report.tables:
        yield Text("There is no table to do this for", style="dim")
        return
    count = sum(one.outcome not in (Outcome.SKIPPED, Outcome.BUSY) for one in report.tables)
    style = "bold green" if report.is_complete else "bold yellow"
    yield Text(f"Capture is {done} for {counted(count, 'table')}", style=style)
    rows = table("table", "", "why")
    for one in report.tables:
        rows.add_row(*cells([_label(one), Text(one.outcome.value, _OUTCOMES[one.outcome]), one.reason]))
    yield indented(rows)


def _told_status(found: CaptureStatus) -> Iterator[RenderableType]:
    count = sum(one.state is CaptureState.CAPTURED for one in found.tables)
    style = "bold green" if found.is_whole else "bold yellow"
    yield Text(f"{number(count)} of {counted(len(found.tables), 'table')} captured", style=style)
    rows = table("table", "state", ">statements", ">log", "oldest change", "why not")
    for one in found.tables:
        state = Text(one.state.value, _STATES[one.state])
        is_there = one.state is not CaptureState.ABSENT
        log = (number(one.log_rows), size(one.log_bytes), one.oldest or "-") if is_there else ("-", "-", "-")
        rows.add_row(*cells([one.label, state, *log, one.reason]))
    yield indented(rows)
    yield Text(f"  Logs are kept for {counted(found.readers, 'reader')}", style="dim")


def _label(one: TableOutcome) -> str:
    return one.label if one.schema else one.name
