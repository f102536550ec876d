"""The port to what cleaning up has done: when versions were last let go by the rules, and garbage collected.

Guarantees that an implementation gives:

1. Each method is one transaction, and times are by the catalog's clock.
2. The run of a kind that began last counts; the end of an earlier one changes nothing.
3. What the last run that ended has found counts until the next one ends: who dies leaves it as it was, and
   is known by having begun and not ended.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class CleanupKind(StrEnum):
    """What cleans up."""

    FORGET = "forget"
    """Versions that no rule wants go."""
    GC = "gc"
    """The room of what nothing needs is given back."""


class CleanupOutcome(StrEnum):
    """How a run ended."""

    COMPLETE = "complete"
    FAILED = "failed"
    """It was refused or broken off."""


@dataclass(frozen=True, slots=True)
class CleanupResult:
    """What a run leaves in the catalog. `text`: in words, what is wrong. `removed`: versions, or packs.
    `waiting`: those that go in a later run, since somebody at work may know them. `freed_bytes`: that were
    deleted, less those that were written again; negative where the old ones go later."""

    outcome: CleanupOutcome
    text: str = ""
    removed: int = 0
    waiting: int = 0
    freed_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Cleanup:
    """The last run of one kind. Times are UTC by the catalog's clock.

    `ended_at`: None where it is at work, or died. `succeeded_at`: when the last complete one ended.
    `result`: of the last one that ended."""

    kind: CleanupKind
    started_at: datetime
    ended_at: datetime | None = None
    succeeded_at: datetime | None = None
    result: CleanupResult | None = None


class Cleaning(Protocol):
    """Of one catalog. Methods may be called from several threads at once."""

    def begin(self, kind: CleanupKind) -> UUID:
        """A run begins, whoever else is at work."""

    def end(self, run: UUID, result: CleanupResult) -> None:
        """It has ended. No effect where a later one of its kind has begun, or it has ended already. The text
        is made such as can be kept."""

    def last(self) -> Mapping[CleanupKind, Cleanup]:
        """The last run of each kind that ever ran."""

    def rebuilt_at(self) -> datetime | None:
        """When versions or journals were taken in of which this catalog had never heard, UTC; None where that
        never was, or a person has confirmed since that versions and packs may go again."""

    def confirm(self, rebuilt_at: datetime) -> bool:
        """A person has looked at what came then. False where something came since, or it was confirmed."""
