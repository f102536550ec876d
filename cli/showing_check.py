"""What a check has found, for people."""

from collections.abc import Iterator
from math import ceil

from rich.console import RenderableType
from rich.text import Text

from cas.check import CheckLevel, CheckReport
from cas.check_turns import Turn
from cli.showing_checks import listed, told_damage
from cli.words import counted, duration, moment, number, size

SHOWN_FINDINGS = 20
"""Findings that a person sees; JSON has all."""


def told(report: CheckReport) -> Iterator[RenderableType]:
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
