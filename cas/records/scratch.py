"""The port through which a version is looked at in a throwaway database, and what it relies on.

Nobody's platform is touched. The database is made empty, belongs to a role that may do nothing
elsewhere on its server, and is dropped at the end, whatever happens.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from cas.errors import CasError
from cas.records.model import Entity
from cas.records.source import SchemaItem, Source, SourceIdentity
from cas.records.target import Target

_NOT_BUILT_IN = re.compile("unsupported XML feature|built with|in this build")


def is_lack(error: CasError) -> bool:
    """Whether the server said that it was built without something: XML, ICU."""
    return _NOT_BUILT_IN.search(error.what) is not None


@dataclass(frozen=True, slots=True)
class Lack:
    """Something of a schema that the throwaway server could not build, and the reason in its words."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reads:
    """What a statement reads, views and functions looked into.

    certain: (schema, name) of tables that the server itself says it reads.
    guessed: tables whose names stand in the bodies of functions that it calls; nobody can know more of
    a body that is text.
    functions: those functions, by name. views: materialized ones, which must be filled first, in order.
    foreign: foreign tables, which no version holds. sequences: whether values of sequences are read.
    """

    certain: frozenset[tuple[str, str]]
    guessed: frozenset[tuple[str, str]] = frozenset()
    functions: tuple[str, ...] = ()
    views: tuple[tuple[str, str], ...] = ()
    foreign: tuple[str, ...] = ()
    sequences: bool = False


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """`seconds` of one statement, and of each batch of its rows; 0 is any time. `rows`: at most so many
    are read, 0 is all."""

    seconds: float = 60.0
    rows: int = 0


class Form(StrEnum):
    """What the text of a column's values is, for who wants more than text."""

    TEXT = "text"
    NUMBER = "number"
    """A JSON number, or NaN or an infinity."""
    BOOLEAN = "boolean"
    """`t` or `f`."""
    JSON = "json"


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """One column of a result."""

    name: str
    form: Form


Row = tuple[str | None, ...]
"""PostgreSQL's text of each value, None for NULL."""


class Rows(Protocol):
    """The rows of one statement, which the server hands out as they are asked for."""

    @property
    def columns(self) -> Sequence[ResultColumn]: ...

    @property
    def is_cut(self) -> bool:
        """Whether there were more rows than the limit; known when `batches` has ended."""

    def batches(self) -> Iterator[list[Row]]: ...


class Scratch(Protocol):
    """One throwaway database, empty at first. `target` and `source` are for whole restores; `build`,
    `fill` and what follows them for a look at some tables. Both at once are not meant."""

    @property
    def url(self) -> str:
        """Without password."""

    @property
    def server(self) -> SourceIdentity: ...

    @property
    def notes(self) -> Sequence[str]:
        """What is not as it was on the platform, in words: the order of texts, for example."""

    @property
    def hint(self) -> str:
        """What to do where this server lacks something."""

    def target(self, *, full_rights: bool = False) -> Target:
        """To be closed by who asks for it. It leaves out, and notes, what only a server's administrator
        may make; with `full_rights` it works as that administrator, and so does the schema's own code."""

    def source(self, *, full_rights: bool = False) -> Source: ...

    def build(self, items: Sequence[SchemaItem], entities: Sequence[Entity]) -> Sequence[Lack]:
        """Tables, views, types and functions, without indexes, triggers, policies and foreign keys. What
        fails is passed over and returned; a table that fails is made from its columns alone."""

    def check(self, sql: str) -> None:
        """Whether this is one statement that reads and that this schema understands; runs nothing.
        InvalidInput or PermissionDenied with the server's words and the place."""

    def reads(self, sql: str) -> Reads:
        """Of a statement that `check` has passed."""

    def fill(self, entity: Entity, lines: Iterable[bytes]) -> int:
        """All records of a table: buffers of whole COPY lines. The rows that the server counted."""

    def fill_sequences(self, payloads: Iterable[bytes]) -> None: ...

    def fill_large_objects(self, payloads: Iterable[bytes]) -> None: ...

    def fill_views(self, views: Sequence[tuple[str, str]]) -> None:
        """Run the queries of materialized views, in this order."""

    def analyze(self) -> None: ...

    def rows(self, sql: str, limits: ReadLimits) -> AbstractContextManager[Rows]:
        """Run one statement that can do nothing but read."""

    def matches(self, entity: Entity, predicate: str, limits: ReadLimits) -> Iterator[bytes]:
        """Key bytes, ascending, of the table's records for which the predicate is true."""

    def check_predicate(self, entity: Entity, predicate: str) -> Reads:
        """What a predicate reads. InvalidInput where it is not one boolean expression."""


class ScratchServer(Protocol):
    """Makes throwaway databases."""

    def database(self, platform: SourceIdentity, what: str) -> AbstractContextManager[Scratch]:
        """An empty database that is as like the platform's as this server can have it. `what` says for
        what, to whoever finds it. What runs that were killed left behind is dropped first."""
