"""The port through which a restore fills an empty database, and what it relies on."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from cas.records.model import Entity
from cas.records.source import SchemaItem, SourceIdentity


class Target(Protocol):
    """An empty database that is being filled. Not transactional as a whole: it starts empty, and a
    failed restore leaves a marker that refuses use as a target until it is dropped."""

    @property
    def url(self) -> str: ...

    def identity(self) -> SourceIdentity: ...

    def require_empty(self) -> None:
        """Conflict where user tables, types or functions exist; says the first ones."""

    def run_schema(self, items: Sequence[SchemaItem]) -> None:
        """Execute the statements in order. A failing one is named with its text and the server's words."""

    def copy_in(self, entity: Entity, lines: Iterable[bytes]) -> int:
        """Append records: buffers of whole COPY lines, each line padded and with its line end.
        Returns the rows that the server counted. May be called from several threads, for one
        entity too; each call uses a connection of its own and commits by itself."""

    def set_sequences(self, payloads: Iterable[bytes]) -> None: ...

    def write_large_objects(self, payloads: Iterable[bytes]) -> None: ...

    def refresh_materialized_views(self) -> None: ...

    def close(self) -> None: ...
