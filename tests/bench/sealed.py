"""What sealing costs: the first version, a second one, and a restore, sealed and in clear in turn."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median

from rich.table import Table

from tests.bench import measure
from tests.bench.changing import change
from tests.bench.figures import MOST_MEMORY_BYTES, Figure
from tests.bench.measure import Pipeline
from tests.bench.ours import Cas
from tests.bench.panels import FLOOR, OURS, Panel
from tests.bench.samples import Sample
from tests.bench.sampling import sampled
from tests.bench.setting import Setting
from tests.bench.tools import Place

MOST_OF_PLAIN = 1.15

STEPS = ("first version", "second version", "restore")


@dataclass(frozen=True, slots=True)
class Sealed:
    """Samples by step, one a round: in clear and sealed."""

    records: int
    plain: Mapping[str, Sequence[Sample]]
    sealed: Mapping[str, Sequence[Sample]]

    def ratio(self, step: str) -> float:
        """The median of the rounds' ratios: both ran next to each other."""
        pairs = zip(self.sealed[step], self.plain[step], strict=True)
        return median(one.seconds / other.seconds for one, other in pairs)

    @property
    def peak_bytes(self) -> int:
        return max(one.peak_bytes for step in STEPS for one in self.sealed[step])

    def figures(self) -> list[Figure]:
        return figures(self)

    def tables(self) -> list[Table]:
        title = f"Sealed and in clear, {self.records:,} products, medians"
        table = Table(title=title, title_justify="left", title_style="bold")
        table.add_column("")
        for name in ("in clear s", "sealed s", "ratio", "memory MB"):
            table.add_column(name, justify="right")
        for step in STEPS:
            peak = median(one.peak_bytes for one in self.sealed[step])
            table.add_row(
                step,
                f"{_seconds(self.plain[step]):.2f}",
                f"{_seconds(self.sealed[step]):.2f}",
                f"{self.ratio(step):.2f}",
                f"{peak / 1e6:.0f}",
            )
        return [table]

    def panels(self) -> list[Panel]:
        rows = [
            (f"{step}, {name}", _seconds(samples[step]), f"{_seconds(samples[step]):.3g} s", colour)
            for step in STEPS
            for name, samples, colour in (("in clear", self.plain, FLOOR), ("sealed", self.sealed, OURS))
        ]
        return [Panel(f"Sealing {self.records:,} products: seconds", rows)]

    def document(self) -> Mapping[str, object]:
        return asdict(self)


def figures(found: Sealed | None) -> list[Figure]:
    """Of what was measured, or not."""
    names = (
        ("sealed first version, seconds: sealed / in clear", f"at most {MOST_OF_PLAIN:g}"),
        ("sealed, peak memory", f"at most {MOST_MEMORY_BYTES / 1e6:.0f} MB"),
    )
    if found is None:
        return [Figure(name, limit, "", None) for name, limit in names]
    ratio, peak = found.ratio(STEPS[0]), found.peak_bytes
    return [
        Figure(*names[0], f"{ratio:.2f}", ratio <= MOST_OF_PLAIN),
        Figure(*names[1], f"{peak / 1e6:.0f} MB", peak <= MOST_MEMORY_BYTES),
    ]


def measure_sealed(setting: Setting) -> Sealed:
    """As many rounds as the others; each begins with the other one than the round before."""
    plain: dict[str, list[Sample]] = {step: [] for step in STEPS}
    sealed: dict[str, list[Sample]] = {step: [] for step in STEPS}
    for number in range(setting.rounds):
        for found, is_sealed in ((plain, False), (sealed, True))[:: -1 if number % 2 else 1]:
            for step, sample in _round(setting, is_sealed=is_sealed).items():
                found[step].append(sample)
    return Sealed(setting.records, plain, sealed)


def _round(setting: Setting, *, is_sealed: bool) -> dict[str, Sample]:
    ours = Cas()
    with setting.copy("bench_sealed") as url, setting.place(url) as place:

        def command(*words: str) -> Pipeline:
            return _with_key(ours.command(place, *words), place)

        flags = ("--encrypt",) if is_sealed else ()
        measure.run(command("init", place.repository.as_uri(), *flags), errors=place.scratch / "errors")
        assert (place.repository / "keys").is_dir() == is_sealed
        first = sampled(setting.server, command("snapshot", "--json"), place)
        change(url, max(1, setting.records // 1000), seed=78)
        second = sampled(setting.server, command("snapshot", "--json"), place)
        words = ("restore", "1", "--into", place.target, "--yes", "--json")
        restore = sampled(setting.server, command(*words), place)
    return dict(zip(STEPS, (first, second, restore), strict=True))


def _with_key(pipeline: Pipeline, place: Place) -> Pipeline:
    """Also in clear: so that both do the same, but for sealing."""
    return replace(
        pipeline, environment={**pipeline.environment, "CAS_KEY_FILE": str(place.scratch / "bench.key")}
    )


def _seconds(samples: Sequence[Sample]) -> float:
    return median(one.seconds for one in samples)
