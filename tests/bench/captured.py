"""A version by change capture: a thousandth of the products changed, next to restic on the same dumps."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from cas.catalog.model import Trigger
from cas.catalog.postgres import PostgresCatalog
from cas.engine.repository import Repository
from cas.postgres.reading.source import PostgresSource
from cas.snapshot import SnapshotRequest, take_version
from cas.store.local import LocalStore
from tests.bench import measure
from tests.bench.changing import change
from tests.bench.figures import Figure, part
from tests.bench.measure import Pipeline, StepFailed
from tests.bench.ours import Cas
from tests.bench.panels import FLOOR, OURS, PEER, Panel
from tests.bench.repairs import REPAIRED
from tests.bench.samples import Sample, Summary, rotated, summarise
from tests.bench.sampling import sampled
from tests.bench.setting import Setting
from tests.bench.tools import Place, Stage

CHANGED_SHARE = 0.001
"""Of the products, at random, before each version."""

MOST_OF_RESTIC = 1 / 30
MOST_BYTES_PER_CHANGE = 512
MOST_OBJECTS = 3

SCAN_EVERY = 50
"""As by default: so often every row is read as well."""

SETTLING_VERSIONS = 4
"""After how many versions at the latest the log says what was written since the last one."""

IMPORTS = "import cli.start, cli.main, cli.commands.snapshot"


class CapturedRepository:
    """A repository of ours, of a platform that notes what is written."""

    def __init__(self, setting: Setting, place: Place) -> None:
        """Take the first version, install capture, and go on until a version is read by it."""
        self._setting = setting
        self.place = place
        self.ours = Cas()
        self._unmeasured("init", place.repository.as_uri())
        self.first = self.version("the first", must_be_captured=False)
        self._unmeasured("capture", "install", "--yes")
        for _ in range(SETTLING_VERSIONS):
            self.version("settling", must_be_captured=False)
            if not why_not_captured(self.receipt):
                return
        raise StepFailed(f"versions are not read by capture: {why_not_captured(self.receipt)}")

    def _unmeasured(self, *words: str) -> None:
        measure.run(self.ours.command(self.place, *words), errors=self.place.scratch / "errors")

    @property
    def receipt(self) -> Path:
        """What the last `cas snapshot` printed."""
        return self.place.scratch / "snapshot.json"

    def version(self, reason: str, *, must_be_captured: bool = True) -> Sample:
        """One more, by the command line. StepFailed where the products were not read by capture."""
        command = self.ours.command(self.place, "snapshot", "--reason", reason, "--json", to="snapshot.json")
        sample = sampled(self._setting.server, command, self.place)
        if must_be_captured and (why := why_not_captured(self.receipt)):
            raise StepFailed(f"a version was not read by capture: {why}")
        return sample


@contextmanager
def running(place: Place) -> Iterator[Callable[[str], float]]:
    """Takes versions in this process, as a service does that runs all the time; gives the seconds of each."""
    source = PostgresSource(place.source)
    with (
        closing(Repository(LocalStore(place.repository), place.scratch / "home" / "cache")) as repository,
        closing(PostgresCatalog(place.catalog)) as catalog,
    ):
        catalog.attach(repository.id, repository.store.url)

        def take(reason: str) -> float:
            request = SnapshotRequest(trigger=Trigger.AUTO, reason=reason, threads=2, scan_every=SCAN_EVERY)
            began = time.perf_counter()
            take_version(repository, catalog, source, request)
            return time.perf_counter() - began

        yield take


def why_not_captured(receipt: Path) -> str:
    """How the products were read, where it was not by capture; empty where it was."""
    entities: Sequence[Mapping[str, Any]] = json.loads(receipt.read_text())["version"]["entities"]
    (products,) = [one for one in entities if one["label"] == f"public.{REPAIRED}"]
    return "" if products["read_by"] == "capture" else f"by {products['read_by']}, {products['read_reason']}"


@dataclass(frozen=True, slots=True)
class Captured:
    """`start`: of Python and all imports of the command, which is part of `ours`; `idle`: a version of
    nothing. `running`: seconds of such versions in a process that runs already. `restic` is None where there
    is none."""

    changed: int
    ours: Summary
    idle: Summary
    start: Summary
    running: Sequence[float]
    restic: Summary | None

    def figures(self) -> list[Figure]:
        return figures(self)

    def tables(self) -> list[Table]:
        table = Table(
            title=f"A version by change capture, after {self.changed:,} changes",
            title_justify="left",
            title_style="bold",
        )
        table.add_column("")
        for name in ("seconds", "range", "CPU s", "server CPU s", "memory MB", "stored", "files"):
            table.add_column(name, justify="right")
        for name, summary in self._rows():
            table.add_row(
                name,
                f"{summary.seconds:.3f}",
                f"{summary.fastest:.2f}-{summary.slowest:.2f} ({summary.runs})",
                f"{summary.cpu_seconds:.2f}",
                "" if summary.server_cpu_seconds is None else f"{summary.server_cpu_seconds:.2f}",
                f"{summary.peak_bytes / 1e6:.0f}",
                f"{summary.stored_bytes:,}" if summary.objects else "",
                str(summary.objects) if summary.objects else "",
            )
        low, high = min(self.running), max(self.running)
        told = f"{low:.2f}-{high:.2f} ({len(self.running)})"
        table.add_row(
            "as `cas snapshot`, in a process that runs already", f"{median(self.running):.3f}", told
        )
        return [table]

    def panels(self) -> list[Panel]:
        colours = {"cas snapshot": OURS, "pg_dump | restic": PEER}
        rows = [(name, summary, colours.get(name, FLOOR)) for name, summary in self._rows()]
        title = f"A version by change capture, after {self.changed:,} changes"
        inside = median(self.running)
        times = [(n, s.seconds, f"{s.seconds:.3g} s", c) for n, s, c in rows]
        return [
            Panel(f"{title}: seconds", [*times, ("in a running process", inside, f"{inside:.3g} s", OURS)]),
            Panel(
                f"{title}: added, MB",
                [
                    (n, s.stored_bytes / 1e6, f"{s.stored_bytes / 1e6:.3g} MB", c)
                    for n, s, c in rows
                    if s.objects
                ],
            ),
        ]

    def document(self) -> Mapping[str, object]:
        return asdict(self)

    def _rows(self) -> list[tuple[str, Summary]]:
        rows = [("pg_dump | restic", self.restic)] if self.restic else []
        return [
            *rows,
            ("cas snapshot", self.ours),
            ("the same, of no changes", self.idle),
            ("start of Python and imports", self.start),
        ]


def figures(found: Captured | None) -> list[Figure]:
    """Of what was measured, or not."""
    time, size, objects = (
        ("version by capture, seconds: cas / restic", "at most 1/30"),
        ("version by capture, stored bytes per changed record", f"at most {MOST_BYTES_PER_CHANGE}"),
        ("version by capture, objects written", f"at most {MOST_OBJECTS}"),
    )
    if found is None:
        return [Figure(name, limit, "", None) for name, limit in (time, size, objects)]
    each = found.ours.stored_bytes / found.changed
    theirs = found.restic
    ratio = found.ours.seconds / theirs.seconds if theirs else None
    beside = f" (restic {theirs.stored_bytes / found.changed:,.0f})" if theirs else ""
    return [
        Figure(*time, "", None) if ratio is None else Figure(*time, part(ratio), ratio <= MOST_OF_RESTIC),
        Figure(*size, f"{each:.0f}{beside}", each <= MOST_BYTES_PER_CHANGE),
        Figure(*objects, str(found.ours.objects), found.ours.objects <= MOST_OBJECTS),
    ]


def measure_captured(setting: Setting) -> Captured:
    """Rounds of changes, each followed by a version of every tool, the first one another each time."""
    changed = round(setting.records * CHANGED_SHARE)
    with setting.copy("bench_captured") as url, setting.place(url) as place, setting.place(url) as other:
        repository = CapturedRepository(setting, place)
        restic = setting.tools.get("restic")
        if restic is not None:
            for step in (restic.before(Stage.FIRST, other), restic.pipeline(Stage.FIRST, other)):
                if step is not None:
                    measure.run(step, errors=other.scratch / "errors")
        samples: dict[str, list[Sample]] = {name: [] for name in ("ours", "restic", "idle", "start")}

        def take(name: str, number: int) -> Sample | None:
            if name == "ours":
                return repository.version(f"round {number}")
            if restic is None:
                return None
            return sampled(setting.server, restic.pipeline(Stage.SECOND, other), other)

        inside: list[float] = []
        start = Pipeline([[sys.executable, "-c", IMPORTS]], repository.ours.environment(place))
        for number in range(setting.rounds):
            change(url, changed, seed=3000 + number)
            for name in rotated(("ours", "restic"), number):
                sample = take(name, number)
                if sample is not None:
                    samples[name].append(sample)
                    setting.tell(
                        f"round {number + 1}, {changed:,} changes, {name}: {sample.seconds:.2f} s,"
                        f" {sample.stored_bytes:,} bytes"
                    )
            samples["idle"].append(repository.version("of no changes"))
            samples["start"].append(sampled(setting.server, start, place))
            change(url, changed, seed=3500 + number)
            setting.server.settle()
            with running(place) as version:
                inside.append(version("in a running process"))
    return Captured(
        changed,
        summarise(samples["ours"]),
        summarise(samples["idle"]),
        summarise(samples["start"]),
        inside,
        summarise(samples["restic"]) if samples["restic"] else None,
    )
