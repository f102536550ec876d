"""`cas diff`: what differs between two versions, in counts, records and fields."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from cas.diff import ChangeKind, EntityDiff, FieldChange, RecordChange, VersionDiff, diff_versions
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.session import Session
from cli.tables import cells, table
from cli.words import counted, number, plain, shortened

_SIGNS = {
    ChangeKind.ADDED: ("+", "green"),
    ChangeKind.REMOVED: ("-", "red"),
    ChangeKind.CHANGED: ("~", "yellow"),
}

FIELDS_OF_WHOLE_RECORDS = 6
"""Columns that are shown of a record that only one side has; `--full` shows all."""


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
    listing = table("entity", ">added", ">removed", ">changed", "remarks")
    for one in found:
        counts = one.counts
        row: list[str | Text] = [
            counts.entity,
            Text(number(counts.added), style="green" if counts.added else "dim"),
            Text(number(counts.removed), style="red" if counts.removed else "dim"),
            Text(number(counts.changed), style="yellow" if counts.changed else "dim"),
            _remarks(counts),
        ]
        listing.add_row(*cells(row))
    yield listing
    for one in found:
        yield from _records(one, width, is_full=is_full)


def _remarks(counts: EntityDiff) -> str:
    remarks = []
    if counts.only_in:
        remarks.append(
            f"only in the {counts.only_in}er version"
            if counts.only_in == "new"
            else "only in the older version"
        )
    if counts.columns_changed:
        remarks.append(f"columns differ: {', '.join(counts.columns_changed)}")
    return "; ".join(remarks)


def _records(one: EntityChanges, width: int, *, is_full: bool) -> Iterator[RenderableType]:
    begun = False
    for record in one.records:
        if not begun:
            yield Text(f"\n{plain(one.counts.entity)}", style="bold")
            begun = True
        yield _record(record, width, is_full=is_full)
    if one.left_out:
        yield Text(f"  … and {counted(one.left_out, 'more record')} (--limit 0 shows all)", style="dim")


def _record(record: RecordChange, width: int, *, is_full: bool) -> Text:
    sign, style = _SIGNS[record.kind]
    times = f" ({counted(record.count, 'time')})" if record.count > 1 else ""
    told = Text(f"  {sign} {plain(', '.join(record.key))}{times}", style=style)
    is_whole = record.kind is not ChangeKind.CHANGED
    shown = record.fields if is_full or not is_whole else record.fields[:FIELDS_OF_WHOLE_RECORDS]
    name_width = max((len(field.column) for field in shown), default=0)
    room = max(width - name_width - 10, 20)
    for field in shown:
        told.append(f"\n      {plain(field.column):<{name_width}}  ", style="dim")
        told.append_text(_values(field, record.kind, 10**9 if is_full else room))
    hidden = len(record.fields) - len(shown)
    if hidden:
        told.append(f"\n      … {counted(hidden, 'more column')} (--full shows all)", style="dim")
    return told


def _values(field: FieldChange, kind: ChangeKind, room: int) -> Text:
    """`old → new`, or the one value, in the room that the line has."""
    if kind is ChangeKind.ADDED:
        return _value(field.new, room)
    if kind is ChangeKind.REMOVED:
        return _value(field.old, room)
    half = max((room - 3) // 2, 8)
    old, new = _around_difference(field.old, field.new, half)
    return Text.assemble(_value(old, half), (" → ", "dim"), _value(new, half))


def _around_difference(old: str | None, new: str | None, room: int) -> tuple[str | None, str | None]:
    """Long texts begin shortly before their first difference, so that it can be seen."""
    if old is None or new is None or max(len(old), len(new)) <= room:
        return old, new
    at = next(
        (at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
    )
    skipped = max(at - room // 4, 0)
    return (f"…{old[skipped:]}", f"…{new[skipped:]}") if skipped else (old, new)


def _value(text: str | None, room: int) -> Text:
    return Text("NULL", style="dim") if text is None else Text(shortened(plain(text), room))
