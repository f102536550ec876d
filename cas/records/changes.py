"""The port through which auto-save notices what happens on a platform."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class MovedRows:
    """What one transaction did to one table. `truncated`: all its rows went, however many there were.
    `partitions`: so many partitions of it did, where the table as a whole did not."""

    schema: str
    name: str
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    truncated: bool = False
    partitions: int = 0

    @property
    def label(self) -> str:
        """As `Entity.label`."""
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True, slots=True)
class PlatformTransaction:
    """A committed transaction, or several that a feed cannot tell apart. `moved`: each table once.
    `number`: PostgreSQL's, 64 bits wide; None for several."""

    moved: tuple[MovedRows, ...]
    number: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Happened:
    """What was committed since the last look, oldest first. `missed`: why something of it may be missing, a
    clause for people; empty where all is there, as far as the feed sees at all."""

    transactions: Sequence[PlatformTransaction] = ()
    missed: str = ""


@dataclass(frozen=True, slots=True)
class PlatformName:
    """Which database it is: as versions know it."""

    system_identifier: str
    database: str


class ChangeFeed(Protocol):
    """What happened on a platform since somebody looked last. One caller.

    ConnectionFailed, in each method, where the platform does not answer; nothing is lost then, the next call
    gives it.
    """

    @property
    def sees(self) -> str:
        """By what, for people: 'change capture', 'the server's statistics', or both."""

    def name(self) -> PlatformName: ...

    def blind_spots(self) -> Sequence[str]:
        """What this feed cannot see, each a sentence for people; empty where it sees all."""

    def poll(self) -> Happened:
        """What was committed since the last call, each once. The first call tells of what was since the
        position that the feed was opened with; without one it only remembers where it is."""

    def position(self) -> str:
        """Where the last poll was; a feed that is opened with it goes on from there, also in another process,
        as long as nothing later was `settled`. Empty before the first poll."""

    def settled(self, position: str) -> None:
        """What was polled before this position, which is one of ours, needs not be told again: the platform
        keeps it no longer for us."""

    def schema_state(self) -> str:
        """A text that differs after every change of the schema: a table, a column, a constraint, a type."""

    def close(self) -> None: ...
