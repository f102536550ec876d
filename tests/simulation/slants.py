"""What a schedule is like: which jobs, how much goes wrong, how slow and how forgetful the world is."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

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
class Slant:
    """`trouble`, `death`: shares of calls that go wrong, or kill. `catalogs`: of the one store. `todo`: jobs
    in the order in which they begin. `disasters`: catalogs are copied, lost and restored. `slow`: leases
    lapse. `restlessness`: how often another machine goes on than the one that did the last step. `stalls`:
    how often a process stops for long before a call that others may see. `nostalgia`: see SimulatedWorld."""

    trouble: float
    death: float
    machines: int
    catalogs: int
    todo: Sequence[str]
    disasters: bool
    slow: bool
    restlessness: float
    stalls: float
    nostalgia: float


def drawn(rng: random.Random, *, has_replica: bool) -> Slant:
    """One of all that there are."""
    return Slant(
        trouble=rng.choice((0.0, 0.005, 0.02)),
        death=rng.choice((0.0, 0.003, 0.01)),
        machines=rng.choice((2, 2, 3)),
        catalogs=2 if rng.random() < 0.12 else 1,
        todo=_todo(rng, has_replica),
        disasters=rng.random() < 0.25,
        slow=rng.random() < 0.5,
        restlessness=rng.choice((1.0, 0.4, 0.15, 0.05)),
        stalls=rng.choice((0.0, 0.03, 0.1, 0.3)),
        nostalgia=rng.choice((0.2, 0.9)),
    )


def _todo(rng: random.Random, has_replica: bool) -> Sequence[str]:
    if rng.random() < 0.5:
        return rng.choice(STORIES_OF_COPIES if has_replica else STORIES)
    known = {title: weight for title, weight in WEIGHTS.items() if has_replica or title != REPLICATE}
    return rng.choices(list(known), list(known.values()), k=rng.choice((3, 3, 4)))
