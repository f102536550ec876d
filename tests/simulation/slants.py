"""What a schedule is like: which jobs, how much goes wrong, how slow and how forgetful the world is."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tests.simulation.machines import TELLING

SNAPSHOT, COLLECT, FORGET, PROTECT = "take a version", "collect garbage", "forget", "protect"
READ, CHECK, REBUILD, REPLICATE = "read", "check", "rebuild the catalog", "replicate"

WEIGHTS = {SNAPSHOT: 5, COLLECT: 5, FORGET: 3, PROTECT: 1, READ: 1, REBUILD: 1, CHECK: 1, REPLICATE: 2}

STORIES: Sequence[Sequence[str]] = (
    (SNAPSHOT, COLLECT),
    (COLLECT, SNAPSHOT, COLLECT),
    (SNAPSHOT, FORGET, COLLECT, COLLECT),
    (SNAPSHOT, SNAPSHOT, FORGET, COLLECT),
    (FORGET, COLLECT, SNAPSHOT, SNAPSHOT),
    (COLLECT, SNAPSHOT, REBUILD),
)
"""Jobs in the order in which they begin: what others have lost data by, as far as that has an order."""

STORIES_OF_COPIES: Sequence[Sequence[str]] = (
    (SNAPSHOT, REPLICATE, COLLECT),
    (FORGET, REPLICATE, COLLECT, REPLICATE),
    (REPLICATE, SNAPSHOT, REPLICATE),
    (COLLECT, REPLICATE, REPLICATE),
)
"""Where there is a replica."""


@dataclass(frozen=True, slots=True)
class Often:
    """How often something happens: at any step, and when a process has just stopped for long."""

    step: float
    stall: float

    @property
    def is_ever(self) -> bool:
        return self.step > 0 or self.stall > 0


NEVER = Often(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Slant:
    """`trouble`, `death`: shares of calls that go wrong, or kill. `catalogs`: of the one store. `todo`: jobs
    in the order in which they begin; `haste`: how often one begins before the others are done or have stopped
    for long. `disasters`: catalogs are copied, lost and restored. `slow`: leases lapse. `restlessness`: how
    often another machine goes on than the one that did the last step. `stalls`: how often a process that does
    one of the jobs `stalls_in` stops for long before a call of one of the kinds `stalls_at`, until the others
    are done or have stopped as well; `stalls_elsewhere`: before any other call of any job. `waking`: how
    often all go on when all have stopped, before the next job begins. `beats`: how often leases are renewed.
    `nostalgia`: see SimulatedWorld."""

    trouble: float
    death: float
    machines: int
    catalogs: int
    todo: Sequence[str]
    haste: float
    disasters: Often
    slow: Often
    restlessness: float
    stalls: float
    stalls_at: Collection[str]
    stalls_in: Collection[str]
    stalls_elsewhere: float
    waking: float
    beats: float
    nostalgia: float

    def stalls_before(self, job: str, kind: str) -> float:
        """How often a process stops there."""
        return self.stalls if job in self.stalls_in and kind in self.stalls_at else self.stalls_elsewhere


def drawn(rng: random.Random, *, has_replica: bool) -> Slant:
    """One of all that there are."""
    stalls, stalls_at = rng.choice((0.0, 0.03, 0.1, 0.3)), _stalls_at(rng)
    return Slant(
        trouble=rng.choice((0.0, 0.005, 0.02)),
        death=rng.choice((0.0, 0.003, 0.01)),
        machines=rng.choice((2, 2, 3)),
        catalogs=2 if rng.random() < 0.12 else 1,
        todo=_todo(rng, has_replica),
        haste=rng.choice((0.1, 0.1, 0.01)),
        disasters=Often(0.02, 0.2) if rng.random() < 0.25 else NEVER,
        slow=rng.choice((NEVER, NEVER, Often(0.015, 0.3), Often(0.0, 0.3))),
        restlessness=rng.choice((1.0, 0.4, 0.15, 0.05)),
        stalls=stalls,
        stalls_at=stalls_at,
        stalls_in=WEIGHTS if rng.random() < 0.7 else rng.sample(sorted(WEIGHTS), k=3),
        stalls_elsewhere=stalls / 10 if stalls_at == TELLING else 0.0,
        waking=rng.choice((0.0, 0.0, 0.3)),
        beats=rng.choice((0.015, 0.015, 0.05)),
        nostalgia=rng.choice((0.2, 0.9)),
    )


def _stalls_at(rng: random.Random) -> frozenset[str]:
    """All calls that tell something; or a few of them, and what stalls there meets others that do not."""
    if rng.random() < 0.7:
        return TELLING
    return frozenset(rng.sample(sorted(TELLING), k=rng.choice((1, 2, 3))))


def _todo(rng: random.Random, has_replica: bool) -> Sequence[str]:
    if rng.random() < 0.5:
        return rng.choice(STORIES_OF_COPIES if has_replica else STORIES)
    known = {title: weight for title, weight in WEIGHTS.items() if has_replica or title != REPLICATE}
    return rng.choices(list(known), list(known.values()), k=rng.choice((3, 3, 4)))
