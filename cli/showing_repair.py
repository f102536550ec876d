"""What a repair has found, done and left, for people."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from cas.repair.model import EntityLoss, RepairPlan, RepairReport, VersionLoss
from cas.repair.remaining import Rest
from cli.tables import cells, indented, table
from cli.words import counted, number, plain, size

SHOWN = 20
"""Objects, versions and keys that a person sees; JSON has all."""


def told_plan(plan: RepairPlan) -> Iterator[RenderableType]:
    if not plan.wanted and not plan.versions:
        yield Text("Nothing is missing or damaged", style="bold green")
        return
    yield Text(
        f"{counted(len(plan.wanted), 'object is', 'objects are')} missing or damaged", style="bold yellow"
    )
    rows = table("object", "what is wrong", "who has something there")
    for one in plan.wanted[:SHOWN]:
        who = plain(", ".join(one.holders)) or Text("nobody who was asked", style="red")
        rows.add_row(*cells([one.object, plain(one.what), who]))
    rows.columns[0].overflow = "fold"
    if plan.wanted:
        yield indented(rows)
    if len(plan.wanted) > SHOWN:
        yield Text(f"  and {number(len(plan.wanted) - SHOWN)} more; --json has all", style="dim")
    if plan.versions:
        yield Text(f"  Versions that lack something now: {_numbers(plan.versions)}", style="yellow")


def told_report(report: RepairReport, *, asked_live: bool) -> Iterator[RenderableType]:
    if report.is_whole:
        yield Text("Everything that was missing or damaged is back", style="bold green")
    else:
        yield Text("Not everything is back", style="bold red")
    if report.brought:
        total = size(sum(one.bytes for one in report.brought))
        names = ", ".join(sorted({one.holder for one in report.brought}))
        yield Text(f"  {counted(len(report.brought), 'object')}, {total}, from {plain(names)}", style="dim")
    if report.replaced:
        sources = ", ".join(f"{number(count)} from {name}" for name, count in report.chunks.items())
        what = f"{counted(report.replaced, 'pack')} replaced by {number(report.fresh)} new"
        yield Text(f"  {what}{f'; chunks: {plain(sources)}' if sources else ''}", style="dim")
    elif report.chunks:
        sources = ", ".join(f"{number(count)} from {name}" for name, count in report.chunks.items())
        yield Text(f"  chunks put together again: {plain(sources)}", style="dim")
    if report.whole:
        yield Text(f"  Versions that were read again, and are whole: {_numbers(report.whole)}", style="green")
    for problem in report.problems[:SHOWN]:
        yield Text.assemble(
            "  ", (plain(problem.what), "yellow"), f" ({plain(problem.object)}). {plain(problem.hint)}"
        )
    if report.lost:
        yield from _told_lost(report, asked_live=asked_live)


def _told_lost(report: RepairReport, *, asked_live: bool) -> Iterator[RenderableType]:
    numbers = tuple(sorted(one.version for one in report.lost))
    yield Text(f"\n  Lost, in {counted(len(numbers), 'version')}: {_numbers(numbers)}", style="bold red")
    for loss in report.lost[:SHOWN]:
        yield from _told_version(loss)
    if len(report.lost) > SHOWN:
        yield Text(f"  and {number(len(report.lost) - SHOWN)} more versions; --json has all", style="dim")
    yield Text("\n  What to do", style="bold")
    if not asked_live:
        yield Text("  - the platform may still have some of it: cas repair --from-live")
    yield Text("  - take a version now, which reads all rows again: cas snapshot")
    yield Text(f"  - keep all that is left of a version: cas repair --rest-of {numbers[-1]}")
    yield Text(f"  - then let those go that lack something: cas delete {numbers[-1]}")


def _told_version(loss: VersionLoss) -> Iterator[RenderableType]:
    if loss.what:
        yield Text(f"  version {loss.version}: {plain(loss.what)}", style="red")
    for entity in loss.entities:
        records = counted(entity.records, "record")
        yield Text.assemble(
            f"  version {loss.version}: ", (f"{records} of {plain(entity.label)}", "red"), _which(entity)
        )


def _which(entity: EntityLoss) -> str:
    """The keys, as far as they are known."""
    parts = [plain(_key(key)) for key in entity.keys[:SHOWN]]
    for after, last in entity.ranges[:SHOWN]:
        begin = f"after {_key(after)}" if after is not None else "from the first"
        parts.append(plain(f"{begin} up to {_key(last)}"))
    if not parts:
        return ""
    names = f" ({', '.join(entity.columns)})" if entity.columns else ""
    more = ", ..." if entity.records > len(parts) and not entity.ranges else ""
    return f": {plain(names).strip()} {', '.join(parts)}{more}"


def _key(texts: tuple[str, ...]) -> str:
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"


def _numbers(numbers: tuple[int, ...]) -> str:
    more = f" and {number(len(numbers) - SHOWN)} more" if len(numbers) > SHOWN else ""
    return ", ".join(map(str, numbers[:SHOWN])) + more


def told_rest(rest: Rest) -> Iterator[RenderableType]:
    version = rest.version
    yield Text.assemble(
        (f"Version {version.number} is {version.state.value}", "bold yellow"),
        f": {counted(version.records or 0, 'record')}, all that is left of version {rest.loss.version}",
    )
    yield from _told_version(rest.loss)
    yield Text(f"  Restore it: cas restore {version.number} --allow-incomplete", style="dim")
