"""What a repair looks for, does and leaves, as frozen values."""

from dataclasses import dataclass

from cas.store.interface import Store


@dataclass(frozen=True, slots=True)
class Holder:
    """Another store that may hold the same repository. `name`: as people call it."""

    name: str
    store: Store


@dataclass(frozen=True, slots=True)
class Wanted:
    """An object that is missing or damaged: its key, what is wrong, and which holders have something under
    that key, in the order in which they are asked. What they have is proven when it is brought."""

    object: str
    what: str
    holders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """What was found. `versions`: that cannot be brought back in full now, ascending."""

    wanted: tuple[Wanted, ...]
    versions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Brought:
    """An object that is as it should be again, and from which holder."""

    object: str
    holder: str
    bytes: int


@dataclass(frozen=True, slots=True)
class RepairProblem:
    """Something that was not done. `object`: a key, or the name of a holder; `hint`: what to do."""

    object: str
    what: str
    hint: str


@dataclass(frozen=True, slots=True)
class EntityLoss:
    """What a version lacks of one entity. `records`: how many, those below unreadable nodes among them.
    `keys`: of the first of those whose key is known, one text for each column. `ranges`: of runs of
    records of which only the keys are known between which they lie: the first one is after the one, the
    last one is the other; None for the beginning of the table."""

    label: str
    columns: tuple[str, ...]
    records: int
    keys: tuple[tuple[str, ...], ...]
    ranges: tuple[tuple[tuple[str, ...] | None, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class VersionLoss:
    """What a version lacks. `what`: where it lacks more than records, in words; empty else."""

    version: int
    what: str
    entities: tuple[EntityLoss, ...]

    @property
    def records(self) -> int:
        return sum(one.records for one in self.entities)


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What was done. `chunks`: put together again, by source; they lie in `fresh` new packs, which stand in
    for `replaced` ones. `whole`: versions that were damaged and are whole. `lost`: what nobody has."""

    plan: RepairPlan
    brought: tuple[Brought, ...]
    chunks: dict[str, int]
    fresh: int
    replaced: int
    whole: tuple[int, ...]
    lost: tuple[VersionLoss, ...]
    problems: tuple[RepairProblem, ...]

    @property
    def is_whole(self) -> bool:
        """Nothing of what was found is missing or damaged any more."""
        return not self.lost and not self.problems
