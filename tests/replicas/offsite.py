"""A repository with a replica, and what can be asked of the replica alone."""

from pathlib import Path

from cas.catalog.interface import Catalog
from cas.catalog.memory import MemoryCatalog
from cas.catalog.replica_model import NewReplica
from cas.check import CheckLevel, check_repository
from cas.engine.repository import Repository
from cas.forgetting import forget
from cas.garbage.collecting import collect_garbage
from cas.garbage.model import GarbageReport
from cas.noting import catch_up
from cas.rebuild import rebuild_catalog
from cas.replicas.model import ReplicationReport
from cas.replicas.running import replicate
from cas.store.interface import Store
from cas.store.memory import MemoryStore
from tests.engine.scenes import PRODUCTS, Platform, World, expected, product, records_of

NAME = "offsite"
EACH = 12


def edition(number: int) -> Platform:
    """Half of the records are those of the edition before."""
    return {PRODUCTS: {each: product(each, number - each % 2) for each in range(EACH)}}


EDITIONS = {number: edition(number) for number in range(1, 60)}
"""What the version of this number holds, where each is taken once."""


class Offsite(World):
    """A world with a replica of its repository."""

    def __init__(self, *, versions: int = 3, rules: tuple[str, ...] | None = None) -> None:
        super().__init__(node_bits=2)
        self.editions = dict(EDITIONS)
        self.replica: Store = MemoryStore("replica")
        self.catalog.replicating.add(NewReplica(NAME, "memory://replica", rules))
        for _ in range(versions):
            self.take_next()

    def take_next(self) -> int:
        """The version after the last one, with the edition of its number."""
        number = max(self.catalog.known_numbers(), default=0) + 1
        assert self.take(EDITIONS[number]).number == number
        return number

    def copy(
        self,
        *,
        primary: Store | None = None,
        replica: Store | None = None,
        catalog: Catalog | None = None,
        repository: Repository | None = None,
        cache: Path | None = None,
    ) -> ReplicationReport:
        return replicate(
            repository or self.open(primary),
            catalog or self.catalog,
            NAME,
            replica or self.replica,
            cache=cache,
        )

    def drop(self, *numbers: int) -> None:
        """The primary forgets these versions, and collects what only they needed."""
        heard = catch_up(self.open(), self.catalog)
        forget(self.open(), self.catalog, dict.fromkeys(numbers, "a rule"), heard)
        self.collect()

    def collect(self) -> GarbageReport:
        return collect_garbage(self.open(), self.catalog, max_share=1.0)

    def held(self) -> list[int]:
        """Versions that count as copied."""
        held = self.catalog.replicating.held(NAME)
        return sorted(number for number, since in held.items() if since is None)

    def objects(self, prefix: str = "") -> list[str]:
        return [info.key for info in self.replica.objects(prefix)]

    def must_be_enough(self, *numbers: int) -> None:
        """The replica alone gives all that counts as copied, to the byte, and the given ones are among it."""
        held = self.held()
        assert set(numbers) <= set(held)
        alone = self.open(self.replica)
        report = check_repository(alone, level=CheckLevel.BYTES, expected=held, rewritten=True)
        assert report.is_clean, report.findings
        rebuilt = MemoryCatalog(self.clock)
        assert set(held) <= set(rebuild_catalog(self.open(self.replica), rebuilt).adopted)
        for number in held:
            assert records_of(alone, number) == expected(self.editions[number])
