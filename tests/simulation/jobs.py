"""What machines do: the shipped operations, each as a new process of a machine does it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from cas.catalog.interface import Catalog
from cas.catalog.keeping import NotesMoved
from cas.catalog.rules import COMMITTED
from cas.check import CheckLevel, check_repository
from cas.engine.repository import Repository
from cas.errors import Conflict, CorruptData, NotFound
from cas.forgetting import forget
from cas.format.notes import Note, NoteField
from cas.garbage.collecting import collect_garbage
from cas.noting import catch_up, say
from cas.pinning import pinned
from cas.rebuild import rebuild_catalog
from cas.replicas.running import replicate
from cas.snapshot import SnapshotRequest, take_version
from cas.store.options import StoreOptions
from cas.store.retrying import RetryingStore
from tests.engine.memory_source import MemorySource
from tests.engine.scenes import records_of
from tests.simulation.doors import CatalogDoor, MachineEnvironment, StoreDoor
from tests.simulation.machines import ELSEWHERE, Machine
from tests.simulation.platforms import next_platform
from tests.simulation.slants import (
    CHECK,
    COLLECT,
    FORGET,
    PROTECT,
    READ,
    REBUILD,
    REPLICATE,
    SNAPSHOT,
)
from tests.simulation.watching import Watching
from tests.simulation.world import OFFSITE, CatalogBox, SimulatedWorld

_AT_ONCE = StoreOptions(attempts=2, first_wait_seconds=0.0, longest_wait_seconds=0.0)


@dataclass(slots=True)
class Workplace:
    """A machine in a world. Its repository is kept from one process to the next, as a cache on a disk is,
    until a process dies."""

    world: SimulatedWorld
    machine: Machine
    box: CatalogBox
    watching: Watching
    environment: MachineEnvironment
    kept: Repository | None = None

    @property
    def catalog(self) -> Catalog:
        return cast(Catalog, CatalogDoor(lambda: self.box.catalog, self.machine, self.watching.answered))

    def open(self) -> Repository:
        if self.kept is None:
            door = StoreDoor(self.world.store, self.machine, self.watching.later)
            store = RetryingStore(door, options=_AT_ONCE) if self.world.rng.random() < 0.1 else door
            self.kept = Repository(store, None, self.environment)
        return self.kept


Job = Callable[[Workplace], None]


def snapshot(place: Workplace) -> None:
    world = place.world
    if world.rng.random() < world.nostalgia:
        platform = world.rng.choice(world.gone or world.platforms)
    else:
        platform = next_platform(world.rng, world.platforms[-1], world.platforms[:-1])
    world.platforms.append(platform)
    request = SnapshotRequest(name=str(len(world.platforms) - 1), scan=world.rng.random() < 0.2)
    source = MemorySource(platform, history=world.history, beside=world.rng.choice((0, 0, 7)))
    take_version(place.open(), place.catalog, source, request)


def forget_some(place: Workplace) -> None:
    """A wild policy: any versions but protected ones, which only the catalog's own rules keep."""
    world, repository, catalog = place.world, place.open(), place.catalog
    numbers = sorted(world.truth.promises)
    wanted = [one for one in numbers if world.rng.random() < 0.4]
    for _ in range(3):
        heard = catch_up(repository, catalog)
        try:
            forget(repository, catalog, dict.fromkeys(wanted, "a rule"), heard)
            return
        except NotesMoved:
            continue


def collect(place: Workplace) -> None:
    collect_garbage(place.open(), place.catalog, max_share=1.0)


def protect(place: Workplace) -> None:
    world = place.world
    number = world.rng.choice(sorted(world.truth.promises) or [1])
    say(place.open(), place.catalog, "somebody", [Note(number, NoteField.PROTECTED, True)])
    world.protected.add(number)


def read(place: Workplace) -> None:
    """A reader that has pinned a version reads it to its end, whoever forgets it and collects meanwhile. From
    another catalog that collects in the same store no pin protects it: it fails, and reads again."""
    world = place.world
    number = world.rng.choice(sorted(world.truth.promises) or [1])
    promise = world.truth.promises.get(number)
    repository, catalog = place.open(), place.catalog
    with pinned(place.environment, catalog, number, "reading"):
        held = place.watching.holds(place.box)
        # A catalog that was set back pins what was let go since; one that knows that it went must not.
        is_known_to_be_gone = place.box.catalog.version(number).state not in COMMITTED
        counted = number in world.truth.promises or is_known_to_be_gone
        try:
            found = records_of(repository, number)
        except (CorruptData, NotFound) as error:
            if counted and held() and not place.machine.was_deceived and world.catalogs == 1:
                world.loss = world.loss or f"a reader of version {number} found: {error}"
            raise
        if promise is not None and found != promise.records:
            world.loss = world.loss or f"a reader of version {number} read something else"


def rebuild(place: Workplace) -> None:
    report = rebuild_catalog(place.open(), place.catalog)
    for one in report.quarantined:
        if one.number in place.world.truth.promises and not place.machine.was_deceived:
            place.world.loss = place.world.loss or f"version {one.number} was not taken in: {one.what}"


def check(place: Workplace) -> None:
    """What a check finds while others are at work is no loss of a version that counts. From another catalog
    that collects in the same store nothing protects it, as with a reader."""
    world = place.world
    level = world.rng.choice((CheckLevel.STRUCTURE, CheckLevel.BYTES))
    report = check_repository(place.open(), catalog=place.catalog, level=level)
    lost = sorted(set(report.lost_versions) & world.truth.promises.keys())
    if lost and not place.machine.was_deceived and world.catalogs == 1:
        world.loss = world.loss or f"a check says that versions {lost} are lost: {report.findings[0].what}"


def replicate_offsite(place: Workplace) -> None:
    world = place.world
    if world.replica is not None:
        there = StoreDoor(world.replica.store, place.machine, place.watching.later, ELSEWHERE)
        replicate(place.open(), place.catalog, OFFSITE, there)


def take_in_if_told(job: Job) -> Job:
    """As a person does who is told that the catalog is older than the store, or empty."""

    def work(place: Workplace) -> None:
        try:
            job(place)
        except (Conflict, NotFound) as error:
            told = f"{error.what} {error.hint}"
            if not any(words in told for words in ("rebuild", "no repository yet", "not attached")):
                raise
            rebuild(place)
            job(place)

    return work


ALL: Mapping[str, Job] = {
    SNAPSHOT: take_in_if_told(snapshot),
    COLLECT: take_in_if_told(collect),
    FORGET: take_in_if_told(forget_some),
    PROTECT: take_in_if_told(protect),
    READ: read,
    REBUILD: rebuild,
    CHECK: check,
    REPLICATE: replicate_offsite,
}
