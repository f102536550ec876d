"""What a check has found, for people."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from cas.check import CheckReport
from cas.damage import Finding
from cli.tables import facts, indented
from cli.words import counted, number, plain, shortened, size

SHOWN_FINDINGS = 20
"""Findings that a person sees; JSON has all."""

SHOWN_NAMES = 6
"""Entities, versions and chunks that one finding spells out."""


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
            yield _finding(finding)
        if total > SHOWN_FINDINGS:
            yield Text(f"  … and {number(total - SHOWN_FINDINGS)} more; --json has all", style="dim")
        yield _verdict(report)
    orphans = report.orphans
    if orphans is not None and orphans.packs:
        yield Text(
            f"  No damage: {counted(orphans.packs, 'pack')} ({size(orphans.pack_bytes)}) of versions that "
            "did not come to be",
            style="dim",
        )


def _finding(finding: Finding) -> RenderableType:
    style = "red" if finding.is_loss else "yellow"
    head = Text.assemble((f"\n  {finding.kind.value}: ", style), plain(finding.what))
    named = [f"{chunk.kind} {shortened(chunk.id, 17)}".strip() for chunk in finding.chunks]
    is_told_apart = finding.lost_versions != finding.versions
    pairs: list[tuple[str, str | Text]] = [
        ("object", finding.object),
        (counted(finding.chunk_count, "chunk"), _listed(named, finding.chunk_count)),
        ("entities", _listed(finding.entities)),
        ("versions", _listed(list(map(str, finding.versions)))),
        ("lost in", _listed(list(map(str, finding.lost_versions))) if is_told_apart else ""),
        ("what to do", Text(plain(finding.hint), style=style)),
    ]
    return Group(head, indented(facts(pairs)))


def _listed(names: tuple[str, ...] | list[str], total: int | None = None) -> str:
    count = len(names) if total is None else total
    shown = names[:SHOWN_NAMES]
    more = f" and {number(count - len(shown))} more" if count > len(shown) else ""
    return plain(", ".join(shown)) + more


def _verdict(report: CheckReport) -> Text:
    lost = report.lost_versions
    if lost:
        names = _listed(list(map(str, lost)))
        return Text(f"\n  Versions that cannot be brought back in full: {names}", style="bold red")
    return Text("\n  Every version can still be brought back in full", style="green")
