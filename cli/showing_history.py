"""How the history of a record looks: a line for each state, and below it what changed."""

from collections.abc import Iterator, Sequence

from rich.console import Group
from rich.text import Text

from cas.diff import ChangeKind, FieldChange, RecordChange
from cas.history import RecordHistory, RecordState, StateKind
from cli.showing_changes import told_record
from cli.words import counted, minute, moment, offset, plain, shortened

_LOOKS = {
    StateKind.CREATED: ("+", "green", ChangeKind.ADDED),
    StateKind.CHANGED: ("~", "yellow", ChangeKind.CHANGED),
    StateKind.DELETED: ("-", "red", ChangeKind.REMOVED),
    StateKind.CAME_BACK: ("+", "green", ChangeKind.ADDED),
}
"""Sign and colour of a state, and how its fields are told."""

_KIND_WIDTH = len("came back")
_TRIGGER_WIDTH = len("MANUAL")

SHOWN_RANGES = 8
"""Runs of versions that are named one by one."""


def told_history(found: RecordHistory, width: int, *, is_full: bool) -> Group:
    """All of it, in lines of this width; `is_full`: values of any length, all columns."""
    return Group(*_lines(found, width, is_full=is_full))


def _lines(found: RecordHistory, width: int, *, is_full: bool) -> Iterator[Text]:
    title = plain(f"{found.entity} {', '.join(found.key)}")
    yield Text.assemble(
        (title, "bold"), f"  {counted(len(found.states), 'state')} in {counted(found.versions, 'version')}"
    )
    if found.states:
        yield Text()
        yield from _states(found.states, width, is_full=is_full)
    if found.left_out:
        yield Text(f"  … and {counted(found.left_out, 'older state')} (--limit 0 shows all)", style="dim")
    yield from _beside(found)


def _states(states: Sequence[RecordState], width: int, *, is_full: bool) -> Iterator[Text]:
    offsets = {offset(state.created_at) for state in states}
    times = [minute(state.created_at) if len(offsets) == 1 else moment(state.created_at) for state in states]
    versions = [_range(state.version, state.last_version) for state in states]
    taken = f"taken ({next(iter(offsets))})" if len(offsets) == 1 else "taken"
    range_width = max(len("version"), *map(len, versions))
    time_width = max(len(taken), *map(len, times))
    head = f"    {'':<{_KIND_WIDTH}}  {'version':<{range_width}}  {taken:<{time_width}}  by"
    yield Text(head, style="dim")
    for state, shown, time in zip(states, versions, times, strict=True):
        sign, style, _ = _LOOKS[state.kind]
        kind = state.kind.value.replace("-", " ")
        line = Text.assemble(
            (f"  {sign} {kind:<{_KIND_WIDTH}}", style),
            f"  {shown:<{range_width}}  {time:<{time_width}}  {state.trigger.value:<{_TRIGGER_WIDTH}}",
        )
        why = plain(state.reason or state.name)
        room = max(width - len(line) - 2, 0)
        if why and (is_full or room > 1):
            line.append(f"  {why if is_full else shortened(why, room)}", style="dim")
        yield line
        yield from _remarks(state)
        yield from _fields(state, width, is_full=is_full)


def _remarks(state: RecordState) -> Iterator[Text]:
    if state.is_oldest:
        yield _remark("or earlier: no older version tells")
    if state.same_as is not None:
        yield _remark(f"as it was in version {state.same_as}")
    if state.columns_changed:
        yield _remark(f"the entity's columns changed: {', '.join(state.columns_changed)}", "yellow")
    if state.damage:
        yield _remark(state.damage, "red")


def _remark(text: str, style: str = "dim") -> Text:
    return Text(f"      {plain(text)}", style=style)


def _fields(state: RecordState, width: int, *, is_full: bool) -> list[Text]:
    """One line a column. What the states below show needs no second telling."""
    is_known = state.kind is StateKind.DELETED or (
        state.kind is StateKind.CAME_BACK and state.same_as is not None
    )
    if is_known and not is_full:
        return []
    fields = tuple(FieldChange(one.column, one.old, one.new) for one in state.fields)
    change = RecordChange("", _LOOKS[state.kind][2], (), fields)
    return list(told_record(change, width, is_full=is_full).split("\n"))[1:]


def _beside(found: RecordHistory) -> Iterator[Text]:
    """The versions of which nothing follows, and why."""
    if not found.states and found.versions:
        yield Text("  No state of the record began in these versions.", style="dim")
    if found.not_held:
        yield _note(found.not_held, "without the records of this entity")
    if found.other_key:
        yield _note(found.other_key, "with another key of this entity")
    if found.unreadable:
        numbers = [version.number for version in found.unreadable]
        yield _note(numbers, "unreadable", "red")
        for what in dict.fromkeys(f"{one.what} ({one.where})" for one in found.unreadable):
            yield _remark(what, "red")


def _note(numbers: Sequence[int], what: str, style: str = "yellow") -> Text:
    runs = list(_runs(numbers))
    named = ", ".join(_range(*run) for run in runs[:SHOWN_RANGES])
    more = ", …" if len(runs) > SHOWN_RANGES else ""
    return Text(f"  {counted(len(numbers), 'version')} {what}: {named}{more}", style=style)


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of numbers that follow each other."""
    begin = last = numbers[0]
    for number in numbers[1:]:
        if number != last + 1:
            yield begin, last
            begin = number
        last = number
    yield begin, last


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
