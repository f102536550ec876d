"""The schedule: rounds in which every tool does every stage, each round starting with another tool."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree

from cas.demo.platform import mutate
from cas.postgres.demo_platform import vacuum
from tests.bench import measure
from tests.bench.repairs import Repair, damage, repair_of
from tests.bench.samples import Sample, rotated
from tests.bench.sampling import sampled
from tests.bench.server import BenchServer
from tests.bench.tools import Place, Stage, Tool

CHANGED_SHARE = 0.001
"""Of the products, at random, between the first version and the second."""


@dataclass(slots=True)
class Results:
    """All samples of a run. `noise` are the seconds of the bare COPY: start, middle, end of rounds."""

    samples: dict[tuple[str, Stage], list[Sample]] = field(default_factory=lambda: defaultdict(list))
    noise: list[float] = field(default_factory=list)
    restored_equal: dict[str, bool] = field(default_factory=dict)
    repairs: list[Repair] = field(default_factory=list)
    repaired_equal: bool = True
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is measured against which database. `queries` read every table in the order of its key."""

    server: BenchServer
    database: str
    queries: Sequence[str]
    directory: Path
    floor: Tool
    tools: Sequence[Tool]
    tell: Callable[[str], None]

    def run(self, rounds: int, stages: Sequence[Stage] = tuple(Stage)) -> Results:
        """All rounds. A step that fails is named in `failures` and not tried again; nor is anything
        of a tool that has no first version."""
        results = Results()
        out: set[tuple[str, Stage]] = set()
        for number in range(rounds):
            places = {tool.name: self.place(tool, number) for tool in self.tools}
            self.server.fresh("bench_catalog")
            self.probe(results, number)
            for stage in Stage:
                if stage not in stages:
                    continue
                if stage is Stage.SECOND:
                    self.probe(results, number)
                    self._change(number)
                for tool in rotated(self.tools, number):
                    if stage in tool.stages and (tool.name, stage) not in out:
                        try:
                            self._step(tool, stage, places[tool.name], results, number)
                        except measure.StepFailed as failure:
                            out |= {
                                (tool.name, each) for each in (Stage if stage is Stage.FIRST else [stage])
                            }
                            results.failures.append(f"{tool.stages[stage]}, {stage}: {failure}")
                            self.tell(results.failures[-1])
            for tool in self.tools:
                rmtree(places[tool.name].scratch.parent)
        self.probe(results, rounds)
        return results

    def place(self, tool: Tool, number: int) -> Place:
        """A new one for this tool."""
        directory = self.directory / f"{number}-{tool.name}"
        place = Place(
            repository=directory / "repository",
            scratch=directory / "scratch",
            source=self.server.url(self.database),
            catalog=self.server.url("bench_catalog"),
            target=self.server.url("bench_target"),
        )
        place.repository.mkdir(parents=True)
        place.scratch.mkdir()
        return place

    def _step(self, tool: Tool, stage: Stage, place: Place, results: Results, number: int) -> None:
        if stage in (Stage.RESTORE, Stage.REPAIR):
            self.server.fresh("bench_target")
        preparation = tool.before(stage, place)
        if preparation is not None:
            measure.run(preparation, errors=place.scratch / "errors")
        original = ""
        if stage is Stage.REPAIR and tool.name == "cas":
            original = self.server.digest(self.database, self.queries)
            self.tell(f"{damage(self.server.url(self.database), seed=2000 + number):,} products damaged")
        sample = sampled(self.server, tool.pipeline(stage, place), place)
        results.samples[tool.name, stage].append(sample)
        self.tell(
            f"round {number + 1}, {stage}: {tool.stages[stage]}: {sample.seconds:.1f} s,"
            f" {sample.stored_bytes / 1e6:.1f} MB, {sample.peak_bytes / 1e6:.0f} MB of memory"
        )
        if original:
            results.repairs.append(repair_of(place.scratch / f"{stage}.json"))
            results.repaired_equal &= self.server.digest(self.database, self.queries) == original
        if stage is Stage.RESTORE:
            if tool.name not in results.restored_equal:
                restored = self.server.digest("bench_target", self.queries)
                original = self.server.digest(self.database, self.queries)
                results.restored_equal[tool.name] = restored == original
            self.server.drop("bench_target")

    def probe(self, results: Results, number: int) -> None:
        """The bare COPY once more: what the machine itself varies by."""
        place = self.place(self.floor, number)
        sample = sampled(self.server, self.floor.pipeline(Stage.FIRST, place), place)
        rmtree(place.scratch.parent)
        results.noise.append(sample.seconds)
        results.samples[self.floor.name, Stage.FIRST].append(sample)
        self.tell(f"bare COPY: {sample.seconds:.2f} s")

    def _change(self, number: int) -> None:
        changed = mutate(self.server.url(self.database), fraction=CHANGED_SHARE, seed=1000 + number)
        vacuum(self.server.url(self.database))
        self.tell(f"{changed:,} products changed")
