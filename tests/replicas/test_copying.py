"""What is copied, what it costs, and what stands in the way."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest

from cas.catalog.memory import MemoryCatalog
from cas.catalog.model import VersionState
from cas.catalog.replica_model import NewReplica, RunOutcome
from cas.engine.repository import create_repository
from cas.errors import Conflict, Fenced, NotFound
from cas.format.names import CONFIG, notes_key, pack_key, version_key
from cas.format.notes import Note, NoteField
from cas.garbage.marking import mark
from cas.ids import PackName
from cas.limits import SESSION_LEASE_SECONDS
from cas.noting import say
from cas.progress import Silent
from cas.rebuild import rebuild_catalog
from cas.replicas import copying
from cas.replicas.running import replicate
from cas.store.interface import FaultKind, ObjectInfo, StoreFault
from cas.store.memory import MemoryStore
from tests.engine.recording import Gate, GatedStore
from tests.engine.scenes import expected
from tests.replicas.offsite import EDITIONS, NAME, Offsite

LISTED_AT_ONCE = 1000


class CountingStore(GatedStore):
    """Counts requests as S3 has them: a listing is one for each thousand objects that are read of it."""

    def __init__(self, inner: MemoryStore) -> None:
        super().__init__(inner, Gate())
        self.requests: Counter[str] = Counter()
        self._gate.before = lambda call, what="": self.requests.update([call])  # type: ignore[method-assign]

    def objects(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        for position, info in enumerate(self.inner.objects(prefix, after=after)):
            if position % LISTED_AT_ONCE == 0:
                self.requests["objects"] += 1
            yield info


def test_everything_is_there_afterwards(world: Offsite) -> None:
    say(world.open(), world.catalog, "ada", [Note(1, NoteField.HOLD, "case 4711")])
    report = world.copy()
    assert report.versions == (1, 2, 3)
    assert report.packs == len(world.packs())
    assert report.problems == ()
    assert report.objects == len(world.objects())
    assert report.stored_bytes == sum(info.size for info in world.replica.objects())
    primary = {info.key: world.store.get(info.key) for info in world.store.objects()}
    assert {key: world.replica.get(key) for key in world.objects()} == primary, "byte for byte"
    world.must_be_enough(1, 2, 3)
    found = world.catalog.replicating.replica(NAME)
    assert found.result is not None
    assert found.result.outcome is RunOutcome.COMPLETE
    assert found.result.stored_bytes == report.stored_bytes


def test_a_lost_catalog_hears_from_the_replica_what_people_said(world: Offsite) -> None:
    say(world.open(), world.catalog, "ada", [Note(1, NoteField.HOLD, "case 4711")])
    world.copy()
    rebuilt = MemoryCatalog(world.clock)
    rebuild_catalog(world.open(world.replica), rebuilt)
    assert rebuilt.version(1).hold == "case 4711"


def test_only_what_is_new_is_copied(world: Offsite) -> None:
    world.copy()
    before = set(world.objects())
    world.take(EDITIONS[4])
    counting = CountingStore(world.replica)  # type: ignore[arg-type]
    report = world.copy(replica=counting)
    assert report.versions == (4,)
    new = set(world.objects()) - before
    assert counting.requests == {"objects": 1, "put": len(new)}, "nothing is read, and nothing put twice"
    assert report.packs == len([key for key in new if key.startswith("packs/")])
    world.must_be_enough(1, 2, 3, 4)


def test_an_unchanged_run_lists_the_replica_once_and_reads_nothing(world: Offsite) -> None:
    """With a thousand more objects, two pages of a listing; of the primary nothing is asked."""
    world.copy()
    for number in range(LISTED_AT_ONCE):
        world.replica.put(f"strange/{number}", b"")
    primary = CountingStore(world.store)  # type: ignore[arg-type]
    replica = CountingStore(world.replica)  # type: ignore[arg-type]
    opened = world.open(primary)
    primary.requests.clear()
    report = world.copy(repository=opened, replica=replica)
    assert primary.requests == {}
    assert replica.requests == {"objects": 2}
    assert (report.versions, report.packs, report.copied_bytes, report.problems) == ((), 0, 0, ())


def test_a_replica_that_keeps_more_costs_no_more_when_nothing_changes() -> None:
    world = Offsite(rules=("last 9",))
    world.copy()
    world.drop(1, 2)
    world.copy()
    primary = CountingStore(world.store)  # type: ignore[arg-type]
    replica = CountingStore(world.replica)  # type: ignore[arg-type]
    opened = world.open(primary)
    primary.requests.clear()
    world.copy(repository=opened, replica=replica)
    assert primary.requests == {}
    assert replica.requests == {"objects": 1}
    world.must_be_enough(1, 2, 3)


def test_several_replicas(world: Offsite) -> None:
    second = MemoryStore("second")
    world.catalog.replicating.add(NewReplica("second", "memory://second"))
    world.copy()
    world.take(EDITIONS[4])
    assert replicate(world.open(), world.catalog, "second", second).versions == (1, 2, 3, 4)
    assert world.held() == [1, 2, 3]
    assert world.copy().versions == (4,)
    assert [info.key for info in second.objects()] == world.objects()


def test_packs_side_by_side(world: Offsite) -> None:
    opened = world.open()
    report = replicate(opened, world.catalog, NAME, world.replica, side_by_side=True)
    assert report.versions == (1, 2, 3)
    world.must_be_enough(1, 2, 3)
    opened.close()


def test_another_repository_is_not_touched(world: Offsite) -> None:
    create_repository(world.replica)
    before = world.objects()
    with pytest.raises(Conflict, match="another repository"):
        world.copy()
    assert world.objects() == before
    result = world.catalog.replicating.replica(NAME).result
    assert result is not None
    assert (result.outcome, "another repository" in result.text) == (RunOutcome.FAILED, True)


def test_a_replica_that_is_added_again_is_compared_and_counts(world: Offsite) -> None:
    """The catalog was lost, or the replica was removed from it: what lies there is not copied again."""
    world.copy()
    world.catalog.replicating.remove(NAME)
    world.catalog.replicating.add(NewReplica(NAME, "memory://replica"))
    report = world.copy()
    assert (report.versions, report.packs, report.copied_bytes) == ((1, 2, 3), 0, sum(_documents(world)))


def _documents(world: Offsite) -> list[int]:
    return [info.size for info in world.replica.objects("versions/")]


def needed(world: Offsite, *numbers: int) -> set[PackName]:
    """Packs that hold anything that these versions need."""
    found = mark(world.open(), numbers, numbers, world.packs(), world.packs(), Silent())
    return set(found.needed)


def test_a_damaged_pack_of_the_primary_lets_no_version_count_that_needs_it(world: Offsite) -> None:
    name = sorted(needed(world, 1) & needed(world, 2) & needed(world, 3))[0]
    data = bytearray(world.store.get(pack_key(name)))
    data[60] ^= 1
    world.store.put(pack_key(name), bytes(data))
    report = world.copy()
    assert [(one.object, one.what) for one in report.problems] == [
        (pack_key(name), "a pack of the primary is damaged")
    ]
    assert report.packs == len(world.packs()) - 1, "all else is copied"
    assert (report.versions, world.held(), world.objects("versions/")) == ((), [], [])
    result = world.catalog.replicating.replica(NAME).result
    assert result is not None
    assert result.outcome is RunOutcome.PARTIAL
    data[60] ^= 1
    world.store.put(pack_key(name), bytes(data))
    assert world.copy().packs == 1
    world.must_be_enough(1, 2, 3)


def test_versions_that_need_none_of_the_damaged_packs_are_copied(world: Offsite) -> None:
    """What is wrong with an old version keeps no new one from being copied."""
    name = sorted(needed(world, 1) - needed(world, 2, 3))[0]
    data = world.store.get(pack_key(name))
    world.store.delete(pack_key(name))
    report = world.copy()
    assert [one.object for one in report.problems] == [pack_key(name)]
    assert report.versions == (2, 3)
    world.must_be_enough(2, 3)
    world.take_next()
    assert world.copy().versions == (4,)
    world.store.put(pack_key(name), data)
    assert world.copy().versions == (1,)
    world.must_be_enough(1, 2, 3, 4)


def test_what_is_damaged_in_the_primary_takes_nothing_from_the_replica(world: Offsite) -> None:
    """The primary has forgotten the older versions, and the newer ones cannot be copied: nothing goes."""
    world.copy()
    before = world.packs()
    world.take(EDITIONS[4])
    world.store.delete(pack_key(sorted(world.packs() - before)[0]))
    heard = world.catalog.keeping.heard()
    assert world.catalog.keeping.forget(1, "a rule", heard=heard)
    report = world.copy()
    assert [one.what for one in report.problems] == ["a pack of the primary is missing"]
    assert report.forgotten == ()
    world.must_be_enough(1, 2, 3)


def test_a_document_that_was_exchanged_is_not_copied(world: Offsite) -> None:
    world.store.put(version_key(2), world.store.get(version_key(1)))
    report = world.copy()
    assert [one.object for one in report.problems] == [version_key(2)]
    assert report.versions == (1, 3)
    world.must_be_enough(1, 3)


def test_a_document_that_was_lost_is_told(world: Offsite) -> None:
    world.store.delete(version_key(2))
    report = world.copy()
    assert [one.what for one in report.problems] == ["the document of a version is missing in the primary"]
    world.must_be_enough(1, 3)


@pytest.mark.parametrize("key", [version_key(2), "a pack"])
def test_what_is_in_the_way_is_told_and_left_alone(world: Offsite, key: str) -> None:
    key = pack_key(sorted(world.packs())[1]) if key == "a pack" else key
    world.replica.put(key, b"somebody else's")
    report = world.copy()
    (problem,) = report.problems
    assert problem.object == key
    assert world.replica.get(key) == b"somebody else's"
    assert world.held() == ([1, 3] if key == version_key(2) else _without(world, key))
    world.replica.delete(key)
    assert world.copy().problems == ()
    world.must_be_enough(1, 2, 3)


def _without(world: Offsite, key: str) -> list[int]:
    """Versions that do not need this pack."""
    return [number for number in (1, 2, 3) if key[-64:] not in needed(world, number)]


def test_notes_that_are_damaged_are_told_and_versions_are_copied_all_the_same(world: Offsite) -> None:
    for number in (1, 2):
        say(world.open(), world.catalog, "ada", [Note(number, NoteField.HOLD, "case 4711")])
    data = world.store.get(notes_key(1))
    world.store.put(notes_key(1), data[:-1])
    report = world.copy()
    assert [one.object for one in report.problems] == [notes_key(1)]
    assert world.objects("notes/") == [notes_key(2)]
    assert report.versions == (1, 2, 3)
    world.store.put(notes_key(1), data)
    assert world.copy().problems == ()
    world.must_be_enough(1, 2, 3)


def test_a_dictionary_is_proven(world: Offsite) -> None:
    world.store.put("dictionaries/" + "ab" * 32, b"not it")
    report = world.copy()
    assert [one.object for one in report.problems] == ["dictionaries/" + "ab" * 32]
    assert not world.objects("dictionaries/ab")


def test_what_the_replica_lost_comes_back(world: Offsite) -> None:
    """The listing says what is there, and not the catalog."""
    world.copy()
    before = {key: world.replica.get(key) for key in world.objects()}
    for key in (version_key(2), world.objects("packs/")[0], CONFIG):
        world.replica.delete(key)
    report = world.copy()
    assert (report.packs, report.problems) == (1, ())
    assert {key: world.replica.get(key) for key in world.objects()} == before


def test_what_nobody_has_any_more_is_told() -> None:
    world = Offsite(rules=("last 9",))
    world.copy()
    world.drop(1)
    world.replica.delete(version_key(1))
    report = world.copy()
    assert [one.object for one in report.problems] == [version_key(1)]
    result = world.catalog.replicating.replica(NAME).result
    assert result is not None
    assert "only the replica held" in result.text


def test_a_run_that_lost_its_lease_stops_soon(world: Offsite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "RENEWED_EVERY", 2)

    class Slow(GatedStore):
        def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
            super().put(key, data, create_only=create_only)
            if key.startswith("packs/"):
                world.clock.moment += timedelta(seconds=SESSION_LEASE_SECONDS)

    with pytest.raises(Fenced):
        world.copy(replica=Slow(world.replica, Gate()))
    assert len(world.objects("packs/")) == 2
    assert world.held() == []
    world.copy()
    world.must_be_enough(1, 2, 3)


def test_a_store_that_fails_leaves_the_reason(world: Offsite) -> None:
    class Full(GatedStore):
        def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
            raise StoreFault("no room", fault=FaultKind.FULL)

    with pytest.raises(StoreFault):
        world.copy(replica=Full(world.replica, Gate()))
    result = world.catalog.replicating.replica(NAME).result
    assert result is not None
    assert (result.outcome, result.text) == (RunOutcome.FAILED, "no room")
    world.copy()
    world.must_be_enough(1, 2, 3)


def test_a_replica_that_nobody_knows(world: Offsite) -> None:
    with pytest.raises(NotFound):
        replicate(world.open(), world.catalog, "elsewhere", MemoryStore("x"))


def test_two_runs_at_once(world: Offsite) -> None:
    world.catalog.replicating.begin(NAME)
    with pytest.raises(Conflict, match="somebody replicates"):
        world.copy()


def test_versions_that_fail_or_run_are_no_concern(world: Offsite) -> None:
    session = world.session(world.open())
    session.put_records([b"%d\tanother" % number for number in range(200)])
    session.close_packs()
    assert world.copy().versions == (1, 2, 3)
    live = world.catalog.live_packs()
    assert {key[-64:] for key in world.objects("packs/")} == live, "what is on its way is not copied"
    assert world.catalog.version(4).state is VersionState.RUNNING


def test_a_version_is_read_from_the_replica_itself(world: Offsite) -> None:
    world.copy()
    assert world.records(3, world.replica) == expected(EDITIONS[3])
