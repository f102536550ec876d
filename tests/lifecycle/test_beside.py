"""Two at once: at any call of the one, the other does all of its work."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from cas.catalog.paging import every_version
from cas.catalog.rules import COMMITTED
from cas.check import CheckLevel, check_repository
from cas.errors import CasError, Fenced
from cas.forgetting import forget
from cas.format.names import version_key
from cas.garbage.collecting import collect_garbage
from cas.limits import SESSION_LEASE_SECONDS
from cas.noting import catch_up
from cas.rebuild import rebuild_catalog
from cas.snapshot import SnapshotRequest, take_version
from tests.engine.memory_source import MemorySource
from tests.engine.recording import Gate, GatedCatalog, GatedStore
from tests.engine.scenes import PRODUCTS, Platform, World, product
from tests.engine.small_packs import small_packs
from tests.lifecycle.dying import MOST_CALLS, Process

PRODUCTS_EACH = 8


def edition(number: int) -> Platform:
    """Half of the records are those of the edition before."""
    return {PRODUCTS: {each: product(each, number - each % 2) for each in range(PRODUCTS_EACH)}}


@pytest.fixture(autouse=True)
def tiny_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    small_packs(monkeypatch)


class _Ending(Gate):
    """Somebody ends the session between its document and its commit."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def before(self, call: str, what: str = "") -> None:
        super().before(call, what)
        if call == "commit":
            self._world.clock.moment += timedelta(seconds=SESSION_LEASE_SECONDS)


def made() -> World:
    """Three versions, of which the first is forgotten and its packs are ripe, the second is forgotten; and a
    document that no version claims."""
    world = World(node_bits=2)
    world.environment = replace(world.environment, threads=False)
    for number in (1, 2, 3):
        world.take(edition(number), request=SnapshotRequest(scan=True))
    gone(world, 1)
    collected(world, until="announce")
    with pytest.raises(Fenced):
        world.take(edition(1), catalog=GatedCatalog(world.catalog, _Ending(world)))
    gone(world, 2)
    return world


def too_late() -> World:
    """Two versions, of which the first is forgotten and a collector is about to delete what it needed; and a
    document that needs it again, put by a session that was ended for its silence just before."""
    world = World(node_bits=2)
    world.environment = replace(world.environment, threads=False)
    for number in (1, 3):
        world.take(edition(number), request=SnapshotRequest(scan=True))
    gone(world, 1)

    class Slow(Gate):
        def before(self, call: str, what: str = "") -> None:
            super().before(call, what)
            if (call, what) == ("put", version_key(3)):
                collect(Process(world, Gate()))
                world.clock.moment += timedelta(seconds=SESSION_LEASE_SECONDS)
                collected(world, until="delete")

    slow = Slow()
    with pytest.raises(Fenced):
        world.take(
            edition(1),
            store=GatedStore(world.store, slow),
            catalog=GatedCatalog(world.catalog, slow),
            request=SnapshotRequest(scan=True),
        )
    assert world.catalog.collecting.doomed()
    return world


def gone(world: World, *numbers: int) -> None:
    heard = catch_up(world.open(), world.catalog)
    forget(world.open(), world.catalog, dict.fromkeys(numbers, "a rule"), heard)


class _Stopped(Exception):
    pass


class _Until(Gate):
    """Stops before a call."""

    def __init__(self, call: str) -> None:
        super().__init__()
        self._call = call

    def before(self, call: str, what: str = "") -> None:
        super().before(call, what)
        if call == self._call:
            raise _Stopped


def collected(world: World, until: str) -> None:
    with pytest.raises(_Stopped):
        collect(Process(world, _Until(until)))
    world.clock.moment += timedelta(seconds=SESSION_LEASE_SECONDS)


def collect(process: Process) -> None:
    collect_garbage(process.repository, process.catalog, max_share=1.0)


def collect_twice(process: Process) -> None:
    collect(process)
    collect(process)


def rebuild(process: Process) -> None:
    rebuild_catalog(process.repository, process.catalog)


def snapshot(process: Process) -> None:
    source = MemorySource(edition(1), history=process.world.history)
    take_version(process.repository, process.catalog, source, SnapshotRequest())


class _Meanwhile(Gate):
    """At one of its calls somebody else works."""

    def __init__(self, at: int, act: Callable[[], object]) -> None:
        super().__init__()
        self._at, self._act = at, act
        self.made = 0

    def before(self, call: str, what: str = "") -> None:
        super().before(call, what)
        self.made += 1
        if self.made == self._at:
            self._act()


@pytest.mark.parametrize(
    ("make", "first", "second"),
    [
        (made, rebuild, collect_twice),
        (made, collect, rebuild),
        (made, snapshot, collect_twice),
        (made, collect, snapshot),
        (made, snapshot, rebuild),
        (made, rebuild, snapshot),
        (too_late, rebuild, collect_twice),
        (too_late, collect, rebuild),
    ],
    ids=lambda one: one.__name__,
)
def test_at_any_call_of_the_one_the_other_loses_nothing(
    make: Callable[[], World], first: Callable[[Process], None], second: Callable[[Process], None]
) -> None:
    for at in range(1, MOST_CALLS):
        world = make()
        answers: list[CasError] = []
        gate = _Meanwhile(at, partial(_done, second, Process(world, Gate()), answers))
        _done(first, Process(world, gate), answers)
        if gate.made < at:
            return
        assert all(error.hint for error in answers), "whoever is refused is told what to do"
        _everything_is_well(world, f"at call {at}, {gate.events[at - 1]}")
    raise AssertionError("the first never ends")


def _done(job: Callable[[Process], None], process: Process, answers: list[CasError]) -> None:
    try:
        job(process)
    except CasError as error:
        answers.append(error)


def _everything_is_well(world: World, when: str) -> None:
    """What counts can be read, also when it was taken in late and garbage was collected since."""
    _can_be_read(world, when)
    rebuild_catalog(world.open(), world.catalog)
    world.clock.moment += timedelta(seconds=SESSION_LEASE_SECONDS)
    for _ in range(2):
        collect_garbage(world.open(), world.catalog, max_share=1.0)
    assert world.catalog.live_packs() <= world.packs(), when
    _can_be_read(world, when)


def _can_be_read(world: World, when: str) -> None:
    numbers = {version.number for version in every_version(world.catalog, COMMITTED)}
    assert numbers, when
    for number in numbers:
        assert sum(map(len, world.records(number).values())) == PRODUCTS_EACH, when
    report = check_repository(world.open(), level=CheckLevel.BYTES, expected=numbers)
    assert not numbers.intersection(report.lost_versions), (when, report.findings)
