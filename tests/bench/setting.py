"""Where a group of figures is measured: a server, a directory, tools, and platforms that are built once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree

from cas.demo.platform import build
from tests.bench.server import BenchServer
from tests.bench.tools import Place, Tool

SEED = 1


@dataclass(slots=True)
class Setting:
    """`records`: products of the platform, `rounds`: repetitions of which medians are taken."""

    server: BenchServer
    directory: Path
    records: int
    rounds: int
    tools: dict[str, Tool]
    """Those that are here, by name."""
    tell: Callable[[str], None]
    counts: dict[str, int] = field(default_factory=dict)
    """Rows of each table of the platform, once it is built."""
    _built: dict[int, str] = field(default_factory=dict)
    _places: int = 0

    def platform(self, records: int | None = None) -> str:
        """The name of a database with so many products, built when first asked for. Groups that change what
        others count on take a copy."""
        wanted = records or self.records
        if wanted not in self._built:
            name = "bench" if wanted == self.records else f"bench_{wanted}"
            self.tell(f"Building {wanted:,} products ...")
            counts = build(self.server.fresh(name), records=wanted, seed=SEED).counts
            self._built[wanted] = name
            if wanted == self.records:
                self.counts = counts
        return self._built[wanted]

    @contextmanager
    def copy(self, name: str, records: int | None = None) -> Iterator[str]:
        """A copy of a platform under a name of its own, dropped afterwards; its URL."""
        url = self.server.copy(self.platform(records), name)
        try:
            yield url
        finally:
            self.server.drop(name)

    @contextmanager
    def place(self, source: str) -> Iterator[Place]:
        """A new one, whose catalog is empty; its directory and databases are gone afterwards."""
        self._places += 1
        directory = self.directory / f"place-{self._places}"
        names = [f"bench_{what}_{self._places}" for what in ("catalog", "target")]
        catalog, target = (self.server.fresh(name) for name in names)
        place = Place(directory / "repository", directory / "scratch", source, catalog, target)
        place.repository.mkdir(parents=True)
        place.scratch.mkdir()
        try:
            yield place
        finally:
            for name in names:
                self.server.drop(name)
            rmtree(directory)
