"""Which sequences a plan sets: exactly as in the version where a whole table becomes as it was, and never
lower than what is used otherwise."""

import re
from collections.abc import Iterable, Mapping, Sequence

from cas.contents import Contents
from cas.live.plan import SequencePlan
from cas.live.planned_table import PlannedTable
from cas.live.tables import Name
from cas.record_stream import read_records
from cas.records.live import OwnedSequence
from cas.records.model import EntityKind
from cas.records.sequences import SequenceState, decode_sequence
from cas.records.values import requiring_types

_NUMBER = re.compile(rb"-?[0-9]{1,20}")


def stored_sequences(contents: Contents) -> dict[bytes, SequenceState]:
    """The version's sequences by quoted name; none where it holds none. CorruptData for what is none."""
    found = {}
    for entry in contents.entries:
        if entry.entity.kind is EntityKind.SEQUENCES:
            for batch in read_records(contents.reader, entry):
                for payload in batch.payloads:
                    with requiring_types(entry.entity):
                        state = decode_sequence(payload)
                    found[state.name] = state
    return found


def plan_sequences(
    tables: Mapping[Name, PlannedTable],
    owned: Sequence[OwnedSequence],
    stored: Mapping[bytes, SequenceState],
    *,
    is_exact: bool,
) -> tuple[SequencePlan, ...]:
    """`is_exact`: whatever is in scope becomes as it was. A sequence that tables outside of the plan
    draw from too is only ever moved on."""
    users: dict[bytes, list[OwnedSequence]] = {}
    for one in owned:
        users.setdefault(one.value.name, []).append(one)
    planned = []
    for name, uses in users.items():
        value = uses[0].value
        before = (value.last_value, value.is_called)
        after = before
        if is_exact and name in stored and all(_is_whole(tables.get(one.table)) for one in uses):
            after = (stored[name].last_value, stored[name].is_called)
        else:
            after = value.past(_reached(tables, uses))
        if after != before:
            planned.append(SequencePlan(name.decode("utf-8", "surrogateescape"), before, after))
    return tuple(planned)


def _is_whole(table: PlannedTable | None) -> bool:
    """Whether all of its records are in scope."""
    return table is not None and table.keys is None


def undo_sequences(
    written: Sequence[SequencePlan],
    owned: Sequence[OwnedSequence],
    stored: Mapping[bytes, SequenceState],
) -> tuple[SequencePlan, ...]:
    """Back to what they were before a restore, where nobody drew from them since. `stored`: as its safety
    version has them, since somebody may have drawn between its plan and its lock."""
    before = {
        name.decode("utf-8", "surrogateescape"): (state.last_value, state.is_called)
        for name, state in stored.items()
    }
    now = {one.value.name.decode("utf-8", "surrogateescape"): one.value for one in owned}
    return tuple(
        SequencePlan(one.name, one.after, before.get(one.name, one.before))
        for one in written
        if one.name in now and (now[one.name].last_value, now[one.name].is_called) == one.after
    )


def _reached(tables: Mapping[Name, PlannedTable], uses: Iterable[OwnedSequence]) -> list[int]:
    """The values that written records have in columns that draw from the sequence."""
    found: list[int] = []
    for one in uses:
        table = tables.get(one.table)
        if table is not None:
            for change in table.changes:
                values = table.values(change, (one.column,), after=True)
                if values is not None and _NUMBER.fullmatch(values[0]):
                    found.append(int(values[0]))
    return found
