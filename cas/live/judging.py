"""What a plan means for people: how long, how dangerous, and who notices."""

from collections.abc import Sequence

from cas.catalog.restore_model import MeasuredRestore
from cas.live.plan import EntityPlan, Estimate, Reference, Risk
from cas.records.target import Finding

MUCH = 0.1
"""The share of a table from which on a restore is a large one."""


def estimate(entities: Sequence[EntityPlan], measured: Sequence[MeasuredRestore]) -> Estimate:
    """From restores that were measured on this catalog: a line through (records, seconds) of the nearest."""
    changes = sum(one.changes for one in entities)
    compared = sum(one.live_records for one in entities)
    if not measured:
        return Estimate(None, None, None, "no restore was measured yet")
    near = sorted(measured, key=lambda one: abs(one.changed_records - changes))[:5]
    size = max(changes, 1) + compared / 100
    factors = [size / (max(one.changed_records, 1) + one.live_records / 100) for one in near]
    seconds = _median([one.duration_seconds * _scaled(f) for one, f in zip(near, factors, strict=True)])
    locks = [
        one.lock_seconds * _scaled(f)
        for one, f in zip(near, factors, strict=True)
        if one.lock_seconds is not None
    ]
    lock = _median(locks) if locks else None
    count = f"{len(near)} measured restore" + ("s" if len(near) > 1 else "")
    return Estimate(seconds, lock, seconds, f"from {count}")


def _scaled(factor: float) -> float:
    """A part of every restore does not grow with its size."""
    return 0.3 + 0.7 * factor


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return round(ordered[len(ordered) // 2], 3)


def judge(entities: Sequence[EntityPlan], references: Sequence[Reference], *, with_safety: bool) -> Risk:
    """low: records come back. medium: much is overwritten, or the schema drifted. high: records go that no
    version would have, or a table loses most of its own."""
    high: list[str] = []
    medium: list[str] = []
    for one in entities:
        if one.deletes and one.deletes >= MUCH * max(one.live_records, 1):
            high.append(f"{one.label} loses {_share(one.deletes, one.live_records)} of its records")
        elif one.deletes:
            medium.append(f"{one.deletes} records of {one.label} that the version lacks go")
        if one.updates and one.updates >= MUCH * max(one.live_records, 1):
            medium.append(f"{_share(one.updates, one.live_records)} of {one.label} are overwritten")
        if one.drift.dropped:
            medium.append(f"values of {', '.join(one.drift.dropped)} in {one.label} have no place any more")
        if one.drift.retyped:
            names = ", ".join(column.column for column in one.drift.retyped)
            medium.append(f"{names} in {one.label} are read as another type")
        if one.conflicts:
            medium.append(f"{one.conflicts} records of {one.label} were changed on both sides")
    if references:
        high.append("records would refer to nothing")
    if not with_safety and any(one.updates or one.deletes for one in entities):
        high.append("no safety version is taken, so it cannot be undone")
    if high:
        return Risk("high", (*high, *medium))
    if medium:
        return Risk("medium", tuple(medium))
    return Risk("low", ("nothing that is live now is lost",))


def _share(part: int, whole: int) -> str:
    return f"{min(100, round(100 * part / max(whole, 1)))} %"


def impact(entities: Sequence[EntityPlan], guess: Estimate, findings: Sequence[Finding]) -> str:
    """For the people who use the platform, in a sentence or two."""
    touched = [one.label for one in entities if one.changes]
    if not touched:
        return "Nothing changes."
    names = ", ".join(touched[:4]) + (f" and {len(touched) - 4} more" if len(touched) > 4 else "")
    wait = f"about {guess.lock_seconds:.1f} s" if guess.lock_seconds else "a moment"
    readers = (
        "readers wait at the end, while foreign keys are added again"
        if any("dropped and added again" in one.what for one in findings)
        else "readers notice nothing until all is there at once"
    )
    return f"Whoever writes to {names} waits for {wait}; {readers}."
