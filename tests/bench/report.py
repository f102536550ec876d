"""What a run found: tables for the terminal, one JSON document for machines."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Figure, Summaries
from tests.bench.groups import Found, Group
from tests.bench.rounds import Results
from tests.bench.samples import Summary
from tests.bench.tools import Stage, Tool

HEADINGS = {
    Stage.FIRST: "first version",
    Stage.SECOND: "second version, after 0.1 % changes",
    Stage.RESTORE: "restore into an empty database",
    Stage.REPAIR: "1,000 damaged records of one table come back",
}


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is printed, written and drawn."""

    records: int
    counts: Mapping[str, int]
    machine: Mapping[str, object]
    versions: Mapping[str, str]
    left_out: Mapping[str, str]
    tools: Sequence[Tool]
    results: Results
    full: Summaries
    quarter: Summaries
    groups: Mapping[Group, Found]
    figures: Sequence[Figure]

    def label(self, name: str, stage: Stage) -> str:
        return next(tool.stages[stage] for tool in self.tools if tool.name == name)

    def by_stage(self, stage: Stage) -> list[tuple[str, Summary]]:
        """(tool's name, summary), in the order of the tools."""
        return [
            (tool.name, self.full[tool.name, stage]) for tool in self.tools if (tool.name, stage) in self.full
        ]


def show(report: Report, console: Console) -> None:
    """The tables."""
    rows = ", ".join(f"{table} {count:,}" for table, count in report.counts.items())
    console.print(f"\n{report.records:,} products ({rows})")
    console.print("; ".join(f"{name}: {value}" for name, value in report.machine.items()))
    console.print("; ".join(report.versions.values()))
    for stage in (Stage.FIRST, Stage.SECOND, Stage.RESTORE, Stage.REPAIR):
        rows_of_stage = report.by_stage(stage)
        if rows_of_stage:
            console.print(_stage_table(report, stage, rows_of_stage))
    for (name, stage), summary in report.quarter.items():
        console.print(
            f"{report.label(name, stage)}, {stage} version of {report.records // 4:,} products:"
            f" {summary.seconds:.1f} s, {summary.peak_bytes / 1e6:.0f} MB of memory"
        )
    for found in report.groups.values():
        for table in found.tables():
            console.print(table)
    noise = report.results.noise
    console.print(
        "Noise of the machine: the same bare COPY took "
        + ", ".join(f"{seconds:.2f}" for seconds in noise)
        + f" s, from the beginning to the end of the run: {max(noise) / min(noise) - 1:.0%} between extremes."
    )
    console.print("CPU is that of the tool's own processes; the database server's is beside it.")
    for name, equal in report.results.restored_equal.items():
        verdict = "equal" if equal else "NOT EQUAL"
        console.print(f"Restored by {report.label(name, Stage.RESTORE)}: rows {verdict} to the original.")
    if report.results.repairs:
        verdict = "equal" if report.results.repaired_equal else "NOT EQUAL"
        console.print(f"Repaired by ours in the running database: rows {verdict} to those before the damage.")
    for name, reason in report.left_out.items():
        console.print(f"Left out: {name}: {reason}.")
    for failure in report.results.failures:
        console.print(f"Failed: {failure}")
    console.print(_figure_table(report.figures))


def document(report: Report) -> dict[str, object]:
    """The same and every single sample, as JSON types."""
    return {
        "records": report.records,
        "rows": dict(report.counts),
        "machine": dict(report.machine),
        "versions": dict(report.versions),
        "left_out": dict(report.left_out),
        "failures": report.results.failures,
        "noise_seconds": report.results.noise,
        "restored_equal": report.results.restored_equal,
        "repairs": [asdict(repair) for repair in report.results.repairs],
        "repaired_equal": report.results.repaired_equal,
        "figures": [asdict(figure) for figure in report.figures],
        "groups": {group.value: found.document() for group, found in report.groups.items()},
        "medians": [
            {"tool": tool, "stage": str(stage), **asdict(summary)}
            for (tool, stage), summary in report.full.items()
        ],
        "quarter": [
            {"tool": tool, "stage": str(stage), **asdict(summary)}
            for (tool, stage), summary in report.quarter.items()
        ],
        "samples": [
            {"tool": tool, "stage": str(stage), **asdict(sample)}
            for (tool, stage), samples in report.results.samples.items()
            for sample in samples
        ],
    }


def _stage_table(report: Report, stage: Stage, rows: Sequence[tuple[str, Summary]]) -> Table:
    table = Table(title=HEADINGS[stage], title_justify="left", title_style="bold")
    table.add_column("")
    for name in ("seconds", "range", "CPU s", "server CPU s", "memory MB", "stored MB", "files"):
        table.add_column(name, justify="right")
    for name, summary in rows:
        server = summary.server_cpu_seconds
        table.add_row(
            report.label(name, stage),
            f"{summary.seconds:.2f}",
            f"{summary.fastest:.2f}-{summary.slowest:.2f} ({summary.runs})",
            f"{summary.cpu_seconds:.2f}",
            "" if server is None else f"{server:.2f}",
            f"{summary.peak_bytes / 1e6:.0f}",
            f"{summary.stored_bytes / 1e6:.2f}" if summary.objects else "",
            str(summary.objects) if summary.objects else "",
        )
    return table


def _figure_table(figures: Sequence[Figure]) -> Table:
    table = Table(title="Figures to reach", title_justify="left", title_style="bold")
    for name in ("figure", "limit", "reached", ""):
        table.add_column(name)
    words = {True: "[green]yes[/]", False: "[red]no[/]", None: "not measured"}
    for figure in figures:
        table.add_row(figure.name, figure.limit, figure.reached, words[figure.met])
    return table
