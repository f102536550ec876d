"""Stores and catalogs as a machine sees them: every call goes through the machine."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

from cas.catalog.checking import Checking
from cas.catalog.cleaning import Cleaning
from cas.catalog.collecting import Collecting
from cas.catalog.entrusting import Entrusting
from cas.catalog.keeping import Keeping
from cas.catalog.replicating import Replicating
from cas.catalog.sealing import Sealing
from cas.engine.environment import Environment
from cas.engine.heartbeat import Heartbeat
from cas.store.interface import ObjectInfo
from tests.simulation.fates import Fate
from tests.simulation.machines import Machine
from tests.simulation.shared_store import SharedStore

Later = Callable[[Callable[[], Any], str], None]


class StoreDoor:
    """A store, through a machine."""

    def __init__(self, inner: SharedStore, machine: Machine, later: Later, prefix: str = "") -> None:
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
        torn = {Fate.KILLED_TORN: lambda: self._inner.put_half(key, data, create_only=create_only)}
        self._call("put", key, lambda: self._inner.put(key, data, create_only=create_only), torn)

    def get(self, key: str) -> bytes:
        return self._read("get", key, lambda: self._inner.get(key))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return self._read("get_range", key, lambda: self._inner.get_range(key, start, length))

    def get_tail(self, key: str, length: int) -> bytes:
        return self._read("get_tail", key, lambda: self._inner.get_tail(key, length))

    def _read(self, name: str, key: str, act: Callable[[], bytes]) -> bytes:
        return cast(bytes, self._call(name, key, act, {Fate.GARBLED: lambda: _garbled(act())}))

    def size(self, key: str) -> int:
        return cast(int, self._call("size", key, lambda: self._inner.size(key)))

    def objects(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        stale = {Fate.STALE: lambda: self._inner.objects_before(self._changes(), prefix, after)}
        rows = self._call("objects", prefix, lambda: list(self._inner.objects(prefix, after=after)), stale)
        return iter(cast(list[ObjectInfo], rows))

    def delete(self, key: str) -> None:
        self._call("delete", key, lambda: self._inner.delete(key))

    def free_bytes(self) -> int | None:
        return None

    def close(self) -> None:
        pass

    def _changes(self) -> int:
        """By how many changes a listing is stale."""
        return 1 + self._inner.changes % 5

    def _call(
        self,
        name: str,
        key: str,
        act: Callable[[], Any],
        instead: Mapping[Fate, Callable[[], Any]] = MappingProxyType({}),
    ) -> Any:
        return self._machine.call(True, name, f"{self._prefix}{key}", act, self._later, instead)


def _garbled(data: bytes) -> bytes:
    """One bit of it is another one."""
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :] if data else data


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
    def cleaning(self) -> Cleaning:
        return cast(Cleaning, PortDoor(lambda: self._find().cleaning, self._machine, _nobody))

    @property
    def sealing(self) -> Sealing:
        return cast(Sealing, PortDoor(lambda: self._find().sealing, self._machine, _nobody))

    @property
    def entrusting(self) -> Entrusting:
        return cast(Entrusting, PortDoor(lambda: self._find().entrusting, self._machine, _nobody))

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
