"""What every implementation makes of what was found, and says of it. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cas.catalog.checking import CheckLevel, CheckState, PackCheck, PackFound, VersionCheck, VersionFound
from cas.catalog.rules import clean
from cas.ids import PackName

_DEPTH = {level: depth for depth, level in enumerate(CheckLevel)}


@dataclass(frozen=True, slots=True)
class VersionRow:
    """What is kept of a version. `needs`: numbers of packs, ascending. `stands`: numbers of damaged packs
    with which it was found whole, at `cleared_at`."""

    structure_at: datetime | None = None
    read_back_at: datetime | None = None
    cleared_at: datetime | None = None
    damage: str = ""
    damage_at: datetime | None = None
    damage_level: CheckLevel | None = None
    needs: tuple[int, ...] | None = None
    stands: tuple[int, ...] = ()


def pack_after(before: PackCheck, at: datetime, found: PackFound) -> PackCheck:
    """What is known of a pack after a look that began at this moment."""
    after = before
    if found.level is not CheckLevel.STRUCTURE:
        after = replace(after, trailer_at=later(before.trailer_at, at))
    if found.level is CheckLevel.BYTES:
        after = replace(after, bytes_at=later(before.bytes_at, at))
    if found.damage:
        is_stale = before.bytes_at is not None and before.bytes_at > at and not before.damage
        if not is_stale and not is_after(before.damage_at, at):
            after = replace(after, damage=clean(found.damage), damage_at=at)
    elif found.level is CheckLevel.BYTES and is_after(at, before.damage_at):
        after = replace(after, damage="", damage_at=None)
    return after


def version_after(
    before: VersionRow,
    at: datetime,
    found: VersionFound,
    needs: Sequence[int] | None,
    stands: Sequence[int] | None,
) -> VersionRow:
    """What is known of a version after a look. `needs`, `stands`: the packs that `found` names, by number. A
    version never changes, so what it was once found to need it needs until packs are
    rewritten; a damaged one shows only a part of that."""
    after = before
    is_newest = not is_after(before.structure_at, at)
    if found.is_read_back:
        if not found.damage:
            after = replace(after, read_back_at=later(before.read_back_at, at))
    else:
        after = replace(after, structure_at=later(before.structure_at, at))
        if needs is not None and not found.damage and is_newest:
            after = replace(after, needs=tuple(sorted(needs)))
    if found.damage:
        is_stale = is_after(before.cleared_at, at)
        if not is_stale and not is_after(before.damage_at, at):
            after = replace(after, damage=clean(found.damage), damage_at=at, damage_level=found.level)
        return after
    if not found.is_read_back and before.damage_at is not None and before.damage_level is not None:
        is_deep_enough = _DEPTH[found.level] >= _DEPTH[before.damage_level]
        if is_deep_enough and at > before.damage_at:
            after = replace(after, damage="", damage_at=None, damage_level=None)
    if stands is not None and not is_after(before.cleared_at, at):
        after = replace(after, cleared_at=at, stands=tuple(sorted(stands)))
    return after


def judged(number: int, row: VersionRow, packs: Mapping[int, PackCheck]) -> VersionCheck:
    """What is said of a version. `packs`: those that it needs, by number, as they are known now; one that is
    not there any more is left out."""
    found = {each: packs[each] for each in row.needs or () if each in packs}
    there = sorted(found.values(), key=lambda check: check.name)
    is_known = row.needs is not None and len(there) == len(row.needs)
    times = [check.bytes_at for check in there]
    bytes_at = min((at for at in times if at), default=None) if is_known and None not in times else None
    damage = "" if _is_over(row, bytes_at) else row.damage
    stood = {found[each].name for each in row.stands if each in found}
    bad = next((check for check in there if _is_bad_for(check, row, stood)), None)
    if not damage and bad is not None:
        damage = f"it needs pack {bad.name}: {bad.damage}"
    if damage:
        state = CheckState.DAMAGED
    else:
        state = CheckState.VALID if row.structure_at and bytes_at else CheckState.UNCHECKED
    return VersionCheck(
        number=number,
        state=state,
        structure_at=row.structure_at,
        bytes_at=bytes_at,
        read_back_at=row.read_back_at,
        packs=len(times) if is_known else None,
        packs_read=sum(at is not None for at in times) if is_known else None,
        damage=damage,
    )


def _is_over(row: VersionRow, bytes_at: datetime | None) -> bool:
    """Whether everything that the version needs was looked at after its damage was found."""
    return is_after(row.structure_at, row.damage_at) and is_after(bytes_at, row.damage_at)


def _is_bad_for(check: PackCheck, row: VersionRow, stood: Collection[PackName]) -> bool:
    """Damage that the version was found to stand does not count, until somebody looked at it again."""
    is_stood = check.name in stood and not is_after(check.damage_at, row.cleared_at)
    return bool(check.damage) and not is_stood


def later(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else max(one, other)


def is_after(one: datetime | None, other: datetime | None) -> bool:
    """Whether the first is later; never is earlier than any time."""
    if one is None:
        return False
    return other is None or one > other
