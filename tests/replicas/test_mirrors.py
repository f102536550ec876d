"""A version and its destinations: whenever the process dies, the version is partial, or it is there."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest

from cas.catalog.model import VersionFilter, VersionState
from cas.catalog.replica_model import NewReplica, Placement
from cas.errors import NotFound
from cas.format.names import pack_key
from cas.limits import SESSION_LEASE_SECONDS
from cas.replicas.mirroring import NOT_WANTED, Mirrored, copy_to_destinations, placement_of
from cas.replicas.model import ReplicationReport
from cas.replicas.running import replicate
from cas.replicas.status import replica_statuses
from cas.snapshot import SnapshotRequest, take_version
from cas.store.interface import FaultKind, StoreFault
from cas.store.memory import MemoryStore
from tests.engine.memory_source import MemorySource
from tests.engine.recording import GatedCatalog, GatedStore
from tests.engine.scenes import World
from tests.lifecycle.dying import Failing, Process, at_any_call
from tests.replicas.offsite import EDITIONS, NAME, Offsite

TO_MIRRORS = SnapshotRequest(destinations=None)
NEW = 4
"""The version that is taken with its copy."""


def mirrored(rules: tuple[str, ...] | None = None) -> Offsite:
    """Three versions on both sides, and the replica is a mirror from now on."""
    world = Offsite(rules=rules)
    world.copy()
    world.catalog.replicating.change(NAME, mirror=True)
    return world


def another(world: Offsite, name: str = "another") -> MemoryStore:
    """One more mirror."""
    world.catalog.replicating.add(NewReplica(name, f"memory://{name}", mirror=True))
    return MemoryStore(name)


def take(world: Offsite, request: SnapshotRequest = TO_MIRRORS) -> int:
    """The next version, not copied yet."""
    number = max(world.catalog.known_numbers()) + 1
    return world.take(EDITIONS[number], request=request).number


def partial(world: World) -> list[int]:
    return [version.number for version in world.catalog.versions(VersionFilter(partial=True))]


def copying(world: Offsite, **stores: MemoryStore) -> Callable[[str], ReplicationReport]:
    def copy(name: str) -> ReplicationReport:
        return replicate(world.open(), world.catalog, name, stores.get(name, world.replica))

    return copy


def test_a_version_is_partial_until_it_is_copied() -> None:
    world = mirrored()
    assert take(world) == NEW
    assert partial(world) == [NEW]
    assert placement_of(world.catalog, NEW) == Placement(True, (), (NAME,), (NAME,))
    (done,), found = copy_to_destinations(world.catalog, NEW, copying(world))
    assert done.report is not None
    assert done == Mirrored(NAME, True, False, done.report, None)
    assert done.why_not == ""
    assert found == placement_of(world.catalog, NEW) == Placement(True, (NAME,), (NAME,), ())
    assert partial(world) == []
    world.must_be_enough(1, 2, 3, NEW)


def test_one_that_fails_does_not_keep_the_others_from_it_and_any_later_run_mends_it() -> None:
    world = mirrored()
    store = another(world)
    take(world)

    def copy(name: str) -> ReplicationReport:
        if name == "another":
            raise StoreFault("no room", where="memory://another", fault=FaultKind.FULL)
        return copying(world)(name)

    (failed, done), found = copy_to_destinations(world.catalog, NEW, copy)
    assert (failed.name, failed.is_held, failed.is_lacking, failed.why_not) == (
        "another",
        False,
        True,
        "no room (memory://another)",
    )
    assert done.is_held
    assert found == Placement(True, (NAME,), ("another", NAME), ("another",))
    assert world.catalog.version(NEW).state is VersionState.COMPLETE
    assert [one.owed for one in replica_statuses(world.catalog)] == [(NEW,), ()]
    assert copying(world, another=store)("another").versions == (1, 2, 3, NEW)
    assert partial(world) == []


def test_a_person_who_stops_it_leaves_it_complete_and_partial() -> None:
    world = mirrored()
    another(world)
    take(world)

    def stopped(name: str) -> ReplicationReport:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_to_destinations(world.catalog, NEW, stopped)
    assert world.catalog.version(NEW).state is VersionState.COMPLETE
    assert placement_of(world.catalog, NEW).lacks == ("another", NAME)


def test_what_is_damaged_in_the_primary_is_told_as_the_reason() -> None:
    world = mirrored()
    before = world.packs()
    take(world)
    key = pack_key(sorted(world.packs() - before)[0])
    data = world.store.get(key)
    world.store.put(key, data[:-1] + bytes([data[-1] ^ 1]))
    (done,), found = copy_to_destinations(world.catalog, NEW, copying(world))
    assert done.why_not == f"a pack of the primary is damaged ({key})"
    assert found.is_partial
    world.store.put(key, data)
    world.copy()
    assert partial(world) == []


def test_what_a_replica_does_not_keep_by_its_rules_is_not_lacking_there() -> None:
    """Two versions while the mirror was away; it keeps one of them."""
    world = mirrored(rules=("last 1",))
    take(world)
    take(world)
    assert partial(world) == [5, 4]
    (done,), found = copy_to_destinations(world.catalog, 4, copying(world))
    assert (done.is_held, done.is_lacking, done.why_not) == (False, False, NOT_WANTED)
    assert found == Placement(True)
    assert placement_of(world.catalog, 5) == Placement(True, (NAME,), (NAME,), ())
    take(world)
    world.copy()
    assert placement_of(world.catalog, 5) == Placement(True, (), (NAME,), ())
    assert partial(world) == []


def test_what_was_damaged_is_not_taken_for_what_nobody_wants() -> None:
    """A run with problems says nothing of what the rules leave out."""
    world = mirrored(rules=("last 1",))
    take(world)
    before = world.packs()
    take(world)
    world.store.delete(pack_key(sorted(world.packs() - before)[0]))
    assert world.copy().problems
    assert partial(world) == [5, 4]


def test_what_the_primary_forgets_before_it_is_copied_is_no_longer_owed() -> None:
    world = mirrored()
    take(world)
    take(world)
    assert world.catalog.keeping.forget(NEW, "a rule", heard=world.catalog.keeping.heard())
    assert partial(world) == [5]
    assert world.catalog.replicating.owed() == {NAME: [5]}


def test_a_version_without_destinations_is_copied_by_nobody() -> None:
    world = mirrored()
    take(world, SnapshotRequest())
    assert copy_to_destinations(world.catalog, NEW, copying(world)) == ((), Placement(True))
    with pytest.raises(NotFound):
        placement_of(world.catalog, 77)


def test_a_replica_that_is_removed_while_it_is_copied_to_is_lacking_nothing() -> None:
    world = mirrored()
    take(world)

    def removed(name: str) -> ReplicationReport:
        world.catalog.replicating.remove(name)
        return copying(world)(name)

    (gone,), found = copy_to_destinations(world.catalog, NEW, removed)
    assert (gone.is_held, gone.is_lacking) == (False, False)
    assert "no replica" in gone.why_not
    assert found == Placement(True)


class FromPrepare(GatedCatalog):
    """The process dies when all is packed, or later; of earlier deaths tests/engine/test_crashes.py tells."""

    def __init__(self, process: Process) -> None:
        super().__init__(process.world.catalog, process.gate)
        assert isinstance(process.gate, Failing)
        self._failing = process.gate
        self._failing.is_armed = False

    def prepare(self, session: UUID) -> None:
        self._failing.is_armed = True
        super().prepare(session)


def _take_and_copy(process: Process) -> None:
    """As a snapshot does it, in one process."""
    world, catalog = process.world, FromPrepare(process)
    assert isinstance(world, Offsite)
    store = GatedStore(world.replica, process.gate)
    source = MemorySource(EDITIONS[NEW], history=world.history)
    number = take_version(process.repository, catalog, source, TO_MIRRORS).version.number
    copy_to_destinations(catalog, number, lambda name: replicate(process.repository, catalog, name, store))


@pytest.mark.parametrize(
    ("after", "dies"),
    [
        pytest.param(False, True, id="dies before"),
        pytest.param(True, False, id="answer lost"),
        *(pytest.param(*both, marks=pytest.mark.thorough) for both in ((True, True), (False, False))),
    ],
)
def test_dying_anywhere_leaves_a_version_that_is_not_there_or_partial_or_everywhere(
    after: bool, dies: bool
) -> None:
    failed_at, outcomes = set(), Counter[str]()
    for world, call in at_any_call(mirrored, _take_and_copy, after=after, dies=dies):
        assert isinstance(world, Offsite)
        failed_at.add(call)
        outcome = look_around(world)
        outcomes[outcome] += 1
        world.clock.moment += timedelta(seconds=SESSION_LEASE_SECONDS)
        assert world.copy().problems == ()
        assert look_around(world) == ("not there" if outcome == "not there" else "everywhere")
        assert partial(world) == []
    assert {"begin", "commit", "placements", "put", "packs", "copied", "end"} <= failed_at
    assert set(outcomes) == {"not there", "partial", "everywhere"}


def look_around(world: Offsite) -> str:
    """What a new process finds of the version; what it says of the replica is true of it alone."""
    if NEW in world.held():
        world.must_be_enough(1, 2, 3, NEW)
    if NEW not in world.catalog.known_numbers():
        return "not there"
    found = placement_of(world.catalog, NEW)
    assert found.primary == (world.catalog.version(NEW).state is VersionState.COMPLETE)
    if not found.primary:
        assert partial(world) == []
        return "not there"
    assert world.records(NEW)
    assert found.destinations == (NAME,), "known since before the commit"
    assert found.is_partial == (NEW not in world.held())
    assert partial(world) == ([NEW] if found.is_partial else [])
    return "partial" if found.is_partial else "everywhere"
