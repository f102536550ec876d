"""`cas diff`: what differs between two versions, in counts, records and fields."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from cas.diff import EntityDiff, RecordChange, VersionDiff, diff_versions
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.session import Session
from cli.showing_changes import counts_table, told_record
from cli.words import counted, plain


@dataclass(frozen=True, slots=True)
class EntityChanges:
    """One entity that differs. `left_out`: records beyond the limit."""

    counts: EntityDiff
    records: Iterator[RecordChange]
    left_out: int


@dataclass(frozen=True, slots=True)
class DiffResult:
    """From version `old` to version `new`. Entities without differences are only counted."""

    old: int
    new: int
    entities: Iterator[EntityChanges]
    compared: int


def add_diff(app: typer.Typer) -> None:
    examples = [
        "cas diff 11 12",
        "cas diff 11 latest --entity products --limit 0",
        "cas diff 11 12 --json | jq '.entities[].counts'",
    ]
    command(app, "diff", examples=examples)(diff)


def diff(
    cas: Session,
    old: Annotated[str, typer.Argument(metavar="A", help="The older version: a number, or latest.")],
    new: Annotated[str, typer.Argument(metavar="B", help="The newer version.")],
    entity: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this one: schema.table, or table.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Records of each entity that are shown; 0: all.")] = 10,
    full: Annotated[bool, typer.Option("--full", help="Show values and records in full.")] = False,
) -> ExitCode:
    """Compare two versions: counts per entity, then records, then fields old -> new."""
    left, right = cas.committed(old).number, cas.committed(new).number
    compared = diff_versions(cas.repository, left, right, entity)
    changes = _changes(compared, limit)
    if cas.terminal.as_json:
        cas.terminal.result(DiffResult(left, right, changes, len(compared.labels)))
        return ExitCode.OK
    cas.terminal.show(Text(f"From version {left} to version {right}", style="bold"))
    for part in _told(changes, cas.terminal.out.width, is_full=full):
        cas.terminal.show(part)
    return ExitCode.OK


def _changes(compared: VersionDiff, limit: int) -> Iterator[EntityChanges]:
    """The entities that differ, each with the first of its records."""
    for counts in compared.entities():
        if not counts.is_equal:
            records = compared.records(counts.entity)
            total = counts.added + counts.removed + counts.changed
            shown = islice(records, limit) if limit else records
            yield EntityChanges(counts, shown, max(total - limit, 0) if limit else 0)


def _told(changes: Iterator[EntityChanges], width: int, *, is_full: bool) -> Iterator[RenderableType]:
    found = list(changes)  # one small value an entity; its records stay where they are
    if not found:
        yield Text("  They hold the same records.", style="green")
        return
    yield counts_table(one.counts for one in found)
    for one in found:
        yield from _records(one, width, is_full=is_full)


def _records(one: EntityChanges, width: int, *, is_full: bool) -> Iterator[RenderableType]:
    begun = False
    for record in one.records:
        if not begun:
            yield Text(f"\n{plain(one.counts.entity)}", style="bold")
            begun = True
        yield told_record(record, width, is_full=is_full)
    if one.left_out:
        yield Text(f"  … and {counted(one.left_out, 'more record')} (--limit 0 shows all)", style="dim")
