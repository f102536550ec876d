"""`cas check`: prove that what the versions need is there and undamaged."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from math import ceil
from time import monotonic
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cas.catalog.interface import Catalog
from cas.check import CheckLevel, CheckReport, check_repository
from cas.check_turns import Budget, Turn
from cas.engine.repository import Repository
from cas.errors import Conflict, ConnectionFailed, InvalidInput, NotFound
from cas.pinning import pinned
from cli.commanding import command
from cli.dates import parse_span
from cli.exit_codes import ExitCode
from cli.session import Session
from cli.showing_checks import listed, told_damage
from cli.watching_faces import watching
from cli.words import counted, duration, moment, number, size

SHOWN_FINDINGS = 20
"""Findings that a person sees; JSON has all."""


def add_check(app: typer.Typer) -> None:
    command(
        app,
        "check",
        examples=["cas check", "cas check 12 --level bytes", "cas check --budget 10m", "cas check --json"],
    )(check)


def check(
    cas: Session,
    version: Annotated[
        str | None, typer.Argument(metavar="[V]", help="Only this version; unset: everything.")
    ] = None,
    level: Annotated[
        CheckLevel | None,
        typer.Option(
            help="structure: all trees, and where each record lies; packs: also every trailer; "
            "bytes: also every stored byte. \\[default: structure; with --budget: bytes]",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Only for so long: 30s, 10m, 2h. What was checked the longest ago comes first, so run after "
            "run covers everything.",
        ),
    ] = None,
) -> ExitCode:
    """Prove that the versions hold what they say. Any damage is told with whom it touches; exit code 9.

    What is found is kept: `cas versions` and `cas show` say of every version when it was checked last.
    """
    if budget is not None and version is not None:
        raise InvalidInput(
            "a budget is for all versions, and one was named", where="--budget", hint="Leave one of them out"
        )
    limit = None if budget is None else Budget(parse_span(budget, "--budget"), monotonic)
    depth = level or (CheckLevel.STRUCTURE if limit is None else CheckLevel.BYTES)
    wanted = cas.number(version) if version is not None else None
    repository = cas.repository
    cas.if_stopped = "Nothing was changed in the store; what was found by then is kept"
    catalog = cas.catalog if limit is not None else _catalog(cas)
    with watching(cas.terminal, "check") as counters, _pinned(cas.repository, catalog, wanted):
        report = check_repository(
            repository, catalog=catalog, version=wanted, level=depth, budget=limit, progress=counters
        )
    if report.not_kept:
        cas.terminal.warn(f"not all that was found is kept: {report.not_kept}")
    cas.terminal.result(report, human=Group(*_told(report)))
    return ExitCode.OK if report.is_clean else ExitCode.CORRUPT


def _catalog(cas: Session) -> Catalog | None:
    """A store is checked without its catalog too, if that must be."""
    try:
        return cas.catalog
    except (ConnectionFailed, NotFound) as error:
        cas.terminal.warn(
            f"lost documents cannot be noticed and nothing is kept, since the catalog was not asked: {error}"
        )
        return None


@contextmanager
def _pinned(repository: Repository, catalog: Catalog | None, version: int | None) -> Iterator[None]:
    """The version stays while it is looked at. One that is not there, or is about to go, is looked at as far
    as the store has it."""
    with ExitStack() as stack:
        if catalog is not None and version is not None:
            with suppress(NotFound, Conflict):
                stack.enter_context(pinned(repository.environment, catalog, version, "a check"))
        yield


def _told(report: CheckReport) -> Iterator[RenderableType]:
    looked = (
        f"{counted(len(report.versions), 'version')}, {counted(report.entities, 'entity', 'entities')}, "
        f"{counted(report.records, 'record')}, {counted(report.nodes, 'tree node')}"
    )
    if report.packs:
        looked += f", {counted(report.packs, 'pack')}"
    if report.pack_bytes:
        looked += f", {size(report.pack_bytes)} read and {counted(report.chunks, 'chunk')} recomputed"
    if report.is_clean:
        yield Text("Nothing is wrong", style="bold green")
        yield Text(f"  {report.level.value}: {looked}", style="dim")
    else:
        total = len(report.findings) + report.findings_left_off
        yield Text(counted(total, "thing is wrong", "things are wrong"), style="bold red")
        yield Text(f"  {report.level.value}: {looked}", style="dim")
        for finding in report.findings[:SHOWN_FINDINGS]:
            yield told_damage(finding)
        if total > SHOWN_FINDINGS:
            yield Text(f"  … and {number(total - SHOWN_FINDINGS)} more; --json has all", style="dim")
        yield _verdict(report)
    if report.turn is not None:
        yield from _told_turn(report.turn, report.level)
    orphans = report.orphans
    if orphans is not None and orphans.packs:
        yield Text(
            f"  No damage: {counted(orphans.packs, 'pack')} ({size(orphans.pack_bytes)}) of versions that "
            "did not come to be",
            style="dim",
        )


def _told_turn(turn: Turn, level: CheckLevel) -> Iterator[RenderableType]:
    """What this run did, and where the round stands."""
    read = (
        "" if level is CheckLevel.STRUCTURE else f", {counted(turn.packs, 'pack')} ({size(turn.pack_bytes)})"
    )
    yield Text(f"  in turn: trees of {counted(turn.versions, 'version')}{read}, in {duration(turn.seconds)}")
    all_of = turn.coverage
    when = f", none longer ago than {moment(all_of.least_recent_walk)}" if all_of.least_recent_walk else ""
    yield Text(
        f"  trees walked so far: of {number(all_of.walked)} of {counted(all_of.versions, 'version')}{when}"
    )
    if level is not CheckLevel.STRUCTURE:
        how = "read whole" if level is CheckLevel.BYTES else "with their trailers read"
        when = (
            f", none longer ago than {moment(all_of.least_recent_read)}" if all_of.least_recent_read else ""
        )
        yield Text(
            f"  packs {how} so far: {number(all_of.read)} of {number(all_of.packs)}, "
            f"{size(all_of.read_bytes)} of {size(all_of.pack_bytes)}{when}"
        )
    if turn.runs_per_round is not None:
        runs = max(1, ceil(turn.runs_per_round))
        took = duration(turn.runs_per_round * turn.seconds)
        yield Text(f"  a full round takes {counted(runs, 'run')} like this one, {took} in all")


def _verdict(report: CheckReport) -> Text:
    lost = report.lost_versions
    if lost:
        names = listed(list(map(str, lost)))
        return Text(f"\n  Versions that cannot be brought back in full: {names}", style="bold red")
    return Text("\n  Every version can still be brought back in full", style="green")
