"""A thousand damaged records come back from a version just behind, in each way of finding them.

By comparing every row, by the age of rows, and by change capture: each `cas plan` and each `cas restore` says
how it compared, and a figure is only measured where it did so in the way that it is named after.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from rich.table import Table

from tests.bench import measure
from tests.bench.captured import CapturedRepository
from tests.bench.figures import Figure, part
from tests.bench.measure import Pipeline, StepFailed
from tests.bench.ours import Cas
from tests.bench.panels import OURS, PEER, Panel
from tests.bench.repairs import DAMAGED_RECORDS, REPAIRED, damage
from tests.bench.samples import Sample, Summary, rotated, summarise
from tests.bench.sampling import sampled
from tests.bench.setting import Setting
from tests.bench.tools import Place, Stage, Tool

QUERY = f"SELECT * FROM {REPAIRED} ORDER BY id"


class Way(StrEnum):
    """How what differs is found: as plans say it."""

    SCAN = "scan"
    XMIN = "xmin"
    CAPTURE = "capture"


NAMES: Mapping[Way, str] = {
    Way.SCAN: "comparing every row",
    Way.XMIN: "by the age of rows",
    Way.CAPTURE: "by change capture",
}

LIMITS: Mapping[Way, float] = {Way.XMIN: 1 / 5, Way.CAPTURE: 1 / 20}
"""Of the seconds of pg_restore --clean."""


@dataclass(frozen=True, slots=True)
class Back:
    """`plans`: of `cas plan` alone; `restores`: of `cas restore`, which plans and executes. `rows`: that the
    plan read of the table. `peer` is None where there is no pg_restore."""

    plans: Mapping[Way, Summary]
    restores: Mapping[Way, Summary]
    rows: Mapping[Way, int]
    peer: Summary | None
    is_equal: bool
    """Whether the table was each time what it was before the damage."""

    def figures(self) -> list[Figure]:
        return figures(self)

    def tables(self) -> list[Table]:
        table = Table(
            title=f"{DAMAGED_RECORDS:,} damaged records come back from a version just behind",
            title_justify="left",
            title_style="bold",
            caption="The table was what it was before the damage, each time."
            if self.is_equal
            else "The table was NOT what it was before the damage.",
            caption_justify="left",
        )
        table.add_column("")
        for name in ("plan s", "plan and restore s", "range", "rows compared"):
            table.add_column(name, justify="right")
        if self.peer is not None:
            range_ = f"{self.peer.fastest:.2f}-{self.peer.slowest:.2f} ({self.peer.runs})"
            table.add_row("pg_restore --clean", "", f"{self.peer.seconds:.2f}", range_, "")
        for way, restore in self.restores.items():
            table.add_row(
                f"cas, {NAMES[way]}",
                f"{self.plans[way].seconds:.2f}",
                f"{restore.seconds:.2f}",
                f"{restore.fastest:.2f}-{restore.slowest:.2f} ({restore.runs})",
                f"{self.rows[way]:,}",
            )
        return [table]

    def panels(self) -> list[Panel]:
        rows = [("pg_restore --clean", self.peer, PEER)] if self.peer else []
        rows += [(f"cas, {NAMES[way]}", summary, OURS) for way, summary in self.restores.items()]
        title = f"{DAMAGED_RECORDS:,} damaged records planned and restored: seconds"
        return [Panel(title, [(name, s.seconds, f"{s.seconds:.3g} s", colour) for name, s, colour in rows])]

    def document(self) -> Mapping[str, object]:
        return asdict(self)


def figures(found: Back | None) -> list[Figure]:
    """Of what was measured, or not."""
    told = []
    for way, most in LIMITS.items():
        name = f"1,000 records back {NAMES[way]}, seconds: cas / pg_restore --clean"
        limit = f"at most 1/{1 / most:.0f}"
        if found is None or found.peer is None:
            told.append(Figure(name, limit, "", None))
            continue
        ratio = found.restores[way].seconds / found.peer.seconds
        told.append(Figure(name, limit, part(ratio), ratio <= most))
    return told


def measure_ways_back(setting: Setting) -> Back:
    """Rounds in which the peer and each way mend new damage. A copy of the platform is captured; the other
    two ways are measured on one that is not."""
    peer = setting.tools.get("dump")
    taken: list[Sample] = []
    with (
        setting.copy("bench_plain") as plain,
        setting.copy("bench_noted") as noted,
        setting.place(plain) as of_plain,
        setting.place(noted) as of_noted,
        setting.place(plain) as of_peer,
    ):
        if peer is not None:
            measure.run(peer.pipeline(Stage.FIRST, of_peer), errors=of_peer.scratch / "errors")
        found = _Rounds(setting, of_plain, of_noted)
        for number in range(setting.rounds):
            for way in rotated((*Way, None), number):
                if way is not None:
                    found.mend(way, number)
                elif peer is not None:
                    taken.append(_mended_by(peer, setting, of_peer))
        return found.result(taken)


def _mended_by(peer: Tool, setting: Setting, place: Place) -> Sample:
    """Its table as it was, once more: dropped and made anew."""
    setting.server.fresh(setting.server.database_of(place.target))
    before = peer.before(Stage.REPAIR, place)
    assert before is not None, "the table that is mended is there"
    measure.run(before, errors=place.scratch / "errors")
    return sampled(setting.server, peer.pipeline(Stage.REPAIR, place), place)


class _Rounds:
    """Damages and mends two copies of the platform."""

    def __init__(self, setting: Setting, plain: Place, noted: Place) -> None:
        self._setting = setting
        self._places = {Way.SCAN: plain, Way.XMIN: plain, Way.CAPTURE: noted}
        self._ours = Cas()
        self._plans: dict[Way, list[Sample]] = {way: [] for way in Way}
        self._restores: dict[Way, list[Sample]] = {way: [] for way in Way}
        self._rows: dict[Way, int] = {}
        self._is_equal = True
        CapturedRepository(setting, noted)
        self._run(plain, "init", plain.repository.as_uri())

    def _run(self, place: Place, *words: str) -> None:
        measure.run(self._ours.command(place, *words), errors=place.scratch / "errors")

    def mend(self, way: Way, number: int) -> None:
        """A version, damage, a plan, a restore; StepFailed where the plan did not compare in this way."""
        place, server = self._places[way], self._setting.server
        self._run(place, "snapshot", "--reason", f"before the damage of round {number}")
        name = server.database_of(place.source)
        original = server.digest(name, (QUERY,))
        damaged = damage(place.source, seed=5000 + number)
        scan = ("--scan",) if way is Way.SCAN else ()
        plan = sampled(server, self._command(place, "plan", *scan), place)
        self._require(way, place.scratch / "plan.json", damaged)
        restore = sampled(server, self._command(place, "restore", *scan, "--yes"), place)
        self._plans[way].append(plan)
        self._restores[way].append(restore)
        self._is_equal &= server.digest(name, (QUERY,)) == original
        self._setting.tell(
            f"round {number + 1}, {NAMES[way]}: plan {plan.seconds:.2f} s, plan and restore"
            f" {restore.seconds:.2f} s, {self._rows[way]:,} rows compared"
        )

    def _command(self, place: Place, what: str, *words: str) -> Pipeline:
        asked = (what, "latest", "--table", REPAIRED, "--json", *words)
        return self._ours.command(place, *asked, to=f"{what}.json")

    def _require(self, way: Way, plan: Path, damaged: int) -> None:
        entities: Sequence[Mapping[str, Any]] = json.loads(plan.read_text())["entities"]
        (table,) = entities
        if table["read_by"] != way or table["updates"] != damaged:
            raise StepFailed(
                f"{NAMES[way]}: the plan compared by {table['read_by']} ({table['read_reason']}) and found"
                f" {table['updates']:,} records"
            )
        self._rows[way] = table["rows_read"]

    def result(self, peer: Sequence[Sample]) -> Back:
        return Back(
            {way: summarise(samples) for way, samples in self._plans.items()},
            {way: summarise(samples) for way, samples in self._restores.items()},
            self._rows,
            summarise(peer) if peer else None,
            self._is_equal,
        )
