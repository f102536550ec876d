"""`cas drill`: try a restore before it is needed, and keep the report."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cas.drill import Drill, DrillRequest, run_drill
from cas.drill_page import drill_page
from cas.drill_report import DrillReport
from cli import flags
from cli.commanding import command
from cli.exit_codes import ExitCode, exit_code_of
from cli.operating_system import faults_of_files
from cli.paths import expanded
from cli.scratch import scratch_server
from cli.serialising import json_text
from cli.session import LATEST, Session, whoami
from cli.tables import cells, indented, table
from cli.watching_faces import watching
from cli.words import counted, duration, number, plain, size

SHOWN_NOTES = 8
"""What was left out, as far as a person sees it; the report has all."""


@dataclass(frozen=True, slots=True)
class KeptDrill:
    """A report, and where it lies."""

    report: DrillReport
    json_file: Path
    page: Path


def add_drill(app: typer.Typer) -> None:
    examples = [
        "cas drill",
        "cas drill 12 --report ./audit",
        "cas drill --scratch postgresql://owner@db/postgres",
    ]
    command(app, "drill", examples=examples)(drill)


def drill(
    cas: Session,
    version: Annotated[str, typer.Argument(metavar="[V]", help="A version's number, or latest.")] = LATEST,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where reports are kept; unset: drills below CAS_HOME.")
    ] = None,
    full_rights: Annotated[
        bool,
        typer.Option(
            "--full-rights",
            help="Restore as the throwaway server's administrator: all of the schema, whose code then has "
            "his rights.",
        ),
    ] = False,
    scratch: flags.Scratch = None,
) -> ExitCode:
    """Restore a version into a throwaway database, compare every record, drop it, and keep a report."""
    cas.set(scratch=scratch)
    directory = expanded(report).absolute() if report else cas.home / "drills"
    with faults_of_files(directory, hint="Choose another one: --report"):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    cas.if_stopped = "The throwaway database is dropped, and there is no report; nothing else was touched"
    request = DrillRequest(who=whoami(), full_rights=full_rights, parallel=cas.settings.threads)
    wanted = cas.reading(version).number
    with scratch_server(cas) as server, watching(cas.terminal, "drill") as counters:
        done = run_drill(cas.repository, wanted, server, request, counters)
    kept = _kept(done.report, directory)
    cas.terminal.result(kept, human=Group(*_told(kept)))
    return _exit_code(done)


def _exit_code(done: Drill) -> ExitCode:
    return exit_code_of(done.fault) if done.fault else ExitCode.OK


def _kept(report: DrillReport, directory: Path) -> KeptDrill:
    """Both files, under a name that nothing has yet."""
    stamp = f"{datetime.fromisoformat(report.began_at):%Y%m%dT%H%M%SZ}"
    with faults_of_files(directory, hint="Choose another one: --report"):
        for attempt in range(1, 1000):
            name = f"drill-{report.version}-{stamp}" + (f"-{attempt}" if attempt > 1 else "")
            data, page = directory / f"{name}.json", directory / f"{name}.html"
            try:
                _write(data, json_text(report) + "\n")
            except FileExistsError:
                continue
            _write(page, drill_page(report))
            return KeptDrill(report, data, page)
    raise AssertionError("a thousand drills of one version in one second")


def _write(path: Path, text: str) -> None:
    """A new file, which is never changed."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _told(kept: KeptDrill) -> Iterator[RenderableType]:
    report = kept.report
    style = "bold green" if report.is_passed else "bold red"
    yield Text.assemble(
        (report.result, style),
        f"  version {report.version}, {counted(report.records, 'record')}, {size(report.payload_bytes)}, "
        f"in {duration(report.seconds)}",
    )
    if report.reason:
        yield Text(f"  {plain(report.reason)}", style="red")
    yield Text()
    listing = table("entity", ">expected", ">found", "checksum")
    for one in report.entities:
        checksum = Text("equal", style="green") if one.is_equal else Text("differs", style="bold red")
        if one.found_checksum is None:
            checksum = Text("not compared", style="red")
        listing.add_row(
            *cells([one.label, number(one.expected_records), number(one.found_records), checksum])
        )
    yield indented(listing)
    yield Text()
    steps = ", ".join(f"{step.name} {duration(step.seconds)}" for step in report.steps)
    yield Text(f"  {steps}", style="dim")
    for note in report.notes[:SHOWN_NOTES]:
        yield Text(f"  {plain(note)}", style="yellow")
    if len(report.notes) > SHOWN_NOTES:
        yield Text(f"  … and {len(report.notes) - SHOWN_NOTES} more", style="dim")
    yield Text(f"  report: {plain(str(kept.page))}", style="cyan")
