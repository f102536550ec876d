"""What the one wrapper with retries does, and what it leaves alone."""

from collections.abc import Callable, Iterator

import pytest

from cas.errors import CasError, CorruptData
from cas.store.interface import FaultKind, ObjectExists, ObjectInfo, ObjectMissing, StoreFault
from cas.store.memory import MemoryStore
from cas.store.options import StoreOptions
from cas.store.retrying import Retry, RetryingStore
from tests.store.faulty import FOREVER, FaultyStore, Operation

QUICK = StoreOptions(attempts=4, first_wait_seconds=0.001, longest_wait_seconds=0.002)


@pytest.fixture
def faulty() -> FaultyStore:
    return FaultyStore(MemoryStore())


@pytest.fixture
def store(faulty: FaultyStore) -> RetryingStore:
    return RetryingStore(faulty, options=QUICK)


CALLS: dict[Operation, Callable[[RetryingStore], object]] = {
    "put": lambda store: store.put("key", b"0123456789"),
    "get": lambda store: store.get("key"),
    "get_range": lambda store: store.get_range("key", 2, 3),
    "get_tail": lambda store: store.get_tail("key", 3),
    "size": lambda store: store.size("key"),
    "objects": lambda store: [info.key for info in store.objects()],
    "delete": lambda store: store.delete("key"),
    "free_bytes": lambda store: store.free_bytes(),
}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", CALLS)
def test_a_transient_fault_is_tried_again(
    faulty: FaultyStore, store: RetryingStore, call: Operation, after: bool
) -> None:
    faulty.inner.put("key", b"0123456789")
    without_fault = CALLS[call](RetryingStore(memory_with(b"0123456789")))
    # A listing that breaks after its only row has nothing left that could break again.
    times = 1 if call == "objects" and after else 3
    faulty.fail(call, times=times, after=after)
    assert CALLS[call](store) == without_fault
    assert store.retries == times


def memory_with(data: bytes) -> MemoryStore:
    made = MemoryStore()
    made.put("key", data)
    return made


def test_attempts_come_to_an_end_with_the_last_fault(faulty: FaultyStore, store: RetryingStore) -> None:
    faulty.fail("get", times=FOREVER)
    with pytest.raises(StoreFault) as raised:
        store.get("key")
    assert raised.value.fault is FaultKind.TRANSIENT
    assert len(faulty.calls) == QUICK.attempts
    assert store.retries == QUICK.attempts - 1


@pytest.mark.parametrize("fault", [kind for kind in FaultKind if kind is not FaultKind.TRANSIENT])
def test_a_final_fault_is_not_tried_again(
    faulty: FaultyStore, store: RetryingStore, fault: FaultKind
) -> None:
    faulty.fail("put", fault=fault)
    with pytest.raises(StoreFault):
        store.put("key", b"x")
    assert len(faulty.calls) == 1
    assert store.retries == 0


def test_answers_that_are_no_faults_are_not_tried_again(faulty: FaultyStore, store: RetryingStore) -> None:
    store.put("key", b"x", create_only=True)
    expected: list[tuple[type[CasError], Callable[[], object]]] = [
        (ObjectMissing, lambda: store.get("absent")),
        (CorruptData, lambda: store.get_range("key", 0, 2)),
        (ObjectExists, lambda: store.put("key", b"x", create_only=True)),
    ]
    for error, call in expected:
        before = len(faulty.calls)
        with pytest.raises(error):
            call()
        assert len(faulty.calls) == before + 1


def test_each_wait_is_told_before_it(faulty: FaultyStore) -> None:
    told: list[Retry] = []
    store = RetryingStore(faulty, options=QUICK, on_retry=told.append)
    faulty.fail("size", times=2)
    faulty.inner.put("key", b"x")
    store.size("key")
    assert [(retry.call, retry.failures) for retry in told] == [("size", 1), ("size", 2)]
    assert all(retry.fault.where == "key" for retry in told)
    assert all(0 <= retry.wait_seconds <= QUICK.longest_wait_seconds for retry in told)


# A repeated create-only put.


def test_a_create_only_put_whose_answer_was_lost_has_won(faulty: FaultyStore, store: RetryingStore) -> None:
    faulty.fail("put", after=True)
    store.put("key", b"mine", create_only=True)
    assert faulty.inner.get("key") == b"mine"
    assert [call.operation for call in faulty.calls] == ["put", "put", "get"]


def test_a_create_only_put_of_a_view_is_compared_too(faulty: FaultyStore, store: RetryingStore) -> None:
    faulty.fail("put", after=True)
    store.put("key", memoryview(b"not mine not")[4:8], create_only=True)
    assert faulty.inner.get("key") == b"mine"


def test_a_repeated_create_only_put_that_meets_other_bytes_has_lost(
    faulty: FaultyStore, store: RetryingStore
) -> None:
    faulty.inner.put("key", b"theirs")
    faulty.fail("put")
    with pytest.raises(ObjectExists):
        store.put("key", b"mine", create_only=True)
    assert faulty.inner.get("key") == b"theirs"


def test_an_object_that_was_there_before_is_a_conflict_even_with_equal_bytes(
    faulty: FaultyStore, store: RetryingStore
) -> None:
    faulty.inner.put("key", b"same")
    with pytest.raises(ObjectExists):
        store.put("key", b"same", create_only=True)
    assert [call.operation for call in faulty.calls] == ["put"]


def test_reading_back_may_fail_for_a_while_too(faulty: FaultyStore, store: RetryingStore) -> None:
    faulty.fail("put", after=True)
    faulty.fail("get", times=2)
    store.put("key", b"mine", create_only=True)
    assert store.retries == 3


# Listings.


def test_a_broken_listing_goes_on_after_the_last_row(faulty: FaultyStore) -> None:
    keys = [f"packs/{number:05}" for number in range(2500)]
    for key in keys:
        faulty.inner.put(key, b"")
    store = RetryingStore(faulty, options=QUICK)
    faulty.fail("objects", times=3, after=True)
    assert [info.key for info in store.objects("packs/")] == keys
    assert store.retries == 3
    faulty.fail("objects", times=3)
    assert [info.key for info in store.objects("packs/", after=keys[1200])] == keys[1201:]


def test_a_listing_that_breaks_often_but_gets_ahead_comes_to_its_end(faulty: FaultyStore) -> None:
    class Breaking(FaultyStore):
        """Each listing breaks after 400 rows."""

        def objects(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
            for number, info in enumerate(self.inner.objects(prefix, after=after)):
                if number >= 400:
                    raise StoreFault("broken", fault=FaultKind.TRANSIENT)
                yield info

    keys = [f"{number:05}" for number in range(9000)]
    for key in keys:
        faulty.inner.put(key, b"")
    store = RetryingStore(Breaking(faulty.inner), options=QUICK)
    assert [info.key for info in store.objects()] == keys
    assert store.retries > QUICK.attempts


def test_it_says_where_it_is_and_closes_what_is_inside(store: RetryingStore, faulty: FaultyStore) -> None:
    assert store.url == faulty.url
    store.close()
