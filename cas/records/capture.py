"""What change capture says of one entity: the values and the port of what was written since a version."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from cas.records.model import RecordBatch


class Captured(Protocol):
    """The keys of one entity that were written between two snapshots of a platform, and what is under them
    now.

    Both iterators read from one connection: one of them at a time.
    """

    @property
    def written(self) -> int:
        """At most so many keys: each counts as often as it was written."""

    @property
    def more(self) -> int:
        """Rows inserted minus rows deleted. Where a statement on an inheritance parent deleted rows of others
        too, these are among the deleted."""

    def batches(self) -> Iterator[RecordBatch]:
        """The live records under written keys, ascending by key. No other row is read."""

    def keys(self) -> Iterator[Sequence[bytes]]:
        """All written keys as key bytes, ascending and each once, in pieces. Those without a record in
        `batches` are gone. A key that an update left for another one is not among them."""


class CaptureState(StrEnum):
    """How it stands with the capture of one table."""

    CAPTURED = "captured"
    BROKEN = "broken"
    """It was installed, and something of it is missing or was altered: versions scan the table."""
    ABSENT = "absent"
    """Not installed, or it cannot be."""


@dataclass(frozen=True, slots=True)
class TableCapture:
    """One table. `reason`: why it is not captured, a clause for people; empty where it is. `oldest`: when the
    oldest change in its log was made, ISO 8601 in UTC; empty where there is none."""

    schema: str
    name: str
    state: CaptureState
    reason: str = ""
    log_rows: int = 0
    """Statements in its log."""
    log_bytes: int = 0
    oldest: str = ""

    @property
    def label(self) -> str:
        """As `Entity.label`."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class CaptureStatus:
    """All tables of a platform, ascending by (schema, name)."""

    tables: Sequence[TableCapture]
    readers: int = 0
    """Repositories, and those who follow changes, for whom the log is kept."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing of what was installed is broken, and something is installed."""
        states = {table.state for table in self.tables}
        return CaptureState.CAPTURED in states and CaptureState.BROKEN not in states


class Outcome(StrEnum):
    """What `install` or `remove` did to one table."""

    INSTALLED = "installed"
    RENEWED = "renewed"
    """It was broken, or of an older form, and was made anew."""
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    SKIPPED = "skipped"
    """It cannot be captured."""
    BUSY = "busy"
    """Somebody held the table for longer than we wait; try again."""


@dataclass(frozen=True, slots=True)
class TableOutcome:
    """One table. `reason`: for what was skipped or busy."""

    schema: str
    name: str
    outcome: Outcome
    reason: str = ""

    @property
    def label(self) -> str:
        """As `Entity.label`."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class CaptureReport:
    """What an installation or a removal did. `leftovers`: what could not be removed, by name."""

    tables: Sequence[TableOutcome]
    leftovers: Sequence[str] = field(default_factory=tuple)

    @property
    def is_complete(self) -> bool:
        """Whether nothing has to be tried again."""
        return not self.leftovers and all(one.outcome is not Outcome.BUSY for one in self.tables)
