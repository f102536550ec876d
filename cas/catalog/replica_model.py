"""Replicas as frozen values: other stores that hold the versions of a repository, too."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RunOutcome(StrEnum):
    """How a replication ended."""

    COMPLETE = "complete"
    """Everything that the replica wants is there."""
    PARTIAL = "partial"
    """Something is damaged or in the way; the rest was done."""
    FAILED = "failed"
    """It was broken off."""


@dataclass(frozen=True, slots=True)
class NewReplica:
    """A replica as it is added. `url`: as the store itself writes it. `rules`: of retention, as people write
    them; None: what the primary keeps. `lock_days`: objects cannot be deleted for so long at least; 0: no
    Object Lock. `mirror`: new versions are copied to it in the run that takes them. `enabled`: one that is
    not is left alone by all who do not name it."""

    name: str
    url: str
    rules: tuple[str, ...] | None = None
    lock_days: int = 0
    added_by: str = ""
    mirror: bool = False
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run leaves in the catalog. `text`: in words, what is wrong. `objects` and `stored_bytes`: of the
    whole replica afterwards. `settled`: tells what was looked at when nothing was left to be deleted, so that
    the same need not be looked at again; empty where that is not known."""

    outcome: RunOutcome
    text: str = ""
    copied_versions: int = 0
    copied_bytes: int = 0
    objects: int = 0
    stored_bytes: int = 0
    settled: bytes = b""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a version is. `primary`: it is complete or incomplete there. `replicas`: that hold it.
    `destinations`: where it is meant to be beside the primary. `lacks`: those of them that do not hold it;
    one that let it go by its own rules lacks nothing, and nothing is lacking of what is no version of the
    primary (any more). All by name."""

    primary: bool
    replicas: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()

    @property
    def is_partial(self) -> bool:
        return bool(self.lacks)


@dataclass(frozen=True, slots=True)
class Verified:
    """The last verification: when, how deep, and whether nothing was wrong."""

    at: datetime
    level: str
    is_clean: bool


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica as the catalog knows it. Times are UTC by the catalog's clock.

    `started_at`, `ended_at`: of the last run; one that is at work or that died has not ended. `is_running`: a
    run is at work, and its lease is good. `succeeded_at`: when the last complete run began. `locked_at`:
    all that lives is locked for twice `lock_days` from then on, at least. `result`: of the last one that
    ended."""

    new: NewReplica
    added_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    is_running: bool = False
    succeeded_at: datetime | None = None
    locked_at: datetime | None = None
    result: RunResult | None = None
    verified: Verified | None = None

    @property
    def name(self) -> str:
        return self.new.name
