"""`cas gc`: the room of what no version needs is given back."""

from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Group

from cas.cleaning_up import Collected, collect
from cas.errors import InvalidInput
from cas.garbage.collecting import MOST_SHARE, plan_garbage
from cas.garbage.model import GarbagePlan, GarbageSummary
from cli import flags
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.letting_go import unconfirmed
from cli.session import Session
from cli.showing_garbage import done, planned
from cli.watching_faces import watching

MaxShare = Annotated[
    float,
    typer.Option(
        metavar="0..1",
        help="Refuse to take more than this part of all stored bytes; exit code 4, and nothing is done.",
    ),
]


@dataclass(frozen=True, slots=True)
class GcResult:
    """What was found, and what was done; `done` is None where it was only looked at."""

    plan: GarbageSummary
    done: Collected | None


def add_gc(app: typer.Typer) -> None:
    examples = ["cas gc --dry-run", "cas gc", "cas gc --max-share 0.9 --json"]
    command(app, "gc", examples=examples)(gc)


def gc(cas: Session, dry_run: flags.DryRun = False, max_share: MaxShare = MOST_SHARE) -> ExitCode:
    """Delete the packs that no version needs, and write again what is needed of those that are mostly dead.

    Asks nobody: it is for a scheduler, and --max-share is its guard. What somebody at work may still know is
    only condemned, and goes in a later run. Versions, readers and other commands may go on meanwhile.
    """
    require_share(max_share)
    if dry_run:
        with watching(cas.terminal, "gc") as counters:
            plan = plan_garbage(cas.repository, cas.catalog, counters).summary
        cas.terminal.result(
            GcResult(plan, None), human=Group(*planned(plan, max_share), *unconfirmed(cas.catalog))
        )
        return ExitCode.OK
    plan, made = collected(cas, max_share)
    cas.terminal.result(GcResult(plan, made), human=Group(*done(plan, made)))
    return ExitCode.OK


def require_share(max_share: float) -> None:
    if not 0 < max_share <= 1:
        raise InvalidInput(
            f"{max_share} is no share", where="--max-share", hint="Give more than 0, and 1 at most"
        )


def collected(cas: Session, max_share: float) -> tuple[GarbageSummary, Collected]:
    """One run, whose plan is shown before it is carried out."""
    cas.if_stopped = "Nothing that a version needs was touched; the next run goes on where this one was"
    seen: list[GarbageSummary] = []

    def show(plan: GarbagePlan) -> None:
        seen.append(plan.summary)
        if plan.bytes:
            cas.terminal.beside(Group(*planned(plan.summary, max_share)))

    with watching(cas.terminal, "gc") as counters:
        made = collect(cas.repository, cas.catalog, max_share=max_share, progress=counters, planned=show)
    return seen[-1], made
