"""What is worth a version: sums of what happened, held against policies.

Sums go over a minute and not over one transaction: most applications delete a thousand rows in a thousand
transactions. What has become an occasion is kept until a version holds it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from cas.catalog.auto_save_model import Policy, PolicyKind
from cas.records.changes import MovedRows, PlatformTransaction

WINDOW_SECONDS = 60.0

LEAST_OF_PERCENT = 20
"""Rows below which a percentage means nothing: one of three is a third."""

MAX_NUMBERS = 100_000
"""Transactions of one table that are remembered by number; the first ones are what matters."""


@dataclass(slots=True)
class Tally:
    """What happened to one table. `numbers`: by which transactions, as far as a feed tells them apart.
    `since`: when it was last looked at and nothing of this was there; None where it never was."""

    schema: str
    name: str
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    truncated: bool = False
    numbers: set[int] = field(default_factory=set)
    since: float | None = None

    @property
    def label(self) -> str:
        """As `Entity.label`."""
        return f"{self.schema}.{self.name}" if self.schema else self.name

    @property
    def changes(self) -> int:
        return self.inserted + self.updated + self.deleted

    def add(self, moved: "MovedRows | Tally", numbers: Iterable[int]) -> None:
        self.inserted += moved.inserted
        self.updated += moved.updated
        self.deleted += moved.deleted
        self.truncated |= moved.truncated
        if len(self.numbers) < MAX_NUMBERS:
            self.numbers.update(numbers)


@dataclass(frozen=True, slots=True)
class Occasion:
    """One reason to take a version.

    `kind`: of the policy that wants it; None where it is not known what happened, `detail` says why.
    `tallies`: what happened, most first. `of`: how many records tables had in the last version, by label.
    `seconds`: as the policy says.
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
        is_mass = self.kind is PolicyKind.MASS_CHANGE
        return is_mass and any(one.deleted or one.truncated for one in self.tallies)


class Noticing:
    """What happened since the last version, as far as it may become an occasion."""

    def __init__(self, window_seconds: float = WINDOW_SECONDS) -> None:
        self._window = window_seconds
        self._looks: list[tuple[float, dict[str, Tally]]] = []
        self._last_look: float | None = None

    @property
    def is_empty(self) -> bool:
        return not self._looks

    def add(self, now: float, transactions: Sequence[PlatformTransaction]) -> None:
        """What one look has brought. `now`: seconds of a clock that never goes back."""
        tallies: dict[str, Tally] = {}
        for transaction in transactions:
            numbers = () if transaction.number is None else (transaction.number,)
            for moved in transaction.moved:
                fresh = Tally(moved.schema, moved.name, since=self._last_look)
                tally = tallies.setdefault(moved.label, fresh)
                tally.add(moved, numbers)
        self._last_look = now
        if tallies:
            self._looks.append((now, tallies))

    def forget_old(self, now: float) -> None:
        """What is too long ago to be summed with what is new. To be called where nothing is an occasion."""
        self._looks = [(then, one) for then, one in self._looks if now - then < self._window]

    def clear(self) -> None:
        """A version holds it all."""
        self._looks = []

    def occasions(self, policies: Sequence[Policy], records: Callable[[str], int | None]) -> list[Occasion]:
        """Of all policies but EVERY and SCHEMA, which ask for other things than rows. `records`: how many a
        table had in the last version, by label; None where it held none of it."""
        tallies = self._sums()
        found = [
            occasion
            for policy in policies
            if (rule := _RULES.get(policy.kind)) is not None
            for occasion in rule(policy, tallies, records)
        ]
        return [one for one in found if one.kind is not PolicyKind.FOLLOW] or found

    def _sums(self) -> list[Tally]:
        sums: dict[str, Tally] = {}
        for _, tallies in self._looks:
            for label, one in tallies.items():
                first = Tally(one.schema, one.name, since=one.since)
                sums.setdefault(label, first).add(one, one.numbers)
        return sorted(sums.values(), key=lambda one: (-one.changes, one.label))


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
        if one.truncated or _is_mass(policy, one.deleted, count):
            deleted.append(replace(one, inserted=0, updated=0))
        if _is_mass(policy, one.updated, count):
            updated.append(replace(one, inserted=0, deleted=0, truncated=False))
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


def _anything(policy: Policy, tallies: Sequence[Tally], records: _Records) -> list[Occasion]:
    del records
    return [Occasion(policy.kind, tuple(tallies), seconds=policy.seconds or 0)] if tallies else []


def _known(tallies: Sequence[Tally], records: _Records) -> dict[str, int]:
    return {one.label: count for one in tallies if (count := records(one.label)) is not None}


_RULES: Mapping[PolicyKind, Callable[[Policy, Sequence[Tally], _Records], list[Occasion]]] = {
    PolicyKind.BULK_IMPORT: _imported,
    PolicyKind.MASS_CHANGE: _mass,
    PolicyKind.STRUCTURE: _structural,
    PolicyKind.FOLLOW: _anything,
}
