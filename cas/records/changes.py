"""The port through which auto-save notices what happens on a platform."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class MovedRows:
    """What one transaction did to one table. `truncated`: all its rows went, however many there were."""

    schema: str
    name: str
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    truncated: bool = False

    @property
    def label(self) -> str:
        """As `Entity.label`."""
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True, slots=True)
class PlatformTransaction:
    """A committed transaction, or several that a feed cannot tell apart. `moved`: each table once."""

    moved: tuple[MovedRows, ...]


class ChangeFeed(Protocol):
    """What happened on a platform since somebody looked last. One caller."""

    @property
    def sees(self) -> str:
        """'capture' or 'statistics'."""

    def blind_spots(self) -> Sequence[str]:
        """What this feed cannot see, each a sentence for people; empty where it sees all."""

    def poll(self) -> Sequence[PlatformTransaction]:
        """What was committed since the last call, each once, oldest first. The first call only remembers
        where it is, and gives nothing. ConnectionFailed where the platform does not answer; nothing is lost
        then, the next call gives it."""

    def schema_state(self) -> str:
        """A text that differs after every change of the schema: a table, a column, a constraint, a type."""

    def records(self, schema: str, name: str) -> int:
        """About how many rows a table has, by the statistics; 0 where nothing is known."""
