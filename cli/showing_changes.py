"""How differences between versions look: counts per entity, and records with their fields."""

from collections.abc import Iterable, Mapping

from rich.table import Table
from rich.text import Text

from cas.diff import ChangeKind, EntityDiff, FieldChange, RecordChange
from cli.tables import cells, table
from cli.words import counted, number, plain, shortened

_SIGNS = {
    ChangeKind.ADDED: ("+", "green"),
    ChangeKind.REMOVED: ("-", "red"),
    ChangeKind.CHANGED: ("~", "yellow"),
}

ARROW = " → "

FIELDS_OF_WHOLE_RECORDS = 6
"""Columns that are shown of a record that only one side has, unless all are wanted."""


def counts_table(
    differences: Iterable[EntityDiff], sides: tuple[str, str] = ("older version", "newer version")
) -> Table:
    """How many records of each entity differ. `sides`: what old and new are called."""
    listing = table("entity", ">added", ">removed", ">changed", "remarks")
    for counts in differences:
        row: list[str | Text] = [
            counts.entity,
            Text(number(counts.added), style="green" if counts.added else "dim"),
            Text(number(counts.removed), style="red" if counts.removed else "dim"),
            Text(number(counts.changed), style="yellow" if counts.changed else "dim"),
            _remarks(counts, dict(zip(("old", "new"), sides, strict=True))),
        ]
        listing.add_row(*cells(row))
    return listing


def _remarks(counts: EntityDiff, sides: Mapping[str, str]) -> str:
    remarks = [f"only in the {sides[counts.only_in]}"] if counts.only_in else []
    if counts.columns_changed:
        remarks.append(f"columns differ: {', '.join(counts.columns_changed)}")
    return "; ".join(remarks)


def told_record(
    record: RecordChange, width: int, *, is_full: bool = False, columns: int = FIELDS_OF_WHOLE_RECORDS
) -> Text:
    """A record with its sign, its key, and below it the fields: old -> new in the room of a line.

    `columns`: how many are shown of a record that only one side has, unless `is_full`.
    """
    sign, style = _SIGNS[record.kind]
    times = f" ({counted(record.count, 'time')})" if record.count > 1 else ""
    told = Text(f"  {sign} {plain(', '.join(record.key))}{times}", style=style)
    is_whole = record.kind is not ChangeKind.CHANGED
    shown = record.fields if is_full or not is_whole else record.fields[:columns]
    name_width = max((len(field.column) for field in shown), default=0)
    room = max(width - name_width - 8, 20)
    for field in shown:
        told.append(f"\n      {plain(field.column):<{name_width}}  ", style="dim")
        told.append_text(_values(field, record.kind, 10**9 if is_full else room))
    hidden = len(record.fields) - len(shown)
    if hidden:
        told.append(f"\n      … {counted(hidden, 'more column')}", style="dim")
    return told


def _values(field: FieldChange, kind: ChangeKind, room: int) -> Text:
    """`old → new`, or the one value, in the room that the line has."""
    if kind is ChangeKind.ADDED:
        return _value(field.new, room)
    if kind is ChangeKind.REMOVED:
        return _value(field.old, room)
    room -= len(ARROW)
    if len(field.old or "NULL") + len(field.new or "NULL") > room:
        old, new = _around_difference(field.old, field.new, room // 2)
        return Text.assemble(_value(old, room // 2), (ARROW, "dim"), _value(new, room // 2))
    return Text.assemble(_value(field.old, room), (ARROW, "dim"), _value(field.new, room))


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
