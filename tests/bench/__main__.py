"""`python -m tests.bench`: build the platform, measure ours and the peers, print, write, draw."""

import argparse
import json
import sys
import tempfile
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from shutil import rmtree

from rich.console import Console

from tests.bench import chart, machine, measure, report
from tests.bench.figures import Figure, Summaries, figures
from tests.bench.groups import Group, measure_groups, works
from tests.bench.hours import HOURS
from tests.bench.looking import Looking, look, many_versions
from tests.bench.ours import Cas
from tests.bench.peers import BareCopy, Borg, CompressedDump, CustomDump, Restic
from tests.bench.repairs import middle
from tests.bench.rounds import CHANGED_SHARE, Results, Schedule
from tests.bench.samples import summarise
from tests.bench.server import SETTINGS, BenchServer
from tests.bench.setting import SEED, Setting
from tests.bench.tools import Stage, Tool
from tests.demo.reading import KEYS

QUERIES = tuple(f"SELECT * FROM {table} ORDER BY {key}" for table, key in KEYS.items())
ROUNDS = (Group.ROUNDS, Group.MEMORY, Group.LOOKING)
"""What belongs to the rounds."""


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000, help="products; default 1,000,000")
    parser.add_argument("--runs", type=int, default=3, help="rounds, of which medians are taken; default 3")
    parser.add_argument(
        "--versions", type=int, default=1000, help="versions that are looked through; default 1,000"
    )
    parser.add_argument(
        "--hours", type=int, default=HOURS, help=f"versions of a month; default {HOURS}; 0 leaves them out"
    )
    parser.add_argument(
        "--changes", nargs="+", type=int, metavar="N", help="of the curve over the number of changes"
    )
    parser.add_argument(
        "--sizes", nargs="+", type=int, metavar="N", help="products, of the curve over the number of records"
    )
    parser.add_argument(
        "--only", nargs="+", type=Group, metavar="GROUP", help=f"groups of figures: {', '.join(Group)}"
    )
    parser.add_argument("--tools", nargs="+", metavar="TOOL", help="dump, zstd, restic, borg, cas")
    parser.add_argument("--peers-only", action="store_true", help="leave our own program out")
    parser.add_argument("--directory", type=Path, help="where databases and repositories lie meanwhile")
    parser.add_argument("--output", type=Path, default=Path("bench-results"), help="where results go")
    return parser.parse_args(words)


def main(options: argparse.Namespace, console: Console) -> report.Report:
    """One whole run. Everything it made is gone afterwards, but for the results."""
    with tempfile.TemporaryDirectory(prefix="cas-bench-", dir=options.directory) as name:
        directory = Path(name)
        server = BenchServer(directory / "server")
        try:
            found = measured(options, directory, server, console)
        finally:
            server.stop()
    report.show(found, console)
    options.output.mkdir(parents=True, exist_ok=True)
    stem = options.output / f"bench-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    stem.with_suffix(".json").write_text(json.dumps(report.document(found), indent=1) + "\n")
    stem.with_suffix(".svg").write_text(chart.svg(found))
    console.print(f"Written: {stem}.json and {stem}.svg")
    return found


def measured(
    options: argparse.Namespace, directory: Path, server: BenchServer, console: Console
) -> report.Report:
    floor = BareCopy(server.programs, QUERIES)
    tools, left_out = chosen(options, server.programs)
    server_notes = ", ".join(f"{name}={value}" for name, value in SETTINGS.items())
    load = machine.description()
    by_name = {tool.name: tool for tool in tools}
    wanted = wanted_groups(options, by_name)
    setting = Setting(server, directory, options.records, options.runs, by_name, console.print)
    schedule = Schedule(server, setting.platform(), QUERIES, directory, floor, tools, console.print)
    results = schedule.run(options.runs) if Group.ROUNDS in wanted else Results()
    quarter = _of_a_quarter(setting, schedule, results) if Group.MEMORY in wanted else {}
    looking = _looked(schedule, by_name["cas"], options, console) if Group.LOOKING in wanted else None
    full = medians(results)
    told: list[Figure] = []
    if not wanted.isdisjoint(ROUNDS):
        changed = round(options.records * CHANGED_SHARE)
        told = figures(full, quarter, middle(results.repairs), looking, changed)
    probe = partial(schedule.probe, results, options.runs)
    more = {group: work for group, work in works(options).items() if group in wanted}
    others = measure_groups(setting, more, probe)
    if more:
        probe()
    results.failures.extend(others.failures)
    return report.Report(
        records=options.records,
        counts=setting.counts,
        machine={**load, "load afterwards": machine.load(), "server": server_notes},
        versions={tool.name: tool.version() for tool in (floor, *tools)},
        left_out=left_out,
        tools=(floor, *tools),
        results=results,
        full=full,
        quarter=quarter,
        groups=others.found,
        figures=[*told, *others.figures],
    )


def wanted_groups(options: argparse.Namespace, tools: Collection[str]) -> set[Group]:
    """What is measured; without our own program only what the peers do."""
    wanted = set(options.only or Group)
    return wanted if "cas" in tools else wanted & {Group.ROUNDS}


def _of_a_quarter(setting: Setting, schedule: Schedule, results: Results) -> Summaries:
    """First versions of a platform of a quarter of the size, by ours. None of less than four products."""
    if setting.records < 4:
        return {}
    smaller = Schedule(
        setting.server,
        setting.platform(setting.records // 4),
        QUERIES,
        setting.directory,
        schedule.floor,
        [setting.tools["cas"]],
        setting.tell,
    )
    fewer = smaller.run(setting.rounds, [Stage.FIRST])
    results.failures.extend(fewer.failures)
    return medians(fewer, only="cas")


def _looked(schedule: Schedule, ours: Tool, options: argparse.Namespace, console: Console) -> Looking | None:
    """Make many versions of a repository, and ask. None where nobody wants so many."""
    if options.versions < 2:
        return None
    place = schedule.place(ours, options.runs)
    schedule.server.fresh("bench_catalog")
    for pipeline in (ours.before(Stage.FIRST, place), ours.pipeline(Stage.FIRST, place)):
        if pipeline is not None:
            measure.run(pipeline, errors=place.scratch / "errors")
    console.print(f"Making {options.versions:,} versions ...")
    key = many_versions(place.repository, place.catalog, place.scratch, options.versions, SEED)
    found = look(place.repository, place.catalog, place.scratch, key)
    rmtree(place.scratch.parent)
    return found


def chosen(options: argparse.Namespace, programs: Path) -> tuple[list[Tool], dict[str, str]]:
    """The tools to measure, and those left out with the reason."""
    every: list[Tool] = [
        CustomDump(programs),
        CompressedDump(programs),
        Restic(programs),
        Borg(programs),
        Cas(),
    ]
    if options.tools is not None:
        unknown = set(options.tools) - {tool.name for tool in every}
        if unknown:
            sys.exit(f"no such tool: {', '.join(sorted(unknown))}")
    tools, left_out = [], {}
    for tool in every:
        if options.peers_only and tool.name == "cas":
            left_out[tool.name] = "peers only, as asked"
        elif options.tools is not None and tool.name not in options.tools:
            left_out[tool.name] = "not asked for"
        elif reason := tool.missing():
            left_out[tool.name] = reason
        else:
            tools.append(tool)
    return tools, left_out


def medians(results: Results, *, only: str | None = None) -> Summaries:
    return {
        key: summarise(samples)
        for key, samples in results.samples.items()
        if samples and (only is None or key[0] == only)
    }


if __name__ == "__main__":
    terminal = Console() if sys.stdout.isatty() else Console(width=120)
    outcome = main(arguments(), terminal).results
    whole = all(outcome.restored_equal.values()) and outcome.repaired_equal
    sys.exit(0 if whole and not outcome.failures else 1)
