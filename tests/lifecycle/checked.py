"""A small repository of many packs, what checks say of it, and what others do to it meanwhile."""

from collections.abc import Callable, Mapping

from cas.catalog.checking import CheckState, VersionCheck
from cas.check import CheckLevel, CheckReport, check_repository
from cas.check_turns import Budget, Turn
from cas.forgetting import forget
from cas.format.names import pack_key
from cas.garbage.collecting import collect_garbage
from cas.garbage.model import GarbageReport
from cas.ids import PackName
from cas.noting import catch_up
from tests.engine.recording import Gate, GatedCatalog, GatedStore
from tests.engine.scenes import PRODUCTS, Platform, World, product

PRODUCTS_EACH = 24
BYTES = CheckLevel.BYTES


def edition(number: int) -> Platform:
    """Half of the records are those of the edition before."""
    return {PRODUCTS: {each: product(each, number - each % 2) for each in range(PRODUCTS_EACH)}}


def grown(versions: int = 4) -> World:
    world = World(node_bits=2)
    for number in range(1, versions + 1):
        world.take(edition(number))
    return world


def gone(world: World, *numbers: int) -> None:
    heard = catch_up(world.open(), world.catalog)
    forget(world.open(), world.catalog, dict.fromkeys(numbers, "a rule"), heard)


def collected(world: World) -> GarbageReport:
    return collect_garbage(world.open(), world.catalog, max_share=1.0)


class Ticking:
    """A clock that moves on by a second whenever somebody looks."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 1
        return self.seconds


def checked(world: World, level: CheckLevel = BYTES, version: int | None = None) -> CheckReport:
    """By a process of its own, and kept."""
    return check_repository(world.open(), catalog=world.catalog, level=level, version=version)


def turn(
    world: World, seconds: float = 0, level: CheckLevel = BYTES, gate: Gate | None = None
) -> CheckReport:
    repository = world.open(GatedStore(world.store, gate) if gate else None)
    catalog = GatedCatalog(world.catalog, gate) if gate else world.catalog
    return check_repository(repository, catalog=catalog, level=level, budget=Budget(seconds, Ticking()))


def turn_of(report: CheckReport) -> Turn:
    assert report.turn is not None
    return report.turn


def known(world: World) -> Mapping[int, VersionCheck]:
    return world.catalog.checking.versions(range(1, 20))


def states(world: World) -> dict[int, CheckState]:
    return {number: check.state for number, check in known(world).items()}


def damage(world: World, name: PackName) -> bytes:
    """One bit of a pack is another one. Gives what it was."""
    whole = world.store.get(pack_key(name))
    bad = bytearray(whole)
    bad[len(bad) // 3] ^= 1
    world.store.put(pack_key(name), bytes(bad))
    return whole


class Acting(Gate):
    """Somebody acts at call number `at`, once."""

    def __init__(self, at: int, act: Callable[[], object]) -> None:
        super().__init__()
        self._at, self._act = at, act
        self.made = 0
        self.acted_at = ""

    def before(self, call: str, what: str = "") -> None:
        self.made += 1
        if self.made == self._at:
            self.acted_at = call
            self._act()
