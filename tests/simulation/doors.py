"""Stores and catalogs as a machine sees them: every call goes through the machine."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from cas.catalog.checking import Checking
from cas.catalog.collecting import Collecting
from cas.catalog.keeping import Keeping
from cas.catalog.replicating import Replicating
from cas.engine.environment import Environment
from cas.engine.heartbeat import Heartbeat
from cas.store.interface import ObjectInfo, Store
from tests.simulation.machines import Machine

Later = Callable[[Callable[[], Any], str], None]


class StoreDoor:
    """A store, through a machine."""

    def __init__(self, inner: Store, machine: Machine, later: Later, prefix: str = "") -> None:
        """prefix: how traces tell it from other stores."""
        self._inner = inner
        self._prefix = prefix
        self._machine = machine
        self._later = later

    @property
    def url(self) -> str:
        return self._inner.url

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        data = bytes(data)
        self._call("put", key, lambda: self._inner.put(key, data, create_only=create_only))

    def get(self, key: str) -> bytes:
        return cast(bytes, self._call("get", key, lambda: self._inner.get(key)))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return cast(bytes, self._call("get_range", key, lambda: self._inner.get_range(key, start, length)))

    def get_tail(self, key: str, length: int) -> bytes:
        return cast(bytes, self._call("get_tail", key, lambda: self._inner.get_tail(key, length)))

    def size(self, key: str) -> int:
        return cast(int, self._call("size", key, lambda: self._inner.size(key)))

    def objects(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        rows = self._call("objects", prefix, lambda: list(self._inner.objects(prefix, after=after)))
        return iter(cast(list[ObjectInfo], rows))

    def delete(self, key: str) -> None:
        self._call("delete", key, lambda: self._inner.delete(key))

    def free_bytes(self) -> int | None:
        return None

    def close(self) -> None:
        pass

    def _call(self, name: str, key: str, act: Callable[[], Any]) -> Any:
        return self._machine.call(True, name, f"{self._prefix}{key}", act, self._later)


class PortDoor:
    """Any room of a catalog, through a machine. `find` gives the room as it is now: the catalog may be
    exchanged for another one while a process is at work."""

    def __init__(self, find: Callable[[], Any], machine: Machine, watch: "Watch") -> None:
        self._find = find
        self._machine = machine
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            def act() -> Any:
                answer = getattr(self._find(), name)(*arguments, **named)
                self._watch(name, arguments, answer)
                return answer

            what = str(arguments[0])[:80] if arguments and isinstance(arguments[0], int | str) else ""
            return self._machine.call(False, name, what, act, _never)

        return call


Watch = Callable[[str, tuple[Any, ...], Any], None]
"""Told of every call that a catalog has answered: its name, arguments and answer."""


def _nobody(call: str, arguments: tuple[Any, ...], answer: Any) -> None:
    """What checks found is nothing that is promised."""


def _never(act: Callable[[], Any], title: str) -> None:
    raise AssertionError("a transaction is over when its connection is")


class CatalogDoor(PortDoor):
    """A catalog, through a machine."""

    url = "simulated:"

    @property
    def keeping(self) -> Keeping:
        return cast(Keeping, PortDoor(lambda: self._find().keeping, self._machine, self._watch))

    @property
    def collecting(self) -> Collecting:
        return cast(Collecting, PortDoor(lambda: self._find().collecting, self._machine, self._watch))

    @property
    def checking(self) -> Checking:
        return cast(Checking, PortDoor(lambda: self._find().checking, self._machine, _nobody))

    @property
    def replicating(self) -> Replicating:
        def watch(call: str, arguments: tuple[Any, ...], answer: Any) -> None:
            self._watch(f"replicating {call}", arguments, answer)

        return cast(Replicating, PortDoor(lambda: self._find().replicating, self._machine, watch))

    def close(self) -> None:
        pass


class _Beat(Heartbeat):
    """Beats when the schedule says so."""

    def __init__(self, renew: Callable[[], None], beats: list[Callable[[], None]]) -> None:
        super().__init__(renew, 1.0)
        self._beats = beats
        beats.append(renew)

    def stop(self, patience: float | None = None) -> None:
        if self._renew in self._beats:
            self._beats.remove(self._renew)


@dataclass(frozen=True)
class MachineEnvironment(Environment):
    """No threads; leases are renewed when the schedule says so."""

    machine: Machine | None = None

    def heartbeat(self, renew: Callable[[], None], seconds: float) -> Heartbeat:
        return _Beat(renew, self.machine.beats if self.machine else [])
