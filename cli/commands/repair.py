"""`cas repair`: bring back what is missing or damaged."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Group

from cas.catalog.checking import CheckLevel
from cas.errors import CasError, InvalidInput
from cas.repair.config import bring_config, needs_config
from cas.repair.model import Holder, RepairReport
from cas.repair.remaining import take_rest
from cas.repair.running import Repairable, plan_repair
from cas.repair.running import repair as run_repair
from cli import flags
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.session import Session, whoami
from cli.showing_repair import told_plan, told_report, told_rest
from cli.watching_faces import watching


def add_repair(app: typer.Typer) -> None:
    examples = [
        "cas repair --dry-run",
        "cas repair --from offsite",
        "cas repair --from 's3://other-bucket/shop?region=eu-west-1' --from-live",
        "cas repair --rest-of 12",
    ]
    command(app, "repair", examples=examples)(repair)


def repair(
    cas: Session,
    place: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="REPLICA|URL",
            help="Ask this replica, or this copy of the repository; may be repeated. Unset: all replicas.",
        ),
    ] = None,
    from_live: Annotated[
        bool,
        typer.Option("--from-live", help="What no store has: look for it among the rows of CAS_SOURCE."),
    ] = False,
    level: Annotated[
        CheckLevel,
        typer.Option(
            help="How deep the check goes that comes first; what earlier ones have found is repaired, too."
        ),
    ] = CheckLevel.STRUCTURE,
    dry_run: flags.DryRun = False,
    rest_of: Annotated[
        str | None,
        typer.Option(
            metavar="V",
            help="Instead: take a version of all that is left of this one, which lacks something.",
        ),
    ] = None,
    source: flags.Platform = None,
) -> ExitCode:
    """Bring back what is missing or damaged, from replicas and other copies, and name what nobody has.

    Each object is proven before it is put, and only what is damaged is put anew. Packs that nobody has whole
    are replaced by new ones with all that can be had of them. Exit code 9 where something is lost after all.
    """
    cas.set(source=source)
    if rest_of is not None:
        if place or from_live or dry_run:
            raise InvalidInput("a rest is taken of what is here", where="--rest-of", hint="Drop the others")
        return _rest(cas, rest_of)
    live = cas.source(cas.source_url) if from_live else None
    _config(cas, place or ())
    holders = _holders(cas, place)
    cas.if_stopped = "What was brought back stays; run it again to go on"
    with watching(cas.terminal, "check") as counters:
        found = plan_repair(cas.repository, cas.catalog, holders, level=level, progress=counters)
    is_clean = not (found.plan.wanted or found.plan.versions)
    if dry_run or is_clean:
        shown = found.plan if dry_run else _nothing(found)
        cas.terminal.result(shown, human=Group(*told_plan(found.plan)))
        return ExitCode.OK if is_clean else ExitCode.CORRUPT
    cas.terminal.beside(Group(*told_plan(found.plan)))
    with watching(cas.terminal, "repair") as counters:
        report = run_repair(cas.repository, cas.catalog, holders, found, live=live, progress=counters)
    cas.terminal.result(report, human=Group(*told_report(report, asked_live=from_live)))
    return ExitCode.OK if report.is_whole else ExitCode.CORRUPT


def _nothing(found: Repairable) -> RepairReport:
    return RepairReport(found.plan, (), {}, 0, 0, (), (), ())


def _rest(cas: Session, text: str) -> ExitCode:
    number = cas.number(text)
    with watching(cas.terminal, f"rest of version {number}") as counters:
        rest = take_rest(cas.repository, cas.catalog, number, created_by=whoami(), progress=counters)
    cas.terminal.result(rest, human=Group(*told_rest(rest)))
    return ExitCode.INCOMPLETE


def _config(cas: Session, places: Sequence[str]) -> None:
    """Without a config nothing can be opened, nor the catalog asked for replicas."""
    store = cas.store()
    if not places or not needs_config(store):
        return
    named = [Holder(place, cas.replica_store(place)) for place in places if _is_place(place)]
    brought = bring_config(store, named)
    cas.terminal.note(f"The config is back, from {brought.holder}")


def _holders(cas: Session, places: Sequence[str] | None) -> list[Holder]:
    known = cas.catalog.replicating
    if places:
        return [
            Holder(place, cas.replica_store(place))
            if _is_place(place)
            else Holder(place, cas.replica_store(known.replica(place).new.url, name=place))
            for place in places
        ]
    holders = []
    for replica in known.replicas():
        try:
            holders.append(Holder(replica.name, cas.replica_store(replica.new.url, name=replica.name)))
        except CasError as error:
            cas.terminal.warn(f"replica {replica.new.name} is not asked: {error}")
    return holders


def _is_place(text: str) -> bool:
    """Whether it is a URL or a path, and not the name of a replica."""
    return "/" in text or text.startswith(".")
