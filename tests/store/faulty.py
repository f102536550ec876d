"""A store that fails, dies or damages on request: a real store with a plan in front of it.

    faulty = FaultyStore(MemoryStore())

    faulty.fail("put", key="packs/", times=2)                  # two transient faults, nothing stored
    faulty.fail("put", after=True)                             # stored, but the answer is lost
    faulty.fail("get", fault=FaultKind.DENIED, times=FOREVER)

    faulty.die(at=3)                                           # the third put or delete never happens
    faulty.die(at=3, after=True)                               # it happens, and nobody hears of it

    faulty.flip("packs/ab", position=100)                      # damage to what is stored
    faulty.truncate("packs/ab", keep=10)

`Killed` is a BaseException, so that no `except Exception` of the code under test survives it; and
once dead, every call dies, as it would for a killed process. What a new process would find is in
`faulty.inner`. A test of every crash point is a loop:

    for at, after in crash_points():
        faulty = FaultyStore(MemoryStore())
        faulty.die(at=at, after=after)
        try:
            job(faulty)
        except Killed:
            check(faulty.inner)     # whatever was acknowledged is there and whole
        else:
            break                   # the job has fewer mutating calls than `at`

Everything is deterministic: what happens depends on the order of calls alone. All methods may be
called from several threads; the order of calls is then the threads' own.
"""

import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from cas.store.interface import FaultKind, ObjectInfo, Store, StoreFault

Operation = Literal["put", "get", "get_range", "get_tail", "size", "objects", "delete", "free_bytes"]

FOREVER = 1 << 60
_MUTATING = ("put", "delete")


class Killed(BaseException):
    """The process was killed here."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that reached the store: what, on which key or prefix, with how many bytes (puts only)."""

    operation: Operation
    key: str
    size: int = 0


@dataclass(slots=True)
class _Fault:
    operation: Operation
    key: str
    fault: FaultKind
    after: bool
    skip: int
    times: int

    def strikes(self, operation: Operation, key: str) -> bool:
        if operation != self.operation or not key.startswith(self.key) or not self.times:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


def crash_points() -> Iterator[tuple[int, bool]]:
    """(1, False), (1, True), (2, False), ...: before and after each mutating call."""
    for at in itertools.count(1):
        yield at, False
        yield at, True


class FaultyStore:
    """`inner`, with planned faults. `calls` is what was called so far, failed calls included."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.calls: list[Call] = []
        self._faults: list[_Fault] = []
        self._mutations = 0
        self._death: tuple[int, bool] | None = None
        self._dead = False
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return self.inner.url

    @property
    def mutations(self) -> int:
        """Puts and deletes so far, failed ones included."""
        return self._mutations

    def fail(
        self,
        operation: Operation,
        *,
        key: str = "",
        times: int = 1,
        skip: int = 0,
        after: bool = False,
        fault: FaultKind = FaultKind.TRANSIENT,
    ) -> None:
        """Let `times` calls of `operation` on keys that start with `key` fail, after `skip` good ones.

        after: the call does its work first, and only its answer is lost. A failing listing fails after
        its first row if `after` is set, before it otherwise.
        """
        with self._lock:
            self._faults.append(_Fault(operation, key, fault, after, skip, times))

    def die(self, at: int, *, after: bool = False) -> None:
        """Raise Killed at the `at`-th put or delete from now (1 is the next), before or after its work."""
        with self._lock:
            self._death = (self._mutations + at, after)

    def flip(self, key: str, position: int, *, bit: int = 0) -> None:
        """Turn one bit of a stored object."""
        data = bytearray(self.inner.get(key))
        data[position] ^= 1 << bit
        self.inner.put(key, bytes(data))

    def truncate(self, key: str, keep: int) -> None:
        """Cut a stored object to its first `keep` bytes."""
        self.inner.put(key, self.inner.get(key)[:keep])

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        late = self._before("put", key, memoryview(data).nbytes)
        self.inner.put(key, data, create_only=create_only)
        self._after(late)

    def get(self, key: str) -> bytes:
        late = self._before("get", key)
        data = self.inner.get(key)
        self._after(late)
        return data

    def get_range(self, key: str, start: int, length: int) -> bytes:
        late = self._before("get_range", key)
        data = self.inner.get_range(key, start, length)
        self._after(late)
        return data

    def get_tail(self, key: str, length: int) -> bytes:
        late = self._before("get_tail", key)
        data = self.inner.get_tail(key, length)
        self._after(late)
        return data

    def size(self, key: str) -> int:
        late = self._before("size", key)
        size = self.inner.size(key)
        self._after(late)
        return size

    def objects(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        late = self._before("objects", prefix)
        for info in self.inner.objects(prefix, after=after):
            yield info
            self._after(late)

    def delete(self, key: str) -> None:
        late = self._before("delete", key)
        self.inner.delete(key)
        self._after(late)

    def free_bytes(self) -> int | None:
        late = self._before("free_bytes", "")
        room = self.inner.free_bytes()
        self._after(late)
        return room

    def close(self) -> None:
        """Nothing: `inner` stays open for whoever looks at what is left."""

    def _before(self, operation: Operation, key: str, size: int = 0) -> BaseException | None:
        """Note the call; raise what is planned before it, or return what is planned for after it."""
        with self._lock:
            if self._dead:
                raise Killed
            self.calls.append(Call(operation, key, size))
            if operation in _MUTATING:
                self._mutations += 1
                if self._death is not None and self._death[0] == self._mutations:
                    self._dead = True
                    if not self._death[1]:
                        raise Killed
                    return Killed()
            fault = next((fault for fault in self._faults if fault.strikes(operation, key)), None)
        if fault is None:
            return None
        error = StoreFault(f"planned fault of {operation}", fault=fault.fault, where=key)
        if not fault.after:
            raise error
        return error

    def _after(self, late: BaseException | None) -> None:
        if late is not None:
            raise late
