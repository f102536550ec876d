"""Runs that die, runs whose calls fail, runs that sleep while others work, and collections in between."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import product

import pytest

from cas.errors import CasError, Fenced
from cas.limits import SESSION_LEASE_SECONDS
from cas.replicas.running import replicate
from tests.engine.recording import Gate, GatedCatalog, GatedStore
from tests.lifecycle.dying import Process, at_any_call
from tests.replicas.offsite import NAME, Offsite

MOST_CALLS = 400


def _run(process: Process) -> None:
    world = process.world
    assert isinstance(world, Offsite)
    store = GatedStore(world.replica, process.gate)
    replicate(process.repository, process.catalog, NAME, store)


def changed_since() -> Offsite:
    """The replica is behind: versions 1 and 2 are forgotten and collected, 4 is new."""
    world = Offsite()
    world.copy()
    world.take_next()
    world.drop(1, 2)
    return world


def keeping_more() -> Offsite:
    """The same with a replica that keeps three versions; one of them it has alone."""
    world = Offsite(rules=("last 3",))
    world.copy()
    world.take_next()
    world.drop(1, 2)
    return world


@pytest.mark.parametrize(
    ("made", "after", "dies"),
    [
        pytest.param(changed_since, False, True, id="dies before"),
        pytest.param(changed_since, True, False, id="answer lost"),
        pytest.param(Offsite, False, True, id="first run, dies before"),
        *(
            pytest.param(made, after, dies, marks=pytest.mark.thorough)
            for made, after, dies in product((Offsite, changed_since, keeping_more), (0, 1), (0, 1))
        ),
    ],
)
def test_at_any_call_what_counts_is_whole_and_the_next_run_goes_on(
    made: Callable[[], Offsite], after: bool, dies: bool
) -> None:
    failed_at = set()
    for world, call in at_any_call(made, _run, after=after, dies=dies):
        assert isinstance(world, Offsite)
        failed_at.add(call)
        whole(world)
        world.clock.moment += timedelta(seconds=SESSION_LEASE_SECONDS)
        assert world.copy().problems == ()
        whole(world)
        assert set(world.held()) >= {3}
        assert world.copy().copied_bytes == 0
    assert {"begin", "objects", "put", "packs", "copied", "end"} <= failed_at
    if made is changed_since:
        assert {"forgotten", "delete", "may_live", "get"} <= failed_at


def whole(world: Offsite) -> None:
    """Each version that counts can be had from the replica alone."""
    for number in world.held():
        assert world.records(number, world.replica)
    if world.held():
        world.must_be_enough()


class Sleeping(Gate):
    """Before call number `at`, others work."""

    def __init__(self, at: int, others: Callable[[], None]) -> None:
        super().__init__()
        self.made = 0
        self._at, self._others = at, others
        self.slept_at = ""

    def before(self, call: str, what: str = "") -> None:
        self.made += 1
        if self.made == self._at:
            self.slept_at = call
            self._others()


def asleep_at_any_call(
    made: Callable[[], Offsite], others: Callable[[Offsite], None], step: int = 1
) -> Iterator[tuple[Offsite, str]]:
    """Worlds in which a run slept before its first call, its second one, and so on, while others worked; and
    then did what it was about to do."""
    for at in range(1, MOST_CALLS, step):
        world = made()
        gate = Sleeping(at, lambda world=world: others(world))  # type: ignore[misc]
        try:
            replicate(
                world.open(GatedStore(world.store, gate)),
                GatedCatalog(world.catalog, gate),
                NAME,
                GatedStore(world.replica, gate),
            )
        except CasError:
            assert gate.slept_at
        if not gate.slept_at:
            return
        yield world, gate.slept_at
    raise AssertionError("the run never ends")


def another_run(world: Offsite) -> None:
    """The lease lapses; another run brings everything up to now, and more happens, and yet another one."""
    world.clock.moment += timedelta(seconds=SESSION_LEASE_SECONDS)
    world.copy()
    world.take_next()
    world.copy()
    world.drop(3)
    world.clock.moment += timedelta(seconds=SESSION_LEASE_SECONDS)
    world.copy()


@pytest.mark.parametrize("made", [changed_since, keeping_more])
def test_who_sleeps_and_wakes_takes_nothing_from_what_counts(made: Callable[[], Offsite]) -> None:
    """Its lease is over; what it puts and deletes late does no harm, whatever came meanwhile."""
    slept_at = set()
    for world, call in asleep_at_any_call(made, another_run):
        slept_at.add(call)
        whole(world)
        assert 5 in world.held()
        assert world.copy().problems == ()
        whole(world)
    assert {"put", "delete", "copied", "packs"} <= slept_at


def a_collection(world: Offsite) -> None:
    """The primary forgets and collects while a run copies; its lease is good."""
    world.take_next()
    world.drop(3)


@pytest.mark.parametrize("made", [changed_since, Offsite])
def test_what_is_collected_during_a_run(made: Callable[[], Offsite]) -> None:
    slept_at = set()
    for world, call in asleep_at_any_call(made, a_collection):
        slept_at.add(call)
        whole(world)
        assert world.copy().problems == ()
        whole(world)
    assert {"get", "put", "copied", "packs"} <= slept_at


def test_a_run_that_lost_its_lease_deletes_no_packs() -> None:
    world = changed_since()
    before = world.objects("packs/")

    class Late(Gate):
        def before(self, call: str, what: str = "") -> None:
            if call == "may_live":
                world.clock.moment += timedelta(seconds=SESSION_LEASE_SECONDS)

    with pytest.raises(Fenced):
        world.copy(catalog=GatedCatalog(world.catalog, Late()))
    assert set(before) <= set(world.objects("packs/"))
    whole(world)
    assert world.copy().deleted_packs
