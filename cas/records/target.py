"""The port through which a restore fills an empty database, and what it relies on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cas.records.model import Entity
from cas.records.source import SchemaItem, SourceIdentity


@dataclass(frozen=True, slots=True)
class SchemaParts:
    """What of a schema is built.

    Without `indexes`, those of primary keys and unique constraints are still built; without
    `constraints`, NOT NULL and the checks inside of a table's definition are. Without `owners`
    everything belongs to who restores; without `privileges` nobody else is granted anything; without
    `tablespaces` everything lies in the database's own. `data` says whether records follow;
    materialized views are filled only then. `tables` are (schema, name) of those to build, None for all.
    """

    indexes: bool = True
    constraints: bool = True
    triggers: bool = True
    owners: bool = True
    privileges: bool = True
    tablespaces: bool = True
    data: bool = True
    tables: frozenset[tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference between source and target: what it is, and what to do about it. What `blocks` is
    certain to fail, or to restore something else than the source had."""

    blocks: bool
    what: str
    hint: str = ""


class Target(Protocol):
    """An empty database that is being filled. Not transactional as a whole: it starts empty, and a
    failed restore leaves a marker that refuses use as a target until it is dropped.

    The calls come in this order: `begin`, `build_before_data`, `copy_in` of every table, `set_sequences`,
    `write_large_objects`, `build_after_data`, `finish`. All but `copy_in` belong to one thread."""

    @property
    def url(self) -> str: ...

    def identity(self) -> SourceIdentity: ...

    def require_empty(self) -> None:
        """Conflict where user tables, types or functions exist, or the marker; says what to do."""

    def findings(
        self,
        source: SourceIdentity,
        items: Sequence[SchemaItem],
        parts: SchemaParts,
        entities: Sequence[Entity],
        roles: Sequence[str] = (),
    ) -> Sequence[Finding]:
        """What will or may go wrong, those that block first. Reads only. `roles` are those of the version."""

    def begin(
        self,
        encoding: str,
        items: Sequence[SchemaItem],
        parts: SchemaParts,
        entities: Sequence[Entity] = (),
        *,
        what: str = "a restore",
    ) -> Sequence[Sequence[Entity]]:
        """Require the target to be empty, and mark it as incomplete; `what` says by which restore.

        `encoding` is the version's, and must be the target's. `items` are the whole schema, both
        sections; without any, only data are restored: then the tables of `entities` must exist and be
        empty. Returns the tables of `entities` in groups: those of one group may be loaded at the same
        time, and the groups must be loaded in order. Raises Conflict, PermissionDenied."""

    def build_before_data(self) -> None:
        """Run the pre-data section, in order. A failing statement is named with the server's words."""

    def copy_in(self, entity: Entity, lines: Iterable[bytes], *, whole: bool = False) -> int:
        """Append records: buffers of whole COPY lines, each line padded and with its line end.
        Returns the rows that the server counted. May be called from several threads, for one
        entity too; each call uses a connection of its own and commits by itself. `whole` promises
        that these are all records of the entity, which is then loaded faster."""

    def set_sequences(self, payloads: Iterable[bytes]) -> None: ...

    def write_large_objects(self, payloads: Iterable[bytes]) -> None: ...

    def build_after_data(self) -> None:
        """Indexes and keys, then foreign keys, in parallel where they are independent; then the rest
        of the post-data section, privileges, and materialized views that were filled in the source."""

    def finish(self) -> Sequence[str]:
        """Make everything durable, and take the mark away, in one transaction. Returns what was passed
        over, and why, in words."""

    def cancel(self) -> None:
        """From any thread: end every `copy_in` that runs; each raises, and leaves no row."""

    def close(self) -> None:
        """Close all connections. Without `finish` before, the mark stays."""
