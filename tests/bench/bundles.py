"""A version leaves in a file and comes in again, next to the least that anybody must do for it: read all
packs of the version, prove every chunk, write one file."""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

from tests.bench import measure
from tests.bench.figures import MOST_MEMORY_BYTES, Figure
from tests.bench.measure import Pipeline
from tests.bench.ours import Cas
from tests.bench.panels import FLOOR, OURS, Panel
from tests.bench.samples import Sample
from tests.bench.sampling import sampled
from tests.bench.setting import Setting
from tests.bench.tools import Place

PROVE = Path(__file__).with_name("prove_packs.py")
MOST_OF_FLOOR = 1.2
MOST_OF_FLOOR_IN = 1.5


@dataclass(frozen=True, slots=True)
class Bundles:
    """`floor`: the least. `alike`: into a repository of the same id key that holds nothing; `other`: of
    another."""

    records: int
    bundle_bytes: int
    repository_bytes: int
    floor: Sample
    export: Sample
    alike: Sample
    other: Sample

    def figures(self) -> list[Figure]:
        return figures(self)

    def tables(self) -> list[Table]:
        size = f"{self.bundle_bytes / 1e6:.1f} MB, its repository {self.repository_bytes / 1e6:.1f} MB"
        table = Table(
            title=f"A bundle of {self.records:,} products: {size}", title_justify="left", title_style="bold"
        )
        table.add_column("")
        for name in ("seconds", "CPU s", "memory MB"):
            table.add_column(name, justify="right")
        for name, sample in self._rows():
            table.add_row(
                name, f"{sample.seconds:.2f}", f"{sample.cpu_seconds:.2f}", f"{sample.peak_bytes / 1e6:.0f}"
            )
        return [table]

    def panels(self) -> list[Panel]:
        rows = [
            (name, sample.seconds, f"{sample.seconds:.3g} s", FLOOR if sample is self.floor else OURS)
            for name, sample in self._rows()
        ]
        return [Panel(f"A bundle of {self.records:,} products: seconds", rows)]

    def document(self) -> Mapping[str, object]:
        return asdict(self)

    def _rows(self) -> Sequence[tuple[str, Sample]]:
        return [
            ("read all packs, prove every chunk, write one file", self.floor),
            ("cas export", self.export),
            ("cas import, same id key", self.alike),
            ("cas import, another repository", self.other),
        ]


def figures(found: Bundles | None) -> list[Figure]:
    """Of what was measured, or not."""
    names = (
        ("export, seconds: export / reading, proving and writing", f"at most {MOST_OF_FLOOR:g}"),
        ("import, seconds: import, same id key / the same", f"at most {MOST_OF_FLOOR_IN:g}"),
        ("export, peak memory", f"at most {MOST_MEMORY_BYTES / 1e6:.0f} MB"),
        ("import, peak memory", f"at most {MOST_MEMORY_BYTES / 1e6:.0f} MB"),
    )
    if found is None:
        return [Figure(name, limit, "", None) for name, limit in names]
    ratio, peak = found.export.seconds / found.floor.seconds, found.export.peak_bytes
    most = max(found.alike.peak_bytes, found.other.peak_bytes)
    ratio_in = found.alike.seconds / found.floor.seconds
    return [
        Figure(*names[0], f"{ratio:.2f}", ratio <= MOST_OF_FLOOR),
        Figure(*names[1], f"{ratio_in:.2f}", ratio_in <= MOST_OF_FLOOR_IN),
        Figure(*names[2], f"{peak / 1e6:.0f} MB", peak <= MOST_MEMORY_BYTES),
        Figure(*names[3], f"{most / 1e6:.0f} MB", most <= MOST_MEMORY_BYTES),
    ]


def measure_bundles(setting: Setting) -> Bundles:
    """One run of each: the first version of a platform."""
    ours, server = Cas(), setting.server
    with (
        setting.copy("bench_bundles") as url,
        setting.place(url) as place,
        setting.place(url) as alike,
        setting.place(url) as other,
    ):
        for at in (place, other):
            _run(ours.command(at, "init", at.repository.as_uri()), at)
        _run(ours.command(place, "snapshot", "--json"), place)
        file = place.scratch / "bundle.casb"
        words = [sys.executable, str(PROVE), str(place.repository), str(place.scratch / "floor")]
        floor = sampled(server, Pipeline([words], ours.environment(place)), place)
        export = sampled(
            server, ours.command(place, "export", "1", "--output", str(file), "--json", to="export"), place
        )
        shutil.copy(place.repository / "config", alike.repository)
        _run(ours.command(alike, "catalog", "rebuild"), alike)
        taken = [
            sampled(server, ours.command(at, "import", str(file), "--yes", "--json", to="import"), at)
            for at in (alike, other)
        ]
        for at in (alike, other):
            _require_all(at, place)
        sizes = file.stat().st_size, measure.stored(place.repository).bytes
    return Bundles(setting.records, *sizes, floor, export, *taken)


def _run(pipeline: Pipeline, place: Place) -> None:
    measure.run(pipeline, errors=place.scratch / "errors")


def _require_all(place: Place, origin: Place) -> None:
    """What was imported is what was exported, as both say."""
    exported = json.loads((origin.scratch / "export").read_text())["exported"]
    imported = json.loads((place.scratch / "import").read_text())["imported"]
    if exported["records"] != imported["records"]:
        raise measure.StepFailed(f"{imported['records']:,} of {exported['records']:,} records came in")
