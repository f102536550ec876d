"""How damage looks, and what is known of versions by checks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

from rich.console import Group, RenderableType
from rich.text import Text

from cas.catalog.checking import CheckState, VersionCheck
from cas.catalog.model import Version
from cas.damage import Finding
from cli.tables import facts, indented
from cli.words import counted, moment, number, plain, shortened

SHOWN_NAMES = 6
"""Entities, versions and chunks that one finding spells out."""

CHECK_STYLES = {CheckState.VALID: "green", CheckState.DAMAGED: "bold red", CheckState.UNCHECKED: "dim"}


def told_damage(finding: Finding) -> RenderableType:
    """One finding with whom it touches and what to do."""
    style = "red" if finding.is_loss else "yellow"
    head = Text.assemble((f"\n  {finding.kind.value}: ", style), plain(finding.what))
    named = [f"{chunk.kind} {shortened(chunk.id, 17)}".strip() for chunk in finding.chunks]
    is_told_apart = finding.lost_versions != finding.versions
    pairs: list[tuple[str, str | Text]] = [
        ("object", finding.object),
        (counted(finding.chunk_count, "chunk"), listed(named, finding.chunk_count)),
        ("entities", listed(finding.entities)),
        ("versions", listed(list(map(str, finding.versions)))),
        ("lost in", listed(list(map(str, finding.lost_versions))) if is_told_apart else ""),
        ("what to do", Text(plain(finding.hint), style=style)),
    ]
    return Group(head, indented(facts(pairs)))


def listed(names: Sequence[str], total: int | None = None) -> str:
    """The first few, and how many more."""
    count = len(names) if total is None else total
    shown = names[:SHOWN_NAMES]
    more = f" and {number(count - len(shown))} more" if count > len(shown) else ""
    return plain(", ".join(shown)) + more


def with_check(version: Version, check: VersionCheck | None) -> Mapping[str, object]:
    """The version as JSON has it, and what is known of it; None where it is not complete or incomplete."""
    return {field.name: getattr(version, field.name) for field in fields(version)} | {"check": check}


def told_shortly(check: VersionCheck | None) -> Text:
    """`valid 2026-03-01`: everything was looked at, and nothing of it longer ago than this day."""
    if check is None:
        return Text()
    style = CHECK_STYLES[check.state]
    if check.state is CheckState.VALID and check.structure_at and check.bytes_at:
        return Text(f"valid {min(check.structure_at, check.bytes_at).astimezone():%Y-%m-%d}", style=style)
    return Text(check.state.value, style=style)


def told_check(check: VersionCheck) -> Iterator[tuple[str, str | Text]]:
    """What is known of one version, as facts."""
    yield "checked", Text(check.state.value, style=CHECK_STYLES[check.state])
    yield "", Text(plain(check.damage), style="red")
    yield "trees", f"walked {moment(check.structure_at)}" if check.structure_at else "never walked"
    yield "packs", _told_packs(check)
    yield "read back", moment(check.read_back_at) if check.read_back_at else ""


def _told_packs(check: VersionCheck) -> str:
    if check.packs is None:
        return "" if check.structure_at is None else "which of them it needs is not known"
    if check.bytes_at is None:
        return f"{number(check.packs_read)} of {number(check.packs)} ever read whole"
    return f"all {number(check.packs)} read whole, none longer ago than {moment(check.bytes_at)}"
