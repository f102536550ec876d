"""A process dies, or the store fails, at every single call: nothing that was committed is lost.

The scenario is a first version, changes, and a second version, with packs so small that there are
several. Then comes a new process, which knows nothing of what happened.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Lock

import pytest

from cas.catalog.memory import MemoryCatalog
from cas.catalog.model import VersionFilter, VersionState
from cas.check import CheckLevel, CheckReport, check_repository
from cas.errors import CasError, ConnectionFailed
from cas.limits import SESSION_LEASE_SECONDS
from cas.rebuild import rebuild_catalog
from cas.store.interface import FaultKind, Store, StoreFault
from tests.engine.recording import Gate, GatedCatalog, GatedStore
from tests.engine.scenes import World, changed, expected, shop
from tests.store.faulty import Killed

FIRST = shop(products=90, suppliers=8, notes=12)
SECOND = changed(FIRST, 1, numbers=(3, 40, 77))
THIRD = changed(SECOND, 2, numbers=(5, 41))
BY_NUMBER = (FIRST, SECOND)

MOST_CALLS = 400
"""The scenario has fewer; a test that gets here would never end."""


@pytest.fixture(autouse=True)
def tiny_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cas.engine.packer.PACK_TARGET_BYTES", 1500)
    monkeypatch.setattr("cas.engine.packer.JOB_BYTES", 1000)
    monkeypatch.setattr("cas.engine.packer.FRAME_TARGET_BYTES", 600)
    monkeypatch.setattr("cas.engine.packer.NODE_FRAME_TARGET_BYTES", 1000)


class Dying(Gate):
    """The process dies at its n-th call of store or catalog, before or after the call does its work."""

    def __init__(self, at: int, *, after: bool) -> None:
        super().__init__()
        self._at, self._after = at, after
        self._made = 0
        self._lock_count = Lock()
        self.is_dead = False

    def before(self, call: str, what: str = "") -> None:
        with self._lock_count:
            if self.is_dead:
                raise Killed
            self._made += 1
            if self._made == self._at and not self._after:
                self.is_dead = True
                raise Killed
        super().before(call, what)

    def after(self, call: str, what: str = "") -> None:
        with self._lock_count:
            if self.is_dead or (self._after and self._made >= self._at):
                self.is_dead = True
                raise Killed


def bytes_of(world: World) -> CheckReport:
    return check_repository(world.open(), level=CheckLevel.BYTES)


def everything_is_well(world: World, acknowledged: int, cache: Path | None = None) -> None:
    """What a new process finds: all that was acknowledged, whole; a catalog that says what happened; and
    a next version that works."""
    report = bytes_of(world)
    assert report.is_clean, report.findings
    committed = [
        version.number
        for version in world.catalog.versions(VersionFilter())
        if version.state is VersionState.COMPLETE
    ]
    assert len(committed) >= acknowledged
    held = {number: world.records(number) for number in report.versions}
    for number in committed:
        assert number in held, "a version of the catalog is in the store"
    assert all(records in (expected(FIRST), expected(SECOND)) for records in held.values())
    assert all(held[number] == expected(BY_NUMBER[at]) for at, number in enumerate(sorted(committed)))
    version = world.take(THIRD, repository=world.open(cache=cache))
    assert world.records(version.number) == expected(THIRD)
    world.clock.moment += timedelta(seconds=SESSION_LEASE_SECONDS + 1)
    states = {one.number: one for one in world.catalog.versions(VersionFilter())}
    for number, one in states.items():
        if number not in (*committed, version.number):
            assert one.state is VersionState.FAILED
            assert one.error_code
            assert one.error_text
    assert bytes_of(world).is_clean
    and_the_bucket_alone_is_enough(world)


def and_the_bucket_alone_is_enough(world: World) -> None:
    catalog = MemoryCatalog(world.clock)
    report = rebuild_catalog(world.open(), catalog)
    assert report.quarantined == ()
    for number in report.adopted:
        assert catalog.version(number).checksum == world.open().document(number).checksum
    committed = {
        version.number
        for version in world.catalog.versions(VersionFilter())
        if version.state is VersionState.COMPLETE
    }
    assert committed <= set(report.adopted)


def calls(after: bool) -> Iterator[tuple[Dying, World]]:
    """A new world and a process in it that dies at its first call, its second one, and so on, until one
    lives to the end."""
    for at in range(1, MOST_CALLS):
        dying = Dying(at, after=after)
        yield dying, World()
        if not dying.is_dead:
            return
    raise AssertionError("the scenario never ends")


@pytest.mark.parametrize(
    ("after", "is_warm"),
    [(False, False), (True, False), (True, True)],
    ids=["before", "after", "after, warm"],
)
def test_a_process_that_dies_at_any_call_loses_nothing(tmp_path: Path, after: bool, is_warm: bool) -> None:
    """Warm: the new process finds the dead one's local cache."""
    died_at: set[str] = set()
    for number, (dying, world) in enumerate(calls(after)):
        cache = tmp_path / str(number) if is_warm else None
        acknowledged = 0
        try:
            for platform in BY_NUMBER:
                world.take(
                    platform,
                    catalog=GatedCatalog(world.catalog, dying),
                    repository=world.open(GatedStore(world.store, dying), cache),
                )
                acknowledged += 1
        except Killed:
            died_at.add(dying.events[-1][0] if dying.events else "")
        everything_is_well(world, acknowledged, cache)
    assert {"begin", "register_pack", "put", "prepare", "commit"} <= died_at


class Failing(Gate):
    """One call fails, and the process goes on."""

    def __init__(self, at: int, *, after: bool, error: type[CasError]) -> None:
        super().__init__()
        self._at, self._after, self._error = at, after, error
        self._made = 0
        self.has_failed = False
        self._lock_count = Lock()

    def _strikes(self) -> bool:
        # Another thread may have called meanwhile: then the next answer is the one that is lost.
        strikes = self._made >= self._at and not self.has_failed
        self.has_failed |= strikes
        return strikes

    def before(self, call: str, what: str = "") -> None:
        with self._lock_count:
            self._made += 1
            strikes = not self._after and self._strikes()
        super().before(call, what)
        if strikes:
            raise self._planned(what)

    def after(self, call: str, what: str = "") -> None:
        with self._lock_count:
            strikes = self._after and self._strikes()
        if strikes:
            raise self._planned(what)

    def _planned(self, what: str) -> CasError:
        if self._error is StoreFault:
            return StoreFault("planned", fault=FaultKind.TRANSIENT, where=what)
        return self._error("planned", where=what)


@pytest.mark.parametrize("after", [False, True], ids=["refused", "answer lost"])
def test_a_store_that_fails_at_any_call_loses_nothing(after: bool) -> None:
    failures = 0
    for at in range(1, MOST_CALLS):
        world = World()
        gate = Failing(at, after=after, error=StoreFault)
        store = GatedStore(world.store, gate)
        acknowledged = 0
        for platform in BY_NUMBER:
            try:
                world.take(platform, repository=world.open(store))
            except StoreFault:
                failures += 1
                # A person tries again.
                world.take(platform, repository=world.open(store))
            acknowledged += 1
        everything_is_well(world, acknowledged)
        if not gate.has_failed:
            break
    assert failures > 10


@pytest.mark.parametrize("after", [False, True], ids=["refused", "answer lost"])
def test_a_catalog_that_fails_at_any_call_loses_nothing(after: bool) -> None:
    """Also at the commit, after which nobody knows whether it happened."""
    failed_at: set[str] = set()
    for at in range(1, MOST_CALLS):
        world = World()
        gate = Failing(at, after=after, error=ConnectionFailed)
        taken: list[int] = []
        for platform in BY_NUMBER:
            try:
                version = world.take(platform, catalog=GatedCatalog(world.catalog, gate))
            except ConnectionFailed:
                failed_at.add(gate.events[-1][0] if gate.events[-1][0] != "fail" else gate.events[-2][0])
                version = world.take(platform)
            taken.append(version.number)
        assert bytes_of(world).is_clean
        for number, platform in zip(taken, BY_NUMBER, strict=True):
            assert world.records(number) == expected(platform)
        for one in world.catalog.versions(VersionFilter()):
            # What was not acknowledged is either listed with its reason, or a whole version all the same.
            if one.state is VersionState.COMPLETE:
                assert world.records(one.number) in (expected(FIRST), expected(SECOND))
            elif one.state is VersionState.FAILED:
                assert one.error_text
        and_the_bucket_alone_is_enough(world)
        if not gate.has_failed:
            break
    assert {"begin", "register_pack", "prepare", "commit"} <= failed_at


class Garbling(GatedStore):
    """One answer of the store is not what it stores: cut short, or with a changed bit."""

    def __init__(self, inner: Store, at: int, garble: Callable[[bytes], bytes]) -> None:
        super().__init__(inner, Gate())
        self._at, self._garble = at, garble
        self._made = 0
        self.has_garbled = False

    def _answer(self, data: bytes) -> bytes:
        self._made += 1
        if self._made != self._at:
            return data
        self.has_garbled = True
        return self._garble(data)

    def get(self, key: str) -> bytes:
        return self._answer(super().get(key))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return self._answer(super().get_range(key, start, length))

    def get_tail(self, key: str, length: int) -> bytes:
        return self._answer(super().get_tail(key, length))


def flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes((data[position] ^ 1,)) + data[position + 1 :]


GARBLES: dict[str, Callable[[bytes], bytes]] = {
    "cut in half": lambda data: data[: len(data) // 2],
    "nothing": lambda data: b"",
    "a bit in the middle": lambda data: flipped(data, len(data) // 2),
    "the last bit": lambda data: flipped(data, len(data) - 1),
}


@pytest.mark.parametrize("garble", list(GARBLES))
def test_a_store_that_answers_wrongly_once_makes_no_wrong_version(garble: str) -> None:
    refused = 0
    for at in range(1, MOST_CALLS):
        world = World()
        store = Garbling(world.store, at, GARBLES[garble])
        acknowledged = 0
        for platform in BY_NUMBER:
            try:
                world.take(platform, repository=world.open(store))
            except CasError:
                refused += 1
                world.take(platform, repository=world.open(store))
            acknowledged += 1
        everything_is_well(world, acknowledged)
        if not store.has_garbled:
            break
    assert refused > 0


@pytest.mark.parametrize("garble", list(GARBLES))
def test_wrong_answers_while_reading_never_become_records(garble: str) -> None:
    world = World()
    for platform in BY_NUMBER:
        world.take(platform)
    refused = 0
    for at in range(1, MOST_CALLS):
        store = Garbling(world.store, at, GARBLES[garble])
        try:
            assert world.records(2, store) == expected(SECOND)
        except CasError:
            refused += 1
        if not store.has_garbled:
            break
    assert refused > 3
