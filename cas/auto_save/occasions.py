"""What is worth a version: sums of what happened, held against policies.

Sums go over a minute and not over one transaction: most applications delete a thousand rows in a thousand
transactions. What has become an occasion is kept until a version holds it. Only FOLLOW asks for all that
happened since the last version.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase

from cas.catalog.auto_save_model import Policy, PolicyKind
from cas.records.changes import MovedRows, PlatformTransaction
from cas.records.marks import Mark

WINDOW_SECONDS = 60.0

LEAST_OF_PERCENT = 20
"""Rows below which a percentage means nothing: one of three is a third."""

MAX_NUMBERS = 100_000
"""Transactions of one table that are remembered by number; the first ones are what matters."""


@dataclass(slots=True)
class Tally:
    """What happened to one table.

    `partitions`: so many that were emptied as a whole, of a table that was not. `numbers`: by which
    transactions. `is_numbered`: a feed told them apart, all of them; `is_whole`: and all are in `numbers`.
    `since`: the catalog's time when it was last looked at and nothing of this was there; None where it never
    was.
    """

    schema: str
    name: str
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    truncated: bool = False
    partitions: int = 0
    numbers: set[int] = field(default_factory=set)
    is_numbered: bool = True
    is_whole: bool = True
    since: datetime | None = None

    @property
    def label(self) -> str:
        """As `Entity.label`."""
        return f"{self.schema}.{self.name}" if self.schema else self.name

    @property
    def changes(self) -> int:
        return self.inserted + self.updated + self.deleted

    @property
    def lost_some(self) -> bool:
        return bool(self.deleted or self.truncated or self.partitions)

    def add(self, moved: "MovedRows | Tally", numbers: Iterable[int], *, is_numbered: bool) -> None:
        self.inserted += moved.inserted
        self.updated += moved.updated
        self.deleted += moved.deleted
        self.truncated |= moved.truncated
        self.partitions += moved.partitions
        self.is_numbered &= is_numbered
        if len(self.numbers) < MAX_NUMBERS:
            self.numbers.update(numbers)
        else:
            self.is_whole = False

    def is_seen_by(self, mark: Mark) -> bool:
        """Whether a version of this mark holds all of it."""
        return self.is_numbered and self.is_whole and all(mark.sees(number) for number in self.numbers)


Tallies = dict[str, Tally]
"""By label."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """One reason to take a version.

    `kind`: of the policy that wants it; None where it is not known what happened, `detail` says why.
    `tallies`: what happened, most first. `of`: how many records tables had in the last version, by label.
    `seconds`: as the policy says; before the last version is so old, it is too early.
    """

    kind: PolicyKind | None
    tallies: tuple[Tally, ...] = ()
    of: Mapping[str, int] = field(default_factory=dict)
    detail: str = ""
    seconds: float = 0.0

    @property
    def may_grow(self) -> bool:
        """Whether more of the same may follow at once, so that it is worth waiting for its end."""
        return self.kind not in (None, PolicyKind.EVERY, PolicyKind.FOLLOW)

    @property
    def deletes(self) -> bool:
        """Whether records went in mass: then the version before is the one that people will want."""
        return self.kind is PolicyKind.MASS_CHANGE and any(one.lost_some for one in self.tallies)


@dataclass(frozen=True, slots=True)
class _Look:
    """What one look has brought, or several that became one. `at`: seconds, of the first. `newest`: the
    newest version, of whatever state, when the last of them had ended: one that began later holds it."""

    at: float
    newest: int
    tallies: Tallies

    def with_later(self, other: "_Look") -> "_Look":
        return _Look(self.at, max(self.newest, other.newest), summed([self.tallies, other.tallies]))

    def is_in(self, version: int, mark: Mark | None) -> bool:
        if self.newest < version:
            return True
        return mark is not None and all(one.is_seen_by(mark) for one in self.tallies.values())


class Noticing:
    """What happened since the last version, as far as it may become an occasion. Holds a bounded number of
    sums, however long it waits."""

    def __init__(self, window_seconds: float = WINDOW_SECONDS) -> None:
        self._window = window_seconds
        self._looks: list[_Look] = []
        self._older: _Look | None = None
        self._last: datetime | None = None

    def add(
        self, at: float, moment: datetime, newest: int, transactions: Sequence[PlatformTransaction]
    ) -> None:
        """What one look has brought. `at`: seconds of a clock that never goes back. `moment`: the catalog's
        time before the look. `newest`: the newest version, of whatever state, after it."""
        tallies: Tallies = {}
        for transaction in transactions:
            number = transaction.number
            for moved in transaction.moved:
                fresh = Tally(moved.schema, moved.name, since=self._last)
                tally = tallies.setdefault(moved.label, fresh)
                tally.add(moved, () if number is None else (number,), is_numbered=number is not None)
        self._last = moment
        if tallies:
            self._looks.append(_Look(at, newest, tallies))

    def begins(self, moment: datetime | None) -> None:
        """Nothing that will be told had happened at this moment of the catalog's clock."""
        self._last = moment

    def forget_old(self, now: float, *, keep: bool = False, follow: bool = False) -> None:
        """What is too long ago to be summed with what is new. `keep`: it has become an occasion: nothing is
        forgotten, and what is old becomes one sum. `follow`: its sum is kept for FOLLOW alone."""
        old = [look for look in self._looks if now - look.at >= self._window]
        if not old:
            return
        recent = self._looks[len(old) :]
        merged = old[0]
        for look in old[1:]:
            merged = merged.with_later(look)
        self._looks = [merged, *recent] if keep else recent
        if follow and not keep:
            self._older = self._older.with_later(merged) if self._older else merged

    def is_in(self, version: int, mark: Mark | None) -> bool:
        """Whether this version, which holds everything, holds all that was noticed."""
        looks = [*self._looks, *([self._older] if self._older else [])]
        return all(look.is_in(version, mark) for look in looks)

    def clear(self) -> None:
        """A version holds it all."""
        self._looks, self._older = [], None

    def occasions(self, policies: Sequence[Policy], records: Callable[[str], int | None]) -> list[Occasion]:
        """Of all policies but EVERY and SCHEMA, which ask for other things than rows. `records`: how many a
        table had in the last version, by label; None where it held none of it."""
        counting = _counting(policies)
        tallies = _sorted(summed([look.tallies for look in self._looks]))
        some = [one for one in tallies if counting(one)]
        found = [
            occasion
            for policy in policies
            if (rule := _RULES.get(policy.kind)) is not None
            for occasion in rule(policy, tallies if policy.kind is PolicyKind.STRUCTURE else some, records)
        ]
        return found or [one for policy in policies for one in self._anything(policy, counting)]

    def _anything(self, policy: Policy, counting: Callable[[Tally], bool]) -> list[Occasion]:
        if policy.kind is not PolicyKind.FOLLOW:
            return []
        older = [self._older.tallies] if self._older else []
        summed_up = _sorted(summed([*older, *(look.tallies for look in self._looks)]))
        tallies = tuple(one for one in summed_up if counting(one))
        return [Occasion(policy.kind, tallies, seconds=policy.seconds or 0)] if tallies else []


def summed(some: Iterable[Tallies]) -> Tallies:
    """In the order of time."""
    sums: Tallies = {}
    for tallies in some:
        for label, one in tallies.items():
            total = sums.setdefault(label, Tally(one.schema, one.name, since=one.since))
            total.add(one, one.numbers, is_numbered=one.is_numbered)
            total.is_whole &= one.is_whole
    return sums


def reasons(policies: Sequence[Policy]) -> Sequence[Policy]:
    """Those by which a version may be taken; auto-save is off where there are none."""
    return [policy for policy in policies if policy.kind is not PolicyKind.LEAVE_OUT]


def _counting(policies: Sequence[Policy]) -> Callable[[Tally], bool]:
    """Whether what happened to a table may be a reason."""
    left_out = [name for one in policies if one.kind is PolicyKind.LEAVE_OUT for name in one.entities]
    return lambda tally: not any(_is_called(tally, pattern) for pattern in left_out)


def _sorted(tallies: Tallies) -> tuple[Tally, ...]:
    return tuple(sorted(tallies.values(), key=lambda one: (-one.changes, one.label)))


_Records = Callable[[str], int | None]


def _imported(policy: Policy, tallies: Sequence[Tally], records: _Records) -> list[Occasion]:
    inserted = sorted((one for one in tallies if one.inserted), key=lambda one: (-one.inserted, one.label))
    if sum(one.inserted for one in inserted) < (policy.rows or 0) or not inserted:
        return []
    return [Occasion(policy.kind, tuple(inserted), _known(inserted, records))]


def _mass(policy: Policy, tallies: Sequence[Tally], records: _Records) -> list[Occasion]:
    """Deletions and updates are told apart: the first loses something."""
    deleted, updated = [], []
    for one in tallies:
        count = records(one.label)
        # What was empty in the last version and is emptied again has lost nothing that a version could give.
        emptied = (one.truncated or one.partitions) and count != 0
        if emptied or _is_mass(policy, one.deleted, count):
            deleted.append(replace(one, inserted=0, updated=0))
        if _is_mass(policy, one.updated, count):
            updated.append(replace(one, inserted=0, deleted=0, truncated=False, partitions=0))
    return [Occasion(policy.kind, tuple(some), _known(some, records)) for some in (deleted, updated) if some]


def _is_mass(policy: Policy, changed: int, count: int | None) -> bool:
    if changed >= (policy.rows or 0):
        return True
    return count is not None and changed >= max(LEAST_OF_PERCENT, count * (policy.percent or 0) / 100)


def _structural(policy: Policy, tallies: Sequence[Tally], records: _Records) -> list[Occasion]:
    touched = tuple(one for one in tallies if any(_is_called(one, pattern) for pattern in policy.entities))
    return [Occasion(policy.kind, touched, _known(touched, records))] if touched else []


def _is_called(tally: Tally, pattern: str) -> bool:
    """By pattern; and by its own name, whatever letters that has."""
    names = (tally.label, tally.name)
    return pattern in names or any(fnmatchcase(name, pattern) for name in names)


def _known(tallies: Sequence[Tally], records: _Records) -> dict[str, int]:
    return {one.label: count for one in tallies if (count := records(one.label)) is not None}


_RULES: Mapping[PolicyKind, Callable[[Policy, Sequence[Tally], _Records], list[Occasion]]] = {
    PolicyKind.BULK_IMPORT: _imported,
    PolicyKind.MASS_CHANGE: _mass,
    PolicyKind.STRUCTURE: _structural,
}
