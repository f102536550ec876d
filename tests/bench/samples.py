"""Repeated measurements of one step, and the numbers that stand for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one step. `server_cpu_seconds` is None where the system does not tell.

    `stored_bytes` is what the run added to the tool's repository, `objects` the files it wrote there.
    """

    seconds: float
    cpu_seconds: float
    server_cpu_seconds: float | None
    peak_bytes: int
    stored_bytes: int
    objects: int


@dataclass(frozen=True, slots=True)
class Summary:
    """Medians over the runs of a step, each quantity for itself, and the range of the seconds."""

    runs: int
    seconds: float
    fastest: float
    slowest: float
    cpu_seconds: float
    server_cpu_seconds: float | None
    peak_bytes: int
    stored_bytes: int
    objects: int

    @property
    def spread(self) -> float:
        """(slowest - fastest) / median: 0.1 means that runs differ by a tenth."""
        return (self.slowest - self.fastest) / self.seconds if self.seconds else 0.0


def summarise(samples: Sequence[Sample]) -> Summary:
    """Raises ValueError where there is none."""
    if not samples:
        raise ValueError("nothing was measured")
    server = [sample.server_cpu_seconds for sample in samples if sample.server_cpu_seconds is not None]
    return Summary(
        runs=len(samples),
        seconds=median(sample.seconds for sample in samples),
        fastest=min(sample.seconds for sample in samples),
        slowest=max(sample.seconds for sample in samples),
        cpu_seconds=median(sample.cpu_seconds for sample in samples),
        server_cpu_seconds=median(server) if len(server) == len(samples) else None,
        peak_bytes=round(median(sample.peak_bytes for sample in samples)),
        stored_bytes=round(median(sample.stored_bytes for sample in samples)),
        objects=round(median(sample.objects for sample in samples)),
    )


def rotated(things: Sequence[T], by: int) -> list[T]:
    """The same things, starting elsewhere: so that no tool always follows the same other one."""
    if not things:
        return []
    by %= len(things)
    return [*things[by:], *things[:by]]
