"""Damaging a repository, mending it, and asking whether all is well."""

from collections.abc import Sequence

from cas.catalog.checking import CheckLevel, CheckState
from cas.catalog.interface import Catalog
from cas.catalog.memory import MemoryCatalog
from cas.check import check_repository
from cas.engine.repository import Repository
from cas.rebuild import rebuild_catalog
from cas.records.source import Source
from cas.repair.model import Holder, RepairReport
from cas.repair.running import plan_repair, repair
from cas.store.interface import Store
from tests.engine.memory_source import MemorySource
from tests.engine.scenes import Platform, expected
from tests.replicas.offsite import EDITIONS, Offsite

BYTES = CheckLevel.BYTES


def flip(store: Store, key: str, at: int | None = None) -> None:
    """One bit of an object is another one."""
    bad = bytearray(store.get(key))
    bad[len(bad) // 3 if at is None else at] ^= 1
    store.put(key, bytes(bad))


def holders(world: Offsite) -> list[Holder]:
    return [Holder("offsite", world.replica)]


def mended(
    world: Offsite,
    among: Sequence[Holder] | None = None,
    *,
    live: Platform | None = None,
    level: CheckLevel = BYTES,
    repository: Repository | None = None,
    catalog: Catalog | None = None,
) -> RepairReport:
    """By a process of its own."""
    opened, kept = repository or world.open(), catalog or world.catalog
    asked = holders(world) if among is None else among
    source: Source | None = None if live is None else MemorySource(live, history=world.history)
    found = plan_repair(opened, kept, asked, level=level)
    return repair(opened, kept, asked, found, live=source)


def states(world: Offsite) -> dict[int, CheckState]:
    checks = world.catalog.checking.versions(range(1, 60))
    return {number: check.state for number, check in checks.items()}


def checked_states(world: Offsite) -> dict[int, CheckState]:
    """After a check of every byte."""
    check_repository(world.open(), catalog=world.catalog, level=BYTES)
    return states(world)


def nothing_is_wrong(world: Offsite, *numbers: int) -> None:
    """These versions are whole to the byte, and a check finds nothing."""
    for number in numbers:
        assert world.records(number) == expected(world.editions[number])
    report = check_repository(world.open(), catalog=world.catalog, level=BYTES)
    assert report.is_clean, report.findings
    assert {number: state for number, state in states(world).items() if number in numbers} == dict.fromkeys(
        numbers, CheckState.VALID
    )


def all_is_well(world: Offsite, *numbers: int) -> None:
    """Nothing is wrong, a new version can be taken and the catalog rebuilt."""
    nothing_is_wrong(world, *numbers)
    following = world.take_next()
    assert world.records(following) == expected(EDITIONS[following])
    rebuilt = MemoryCatalog(world.clock)
    assert set(numbers) <= set(rebuild_catalog(world.open(), rebuilt).adopted)
