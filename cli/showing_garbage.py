"""Garbage, for people: what would go and why, and what became of it."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from cas.catalog.collecting import Awaited
from cas.cleaning_up import Collected
from cas.garbage.model import GarbageReport, GarbageSummary
from cli.tables import cells, indented, table
from cli.words import counted, number, size

LATER = "they go in a later run"


def planned(plan: GarbageSummary, max_share: float) -> Iterator[RenderableType]:
    """What a collection would take, and why."""
    staying = size(plan.all.bytes - plan.bytes)
    rows = [
        ("no version needs them", plan.dead.packs, plan.dead.bytes),
        ("left by sessions that ended, or known to nobody", plan.strangers.packs, plan.strangers.bytes),
        ("condemned by an earlier run, and waiting", plan.condemned.packs, plan.condemned.bytes),
        ("mostly dead: what is needed is written again", plan.rewritten.packs, plan.rewritten.bytes),
    ]
    if not any(packs for _, packs, _ in rows):
        yield Text(f"Nothing would go: {_needed(plan)}", style="bold green")
        yield from _unclaimed(plan)
        return
    part = f"{size(plan.bytes)} of {size(plan.all.bytes)}, {_percent(plan.share)}"
    yield Text(f"{part} of what is stored, would go", style="bold")
    listing = table("packs that would go", ">packs", ">bytes")
    for why, packs, stored in rows:
        if packs:
            listing.add_row(*cells([why, number(packs), size(stored)]))
    if plan.rewritten.packs:
        listing.add_row(
            *cells([Text("  of which comes again", style="dim"), "", f"-{size(plan.needed_bytes)}"])
        )
    yield indented(listing)
    yield Text(f"  {staying} stay", style="dim")
    yield from _unclaimed(plan)
    if plan.share > max_share:
        yield Text(
            f"  That is more than {_percent(max_share)}: it is refused, unless --max-share allows it",
            style="yellow",
        )


def done(plan: GarbageSummary, one: Collected) -> Iterator[RenderableType]:
    """What a collection did."""
    report = one.report
    if report.deleted:
        yield Text(f"{counted(report.deleted, 'pack')} deleted, {_freed(report)}", style="bold green")
    elif report.waiting or report.spared:
        yield Text("Nothing could go yet", style="bold")
    else:
        yield Text(f"Nothing to collect: {_needed(plan)}", style="bold green")
    if report.condemned:
        yield Text(f"  {counted(report.condemned, 'pack')} condemned by this run", style="dim")
    if report.rewritten:
        fresh = f"{counted(report.fresh, 'new one')}, {size(report.fresh_bytes)}"
        yield Text(
            f"  what is needed of {counted(report.rewritten, 'pack')} written again: {fresh}", style="dim"
        )
    if report.spared:
        yield Text(f"  {counted(report.spared, 'pack')} condemned before and needed after all: spared")
    if report.waiting:
        waiting = f"{counted(report.waiting, 'pack')}, {size(report.waiting_bytes)}"
        yield Text(f"  {waiting} condemned and waiting: {_awaited(one.awaited)}; {LATER}", style="yellow")
    yield from _unclaimed(plan)


def _unclaimed(plan: GarbageSummary) -> Iterator[RenderableType]:
    if plan.unclaimed:
        yield Text(
            f"  {counted(plan.unclaimed, 'document')} of versions that were interrupted at their end keep "
            "what they need: `cas catalog rebuild` takes them in",
            style="yellow",
        )


def _freed(report: GarbageReport) -> str:
    if report.freed_bytes < 0:
        return f"{size(-report.freed_bytes)} more in use until the old ones go"
    return f"{size(report.freed_bytes)} freed"


def _needed(plan: GarbageSummary) -> str:
    if not plan.all.packs:
        return "there is no pack"
    return f"all {counted(plan.all.packs, 'pack')}, {size(plan.all.bytes)}, are needed"


def _awaited(awaited: Awaited) -> str:
    """In words, who keeps them."""
    parts = [
        counted(awaited.writers, "version being taken", "versions being taken") if awaited.writers else "",
        counted(awaited.readers, "reader") if awaited.readers else "",
    ]
    who = " and ".join(part for part in parts if part)
    return f"{who} began before that, and may know them" if who else "somebody was at work just now"


def _percent(share: float) -> str:
    """Never 0 % of something."""
    return "less than 1 %" if 0 < share < 0.01 else f"{share:.0%}".replace("%", " %")
