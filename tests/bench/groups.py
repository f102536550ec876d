"""The groups of figures that a run is made of, each of which can be measured alone."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from rich.table import Table

from cas.errors import CasError
from tests.bench import bundles, captured, hours, platform_cost, sealed, upkeep, ways_back
from tests.bench.bundles import measure_bundles
from tests.bench.captured import measure_captured
from tests.bench.figures import Figure
from tests.bench.hours import measure_hours
from tests.bench.measure import StepFailed
from tests.bench.panels import Panel
from tests.bench.platform_cost import measure_platform_cost
from tests.bench.sealed import measure_sealed
from tests.bench.setting import Setting
from tests.bench.sizes import measure_sizes
from tests.bench.upkeep import measure_upkeep
from tests.bench.ways_back import measure_ways_back


class Group(StrEnum):
    """In the order in which they are measured."""

    ROUNDS = "rounds"
    """First and second versions, restores and repairs, next to all peers."""
    MEMORY = "memory"
    """The first version of a quarter of the records."""
    LOOKING = "looking"
    """Questions about one record over many versions."""
    CAPTURE = "capture"
    """A version by change capture."""
    BACK = "back"
    """A thousand records come back, in each way of finding them."""
    SIZES = "sizes"
    """A version by change capture, against the number of changes and of records."""
    HOURS = "hours"
    """A month of versions."""
    UPKEEP = "upkeep"
    """Garbage collection, and a catalog from the store alone."""
    SEALED = "sealed"
    """What sealing costs."""
    BUNDLES = "bundles"
    """A version out into a file, and in again."""
    COST = "cost"
    """What change capture costs the platform."""


class Found(Protocol):
    """What a group has found."""

    def figures(self) -> Sequence[Figure]: ...

    def tables(self) -> Sequence[Table]: ...

    def panels(self) -> Sequence[Panel]: ...

    def document(self) -> Mapping[str, object]: ...


@dataclass(frozen=True, slots=True)
class _Work:
    """How a group is measured, and the figures that are missed where it cannot be."""

    measure: Callable[[Setting], Found]
    unmeasured: Sequence[Figure] = ()


def works(options: argparse.Namespace) -> Mapping[Group, _Work]:
    """All groups beside the rounds and what belongs to them."""
    found = {
        Group.CAPTURE: _Work(measure_captured, captured.figures(None)),
        Group.BACK: _Work(measure_ways_back, ways_back.figures(None)),
        Group.SIZES: _Work(lambda setting: measure_sizes(setting, options.changes, options.sizes)),
    }
    if options.hours:
        found[Group.HOURS] = _Work(
            lambda setting: measure_hours(setting, options.hours), hours.figures(None, options.hours)
        )
    found[Group.UPKEEP] = _Work(measure_upkeep, upkeep.figures(None))
    found[Group.SEALED] = _Work(measure_sealed, sealed.figures(None))
    found[Group.BUNDLES] = _Work(measure_bundles, bundles.figures(None))
    found[Group.COST] = _Work(measure_platform_cost, platform_cost.figures(None))
    return found


@dataclass(slots=True)
class Groups:
    """What was measured of them."""

    found: dict[Group, Found]
    figures: list[Figure]
    failures: list[str]


def measure_groups(
    setting: Setting, wanted: Mapping[Group, _Work], before_each: Callable[[], None]
) -> Groups:
    """One after the other; one that fails is named, and the others are measured."""
    result = Groups({}, [], [])
    for group, work in wanted.items():
        before_each()
        setting.tell(f"Group {group} ...")
        try:
            found = work.measure(setting)
        except (StepFailed, CasError) as failure:
            result.failures.append(f"group {group}: {failure}")
            result.figures += work.unmeasured
            setting.tell(result.failures[-1])
            continue
        result.found[group] = found
        result.figures += found.figures()
    return result
