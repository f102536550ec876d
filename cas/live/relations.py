"""Foreign keys across a plan: what comes back needs its parents, and what goes may be referred to.

Values are compared as texts, as they stand in records. Only differences are looked at: what is the same in
the version and live needs nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from cas.engine.chunk_reader import ChunkReader
from cas.live.deciding import version_payloads
from cas.live.plan import Reference
from cas.live.planned_table import Patch, PlannedTable, Values
from cas.live.request import LiveRequest, MissingParents
from cas.live.tables import Name
from cas.records.live import ForeignKey, LiveSnapshot


@dataclass(frozen=True, slots=True)
class Consequences:
    """What follows from the changes as they are decided: keys that come into scope, patches, and what remains
    unresolved."""

    keys: Mapping[Name, set[bytes]]
    patches: Mapping[Name, Sequence[Patch]]
    references: Sequence[Reference]

    @property
    def is_settled(self) -> bool:
        return not (self.keys or self.patches)


class Relations:
    """The foreign keys between the tables of one plan, and to others."""

    def __init__(
        self,
        tables: Mapping[Name, PlannedTable],
        keys: Sequence[ForeignKey],
        look: LiveSnapshot,
        reader: ChunkReader,
        request: LiveRequest,
    ) -> None:
        self._tables = tables
        self._keys = [key for key in keys if key.child in tables or key.parent in tables]
        self._look = look
        self._reader = reader
        self._request = request
        self._moves: dict[tuple[Name, tuple[str, ...]], tuple[set[Values], set[Values]]] = {}

    def follow(self) -> Consequences:
        """Look at all changes once."""
        self._moves = {}
        found: defaultdict[Name, set[bytes]] = defaultdict(set)
        patches: defaultdict[Name, list[Patch]] = defaultdict(list)
        references: list[Reference] = []
        for key in self._keys:
            if key.child in self._tables:
                self._upwards(key, found, patches, references)
            if key.parent in self._tables:
                self._downwards(key, found, references)
        fresh = {name: keys - (self._tables[name].keys or set()) for name, keys in found.items()}
        return Consequences(
            {name: keys for name, keys in fresh.items() if keys and self._tables[name].keys is not None},
            dict(patches),
            references,
        )

    def _upwards(
        self,
        key: ForeignKey,
        found: defaultdict[Name, set[bytes]],
        patches: defaultdict[Name, list[Patch]],
        references: list[Reference],
    ) -> None:
        """Parents that written records need."""
        child = self._tables[key.child]
        needed: Counter[Values] = Counter()
        for change in child.changes:
            values = child.values(change, key.columns, after=True)
            if values is not None and values != child.values(change, key.columns, after=False):
                needed[values] += change.count
        missing = self._missing(key, needed)
        if not missing:
            return
        wanted = self._request.missing_parents
        if self._request.with_parents:
            wanted = MissingParents.CREATE
        if wanted is MissingParents.CREATE and key.parent in self._tables:
            parent = self._tables[key.parent]
            for name, values in self._in_version(parent, key.referenced):
                if values in missing and (parent.keys is not None and name not in parent.keys):
                    found[key.parent].add(name)
                    missing.discard(values)
        if not missing:
            return
        if wanted in (MissingParents.NULL, MissingParents.SKIP):
            patches[key.child].append(Patch(key.columns, frozenset(missing), wanted is MissingParents.SKIP))
            return
        records = sum(needed[values] for values in missing)
        references.append(_reference(key, records, "would refer to a record that does not exist"))

    def _missing(self, key: ForeignKey, needed: Counter[Values]) -> set[Values]:
        """Those of the values that no parent will have."""
        if not needed:
            return set()
        added, removed = self._moved(key.parent, key.referenced)
        asked = [values for values in needed if values not in added]
        gone = {values for values in asked if values in removed}
        asked = [values for values in asked if values not in gone]
        return gone | {asked[at] for at in self._look.absent(key.parent, key.referenced, asked)}

    def _downwards(
        self, key: ForeignKey, found: defaultdict[Name, set[bytes]], references: list[Reference]
    ) -> None:
        """Children of what comes back, and of what goes."""
        added, removed = self._moved(key.parent, key.referenced)
        child = self._tables.get(key.child)
        if self._request.with_children and child is not None and child.keys is not None:
            for name, values in self._in_version(child, key.columns):
                if values in added:
                    found[key.child].add(name)
            for one in child.differences:
                if one.payload is not None and child.live_values(one, key.columns) in removed:
                    found[key.child].add(one.key)
        if not removed:
            return
        dangling = self._look.referring(key, sorted(removed))
        if child is not None:
            for change in child.changes:
                goes = child.values(change, key.columns, after=False) in removed
                if goes and child.values(change, key.columns, after=True) not in removed:
                    dangling -= change.count
        if dangling > 0:
            references.append(_reference(key, dangling, "refer to a record that would go"))

    def _moved(self, name: Name, columns: tuple[str, ...]) -> tuple[set[Values], set[Values]]:
        """Values that changes of a table bring, and those that they take away."""
        table = self._tables.get(name)
        if table is None:
            return set(), set()
        if (name, columns) not in self._moves:
            brought: set[Values | None] = set()
            taken: set[Values | None] = set()
            for change in table.changes:
                brought.add(table.values(change, columns, after=True))
                taken.add(table.values(change, columns, after=False))
            brought.discard(None)
            taken.discard(None)
            gone = taken - brought
            self._moves[name, columns] = cast("set[Values]", brought), cast("set[Values]", gone)
        return self._moves[name, columns]

    def _in_version(self, table: PlannedTable, columns: Sequence[str]) -> Iterator[tuple[bytes, Values]]:
        """Keys and values of the records that the version has, among those that differ."""
        for one, payload in version_payloads(table.differences, self._reader, table.recasting):
            if payload is not None:
                values = table.version_values(payload, columns)
                if values is not None:
                    yield one.key, values


def _reference(key: ForeignKey, records: int, what: str) -> Reference:
    child, parent = ".".join(key.child), ".".join(key.parent)
    return Reference(key.name, child, parent, key.on_delete, records, what)
