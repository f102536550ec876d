"""The store for crash tests does what its plan says, and otherwise keeps the contract."""

import pytest

from cas.store.interface import FaultKind, ObjectExists, Store, StoreFault
from cas.store.memory import MemoryStore
from tests.store.faulty import FOREVER, Call, FaultyStore, Killed, crash_points


@pytest.fixture
def faulty() -> FaultyStore:
    return FaultyStore(MemoryStore())


def test_without_a_plan_it_is_the_store_inside(faulty: FaultyStore) -> None:
    store: Store = faulty
    store.put("a/b", b"12345", create_only=True)
    with pytest.raises(ObjectExists):
        store.put("a/b", b"other", create_only=True)
    assert store.get("a/b") == b"12345"
    assert store.get_range("a/b", 1, 2) == b"23"
    assert store.get_tail("a/b", 2) == b"45"
    assert store.size("a/b") == 5
    assert [info.key for info in store.objects("a")] == ["a/b"]
    assert list(store.objects("a", after="a/b")) == []
    store.delete("a/b")
    assert store.free_bytes() is None
    store.close()
    assert faulty.mutations == 3
    assert faulty.calls[0] == Call("put", "a/b", 5)
    assert faulty.calls[-1] == Call("free_bytes", "")


def test_faults_strike_the_planned_calls_only(faulty: FaultyStore) -> None:
    faulty.fail("put", key="packs/", times=2, skip=1, fault=FaultKind.FULL)
    outcomes = []
    for key in ("other", "packs/1", "packs/2", "other", "packs/3", "packs/4"):
        try:
            faulty.put(key, b"x")
            outcomes.append("stored")
        except StoreFault as error:
            outcomes.append(error.fault.value)
    assert outcomes == ["stored", "stored", "full", "stored", "full", "stored"]
    assert [info.key for info in faulty.inner.objects()] == ["other", "packs/1", "packs/4"]


def test_a_lost_answer_leaves_the_work_done(faulty: FaultyStore) -> None:
    faulty.fail("put", after=True)
    faulty.fail("delete", after=True)
    with pytest.raises(StoreFault):
        faulty.put("key", b"x")
    assert faulty.get("key") == b"x"
    with pytest.raises(StoreFault):
        faulty.delete("key")
    assert list(faulty.objects()) == []


def test_a_fault_forever_never_ends(faulty: FaultyStore) -> None:
    faulty.fail("get", fault=FaultKind.DENIED, times=FOREVER)
    for _ in range(100):
        with pytest.raises(StoreFault):
            faulty.get("key")


def test_a_listing_fails_before_or_after_its_first_row(faulty: FaultyStore) -> None:
    faulty.put("a", b"")
    faulty.put("b", b"")
    faulty.fail("objects")
    faulty.fail("objects", after=True)
    with pytest.raises(StoreFault):
        next(faulty.objects())
    rows = faulty.objects()
    assert next(rows).key == "a"
    with pytest.raises(StoreFault):
        next(rows)
    assert len(list(faulty.objects())) == 2


@pytest.mark.parametrize(("after", "left"), [(False, ["1"]), (True, ["1", "2"])])
def test_death_comes_at_the_planned_put_and_is_final(
    faulty: FaultyStore, after: bool, left: list[str]
) -> None:
    faulty.die(at=2, after=after)
    faulty.put("1", b"x")
    faulty.get("1")
    with pytest.raises(Killed):
        faulty.put("2", b"x")
    for call in (lambda: faulty.get("1"), lambda: faulty.put("3", b"x"), lambda: faulty.delete("1")):
        with pytest.raises(Killed):
            call()
    with pytest.raises(Killed):
        list(faulty.objects())
    assert [info.key for info in faulty.inner.objects()] == left


def test_no_except_clause_for_exceptions_survives_death() -> None:
    assert not issubclass(Killed, Exception)


def test_crash_points_cover_a_job_before_and_after_each_mutation() -> None:
    found = []
    for at, after in crash_points():
        faulty = FaultyStore(MemoryStore())
        faulty.die(at=at, after=after)
        try:
            faulty.put("a", b"x")
            faulty.put("b", b"x")
            faulty.delete("a")
        except Killed:
            found.append([info.key for info in faulty.inner.objects()])
        else:
            break
    assert found == [[], ["a"], ["a"], ["a", "b"], ["a", "b"], ["b"]]


def test_damage_changes_exactly_what_is_stored(faulty: FaultyStore) -> None:
    faulty.put("key", b"\x00\x01\x02\x03")
    faulty.flip("key", 1, bit=7)
    assert faulty.get("key") == b"\x00\x81\x02\x03"
    faulty.flip("key", -1)
    assert faulty.get("key") == b"\x00\x81\x02\x02"
    faulty.truncate("key", keep=2)
    assert faulty.get("key") == b"\x00\x81"
    assert faulty.mutations == 1
