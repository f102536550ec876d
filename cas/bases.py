"""What a version may be built upon: for each entity, the newest earlier reading that can be continued."""

from collections.abc import Sequence
from dataclasses import dataclass

from cas.catalog.model import Base
from cas.engine.chunk_reader import ChunkReader
from cas.engine.repository import Repository
from cas.errors import CasError
from cas.format.entities import EntityEntry, entity_order
from cas.records.marks import Mark
from cas.records.model import Entity


@dataclass(frozen=True, slots=True)
class EntityBase:
    """One entity as an earlier version read it, and when that was."""

    version: int
    mark: Mark
    entry: EntityEntry


class Bases:
    """Earlier versions, opened when they are looked at."""

    def __init__(self, bases: Sequence[Base], repository: Repository, reader: ChunkReader) -> None:
        """Newest first."""
        self._bases = bases
        self._repository = repository
        self._reader = reader
        self._opened: dict[int, dict[tuple[str, str, str], EntityEntry] | str] = {}

    def since_scan(self, now: Mark) -> int:
        """Versions of this database since the last one that read every row of all of it."""
        return next((base.since_scan for base in self._bases if now.is_same_database(base.mark)), 0)

    def of(self, entity: Entity, now: Mark) -> EntityBase | str:
        """The newest one of this database that can be continued; else why the newest cannot, in words."""
        why_not = ""
        for base in self._bases:
            if not now.is_same_database(base.mark):
                continue
            found = self._in(base, entity)
            if isinstance(found, EntityBase):
                return found
            why_not = why_not or found
        return why_not or "no earlier version of this database to build upon"

    def _in(self, base: Base, entity: Entity) -> EntityBase | str:
        entries = self._entries(base.version)
        if isinstance(entries, str):
            return entries
        entry = entries.get(entity_order(entity))
        if entry is None or entry.root is None:
            return f"version {base.version} does not hold it"
        if entry.entity != entity:
            return f"its definition is another one than in version {base.version}"
        return EntityBase(base.version, base.mark, entry)

    def _entries(self, number: int) -> dict[tuple[str, str, str], EntityEntry] | str:
        if number not in self._opened:
            try:
                document = self._repository.document(number)
                entries = self._repository.entities(document, self._reader)
                self._opened[number] = {entity_order(entry.entity): entry for entry in entries}
            except CasError as error:
                self._opened[number] = f"version {number} cannot be read: {error}"
        return self._opened[number]
