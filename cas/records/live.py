"""The ports through which a running platform is looked at for a plan, and changed by one transaction."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from cas.records.marks import Mark
from cas.records.model import Entity, RecordBatch
from cas.records.source import Selection, SourceIdentity, SourceSnapshot
from cas.records.target import Finding


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one key of a live table.

    `before`: the live record, None where there is none. `after`: what it becomes, None where it goes. A
    record that is created holds only the fields of the columns that are given for new ones. In a bag, whose
    keys are chunk ids, one of `before` and `after` is None: `count` equal records come or go, and `left` of
    them are there afterwards.
    """

    key: bytes
    before: bytes | None
    after: bytes | None
    count: int = 1
    left: int = 1


@dataclass(frozen=True, slots=True)
class Applied:
    """Rows that the server says it wrote."""

    inserted: int
    updated: int
    deleted: int


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """One foreign key between two tables, as (schema, name). Columns are in the constraint's order.

    `on_delete` is 'no action', 'restrict', 'cascade', 'set null' or 'set default'.
    """

    name: str
    child: tuple[str, str]
    columns: tuple[str, ...]
    parent: tuple[str, str]
    referenced: tuple[str, ...]
    on_delete: str
    is_deferrable: bool
    matches_full: bool
    of_part: bool = False
    """It is one partition's own, so it binds only some of the child's records, and they do not tell which."""

    @property
    def label(self) -> str:
        """`shop.items.items_product_fkey`, for people."""
        return f"{self.child[0]}.{self.child[1]}.{self.name}"


@dataclass(frozen=True, slots=True)
class SequenceValue:
    """A sequence's state: the quoted name, as `cas.records.sequences` has it. `descends`: it counts down;
    `limit`: the last value that it can reach. What is only to be set does not say these two."""

    name: bytes
    last_value: int
    is_called: bool
    descends: bool = False
    limit: int | None = None

    def past(self, used: Iterable[int]) -> tuple[int, bool]:
        """The state from which on it gives out none of these values, and none that it has passed already.
        What it cannot reach does not count."""
        sign = -1 if self.descends else 1
        reachable = [sign * one for one in used if self.limit is None or sign * one <= sign * self.limit]
        last = max(reachable, default=None)
        if last is None or last < sign * self.last_value:
            return (self.last_value, self.is_called)
        return (sign * last, True)


@dataclass(frozen=True, slots=True)
class OwnedSequence:
    """A sequence, and a column that draws its values from it. `table` is (schema, name); of a partition, its
    root's."""

    value: SequenceValue
    table: tuple[str, str]
    column: str


class LiveSnapshot(SourceSnapshot, Protocol):
    """One moment of the running platform, with what a plan wants to know beside the records."""

    def foreign_keys(self) -> Sequence[ForeignKey]:
        """All of the database that show in records, also of tables that are not read; ascending by child and
        name. Others (over generated columns, or periods) are left to `LiveTransaction.check`."""

    def absent(self, key: ForeignKey, values: Sequence[Sequence[bytes]]) -> Sequence[int]:
        """Positions of those values of the child's columns to which no parent belongs."""

    def cast(self, type_name: str, texts: Sequence[bytes]) -> Sequence[bytes]:
        """The texts that values of this type have, read from these. Conflict where one is no such value."""

    def referring(self, key: ForeignKey, values: Sequence[Sequence[bytes]]) -> int:
        """How many rows of the key's child refer to one of these values of its referenced columns."""

    def owned_sequences(self) -> Sequence[OwnedSequence]:
        """Sequences that the tables of this snapshot own or draw from, with all that do so; ascending by
        name."""

    def obstacles(self, entities: Sequence[Entity]) -> Sequence[Finding]:
        """What stands in the way of changing these tables by this role, and what else to know: rights,
        triggers, rules, constraints that old rows may not meet. Those that block come first."""


@dataclass(frozen=True, slots=True)
class Noted:
    """Change capture was believed for what happened after `base`, the mark that `reader` has told as read."""

    base: Mark
    reader: str


class LiveTransaction(Protocol):
    """One transaction that keeps the writers of some tables out; readers pass. Nothing that it does exists
    before `commit`; leaving its context without that takes everything back.

    The calls come in this order: looking (`is_as_it_was`, `moved`, `count`, `batches`), `apply` entity by
    entity, `set_sequences`, `check`, `read_back`, `transaction_id`, `commit`. All from one thread.
    """

    @property
    def identity(self) -> SourceIdentity: ...

    def mark(self) -> Mark:
        """Where in the server's history its moment is: before anything that it writes."""

    @property
    def entities(self) -> Sequence[Entity]:
        """The tables as they are now, those beside too."""

    def moved(self, entity: Entity, since: Mark) -> Iterator[RecordBatch] | None:
        """All records that may have been written after the mark, perhaps more; ascending by key. None where
        that cannot be told: another history, or the mark is too old."""

    def is_as_it_was(self, entity: Entity, since: Mark, records: int, noted: Noted | None) -> bool:
        """Whether nothing was written after the mark: as change capture says, where it is `noted` up to then,
        and else because it has so many records and none that may have been written since, by one pass over
        the table. False also where that cannot be told."""

    def count(self, entity: Entity) -> int:
        """Its records now."""

    def batches(self, entity: Entity) -> Iterator[RecordBatch]:
        """All records, as a source gives them."""

    def sequences(self) -> Sequence[SequenceValue]:
        """Those that the locked tables own or draw from."""

    def apply(self, entity: Entity, changes: Iterable[Change], created: Sequence[str]) -> Applied:
        """Make them so, all or (by raising) none. `created` names the columns that new records give; keys
        ascend; `changes` is gone through several times. Raises Conflict with the server's words where a
        record does not fit, or where other rows are there than `before` says."""

    def set_sequences(self, changes: Sequence[tuple[SequenceValue, SequenceValue]]) -> None:
        """From and to, taken back with the transaction. One that was drawn from meanwhile is not set back
        behind that: who drew may still use it."""

    def check(self) -> None:
        """Prove what the server was told not to look at: foreign keys both ways, deferrable unique and
        exclusion constraints, for the rows that were written. Conflict names what does not hold."""

    def read_back(self, entity: Entity) -> Iterator[RecordBatch]:
        """The records that are there now under the keys that `apply` was given; ascending by key. Of a bag,
        those that equal one that came or went, in any order."""

    def transaction_id(self) -> int:
        """By which the server can be asked later whether this transaction was committed."""

    def commit(self) -> Sequence[str]:
        """End it. Returns what is still to be known (views that are refreshed only now, for example).

        OutcomeUnknown where the connection was lost: it may have been committed.
        """

    def wal_bytes(self) -> int:
        """Bytes that the server's log grew by since the transaction began, whoever wrote them."""

    def cancel(self) -> None:
        """From any thread: whatever runs raises, and everything is taken back."""


class LivePlatform(Protocol):
    """The running platform's database."""

    @property
    def url(self) -> str:
        """Without password."""

    def look(self, selection: Selection) -> AbstractContextManager[LiveSnapshot]:
        """One moment to plan from. Nothing is locked against writers."""

    def change(
        self, tables: Sequence[tuple[str, str]], beside: Sequence[tuple[str, str]] = ()
    ) -> AbstractContextManager[LiveTransaction]:
        """Lock these tables, in one order that everybody keeps, and begin. Those `beside` can be looked at in
        the same moment, and their writers go on. TimedOut where somebody holds one for too long."""

    def cast(self, type_name: str, texts: Sequence[bytes]) -> Sequence[bytes]:
        """As `LiveSnapshot.cast`, by a connection of its own."""

    def kept(self, reader: str, mark: Mark, entities: Sequence[Entity]) -> None:
        """As `Source.kept`."""

    def outcome(self, transaction_id: int) -> bool | None:
        """Whether a transaction was committed; None where the server no longer knows, or it still runs."""
