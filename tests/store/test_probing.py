"""A trial finds what a store breaks, by name, and leaves nothing behind."""

import threading
from collections.abc import Callable, Iterator

import pytest

from cas.probing.model import Verdict
from cas.probing.running import PREFIX, PROMISES, fresh_prefix, trial_options, try_store
from cas.store.interface import FaultKind, ObjectInfo, Store, StoreFault
from cas.store.memory import MemoryStore
from cas.store.opening import open_store
from tests.store.conftest import OPTIONS, Place
from tests.store.faulty import FOREVER, FaultyStore
from tests.store.lying import LIES, Forgetful, LargeLooksThenWrites


def test_every_store_of_ours_keeps_its_promises(place: Place) -> None:
    """The same trial that `cas store test` makes, on each kind of store."""
    if not place.retries:
        pytest.skip("a trial opens stores with retries, as all else does")
    place.open().put("there/before", b"untouched")
    trial = try_store(lambda: open_store(place.url, trial_options(OPTIONS), create=True), fresh_prefix())
    failed = {finding.promise: finding for finding in trial.findings if finding.verdict is not Verdict.KEPT}
    if place.kind == "seaweedfs":
        # Its own: SeaweedFS 4.48 looks at If-None-Match: * of CompleteMultipartUpload first and writes later.
        # With boto3 alone, two to four of four writers won in five of eight races.
        weak = failed.pop("one winner, large", None)
        assert weak is None or weak.verdict is Verdict.WEAK
    assert failed == {}
    assert trial.passed
    assert [finding.promise for finding in trial.findings] == [promise.name for promise in PROMISES]
    assert {one.call for one in trial.latencies} == {"put", "get", "list"}
    assert all(0 < one.median_seconds <= one.p95_seconds for one in trial.latencies)
    assert trial.throughput is not None
    assert trial.throughput.upload_bytes_per_second > 0
    assert [info.key for info in place.open().objects()] == ["there/before"]


@pytest.mark.parametrize(("lying", "names"), LIES, ids=[lying.__name__ for lying, _ in LIES])
def test_a_store_that_lies_is_found_out_by_name(lying: Callable[[], MemoryStore], names: set[str]) -> None:
    store = lying()
    trial = try_store(lambda: store, fresh_prefix())
    broken = {finding.promise: finding for finding in trial.findings if finding.verdict is not Verdict.KEPT}
    assert names <= set(broken)
    assert trial.passed is (lying is LargeLooksThenWrites)
    assert all(broken[name].meaning and broken[name].seen for name in names)
    if lying is not Forgetful:
        assert trial.left_behind == ()
        assert store._objects == {}


def test_what_cannot_be_removed_is_told() -> None:
    store = Forgetful()
    told: list[tuple[str, ...]] = []
    trial = try_store(lambda: store, fresh_prefix(), left=told.append)
    assert trial.left_behind == tuple(sorted(store._objects))
    assert told == [trial.left_behind]
    assert all(key.startswith(PREFIX) for key in trial.left_behind)


def test_what_fails_at_once_is_raised_and_tidied_up() -> None:
    faulty = FaultyStore(MemoryStore())
    faulty.fail("get", fault=FaultKind.DENIED, times=FOREVER)
    with pytest.raises(StoreFault) as raised:
        try_store(lambda: faulty, fresh_prefix())
    assert raised.value.fault is FaultKind.DENIED
    assert list(faulty.inner.objects()) == []


def test_what_fails_later_is_a_finding_and_the_rest_goes_on() -> None:
    faulty = FaultyStore(MemoryStore())
    faulty.fail("get_range", fault=FaultKind.REFUSED, times=FOREVER)
    trial = try_store(lambda: faulty, fresh_prefix())
    broken = [finding for finding in trial.findings if finding.verdict is Verdict.BROKEN]
    assert [finding.promise for finding in broken] == ["ranges"]
    assert "planned fault" in broken[0].seen
    assert trial.throughput is not None


@pytest.mark.parametrize("name", [promise.name for promise in PROMISES])
def test_an_interruption_in_any_step_removes_what_was_written(name: str) -> None:
    """Ctrl-C comes as KeyboardInterrupt in the thread that runs the trial, at its third call in this step."""

    class Interrupting(MemoryStore):
        countdown = -1

        def count(self) -> None:
            if threading.current_thread() is threading.main_thread() and self.countdown > 0:
                self.countdown -= 1
                if not self.countdown:
                    raise KeyboardInterrupt

        def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
            self.count()
            super().put(key, data, create_only=create_only)

        def get(self, key: str) -> bytes:
            self.count()
            return super().get(key)

        def objects(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
            self.count()
            return super().objects(prefix, after=after)

    store = Interrupting()

    class At:
        """Progress that sets the interruption when the step begins."""

        def phase(self, begun: str) -> None:
            store.countdown = 1 if begun == name else -1

        def entity(self, label: str, records: int, payload_bytes: int) -> None: ...
        def advance(self, label: str, records: int, payload_bytes: int) -> None: ...
        def stored(self, stored_bytes: int) -> None: ...

    with pytest.raises(KeyboardInterrupt):
        try_store(lambda: store, fresh_prefix(), At())
    assert store._objects == {}


def test_retries_are_told() -> None:
    opened: Store = MemoryStore()
    assert try_store(lambda: opened, fresh_prefix(), retries=lambda: 7).retries == 7
