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
from tests.replicas.offsite import EDITIONS, Offsite
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
        act = self.chance.choices(
            [
                self.take,
                self.drop,
                self.copy,
                self.lapse,
                lambda: self.disturbed(depth),
                lambda: self.late(depth),
            ],
            [2, 3, 3, 2, *((6, 3) if depth < 2 else (0, 0))],
        )[0]
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
        """A version is taken, and others work meanwhile: what it uses may be condemned by then."""
        world = self.world
        edition = EDITIONS[self.chance.choice(sorted(world.catalog.known_numbers()))]
        gate = Disturbed(
            self.chance.randint(1, 30), lambda: self.others(depth), dies=self.chance.random() < 0.2
        )
        with suppress(CasError, Killed):
            version = world.take(edition, catalog=GatedCatalog(world.catalog, gate))
            world.editions[version.number] = edition

    def disturbed(self, depth: int) -> None:
        world = self.world
        gate = Disturbed(
            self.chance.randint(1, 60), lambda: self.others(depth), dies=self.chance.random() < 0.3
        )
        with suppress(CasError, Killed):
            world.copy(
                primary=GatedStore(world.store, gate),
                replica=GatedStore(world.replica, gate),
                catalog=GatedCatalog(world.catalog, gate),
            )

    def disturbance(self, depth: int, calls: int) -> Disturbed:
        at, dies = self.chance.randint(1, calls), self.chance.random() < 0.3
        return Disturbed(at, lambda: self.others(depth), dies=dies)

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
