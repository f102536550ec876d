"""`cas versions`: the list of versions, whatever became of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cas.catalog.checking import VersionCheck
from cas.catalog.model import Trigger, Version, VersionFilter, VersionKind, VersionState
from cas.catalog.replica_model import Placement
from cli.commanding import command
from cli.dates import parse_time
from cli.exit_codes import ExitCode
from cli.mirroring import placement_as_json
from cli.session import Session
from cli.showing_checks import CHECK_STYLES, told_shortly, with_check
from cli.showing_counts import MARK, STYLE, most_unusual
from cli.tables import cells, remarked, state
from cli.words import minute, moment, number, offset, size

_WHICH = "Which versions"

PARTIAL_MARK = "½"

WIDE = 100
"""Columns from which on the kind and the size of the whole version find room."""

WIDEST = 120
"""Columns from which on there is room for what is known by checks."""


@dataclass(frozen=True, slots=True)
class VersionsPage:
    """Newest first, each with what is known of it by checks, and where it is. `before` is the cursor of
    the next page; None on the last one."""

    versions: Sequence[Mapping[str, object]]
    before: int | None


def add_versions(app: typer.Typer) -> None:
    examples = [
        "cas versions",
        "cas versions --state complete --since 7d",
        "cas versions --tag release --text import --json",
        "cas versions --unusual --since 30d",
        "cas versions --partial",
    ]
    command(app, "versions", examples=examples)(versions)


def versions(
    cas: Session,
    states: Annotated[
        list[VersionState] | None, typer.Option("--state", help="In this state.", rich_help_panel=_WHICH)
    ] = None,
    triggers: Annotated[
        list[Trigger] | None,
        typer.Option("--trigger", case_sensitive=False, help="Taken on this behalf.", rich_help_panel=_WHICH),
    ] = None,
    kinds: Annotated[
        list[VersionKind] | None, typer.Option("--kind", help="Of this kind.", rich_help_panel=_WHICH)
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORD", help="With this tag; all of them where repeated.", rich_help_panel=_WHICH
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Taken at or after: 2026-03-01, 24h, 7d.", rich_help_panel=_WHICH),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Taken before.", rich_help_panel=_WHICH)
    ] = None,
    text: Annotated[
        str, typer.Option(help="In number, name, reason or description.", rich_help_panel=_WHICH)
    ] = "",
    unusual: Annotated[
        bool,
        typer.Option("--unusual", help="With counts of changes that were unusual.", rich_help_panel=_WHICH),
    ] = False,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="That a store should hold and does not.", rich_help_panel=_WHICH),
    ] = False,
    limit: Annotated[int, typer.Option(help="Versions on one page.", rich_help_panel=_WHICH)] = 20,
    before: Annotated[
        int | None, typer.Option(help="Only numbers below: the next page.", rich_help_panel=_WHICH)
    ] = None,
) -> ExitCode:
    """List versions, newest first; failed ones with their reason, unusual ones marked !, partial ones
    marked ½."""
    where = VersionFilter(
        states=tuple(states or ()),
        triggers=tuple(triggers or ()),
        kinds=tuple(kinds or ()),
        tags=tuple(tag or ()),
        since=parse_time(since, "--since") if since else None,
        until=parse_time(until, "--until") if until else None,
        text=text,
        unusual=unusual,
        partial=partial,
        limit=limit,
        before=before,
    )
    found = cas.catalog.versions(where)
    numbers = [version.number for version in found]
    checks, places = cas.catalog.checking.versions(numbers), cas.catalog.replicating.placements(numbers)
    shown = [
        {**with_check(version, checks.get(version.number)), **placement_as_json(places[version.number])}
        for version in found
    ]
    page = VersionsPage(shown, found[-1].number if len(found) == limit and found[-1].number > 1 else None)
    cas.terminal.result(page, human=_listed(found, checks, places, cas.terminal.out.width))
    if page.before is not None:
        cas.terminal.note(f"There may be more: add --before {page.before}", style="dim")
    return ExitCode.OK


def _listed(
    found: Sequence[Version],
    checks: Mapping[int, VersionCheck],
    places: Mapping[int, Placement],
    width: int,
) -> RenderableType:
    """Some lines a version: its figures, and below them what a person wrote, went wrong, or is unusual."""
    if not found:
        return Text("No version matches. Take one with: cas snapshot", style="dim")
    is_wide, is_widest = width >= WIDE, width >= WIDEST
    offsets = {offset(version.created_at) for version in found}
    taken = f"taken ({next(iter(offsets))})" if len(offsets) == 1 else "taken"
    names = [">#", taken, "state", "by", *(["kind"] if is_wide else []), ">records", ">size", ">added"]
    names += [*([">whole"] if is_wide else []), *(["checked"] if is_widest else [])]
    grid = Table.grid(padding=(0, 2))
    for name in names:
        grid.add_column(justify="right" if name.startswith(">") else "left", no_wrap=True)
    grid.add_row(*(Text(name.removeprefix(">"), style="dim") for name in names))
    for version in found:
        row: list[str | Text] = [
            str(version.number),
            minute(version.created_at) if len(offsets) == 1 else moment(version.created_at),
            _marked(version, places[version.number]),
            version.trigger.value,
            *([version.kind.value] if is_wide else []),
            number(version.records),
            size(version.original_bytes),
            size(version.added_bytes),
            *([size(version.stored_bytes)] if is_wide else []),
            *([told_shortly(checks.get(version.number))] if is_widest else []),
        ]
        grid.add_row(*cells(row))
    remarks = [
        [
            (_remarks(version, is_wide=is_wide), "red" if version.error_code else "dim"),
            (most_unusual(version.anomalies), STYLE),
            (_lacking(places[version.number]), "yellow"),
            *_checked(checks.get(version.number), is_widest=is_widest),
        ]
        for version in found
    ]
    return remarked(grid, remarks, width, indent=len(str(found[0].number)) + 2)


def _checked(check: VersionCheck | None, *, is_widest: bool) -> list[tuple[str, str]]:
    """What is wrong with it; and what is known of it, where there is no column for that."""
    if check is None:
        return []
    shortly = [] if is_widest else [(told_shortly(check).plain, CHECK_STYLES[check.state])]
    return [*shortly, (check.damage, CHECK_STYLES[check.state])]


def _marked(version: Version, placement: Placement) -> Text:
    found = state(version.state)
    marks = [MARK] if version.anomalies else []
    marks += [PARTIAL_MARK] if placement.is_partial else []
    return found.append(f" {' '.join(marks)}", style=f"bold {STYLE}") if marks else found


def _lacking(placement: Placement) -> str:
    return f"partial: not in {', '.join(placement.lacks)}" if placement.is_partial else ""


def _remarks(version: Version, *, is_wide: bool) -> str:
    parts = [version.name, version.reason]
    parts += [] if is_wide or version.kind is VersionKind.FULL else [version.kind.value]
    parts += [f"#{tag}" for tag in version.tags]
    parts += ["protected"] if version.protected else []
    parts += [f"held: {version.hold}"] if version.hold else []
    parts += [f"until {minute(version.expires_at)}"] if version.expires_at else []
    parts += [version.forgotten_why]
    parts += [f"{version.error_code}: {version.error_text}"] if version.error_code else []
    return " · ".join(part for part in parts if part)
