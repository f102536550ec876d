"""What introspection finds, as values: tables with all that is needed to lock and read them."""

from dataclasses import dataclass, replace

from cas.records.model import Entity, KeyPart
from cas.records.source import Omission

CAPTURE_SCHEMA = "cas_capture"
"""Where our own change capture keeps its log; never part of a version."""


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """One column of a primary key, and how its text is had from the server.

    `sorts_as_text`: the column is text or varchar (or a domain over it), whose value is its output.
    """

    name: str
    part: KeyPart
    sorts_as_text: bool = False


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a table cannot be read, and the SQL or the advice that helps."""

    reason: str
    remedy: str
    is_privilege: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """One entity with rows.

    Two values are equal exactly when nothing has moved that a read relies on: names, columns, key,
    the partitions below it, the types' fingerprint and who wrote it, privileges.
    """

    oid: int
    entity: Entity
    key: tuple[KeyColumn, ...]
    members: tuple[int, ...]
    """The partitions below a partitioned table at all levels, ascending by oid; else empty."""
    condition: str = ""
    """`WHERE ...` of an extension's configuration table: only such rows are the user's."""
    types_written: str = ""
    """By which transactions the labels and attributes of its types were written: a text that is compared."""
    shows_names: bool = False
    """Whether a column's text is the name of something (regclass, aclitem, ...) that may be renamed."""
    holds_composites: bool = False
    """Whether a column's text depends on the attributes of a composite type. One that is dropped and added
    again empties it in all rows, of which none is written, and leaves the type's description as it was."""
    obstacle: Obstacle | None = None

    @property
    def why_always_whole(self) -> str:
        """Why what changed cannot be told by keys from the rows that were written; empty where it can."""
        return "no primary key" if self.entity.is_bag else self.changes_unwritten

    @property
    def changes_unwritten(self) -> str:
        """Why its records may change although no row of it is written; empty where they cannot."""
        if self.shows_names:
            return "it shows names of other things, which may be renamed"
        if self.holds_composites:
            return "it holds composite types, whose attributes may come and go"
        if self.condition:
            return "an extension decides which of its rows count"
        return ""

    @property
    def without_defaults(self) -> "Table":
        """As it is seen by who has not locked it. No row that is there depends on a default."""
        columns = tuple(replace(column, default=None) for column in self.entity.columns)
        return replace(self, entity=replace(self.entity, columns=columns))

    @property
    def relations(self) -> tuple[int, ...]:
        """The table itself and its partitions."""
        return (self.oid, *self.members)


@dataclass(frozen=True, slots=True)
class Sequence:
    """One sequence. `tables` own it or use it in a default."""

    oid: int
    schema: str
    name: str
    owner: int | None
    tables: tuple[int, ...]
    obstacle: Obstacle | None = None

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Tables:
    """All tables of a database that may become entities, and those that are left out on purpose."""

    tables: tuple[Table, ...]
    left_out: tuple[tuple[tuple[str, str], Omission], ...]
    """((schema, name), why), for what is no entity: foreign and temporary tables, for example."""
