"""What a version by change capture costs as changes become more, and as records do.

With the number of records fixed it grows with the changes; with the number of changes fixed it should stay,
whatever the number of records.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from rich.table import Table

from tests.bench.captured import CapturedRepository
from tests.bench.changing import change
from tests.bench.figures import Figure
from tests.bench.panels import OURS, Panel
from tests.bench.samples import Summary, summarise
from tests.bench.setting import Setting

CHANGES = (100, 300, 1000, 3000, 10_000)
FIXED_CHANGES = 1000
PARTS = (8, 4, 2, 1)
"""Into which the products of the platform are divided for smaller ones; changes become more on the second."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Summaries by the number of changes, of `records`; and by the number of records, of `changes`."""

    records: int
    changes: int
    by_changes: Mapping[int, Summary]
    by_records: Mapping[int, Summary]

    def figures(self) -> list[Figure]:
        """None is promised: these are curves."""
        return []

    def tables(self) -> list[Table]:
        told = (
            (f"A version by change capture of {self.records:,} products", "changes", self.by_changes),
            (f"A version by change capture of {self.changes:,} changes", "products", self.by_records),
        )
        return [_table(title, name, found) for title, name, found in told if found]

    def panels(self) -> list[Panel]:
        told = (
            (f"A version of {self.records:,} products, by changes", "changes", self.by_changes),
            (f"A version of {self.changes:,} changes, by products", "products", self.by_records),
        )
        return [panel for title, name, found in told for panel in _panels(title, name, found)]

    def document(self) -> Mapping[str, object]:
        return asdict(self)


def _table(title: str, name: str, found: Mapping[int, Summary]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for head in (name, "seconds", "range", "CPU s", "server CPU s", "memory MB", "stored", "files"):
        table.add_column(head, justify="right")
    for size, one in found.items():
        table.add_row(
            f"{size:,}",
            f"{one.seconds:.3f}",
            f"{one.fastest:.2f}-{one.slowest:.2f} ({one.runs})",
            f"{one.cpu_seconds:.2f}",
            "" if one.server_cpu_seconds is None else f"{one.server_cpu_seconds:.2f}",
            f"{one.peak_bytes / 1e6:.0f}",
            f"{one.stored_bytes:,}",
            str(one.objects),
        )
    return table


def _panels(title: str, name: str, found: Mapping[int, Summary]) -> list[Panel]:
    return [
        Panel(
            f"{title}: seconds",
            [(f"{n:,} {name}", one.seconds, f"{one.seconds:.2f} s", OURS) for n, one in found.items()],
        ),
        Panel(
            f"{title}: stored, KB",
            [
                (f"{n:,} {name}", one.stored_bytes / 1e3, f"{one.stored_bytes / 1e3:.4g} KB", OURS)
                for n, one in found.items()
            ],
        ),
    ]


def measure_sizes(
    setting: Setting, changes: Sequence[int] | None = None, records: Sequence[int] | None = None
) -> Sizes:
    """`changes`, `records`: the sizes; None: usual ones. Largest platforms last."""
    most = setting.records
    fixed = max(most // PARTS[1], 1)
    counts = [count for count in changes or CHANGES if count <= fixed]
    platforms = records or sorted({max(most // part, 1) for part in PARTS})
    by_changes = _measured(setting, fixed, counts)
    by_records: dict[int, Summary] = {}
    for size in platforms:
        (by_records[size],) = _measured(setting, size, [min(FIXED_CHANGES, size)]).values()
    return Sizes(fixed, FIXED_CHANGES, by_changes, by_records)


def _measured(setting: Setting, records: int, changes: Sequence[int]) -> dict[int, Summary]:
    """By the number of changes, on a platform of so many products."""
    found: dict[int, Summary] = {}
    with setting.copy("bench_sized", records) as url, setting.place(url) as place:
        repository = CapturedRepository(setting, place)
        for count in changes:
            samples = []
            for number in range(setting.rounds):
                change(url, count, seed=6000 + number)
                samples.append(repository.version(f"{count} changes"))
            found[count] = summarise(samples)
            setting.tell(
                f"{count:,} changes in {records:,} products: {found[count].seconds:.2f} s,"
                f" {found[count].stored_bytes:,} bytes"
            )
    return found
