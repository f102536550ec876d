"""What change capture costs the platform, as one of the groups; it is measured in `capture_cost`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from rich.table import Table

from tests.bench.capture_cost import BULK_LIMIT, SINGLE_LIMIT, CaptureCost, capture_cost, told
from tests.bench.figures import Figure
from tests.bench.panels import OURS, PEER, Panel
from tests.bench.setting import Setting


@dataclass(frozen=True, slots=True)
class PlatformCost:
    """The cost as it was measured."""

    cost: CaptureCost

    def figures(self) -> list[Figure]:
        return figures(self)

    def tables(self) -> list[Table]:
        table = Table(
            title="What change capture costs the platform",
            title_justify="left",
            title_style="bold",
            show_header=False,
        )
        for line in told(self.cost).splitlines():
            table.add_row(line)
        return [table]

    def panels(self) -> list[Panel]:
        cost = self.cost
        bars = (
            ("bulk update", cost.bulk_ratio),
            ("single-row update", cost.single_ratio),
        )
        return [
            Panel(
                "What capture costs the platform: time, captured / not",
                [("not captured", 1.0, "1", PEER), *((n, r, f"{r:.3f}", OURS) for n, r in bars)],
            )
        ]

    def document(self) -> Mapping[str, object]:
        return {
            **asdict(self.cost),
            "bulk_ratio": self.cost.bulk_ratio,
            "single_ratio": self.cost.single_ratio,
        }


def figures(found: PlatformCost | None) -> list[Figure]:
    """Of what was measured, or not."""
    limits = (
        ("capture, bulk update of 100,000 rows: captured / not", BULK_LIMIT),
        ("capture, median of single-row updates: captured / not", SINGLE_LIMIT),
    )
    if found is None:
        return [Figure(name, f"at most {most:.2f}", "", None) for name, most in limits]
    ratios = (found.cost.bulk_ratio, found.cost.single_ratio)
    return [
        Figure(name, f"at most {most:.2f}", f"{ratio:.3f}", ratio <= most)
        for (name, most), ratio in zip(limits, ratios, strict=True)
    ]


def measure_platform_cost(setting: Setting) -> PlatformCost:
    """On the same server, which does nothing else meanwhile."""
    directory = setting.directory / "capture-cost"
    directory.mkdir()
    return PlatformCost(capture_cost(setting.server, directory))
