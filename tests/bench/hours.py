"""A month of hours: a version by change capture after each, what all take, and whether they get slower.

Most versions are taken in this process, which leaves out what every command spends on starting; those whose
time counts are taken by the command line, spread evenly over the run.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from rich.table import Table

from cas.postgres.demo_platform import vacuum
from tests.bench import measure
from tests.bench.captured import CHANGED_SHARE, CapturedRepository, running
from tests.bench.changing import change
from tests.bench.figures import Figure
from tests.bench.panels import OURS, PEER, Panel
from tests.bench.peers import CompressedDump
from tests.bench.samples import Sample
from tests.bench.sampling import sampled
from tests.bench.setting import Setting
from tests.bench.tools import Place, Stage

HOURS = 720
SAMPLES = 24
"""Versions that are taken by the command line, of which the time counts."""

MOST_COPIES = 2.0
VACUUM_EVERY = 24
"""Hours after which the platform is vacuumed, as it would be by itself."""


@dataclass(frozen=True, slots=True)
class Hour:
    """A version by the command line: after how many hours."""

    hour: int
    sample: Sample


@dataclass(frozen=True, slots=True)
class Month:
    """`first_bytes`: stored by the first version, `stored_bytes` by all, everything counted. `copy_bytes`:
    what pg_dump | zstd -3 makes of the platform at the beginning. `seconds`: of all of it, changes included.
    `running`: seconds of each version that was taken in this process, in their order."""

    hours: int
    changed: int
    first_bytes: int
    stored_bytes: int
    objects: int
    copy_bytes: int
    seconds: float
    samples: Sequence[Hour]
    running: Sequence[float] = ()

    @property
    def quarters(self) -> tuple[float, float]:
        """Median seconds of a version by the command line, in the first and in the last quarter."""
        return _quarters([one.sample.seconds for one in self.samples])

    @property
    def bytes_per_change(self) -> float:
        return (self.stored_bytes - self.first_bytes) / (self.hours * self.changed)

    def figures(self) -> list[Figure]:
        return figures(self, self.hours)

    def tables(self) -> list[Table]:
        early, late = self.quarters
        table = Table(
            title=f"{self.hours} versions, {self.changed:,} changes before each",
            title_justify="left",
            title_style="bold",
            show_header=False,
        )
        table.add_row("first version, MB", f"{self.first_bytes / 1e6:.1f}")
        table.add_row("all versions, MB", f"{self.stored_bytes / 1e6:.1f}")
        table.add_row("pg_dump | zstd -3, MB", f"{self.copy_bytes / 1e6:.1f}")
        table.add_row("all / the first", f"{self.stored_bytes / self.first_bytes:.2f}")
        table.add_row("stored bytes per change", f"{self.bytes_per_change:.0f}")
        table.add_row("files", f"{self.objects:,}")
        table.add_row(
            "a version by the command line, seconds",
            f"{early:.2f} in the first quarter, {late:.2f} in the last",
        )
        if self.running:
            early, late = _quarters(self.running)
            table.add_row(
                "a version in a process that runs already",
                f"{early:.2f} in the first quarter, {late:.2f} in the last; at most {max(self.running):.2f}",
            )
        table.add_row(
            "all of it, most versions in one process",
            f"{self.seconds / 60:.1f} minutes, {self.seconds / self.hours:.2f} s an hour",
        )
        return [table]

    def panels(self) -> list[Panel]:
        sizes = [
            ("pg_dump | zstd -3", self.copy_bytes, PEER),
            ("cas, first version", self.first_bytes, OURS),
            (f"cas, {self.hours} versions more", self.stored_bytes, OURS),
        ]
        return [
            Panel(
                f"{self.hours} versions with {self.changed:,} changes each: stored, MB",
                [(name, size / 1e6, f"{size / 1e6:.4g} MB", colour) for name, size, colour in sizes],
            ),
            Panel(
                "Seconds of a version among them, by the command line",
                [
                    (f"after {one.hour} hours", one.sample.seconds, f"{one.sample.seconds:.2f} s", OURS)
                    for one in self.samples
                ],
            ),
        ]

    def document(self) -> Mapping[str, object]:
        return {**asdict(self), "quarters": self.quarters, "bytes_per_change": self.bytes_per_change}


def _quarters(seconds: Sequence[float]) -> tuple[float, float]:
    length = max(len(seconds) // 4, 1)
    return median(seconds[:length]), median(seconds[-length:])


def figures(found: Month | None, hours: int) -> list[Figure]:
    """Of what was measured, or not."""
    name = f"{hours} versions of changes, stored: cas / pg_dump | zstd -3"
    limit = f"at most {MOST_COPIES:g}"
    if found is None:
        return [Figure(name, limit, "", None)]
    copies = found.stored_bytes / found.copy_bytes
    return [Figure(name, limit, f"{copies:.2f}", copies <= MOST_COPIES)]


def measure_hours(setting: Setting, hours: int) -> Month:
    """All of it, with a repository and a copy of the platform of its own."""
    changed = round(setting.records * CHANGED_SHARE)
    with setting.copy("bench_hours") as url, setting.place(url) as place:
        copy_bytes = _compressed_copy(setting, place)
        repository = CapturedRepository(setting, place)
        first = measure.stored(place.repository).bytes
        step = max(hours // SAMPLES, 1)
        samples: list[Hour] = []
        taken: list[float] = []
        began = time.perf_counter()
        for begin in range(0, hours, step):
            last = min(begin + step, hours)
            taken += _in_this_process(place, range(begin, last - 1), changed)
            change(url, changed, seed=4000 + last)
            sample = repository.version(f"hour {last}", must_be_captured=False)
            samples.append(Hour(last, sample))
            setting.tell(
                f"hour {last}: {sample.seconds:.2f} s, {time.perf_counter() - began:.0f} s since the first;"
                f" stored {measure.stored(place.repository).bytes / 1e6:.1f} MB"
            )
        seconds = time.perf_counter() - began
        stored = measure.stored(place.repository)
    return Month(hours, changed, first, stored.bytes, len(stored.files), copy_bytes, seconds, samples, taken)


def _compressed_copy(setting: Setting, place: Place) -> int:
    """Bytes of a compressed dump of the platform as it is now."""
    with setting.place(place.source) as other:
        return sampled(
            setting.server, CompressedDump(setting.server.programs).pipeline(Stage.FIRST, other), other
        ).stored_bytes


def _in_this_process(place: Place, hours: range, changed: int) -> list[float]:
    """Changes and a version after each; seconds of each version."""
    taken = []
    with running(place) as version:
        for hour in hours:
            change(place.source, changed, seed=4000 + hour)
            if hour % VACUUM_EVERY == 0:
                vacuum(place.source)
            taken.append(version("every hour"))
    return taken
