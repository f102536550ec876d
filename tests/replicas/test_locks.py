"""What lives on a locked replica is never locked for less than the days that were promised."""

import random
from datetime import timedelta

import pytest

from cas.catalog.model import VersionFilter
from cas.catalog.replica_model import NewReplica, RunOutcome
from cas.catalog.rules import COMMITTED
from cas.errors import CasError
from cas.format.names import dictionary_of_key, pack_key, pack_of_key, version_key
from cas.garbage.marking import mark
from cas.progress import Silent
from cas.store.interface import FaultKind, StoreFault
from tests.engine.recording import Gate, GatedStore
from tests.replicas.locking import LockedMemoryStore
from tests.replicas.offsite import NAME, Offsite

DAYS = 10
DAY = timedelta(days=1)


class LockedOffsite(Offsite):
    """A world whose replica locks its objects."""

    def __init__(self, *, versions: int = 3, rules: tuple[str, ...] | None = None) -> None:
        super().__init__(versions=versions, rules=rules)
        self.catalog.replicating.remove(NAME)
        self.locked = LockedMemoryStore(DAYS, self.clock)
        self.replica = self.locked
        self.catalog.replicating.add(NewReplica(NAME, "memory://locked", rules, DAYS))

    def pass_days(self, days: float) -> None:
        self.clock.moment += days * DAY


@pytest.fixture
def world() -> LockedOffsite:
    return LockedOffsite()


def test_the_first_run_locks_by_putting(world: LockedOffsite) -> None:
    report = world.copy()
    assert (report.extended, world.locked.extended) == (0, [])
    assert all(world.locked.left(key) > (2 * DAYS - 1) * DAY for key in world.objects())
    assert world.catalog.replicating.replica(NAME).locked_at is not None


def test_everything_is_extended_once_in_so_many_days(world: LockedOffsite) -> None:
    world.copy()
    world.pass_days(DAYS - 1)
    assert world.copy().extended == 0
    world.pass_days(1)
    report = world.copy()
    assert report.extended == len(world.objects())
    assert sorted(world.locked.extended) == world.objects()
    assert all(world.locked.left(key) > (2 * DAYS - 1) * DAY for key in world.objects())
    assert world.copy().extended == 0


def test_what_was_there_when_it_was_added_again_is_extended_at_once(world: LockedOffsite) -> None:
    world.copy()
    world.pass_days(2 * DAYS)
    world.catalog.replicating.remove(NAME)
    world.catalog.replicating.add(NewReplica(NAME, "memory://locked", None, DAYS))
    assert world.copy().extended == len(world.objects())


def test_what_is_let_go_runs_out(world: LockedOffsite) -> None:
    world.copy()
    world.drop(1, 2)
    report = world.copy()
    assert report.forgotten == (1, 2)
    assert (report.deleted_documents, world.locked.refused) == ((), []), "nobody tries before it is due"
    world.pass_days(DAYS)
    report = world.copy()
    assert report.deleted_documents == ()
    assert version_key(1) not in world.locked.extended
    assert version_key(3) in world.locked.extended
    world.must_be_enough(3)
    world.pass_days(2 * DAYS)
    report = world.copy()
    assert report.deleted_documents == (1, 2)
    world.pass_days(2 * DAYS)
    report = world.copy()
    assert report.deleted_packs or world.packs() == {key[-64:] for key in world.objects("packs/")}
    world.pass_days(2 * DAYS)
    world.copy()
    assert world.packs() == {key[-64:] for key in world.objects("packs/")}
    world.must_be_enough(3)


def test_deletes_are_tried_only_when_locks_are_due(world: LockedOffsite) -> None:
    """Packs whose documents are gone may be locked for longer than these were."""
    world.copy()
    world.pass_days(1)
    world.drop(1, 2)
    world.copy()
    world.pass_days(1.5 * DAYS)
    world.copy()
    world.pass_days(DAYS)
    report = world.copy()
    assert report.deleted_documents == (1, 2)
    assert report.still_locked == len(world.locked.refused) > 0
    before = len(world.locked.refused)
    world.pass_days(1)
    world.copy()
    assert len(world.locked.refused) == before
    world.pass_days(2 * DAYS)
    assert world.copy().deleted_packs == before
    assert {key[-64:] for key in world.objects("packs/")} == world.packs()
    world.must_be_enough(3)


def test_what_was_forgotten_is_not_extended_where_something_is_damaged(world: LockedOffsite) -> None:
    world.copy()
    world.drop(1)
    world.copy()
    world.take_next()
    world.store.delete(version_key(4))
    world.pass_days(DAYS)
    report = world.copy()
    assert report.problems
    assert report.extended
    assert version_key(1) not in world.locked.extended


def test_forgetting_everything_does_not_shorten_what_was_promised(world: LockedOffsite) -> None:
    """Whoever rules over primary and catalog lets go all that can be let go, and runs a replication."""
    world.copy()
    world.pass_days(DAYS - 0.5)
    world.copy()
    world.drop(1, 2)
    for _ in range(3):
        world.copy()
        assert all(world.locked.left(key) >= DAYS * DAY for key in world.objects())
    assert world.records(1, world.replica)
    assert world.records(2, world.replica)


def test_locks_are_extended_also_where_nothing_can_be_copied(world: LockedOffsite) -> None:
    world.copy()
    world.take_next()
    world.pass_days(DAYS)

    class Broken(GatedStore):
        def get(self, key: str) -> bytes:
            if key.startswith("packs/"):
                raise StoreFault("the primary is gone", fault=FaultKind.UNREACHABLE)
            return super().get(key)

    with pytest.raises(StoreFault):
        world.copy(primary=Broken(world.store, Gate()))
    assert sorted(world.locked.extended) == world.objects()
    result = world.catalog.replicating.replica(NAME).result
    assert result is not None
    assert result.outcome is RunOutcome.FAILED


def test_locks_are_extended_also_where_something_is_damaged(world: LockedOffsite) -> None:
    world.copy()
    world.take_next()
    for name in sorted(world.packs() - {key[-64:] for key in world.objects("packs/")})[:1]:
        world.store.delete(pack_key(name))
    world.pass_days(DAYS)
    before = world.objects()
    report = world.copy()
    assert report.problems
    assert report.extended == len(before)


def test_an_extension_that_was_broken_off_is_done_again(world: LockedOffsite) -> None:
    world.copy()
    world.pass_days(DAYS)
    extend = world.locked.extend

    def failing(key: str, until: object) -> None:
        if len(world.locked.extended) == 3:
            raise StoreFault("no answer", fault=FaultKind.TRANSIENT)
        extend(key, until)  # type: ignore[arg-type]

    world.locked.extend = failing  # type: ignore[method-assign]
    with pytest.raises(StoreFault):
        world.copy()
    world.locked.extend = extend  # type: ignore[method-assign]
    world.locked.extended.clear()
    assert world.copy().extended == len(world.objects())


@pytest.mark.parametrize("rules", [None, ("last 2",), ("last 6",)])
@pytest.mark.parametrize("seed", range(3))
def test_years_of_runs(rules: tuple[str, ...] | None, seed: int) -> None:
    """Runs once a day or two; versions come and go; now and then a run fails somewhere."""
    chance = random.Random(seed)
    world = LockedOffsite(rules=rules, versions=1)
    for _ in range(60):
        if chance.random() < 0.15 and max(world.catalog.known_numbers()) < 9:
            world.take_next()
        committed = [one.number for one in world.catalog.versions(_everything())]
        if chance.random() < 0.15 and len(committed) > 2:
            world.drop(chance.choice(committed[1:]))
        try:
            if chance.random() < 0.2:
                world.copy(replica=_Failing(world.locked, chance.randrange(1, 40)))
            else:
                world.copy()
        except CasError:
            world.clock.moment += timedelta(minutes=10)
            world.copy()
        living = _living(world)
        assert all(world.locked.left(key) >= (DAYS - 2) * DAY for key in living)
        world.pass_days(chance.choice([1, 1, 2]))
        assert all(world.locked.left(key) >= (DAYS - 4) * DAY for key in living)
    world.must_be_enough(max(world.held()))


def _everything() -> VersionFilter:
    return VersionFilter(states=COMMITTED)


def _living(world: LockedOffsite) -> list[str]:
    """Keys of all that a version that counts needs."""
    reader = world.open(world.replica)
    packs = set(reader.packs())
    staying = world.catalog.replicating.may_live()
    needed = mark(reader, world.held(), world.held(), packs, staying, Silent()).needed
    documents = {version_key(number) for number in world.held()}
    return [
        key
        for key in world.objects()
        if key in documents or pack_of_key(key) in needed or dictionary_of_key(key) or key == "config"
    ]


class _Failing(LockedMemoryStore):
    """Fails at one call."""

    def __init__(self, inner: LockedMemoryStore, at: int) -> None:
        self.__dict__ = dict(inner.__dict__)
        self._at = at
        self._made = 0

    def _count(self) -> None:
        self._made += 1
        if self._made == self._at:
            raise StoreFault("planned", fault=FaultKind.TRANSIENT)

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        self._count()
        super().put(key, data, create_only=create_only)

    def delete(self, key: str) -> None:
        self._count()
        super().delete(key)
