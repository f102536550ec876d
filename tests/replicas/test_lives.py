"""Random lives: versions come and go, runs sleep and wake and die among other runs and collections; and at
any time what counts as copied can be had from the replica alone."""

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest

from cas.catalog.model import VersionFilter
from cas.catalog.rules import COMMITTED
from cas.errors import CasError
from cas.limits import SESSION_LEASE_SECONDS
from tests.engine.recording import Gate, GatedCatalog, GatedStore
from tests.replicas.offsite import Offsite
from tests.replicas.test_disturbed import whole
from tests.store.faulty import Killed

STEPS = 14


class Disturbed(Gate):
    """Before one of its calls, others work; perhaps it dies of it."""

    def __init__(self, at: int, others: Callable[[], None], *, dies: bool) -> None:
        super().__init__()
        self._left = at
        self._others = others
        self._dies = dies
        self._is_dead = False

    def before(self, call: str, what: str = "") -> None:
        del call, what
        if self._is_dead:
            raise Killed
        self._left -= 1
        if self._left == 0:
            self._others()
            self._is_dead = self._dies
            if self._dies:
                raise Killed


class Life:
    """One life, by its seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        rules = self.chance.choice([None, None, ("last 2",), ("last 5",)])
        self.world = Offsite(rules=rules)

    def step(self, depth: int = 0) -> None:
        """One thing happens; in a run, up to two more things in the middle of it."""
        acts: list[Callable[[], None]] = [self.take, self.drop, self.copy, self.lapse]
        acts += [lambda: self.disturbed(depth), lambda: self.late(depth)]
        weights = [2, 3, 3, 2, *((6, 3) if depth < 2 else (0, 0))]
        act: Callable[[], None]
        (act,) = self.chance.choices(acts, weights)
        act()

    def take(self) -> None:
        self.world.take_next()

    def drop(self) -> None:
        """Some version that may go goes, and a collection runs; perhaps while a writer is at work."""
        world = self.world
        numbers = [number for number in sorted(world.catalog.known_numbers()) if number > 0]
        session = world.session(world.open()) if self.chance.random() < 0.3 else None
        with suppress(CasError):  # another collector sleeps
            world.drop(*self.chance.sample(numbers, min(2, len(numbers))))
        if session is not None:
            session.abandon(RuntimeError("enough"))

    def copy(self) -> None:
        with suppress(CasError):  # another run is at work
            self.world.copy()

    def lapse(self) -> None:
        self.world.clock.moment += timedelta(seconds=SESSION_LEASE_SECONDS)

    def late(self, depth: int) -> None:
        """A version is taken that is equal to an older one, which goes meanwhile: what it uses is condemned
        by then. Perhaps it is copied at once."""
        world = self.world
        older = self.chance.choice(sorted(world.catalog.known_numbers()))

        def others() -> None:
            with suppress(CasError):
                world.drop(older)
            if self.chance.random() < 0.5:
                self.others(depth)

        at, dies = self.chance.randint(1, 30), self.chance.random() < 0.2
        with suppress(CasError, Killed):
            catalog = GatedCatalog(world.catalog, Disturbed(at, others, dies=dies))
            version = world.take(world.editions[older], catalog=catalog)
            world.editions[version.number] = world.editions[older]
        if self.chance.random() < 0.7:
            self.copy()

    def disturbed(self, depth: int) -> None:
        """A run in the middle of which others work."""
        world = self.world
        at, dies = self.chance.randint(1, 60), self.chance.random() < 0.3
        gate = Disturbed(at, lambda: self.others(depth), dies=dies)
        with suppress(CasError, Killed):
            world.copy(
                primary=GatedStore(world.store, gate),
                replica=GatedStore(world.replica, gate),
                catalog=GatedCatalog(world.catalog, gate),
            )

    def others(self, depth: int) -> None:
        for _ in range(self.chance.randint(1, 4)):
            self.step(depth + 1)
            whole(self.world)


@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(4, 40))]
)
def test_what_counts_is_there_whatever_happens(seed: int) -> None:
    life = Life(seed)
    for _ in range(STEPS):
        life.step()
        whole(life.world)
    life.lapse()
    assert life.world.copy().problems == ()
    whole(life.world)
    committed = life.world.catalog.versions(VersionFilter(states=COMMITTED))
    assert max(life.world.held()) == committed[0].number
