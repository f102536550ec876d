"""Versions that go: shown, agreed to, and forgotten."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from cas.catalog.interface import Catalog
from cas.catalog.keeping import Heard
from cas.cleaning_up import let_go, require_confirmed
from cas.errors import InvalidInput
from cas.forgetting import ForgetReport, forget
from cas.retention.model import Candidate, RetentionPlan
from cli.exit_codes import ExitCode
from cli.session import Session
from cli.tables import cells, indented, table
from cli.watching_faces import watching
from cli.words import counted, minute, number, plain

SHOWN = 20
"""Versions that are listed for people; of more it is told how many."""


@dataclass(frozen=True, slots=True)
class ForgetResult:
    """What `cas forget` and `cas delete` found and did. `report` is None where nothing was done."""

    going: Sequence[Candidate]
    staying: int
    report: ForgetReport | None


def require_somebody(cas: Session, *, yes: bool, dry_run: bool) -> None:
    if not (yes or dry_run or cas.terminal.is_interactive):
        raise InvalidInput(
            "removing versions wants to be confirmed, and nobody can be asked",
            where="forget",
            hint="Add --yes, or --dry-run to see what would go",
        )


def unconfirmed(catalog: Catalog) -> list[RenderableType]:
    """What a person who only looks should know."""
    if catalog.cleaning.rebuilt_at() is None:
        return []
    said = "  It would be refused: the catalog was rebuilt, and wants `cas catalog confirm` first"
    return [Text(said, style="yellow")]


def carry_out(
    cas: Session,
    found: RetentionPlan,
    heard: Heard,
    why: str,
    *,
    yes: bool,
    dry_run: bool,
    by_rules: bool = False,
) -> ExitCode:
    """by_rules: the catalog remembers that it was cleaned up."""
    going = found.going
    if dry_run:
        cas.terminal.result(
            ForgetResult(going, len(found.staying), None),
            human=Group(*_told(found, "would go"), *unconfirmed(cas.catalog)),
        )
        return ExitCode.OK
    require_confirmed(cas.catalog)
    if going and not yes:
        cas.terminal.beside(Group(*_told(found, "would go")))
        answer = cas.terminal.ask(f"Type {len(going):,}, the number of versions that go: ")
        if answer.strip().replace(",", "") != str(len(going)):
            cas.terminal.note("Nothing was done")
            return ExitCode.DECLINED
    cas.if_stopped = "Run it again: it goes on where it was"
    work = let_go if by_rules else forget
    with watching(cas.terminal, "forget") as counters:
        report = work(cas.repository, cas.catalog, {one.number: why for one in going}, heard, counters)
    cas.terminal.result(ForgetResult(going, len(found.staying), report), human=Group(*done(report, found)))
    if report.gone:
        cas.terminal.show(Text("  `cas gc` gives back the room that nothing else needs", style="dim"))
    return ExitCode.OK


def _told(found: RetentionPlan, verb: str) -> list[RenderableType]:
    going = found.going
    if not going:
        return [Text(f"Nothing goes: all {counted(len(found.staying), 'version')} stay", style="bold green")]
    head = f"{counted(len(going), 'version')} {verb}, {number(len(found.staying))} stay"
    rows = table(">version", "taken", "origin")
    for one in going[:SHOWN]:
        rows.add_row(*cells([str(one.number), minute(one.created_at), one.origin.value]))
    more = [Text(f"  and {len(going) - SHOWN:,} older ones", style="dim")] if len(going) > SHOWN else []
    return [Text(head, style="bold"), indented(rows), *more]


def done(report: ForgetReport, found: RetentionPlan) -> list[RenderableType]:
    lines: list[RenderableType] = []
    if report.gone:
        lines.append(Text(f"{counted(len(report.gone), 'version')} removed", style="bold green"))
    elif not report.waiting and not report.kept:
        lines += _told(found, "went")
    lines += [Text(f"  version {one} stays: {plain(why)}") for one, why in report.kept.items()]
    lines += [
        Text(f"  version {one}: another document lies under its number, and was left alone", style="yellow")
        for one in report.strange
    ]
    if report.waiting:
        some = ", ".join(map(str, report.waiting[:5]))
        lines.append(Text(f"  {counted(len(report.waiting), 'version')} still in use go later: {some}"))
    return lines
