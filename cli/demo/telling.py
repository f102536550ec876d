"""How the demo's story looks on a terminal."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cas.demo.platform import DEFAULT_RECORDS
from cas.diff import ChangeKind
from cli.demo.story import Cost, DemoReport, Telling
from cli.showing_changes import counts_table, told_record
from cli.tables import indented
from cli.terminal import Terminal
from cli.watching_faces import watching
from cli.words import duration, number, plain, saved, size

BAR = 32
"""Characters of the longest bar."""

SHOWN_COLUMNS = 3
"""Columns of a record that came or went."""


class Steps:
    """Shows each step while it runs, and a line about it when it is done."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    @contextmanager
    def __call__(self, title: str) -> Iterator[Telling]:
        began = monotonic()
        with watching(self._terminal, title) as counters:
            telling = Telling(counters)
            yield telling
        seconds = monotonic() - began
        if self._terminal.as_json:
            self._terminal.event("step", title=title, result=telling.result, seconds=round(seconds, 3))
            return
        line = Table.grid(expand=True, padding=(0, 1))
        line.add_column(width=1, style="green")
        line.add_column(ratio=1)
        line.add_column(justify="right", style="dim", no_wrap=True)
        words = Text(title)
        if telling.result:
            words.append(f" · {telling.result}", style="cyan")
        line.add_row("✓", words, duration(seconds))
        self._terminal.beside(line)


def headline(place: Path) -> Text:
    return Text.assemble(("cas demo", "bold"), (f"  in {plain(str(place))}\n", "dim"))


def told(report: DemoReport, width: int) -> Iterator[RenderableType]:
    """The findings: costs, differences, proof."""
    yield Text("\nWhat it costs to keep", style="bold")
    most = max(max(cost.first_bytes, cost.second_bytes) for cost in report.costs)
    for is_first, title in ((True, "  the first time"), (False, "  once more, after the busy day")):
        yield Text(title, style="dim")
        yield Padding(_costs(report.costs, most, is_first=is_first), (0, 0, 0, 4), expand=False)
    yield Text()
    for words in _verdict(report):
        yield indented(words)
    yield Text("\nWhat changed in the shop", style="bold")
    yield indented(counts_table(report.differences))
    yield Text()
    for change in report.examples:
        yield told_record(change, width, columns=SHOWN_COLUMNS)
    yield Text("\nThe proof", style="bold")
    yield indented(_proof(report))


def _costs(costs: Sequence[Cost], most: int, *, is_first: bool) -> Table:
    """One line a way of keeping the database; ours is the last."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(min_width=22)
    grid.add_column(justify="right", no_wrap=True, min_width=9)
    grid.add_column(justify="right", no_wrap=True, style="dim", min_width=6)
    grid.add_column(no_wrap=True)
    for cost in costs:
        count = cost.first_bytes if is_first else cost.second_bytes
        seconds = cost.first_seconds if is_first else cost.second_seconds
        is_ours = cost is costs[-1]
        grid.add_row(
            Text(cost.name, style="bold green" if is_ours else ""),
            f"{'' if is_first else '+'}{size(count)}",
            "" if seconds is None else duration(seconds),
            _bar(count, most, "green" if is_ours else "dim"),
        )
    return grid


def _bar(count: int, most: int, style: str) -> Text:
    """A bar of eighths of a character; never empty where there is something."""
    eighths = max(round(8 * BAR * count / most), 1) if count else 0
    whole, rest = divmod(eighths, 8)
    return Text("█" * whole + (" ▏▎▍▌▋▊▉"[rest] if rest else ""), style=style)


def _verdict(report: DemoReport) -> Iterator[Text]:
    ours, dumped = report.costs[-1], report.costs[-2]
    yield Text.assemble(
        (f"{saved(report.json_bytes, ours.first_bytes)} smaller", "bold green"),
        f" than the same records as uncompressed JSON (zstd level {report.level}).",
    )
    yield Text.assemble(
        (f"{_times(dumped, ours)} less", "bold green"), " for what changed than one more dump takes."
    )


def _times(dumped: Cost, ours: Cost) -> str:
    return f"{dumped.second_bytes / max(ours.second_bytes, 1):,.0f} times"


def _proof(report: DemoReport) -> Table:
    _, second, third = report.versions
    rows = f"{number(sum(report.proof.rows.values()))} rows in {report.tables} tables"
    equal = Text("equal", style="bold green")
    grid = Table.grid(padding=(0, 2))
    grid.add_row("the shop", f"version {second.number}", Text(report.proof.checksum.hex()[:32], "cyan"))
    restored = Text(report.proof.restored_checksum.hex()[:32], "cyan")
    grid.add_row("its restored twin", f"version {third.number}", restored, equal)
    grid.add_row("both, by count(*)", "", rows, equal)
    return grid


def goodbye(place: Path, report: DemoReport, *, is_kept: bool) -> Iterator[RenderableType]:
    """What to do next: lines that can be copied."""
    yield Text.assemble(
        ("\nDone", "bold green"), f" in {duration(report.seconds)}, and everything is stopped again. Next:"
    )
    if is_kept:
        yield Text(
            f"  export CAS_HOME={shlex.quote(str(place))}", style="cyan", overflow="ignore", no_wrap=True
        )
    lines = list(_around_a_kept_one(report) if is_kept else _after_a_removed_one(report))
    width = max(len(line) for line, _ in lines)
    for line, meaning in lines:
        yield Text.assemble((f"  {line:<{width}}", "cyan"), (f"  # {meaning}", "dim"))


def _around_a_kept_one(report: DemoReport) -> Iterator[tuple[str, str]]:
    lost = next((change for change in report.examples if change.kind is ChangeKind.REMOVED), None)
    yield "cas versions", "all versions"
    yield "cas diff 1 2", "records and fields"
    if lost is not None:
        key = lost.key[0]
        yield f"cas get 1 products {key}", "deleted by accident"
        yield f"cas restore 1 --key products:{key} --with-children", "and back, alone"
    yield "cas snapshot", "another version"
    yield "cas demo --accident", "delete a category; the README goes on from there"


def _after_a_removed_one(report: DemoReport) -> Iterator[tuple[str, str]]:
    again = "" if report.products == DEFAULT_RECORDS else f" --records {report.products}"
    yield f"cas demo{again} --keep", "keep it, to look around"
    yield "cas init /var/backups/shop", "a repository of your own"
    yield "cas doctor", "is everything ready?"
    yield "cas snapshot --source postgresql://...", "your first version"
