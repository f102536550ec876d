"""What the doctor finds: one line a look, and the statements of a least-privilege role."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Health(StrEnum):
    """`warn` works, and may not be what is wanted; `fail` does not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Observation:
    """One line: where it was looked, what was found, and what to do about it."""

    group: str
    name: str
    health: Health
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything that was found. `grants` are empty where no platform answered."""

    observations: tuple[Observation, ...]
    grants: tuple[str, ...]

    @property
    def is_healthy(self) -> bool:
        return all(observation.health is not Health.FAIL for observation in self.observations)


CLOCK_TOLERANCE = timedelta(seconds=10)
"""Versions carry the catalog's time; a person who compares clocks should not be misled by more."""


def clock(group: str, ahead: timedelta, whose: str) -> Observation:
    """How far another clock is from this machine's."""
    seconds = ahead.total_seconds()
    direction = "ahead of" if seconds > 0 else "behind"
    found = f"{whose} is {abs(seconds):,.1f} s {direction} this machine"
    if abs(ahead) <= CLOCK_TOLERANCE:
        return Observation(group, "clock", Health.OK, found)
    return Observation(group, "clock", Health.WARN, found, "Let both be set by NTP: timedatectl set-ntp true")
