"""One schedule: everything in it is drawn from one number, so that a failure can be played again."""

import pickle
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache
from typing import cast

from cas.errors import CasError
from cas.format.names import PACKS, pack_key
from cas.limits import SESSION_LEASE_SECONDS
from tests.simulation import jobs
from tests.simulation.doors import MachineEnvironment
from tests.simulation.fates import Fate, Fates
from tests.simulation.jobs import Workplace
from tests.simulation.machines import Machine
from tests.simulation.slants import COLLECT, FORGET, REPLICATE, SNAPSHOT, Slant, drawn
from tests.simulation.watching import Watching
from tests.simulation.world import CatalogBox, SimulatedWorld, empty_world

BEGINNINGS = 48
"""Worlds in which schedules begin: a few versions, some of which are forgotten."""

REPLICATED = 4
"""Each world of so many has a replica."""

MOST_STEPS = 3000


@dataclass(slots=True)
class Played:
    """What came of a schedule. `loss` is empty where nothing was lost."""

    seed: int
    loss: str
    steps: int
    trace: list[str] = field(default_factory=list)


def play(seed: int, hunt: Mapping[str, object] | None = None, *, keep_trace: bool = False) -> Played:
    """Play one schedule. hunt: fields of its slant that are not drawn."""
    rng = random.Random(seed)
    world = pickle.loads(_beginning(_number(rng, hunt)))
    world.rng = rng
    slant = drawn(rng, has_replica=world.replica is not None)
    return _Schedule(world, seed, keep_trace).play(replace(slant, **(hunt or {})))  # type: ignore[arg-type]


def begin(seed: int, hunt: Mapping[str, object] | None = None) -> None:
    """Make the world in which this schedule begins, while everything is as it should be."""
    _beginning(_number(random.Random(seed), hunt))


def _number(rng: random.Random, hunt: Mapping[str, object] | None) -> int:
    """Of the world; one with a replica where that is hunted for."""
    number = rng.randrange(BEGINNINGS)
    is_copied = REPLICATE in cast(Sequence[str], (hunt or {}).get("todo", ()))
    return number - number % REPLICATED if is_copied else number


@lru_cache(maxsize=BEGINNINGS)
def _beginning(number: int) -> bytes:
    rng = random.Random(10_000 + number)
    world = empty_world(10_000 + number, node_bits=rng.choice((1, 1, 2)))
    schedule = _Schedule(world, number, False)
    schedule.calm([SNAPSHOT] * rng.choice((2, 3, 3, 4)))
    if number % REPLICATED == 0:
        world.add_replica()
        schedule.calm([REPLICATE] if rng.random() < 0.7 else [])
    schedule.calm(rng.choice(((FORGET,), (FORGET, FORGET), (FORGET, SNAPSHOT), (FORGET, COLLECT, FORGET))))
    until = rng.choice(("", "", "ripe", "announce", "deleted"))
    if until:
        schedule.calm([COLLECT], until=until)
        world.pass_time(SESSION_LEASE_SECONDS + 1.0)
    if rng.random() < 0.2:
        schedule.calm([SNAPSHOT], until=rng.choice(("prepare", "commit")))
    assert not world.loss, world.loss
    world.store.watch = _nobody
    world.truth.opened = None
    if world.replica is not None:
        world.replica.opened, world.replica.store.watch = None, _nobody
    return pickle.dumps(world)


def _nobody(key: str, is_put: bool) -> None:
    del key, is_put


class _Schedule:
    def __init__(self, world: SimulatedWorld, seed: int, keep_trace: bool) -> None:
        self._world = world
        self._rng = world.rng
        self._played = Played(seed, "", 0)
        self._keep_trace = keep_trace
        self._watching = Watching(world)
        self._boxes = [world.box]

    def _trace(self, line: str) -> None:
        if self._keep_trace:
            self._played.trace.append(line)

    def _place(self, name: str, box: CatalogBox) -> Workplace:
        machine = Machine(name, self._trace)
        skew, clock = timedelta(seconds=self._rng.choice((0, 0, -4000, 100_000))), self._world.clock
        environment = MachineEnvironment(
            now=lambda: clock() + skew, entropy=self._rng.randbytes, threads=False, machine=machine
        )
        return Workplace(self._world, machine, box, self._watching, environment)

    def calm(self, todo: Sequence[str], until: str = "") -> None:
        """One machine, nothing goes wrong. `until`: before which call it dies, if it comes to that."""
        place = self._place("first", self._world.box)
        for title in todo:
            self._start(place, title)
            while (waiting := place.machine.waiting) is not None:
                place.machine.go_on(Fate.KILLED_BEFORE if waiting.name == until else Fate.DONE)

    def _start(self, place: Workplace, title: str) -> None:
        job = jobs.ALL[title]
        place.machine.start(lambda: job(place), title)

    def play(self, slant: Slant) -> Played:
        rng, world = self._rng, self._world
        fates = Fates(rng, slant.trouble, slant.death)
        places = [self._place(f"machine {number}", world.box) for number in range(slant.machines)]
        world.catalogs = slant.catalogs
        if slant.catalogs > 1:
            places[-1].box = CatalogBox(world.new_catalog())
            self._boxes.append(places[-1].box)
        if slant.disasters.is_ever and rng.random() < 0.5:
            world.back_up(world.box)
        world.nostalgia = slant.nostalgia
        todo = list(slant.todo)[::-1]
        stalled: set[int] = set()
        at = 0
        while not world.loss and self._played.steps < MOST_STEPS:
            running = [number for number, place in enumerate(places) if place.machine.is_running]
            idle = [number for number, place in enumerate(places) if not place.machine.is_running]
            awake = [number for number in running if number not in stalled]
            is_next = rng.random() < (slant.haste if awake else 1.0 - slant.waking * bool(running))
            if todo and idle and is_next:
                at = rng.choice(idle)
                stalled.discard(at)
                self._start(places[at], todo.pop())
                continue
            if not running:
                break
            if not awake:
                stalled.clear()
                if rng.random() < 0.5:
                    self._renew_leases(places)
                continue
            self._played.steps += 1
            self._meanwhile([places[number] for number in running], slant)
            if at not in awake or rng.random() < slant.restlessness:
                at = rng.choice(awake)
            machine = places[at].machine
            waiting = machine.waiting
            assert waiting is not None
            if rng.random() < slant.stalls_before(machine.job, waiting.kind):
                self._trace(f"{machine.name} stalls before {waiting.name} {waiting.what}")
                stalled.add(at)
                if rng.random() < slant.slow.stall:
                    self._let_time_pass(SESSION_LEASE_SECONDS + 1.0)
                if rng.random() < slant.disasters.stall:
                    self._disaster(rng.choice(self._boxes))
                continue
            fate = fates.draw(waiting.name, of_store=waiting.of_store)
            machine.go_on(fate)
            if fate.is_deadly:
                places[at].kept = None
        if not world.loss:
            self._settle(slant)
        for place in places:
            place.machine.stop()
        self._played.loss = world.loss
        return self._played

    def _meanwhile(self, running: Sequence[Workplace], slant: Slant) -> None:
        rng, world = self._rng, self._world
        world.pass_time(rng.random() * 0.2)
        if rng.random() < slant.slow.step:
            self._let_time_pass(rng.choice((SESSION_LEASE_SECONDS * 0.7, SESSION_LEASE_SECONDS + 1.0)))
        if rng.random() < slant.disasters.step:
            self._disaster(rng.choice(self._boxes))
        if rng.random() < slant.beats:
            self._renew_leases(running)
        if rng.random() < 0.03 and self._watching.under_way:
            act, title = self._watching.under_way.pop(rng.randrange(len(self._watching.under_way)))
            self._trace(f"done at last: {title}")
            self._later(act)

    def _let_time_pass(self, seconds: float) -> None:
        self._trace(f"{seconds:.0f} seconds pass")
        self._world.pass_time(seconds)

    def _renew_leases(self, places: Sequence[Workplace]) -> None:
        for beat in [beat for place in places for beat in place.machine.beats]:
            try:
                beat()
            except CasError as error:
                self._trace(f"a lease is not renewed: {error.what}")

    def _later(self, act: Callable[[], object]) -> None:
        try:
            act()
        except CasError as error:
            self._trace(f"which failed: {error.what}")

    def _disaster(self, box: CatalogBox) -> None:
        chance = self._rng.random()
        if box.backup and chance < 0.4:
            self._trace("the catalog is restored from an older copy of itself")
            self._world.restore_catalog(box)
            box.backup = b""
        elif chance < 0.2:
            self._trace("the catalog is lost")
            self._world.lose_catalog(box)
        elif not box.backup:
            self._trace("the catalog is copied")
            self._world.back_up(box)

    def _settle(self, slant: Slant) -> None:
        """What was under way is done; then all versions that count are read by a new process."""
        for act, title in self._watching.under_way:
            self._trace(f"done at last: {title}")
            self._later(act)
        world = self._world
        numbers = sorted(world.truth.promises)
        if not world.loss:
            world.loss = world.truth.broken() or (world.replica.broken() if world.replica else "")
        if not world.loss and numbers and self._rng.random() < 0.12:
            world.loss = world.truth.read_back(self._rng.choice(numbers))
        if (
            not world.loss
            and not slant.disasters.is_ever
            and slant.catalogs == 1
            and self._rng.random() < 0.04
        ):
            world.loss = self._afterwards()

    def _afterwards(self) -> str:
        """When all is over, versions are taken as ever, and what nobody needs is given back. Not where half
        of a document, a journal or notes lies there: then a person is asked first."""
        world = self._world
        if not all(key.startswith(PACKS) for key in world.store.torn):
            return ""
        world.pass_time(SESSION_LEASE_SECONDS + 1.0)
        place = self._place("afterwards", world.box)
        for title in (SNAPSHOT, COLLECT, COLLECT):
            self._start(place, title)
            while place.machine.is_running:
                place.machine.go_on(Fate.DONE)
            if place.machine.failed or world.loss:
                return world.loss or f"afterwards: {place.machine.failed}"
        there = {key for key in world.store.contents() if key.startswith(PACKS)}
        left = there - set(map(pack_key, world.box.catalog.live_packs()))
        return f"afterwards: {len(left)} packs are not given back" if left else ""
