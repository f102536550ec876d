"""Replicas and runs on them, for people."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from rich.console import RenderableType
from rich.text import Text

from cas.catalog.replica_model import RunOutcome
from cas.replicas.model import Problem, ReplicaStatus, ReplicationReport
from cli.tables import cells, indented, table
from cli.words import counted, duration, minute, number, plain, size

SHOWN_PROBLEMS = 20
"""Problems of one run that a person sees; JSON has all."""

_STYLES = {RunOutcome.COMPLETE: "green", RunOutcome.PARTIAL: "yellow", RunOutcome.FAILED: "red"}


def statuses(found: Sequence[ReplicaStatus], now: datetime) -> Iterator[RenderableType]:
    """A line for each, and below it what a person should know."""
    if not found:
        yield Text("There is no replica yet. Add one with: cas replica add NAME URL", style="dim")
        return
    rows = table("replica", "behind", ">versions", ">size", "last run", "verified", "keeps")
    for one in found:
        rows.add_row(
            *cells(
                [
                    one.replica.name,
                    _behind(one),
                    number(one.versions),
                    size(one.stored_bytes) if one.outcome else "-",
                    _last_run(one),
                    _verified(one),
                    ", ".join(one.replica.rules) if one.replica.rules else "as the primary",
                ]
            )
        )
    rows.columns[-1].overflow = "fold"
    yield rows
    for one in found:
        yield indented(Text(f"{one.replica.name}  {plain(one.replica.url)}", style="dim"))
        for words, style in _remarks(one, now):
            yield indented(indented(Text(plain(words), style=style)))


def _behind(one: ReplicaStatus) -> Text:
    if not one.replica.enabled:
        return Text("disabled", style="dim")
    if not one.lacking:
        return Text("up to date", style="green")
    late = f", {duration(one.behind_seconds)}"
    return Text(f"{counted(one.lacking, 'version')}{late}", style="yellow")


def _last_run(one: ReplicaStatus) -> Text:
    if one.started_at is None:
        return Text("never", style="yellow")
    if one.is_running:
        return Text(f"{minute(one.started_at)} at work", style="cyan")
    if one.ended_at is None or one.outcome is None:
        return Text(f"{minute(one.started_at)} died", style="red")
    return Text(f"{minute(one.started_at)} {one.outcome.value}", style=_STYLES[one.outcome])


def _verified(one: ReplicaStatus) -> Text:
    if one.verified is None:
        return Text("never", style="yellow")
    words = f"{minute(one.verified.at)} {one.verified.level}"
    return Text(words, style="green") if one.verified.is_clean else Text(f"{words}: damaged", style="red")


def _remarks(one: ReplicaStatus, now: datetime) -> Iterator[tuple[str, str]]:
    if one.replica.mirror:
        yield "a mirror: new versions are copied to it in the run that takes them", "dim"
    if not one.replica.enabled:
        yield "disabled: left alone by `cas replicate` without its name, and by snapshots", "yellow"
    if one.owed:
        some = ", ".join(map(str, one.owed[:5])) + (" ..." if len(one.owed) > 5 else "")
        yield f"should hold {counted(len(one.owed), 'version')}, and does not: {some}", "yellow"
    if one.text:
        yield one.text, "red" if one.outcome is RunOutcome.FAILED else "yellow"
    if one.succeeded_at is not None and one.outcome is not RunOutcome.COMPLETE:
        yield f"the last complete run began {minute(one.succeeded_at)}", "dim"
    days = one.replica.lock_days
    if not days:
        return
    if one.locked_at is None:
        yield f"nothing is known to be locked yet; a complete run locks for {2 * days} days", "yellow"
        return
    until = one.locked_at + timedelta(days=2 * days)
    is_late = now > one.locked_at + timedelta(days=days)
    late = "; they are overdue: replicate now" if is_late else ""
    yield f"locks hold until {minute(until)} at least{late}", "red" if is_late else "dim"


def told(report: ReplicationReport) -> Iterator[RenderableType]:
    """What a run did."""
    name = report.name
    if report.problems:
        yield Text(f"{name}: {counted(len(report.problems), 'problem')}", style="bold yellow")
    elif report.versions:
        yield Text(f"{name}: {counted(len(report.versions), 'version')} copied", style="bold green")
    else:
        yield Text(f"{name}: up to date", style="bold green")
    copied = f"{counted(report.packs, 'pack')}, {size(report.copied_bytes)} copied"
    yield Text(
        f"  {copied}; {counted(report.objects, 'object')}, {size(report.stored_bytes)} there", style="dim"
    )
    if report.forgotten:
        yield Text(f"  {counted(len(report.forgotten), 'version')} wanted no more", style="dim")
    if report.deleted_documents or report.deleted_packs:
        freed = f"{counted(report.deleted_packs, 'pack')}, {size(report.deleted_bytes)} deleted"
        yield Text(f"  {counted(len(report.deleted_documents), 'document')} and {freed}", style="dim")
    if report.still_locked:
        yield Text(f"  {counted(report.still_locked, 'object')} go once their lock is over", style="dim")
    if report.extended:
        yield Text(f"  {counted(report.extended, 'lock')} extended", style="dim")
    if report.unknown:
        some = ", ".join(map(str, report.unknown[:5])) + (" ..." if len(report.unknown) > 5 else "")
        yield Text(f"  documents that this catalog does not count were left alone: {some}", style="dim")
    for problem in report.problems[:SHOWN_PROBLEMS]:
        yield _problem(problem)
    if len(report.problems) > SHOWN_PROBLEMS:
        yield Text(f"  and {len(report.problems) - SHOWN_PROBLEMS:,} more; --json has all", style="dim")


def _problem(problem: Problem) -> RenderableType:
    words = Text.assemble((f"{plain(problem.what)}", "yellow"), f" ({plain(problem.object)}). ")
    return indented(words.append(plain(problem.hint), style="dim"))
