"""What keeps a repository small and a catalog replaceable: garbage collection, and a rebuild."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from rich.table import Table

from tests.bench import measure
from tests.bench.changing import change
from tests.bench.figures import MOST_MEMORY_BYTES, Figure
from tests.bench.looking import many_versions
from tests.bench.ours import Cas
from tests.bench.panels import FLOOR, OURS, Panel
from tests.bench.samples import Sample
from tests.bench.sampling import sampled
from tests.bench.setting import SEED, Setting
from tests.bench.tools import Place

REBUILT_VERSIONS = 100
MOST_REBUILD_SECONDS = 60.0
MOST_OF_FIRST = 1.0


@dataclass(frozen=True, slots=True)
class Upkeep:
    """`collect`: after all products had changed and the version from before was removed, with the bytes that
    it gave back. `rebuild`: a new catalog of `versions` versions, from the store alone; seconds of a machine
    with an empty cache too."""

    records: int
    first: Sample
    collect: Sample
    freed_bytes: int
    versions: int
    rebuild: Sample
    rebuild_without_cache_seconds: float

    def figures(self) -> list[Figure]:
        return figures(self)

    def tables(self) -> list[Table]:
        table = Table(title=f"Upkeep of {self.records:,} products", title_justify="left", title_style="bold")
        table.add_column("")
        for name in ("seconds", "CPU s", "memory MB"):
            table.add_column(name, justify="right")
        for name, sample in self._rows():
            table.add_row(
                name, f"{sample.seconds:.2f}", f"{sample.cpu_seconds:.2f}", f"{sample.peak_bytes / 1e6:.0f}"
            )
        return [table]

    def panels(self) -> list[Panel]:
        colours = {"cas snapshot, the first": FLOOR}
        rows = [(n, s.seconds, f"{s.seconds:.3g} s", colours.get(n, OURS)) for n, s in self._rows()]
        return [Panel(f"Upkeep of {self.records:,} products: seconds", rows)]

    def document(self) -> Mapping[str, object]:
        return asdict(self)

    def _rows(self) -> Sequence[tuple[str, Sample]]:
        return [
            ("cas snapshot, the first", self.first),
            (f"cas gc, {self.freed_bytes / 1e6:.0f} MB given back", self.collect),
            (f"cas catalog rebuild, {self.versions} versions", self.rebuild),
        ]


def figures(found: Upkeep | None) -> list[Figure]:
    """Of what was measured, or not."""
    names = (
        ("gc of as many dead as live records, seconds: gc / first version", f"at most {MOST_OF_FIRST:g}"),
        ("gc, peak memory", f"at most {MOST_MEMORY_BYTES / 1e6:.0f} MB"),
        (f"catalog rebuild of {REBUILT_VERSIONS} versions", f"at most {MOST_REBUILD_SECONDS:g} s"),
    )
    if found is None:
        return [Figure(name, limit, "", None) for name, limit in names]
    ratio, slowest = found.collect.seconds / found.first.seconds, found.rebuild_without_cache_seconds
    peak = found.collect.peak_bytes
    return [
        Figure(*names[0], f"{ratio:.2f}", ratio <= MOST_OF_FIRST),
        Figure(*names[1], f"{peak / 1e6:.0f} MB", peak <= MOST_MEMORY_BYTES),
        Figure(*names[2], f"{slowest:.1f} s", slowest <= MOST_REBUILD_SECONDS),
    ]


def measure_upkeep(setting: Setting) -> Upkeep:
    """One run of each: what they do cannot be done twice."""
    ours = Cas()
    with setting.copy("bench_upkeep") as url, setting.place(url) as place:

        def done(*words: str) -> None:
            measure.run(ours.command(place, *words), errors=place.scratch / "errors")

        done("init", place.repository.as_uri())
        first = sampled(setting.server, ours.command(place, "snapshot", "--json"), place)
        change(url, setting.records, seed=77)
        done("snapshot", "--json")
        done("delete", "1", "--yes")
        before = measure.stored(place.repository).bytes
        collect = sampled(setting.server, ours.command(place, "gc", "--max-share", "1", "--json"), place)
        freed = before - measure.stored(place.repository).bytes
        many_versions(place.repository, place.catalog, place.scratch / "home", REBUILT_VERSIONS, SEED)
        rebuild = _rebuilt(setting, place, ours, "bench_rebuilt")
        began = time.perf_counter()
        measure.run(
            ours.command(_elsewhere(setting, place), "catalog", "rebuild", "--json"),
            errors=place.scratch / "errors",
        )
        slow = time.perf_counter() - began
    return Upkeep(setting.records, first, collect, freed, REBUILT_VERSIONS, rebuild, slow)


def _rebuilt(setting: Setting, place: Place, ours: Cas, name: str) -> Sample:
    """Into an empty catalog, with the cache that the machine has."""
    other = replace(place, catalog=setting.server.fresh(name))
    sample = sampled(setting.server, ours.command(other, "catalog", "rebuild", "--json", to="rebuilt"), other)
    found = json.loads((place.scratch / "rebuilt").read_text())
    assert len(found["adopted"]) >= REBUILT_VERSIONS - 1, "all versions that are there are taken in"
    setting.server.drop(name)
    return sample


def _elsewhere(setting: Setting, place: Place) -> Place:
    """Another machine: an empty catalog, and no cache."""
    scratch = place.scratch / "elsewhere"
    scratch.mkdir()
    return replace(place, catalog=setting.server.fresh("bench_elsewhere"), scratch=scratch)
