"""A process that dies at any of its calls, or is told of a failure there."""

from collections.abc import Callable, Iterator

from cas.errors import ConnectionFailed
from cas.store.interface import FaultKind, StoreFault
from tests.engine.recording import Gate, GatedCatalog, GatedStore
from tests.engine.scenes import World
from tests.store.faulty import Killed

MOST_CALLS = 400


class Failing(Gate):
    """Call number `at` is refused, or is done and its answer lost; the process may die of it or go on."""

    def __init__(self, at: int, *, after: bool, dies: bool) -> None:
        super().__init__()
        self._at, self._after, self._dies = at, after, dies
        self.made = 0
        self._under_way: list[tuple[str, int]] = []
        self.is_armed = False
        self.failed_at = ""

    def before(self, call: str, what: str = "") -> None:
        if self.failed_at and self._dies:
            raise Killed
        self.made += self.is_armed
        self._under_way.append((call, self.made))
        super().before(call, what)
        if self.made == self._at and not self._after and not self.failed_at:
            self._fail(call)

    def after(self, call: str, what: str = "") -> None:
        name, number = self._under_way.pop()
        while name != call:  # that one raised, and has no after
            name, number = self._under_way.pop()
        if number == self._at and self._after and not self.failed_at:
            self._fail(call)

    def _fail(self, call: str) -> None:
        self.failed_at = call
        if self._dies:
            raise Killed
        if call in ("put", "get", "objects", "delete", "size"):
            raise StoreFault("planned", fault=FaultKind.TRANSIENT)
        raise ConnectionFailed("planned")


class Process:
    """One process in a world, whose calls go through a gate."""

    def __init__(self, world: World, gate: Gate) -> None:
        self.world, self.gate = world, gate
        self.repository = world.open(GatedStore(world.store, gate))
        self.catalog = GatedCatalog(world.catalog, gate)


def at_any_call(
    make: Callable[[], World],
    act: Callable[[Process], object],
    *,
    after: bool,
    dies: bool,
    first: int = 1,
    every: int = 1,
) -> Iterator[tuple[World, str]]:
    """Worlds in which the act failed at its first call, its second one, and so on: and at which call.
    `first`, `every`: only at some calls."""
    for at in range(first, MOST_CALLS, every):
        world, gate = make(), Failing(at, after=after, dies=dies)
        process = Process(world, gate)
        gate.is_armed = True
        try:
            act(process)
        except (Killed, StoreFault, ConnectionFailed):
            assert gate.failed_at
        if gate.made < at:
            return
        if gate.failed_at:  # else the call itself refused, and no answer was lost
            yield world, gate.failed_at
    raise AssertionError("the act never ends")
