"""What outlives processes in a simulation: the store, catalogs, time, and what was promised."""

import copyreg
import pickle
import random
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock, RLock

from cas.catalog.memory import MemoryCatalog
from cas.engine.environment import Environment
from cas.engine.repository import create_repository
from tests.catalog.stages import TickingClock
from tests.engine.memory_source import History
from tests.engine.scenes import Platform
from tests.simulation.platforms import first_platform
from tests.simulation.shared_store import SharedStore
from tests.simulation.truth import Truth

copyreg.pickle(type(RLock()), lambda _: (RLock, ()))
copyreg.pickle(type(Lock()), lambda _: (Lock, ()))


@dataclass(slots=True)
class CatalogBox:
    """The database at one address: the catalog in it may be lost, or exchanged for an older copy."""

    catalog: MemoryCatalog
    backup: bytes = b""


@dataclass(slots=True)
class SimulatedWorld:
    """`drafts`: what was read for a document, by its bytes. `let_go`: versions that somebody was allowed to
    forget. `protected`: versions of which somebody was told that they are protected."""

    rng: random.Random
    clock: TickingClock
    store: SharedStore
    repository_id: str
    history: History
    platforms: list[Platform]
    truth: Truth
    box: CatalogBox
    drafts: dict[bytes, Platform] = field(default_factory=dict)
    let_go: set[int] = field(default_factory=set)
    protected: set[int] = field(default_factory=set)
    loss: str = ""

    def new_catalog(self) -> MemoryCatalog:
        return MemoryCatalog(self.clock)

    def lose_catalog(self, box: CatalogBox) -> None:
        box.catalog = self.new_catalog()

    def back_up(self, box: CatalogBox) -> None:
        box.backup = pickle.dumps((box.catalog, self.clock))

    def restore_catalog(self, box: CatalogBox) -> None:
        catalog, clock = pickle.loads(box.backup)
        now = self.clock.moment
        clock.moment = now
        catalog._rows.clock = self.clock  # the time does not go back
        box.catalog = catalog

    def pass_time(self, seconds: float) -> None:
        self.clock.moment += timedelta(seconds=seconds)


def empty_world(seed: int, node_bits: int) -> SimulatedWorld:
    """A repository, its catalog, and a platform of which nothing was taken yet."""
    rng = random.Random(seed)
    clock, store = TickingClock(), SharedStore()
    environment = Environment(now=clock, entropy=random.Random(seed + 1).randbytes, threads=False)
    config = create_repository(store, environment, node_bits=node_bits)
    catalog = MemoryCatalog(clock)
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
    )
