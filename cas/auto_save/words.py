"""Why a version was taken, in words with counts, for people who look for one."""

from collections.abc import Sequence
from dataclasses import dataclass

from cas.auto_save.occasions import Occasion, Tally
from cas.catalog.auto_save_model import PolicyKind
from cas.catalog.rules import clean

MOST_TABLES = 3
"""Tables that a reason names; of more it gives the number."""


@dataclass(frozen=True, slots=True)
class Before:
    """What is known of the time before a mass deletion. `version`: the last one that knows nothing of it.
    `part`: the newest one that holds a part of it, where somebody could take that for the last one before;
    0: there is none. `is_sure`: by the transactions themselves, not by the time when they were counted."""

    version: int
    part: int = 0
    is_sure: bool = True


def reason_of(occasions: Sequence[Occasion], before: Before | None = None) -> str:
    """One text that every catalog can hold."""
    said = clean("; ".join(_said(one) for one in occasions))
    if before is None:
        return said
    since = f"it goes on since version {before.part}, and " if before.part else ""
    is_ = "is" if before.is_sure else "is probably"
    return f"{said}; {since}version {before.version} {is_} the last one before"


def span(seconds: float) -> str:
    """As people say it: `6 h`, `1 h 30 min`, `60 s`."""
    whole = round(seconds)
    if whole < 120 or whole % 60:
        return f"{whole:,} s"
    hours, minutes = divmod(whole // 60, 60)
    return " ".join([f"{hours:,} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes))


def _said(one: Occasion) -> str:
    match one.kind:
        case None:
            return one.detail
        case PolicyKind.BULK_IMPORT:
            return f"Bulk import: {_listed([f'{t.inserted:,} new {_name(t)}' for t in one.tallies])}"
        case PolicyKind.MASS_CHANGE if one.deletes:
            return f"Mass delete: {_listed([_deleted(t, one.of.get(t.label)) for t in one.tallies])}"
        case PolicyKind.MASS_CHANGE:
            told = [f"{_share(t.updated, one.of.get(t.label))} {_name(t)}" for t in one.tallies]
            return f"Mass update: {_listed(told)}"
        case PolicyKind.STRUCTURE:
            return f"Structural change: {_listed([f'{_name(t)} ({_counts(t)})' for t in one.tallies])}"
        case PolicyKind.SCHEMA:
            return "Schema change"
        case PolicyKind.EVERY:
            return f"Every {span(one.seconds)}"
        case PolicyKind.FOLLOW:
            told = [f"{_name(t)} ({_counts(t)})" for t in one.tallies]
            return f"Every {span(one.seconds)} while something changes: {_listed(told)}"
        case PolicyKind.LEAVE_OUT:
            raise AssertionError("what is left out is no reason")


def _deleted(tally: Tally, of: int | None) -> str:
    if tally.truncated:
        return f"all {of:,} {_name(tally)}" if of is not None else f"all of {_name(tally)}"
    emptied = [f"all of {_partitions(tally)} of {_name(tally)}"] if tally.partitions else []
    counted = [f"{_share(tally.deleted, of)} {_name(tally)}"] if tally.deleted or not emptied else []
    return " and ".join(emptied + counted)


def _share(count: int, of: int | None) -> str:
    """Against the last version; nothing is said where more went than it had."""
    return f"{count:,} of {of:,}" if of is not None and count <= of else f"{count:,}"


def _counts(tally: Tally) -> str:
    told = [
        f"{count:,} {word}"
        for count, word in ((tally.inserted, "new"), (tally.updated, "changed"), (tally.deleted, "deleted"))
        if count
    ]
    if tally.truncated:
        told.append("emptied")
    elif tally.partitions:
        told.append(f"{_partitions(tally)} emptied")
    return ", ".join(told)


def _partitions(tally: Tally) -> str:
    return "1 partition" if tally.partitions == 1 else f"{tally.partitions:,} partitions"


def _name(tally: Tally) -> str:
    return tally.name if tally.schema in ("", "public") else tally.label


def _listed(told: Sequence[str]) -> str:
    if len(told) > MOST_TABLES:
        told = [*told[: MOST_TABLES - 1], f"{len(told) - MOST_TABLES + 1} other tables"]
    return " and ".join(filter(None, (", ".join(told[:-1]), told[-1])))
