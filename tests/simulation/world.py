"""What outlives processes in a simulation: the store, catalogs, time, and what was promised."""

import copyreg
import pickle
import random
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock, RLock

from cas.catalog.memory import MemoryCatalog
from cas.catalog.memory_rows import CountedIds
from cas.catalog.replica_model import NewReplica
from cas.engine.environment import Environment
from cas.engine.repository import create_repository
from tests.catalog.stages import TickingClock
from tests.engine.memory_source import History
from tests.engine.scenes import Platform
from tests.simulation.platforms import first_platform
from tests.simulation.shared_store import SharedStore
from tests.simulation.truth import Truth

OFFSITE = "offsite"

copyreg.pickle(type(RLock()), lambda _: (RLock, ()))
copyreg.pickle(type(Lock()), lambda _: (Lock, ()))


@dataclass(slots=True)
class CatalogBox:
    """The database at one address: the catalog in it may be lost, or exchanged for an older copy."""

    catalog: MemoryCatalog
    backup: bytes = b""


@dataclass(slots=True)
class SimulatedWorld:
    """`new_id`: ids of all catalogs, of which no two are alike, as in databases. `gone`: what versions held
    that somebody was allowed to forget. `nostalgia`: how often a platform is again as it was in one of these,
    or in another one before: so what went is needed again. `protected`: versions of which somebody was told
    that they are protected."""

    rng: random.Random
    clock: TickingClock
    store: SharedStore
    repository_id: str
    history: History
    platforms: list[Platform]
    truth: Truth
    box: CatalogBox
    new_id: CountedIds
    gone: list[Platform] = field(default_factory=list)
    nostalgia: float = 0.4
    replica: Truth | None = None
    """Of the store elsewhere, where there is one: versions that count as copied."""
    protected: set[int] = field(default_factory=set)
    catalogs: int = 1
    """In use for the one store."""
    loss: str = ""

    def new_catalog(self) -> MemoryCatalog:
        catalog = MemoryCatalog(self.clock)
        catalog._rows.new_id = self.new_id
        return catalog

    def add_replica(self) -> None:
        self.replica = Truth(SharedStore(), self.truth.environment)
        self.box.catalog.replicating.add(NewReplica(OFFSITE, "memory://elsewhere"))

    def lose_catalog(self, box: CatalogBox) -> None:
        self._forget_copies()
        box.catalog = self.new_catalog()

    def _forget_copies(self) -> None:
        """Nobody knows any more which versions count as copied."""
        if self.replica is not None:
            self.replica.promises.clear()

    def back_up(self, box: CatalogBox) -> None:
        box.backup = pickle.dumps((box.catalog, self.clock))

    def restore_catalog(self, box: CatalogBox) -> None:
        self._forget_copies()
        catalog, clock = pickle.loads(box.backup)
        now = self.clock.moment
        clock.moment = now
        catalog._rows.clock = self.clock  # the time does not go back
        catalog._rows.new_id = self.new_id
        box.catalog = catalog

    def pass_time(self, seconds: float) -> None:
        self.clock.moment += timedelta(seconds=seconds)


def empty_world(seed: int, node_bits: int) -> SimulatedWorld:
    """A repository, its catalog, and a platform of which nothing was taken yet."""
    rng = random.Random(seed)
    clock, store = TickingClock(), SharedStore()
    environment = Environment(now=clock, entropy=random.Random(seed + 1).randbytes, threads=False)
    config = create_repository(store, environment, node_bits=node_bits)
    catalog, new_id = MemoryCatalog(clock), CountedIds()
    catalog._rows.new_id = new_id
    catalog.attach(config.repository_id, store.url, create=True)
    history = History()
    history.name = "a server that nobody starts again"
    return SimulatedWorld(
        rng=rng,
        clock=clock,
        store=store,
        repository_id=config.repository_id,
        history=history,
        platforms=[first_platform(rng)],
        truth=Truth(store, environment),
        box=CatalogBox(catalog),
        new_id=new_id,
    )
