"""Foreign keys across a plan: what comes back needs its parents, and what goes may be referred to.

Values are compared as texts, as they stand in records. Only differences are looked at: what is the same in
the version and live needs nothing. A key of one partition alone is followed and never blocks: the server says
whether it holds.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from cas.engine.chunk_reader import ChunkReader
from cas.live.deciding import version_payloads
from cas.live.plan import Reference
from cas.live.planned_table import Patch, PlannedTable, Values
from cas.live.request import LiveRequest, MissingParents
from cas.live.tables import Name
from cas.record_stream import read_payload
from cas.records.keys import decode_stored_key
from cas.records.live import ForeignKey, LiveSnapshot
from cas.tree.reading import lookup


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
        if not missing or key.of_part:
            return
        if wanted is MissingParents.SKIP or (wanted is MissingParents.NULL and _may_be_null(child, key)):
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
        return gone | {asked[at] for at in self._look.absent(key, asked)}

    def _downwards(
        self, key: ForeignKey, found: defaultdict[Name, set[bytes]], references: list[Reference]
    ) -> None:
        """Children of what is in scope, and of what goes."""
        _, removed = self._moved(key.parent, key.referenced)
        child = self._tables.get(key.child)
        if self._request.with_children and child is not None and child.keys is not None:
            found[key.child] |= self._children(key, child, child.keys)
        if not removed or key.of_part:
            return
        dangling = self._look.referring(key, sorted(removed))
        if child is not None:
            for change in child.changes:
                goes = child.values(change, key.columns, after=False) in removed
                if goes and child.values(change, key.columns, after=True) not in removed:
                    dangling -= change.count
        if dangling > 0:
            references.append(_reference(key, dangling, "refer to a record that would go"))

    def _children(self, key: ForeignKey, child: PlannedTable, known: Container[bytes]) -> set[bytes]:
        """Keys of the child's records that differ and belong to a parent in scope, in the version or live,
        whether that parent itself differs or not."""
        parents = self._in_scope(self._tables[key.parent], key.referenced)
        if parents is not None and not parents:
            return set()
        found = set()
        for name, values in self._in_version(child, key.columns):
            if parents is None or values in parents:
                found.add(name)
        for one in child.differences:
            if one.payload is not None and one.key not in known:
                there = child.live_values(one, key.columns)
                if there is not None and (parents is None or there in parents):
                    found.add(one.key)
        return found

    def _in_scope(self, table: PlannedTable, columns: tuple[str, ...]) -> set[Values] | None:
        """What records in scope have in these columns, in the version and live; None where all are."""
        if table.keys is None:
            return None
        live = table.pair.live
        if columns == tuple(name for name, _ in live.key):
            return {decode_stored_key(live, name) for name in table.keys}
        found: set[Values | None] = set()
        root = table.pair.entry.root
        for name in table.keys:
            leaf = None if root is None else lookup(self._reader, root, name)
            if leaf is not None:
                found.add(table.version_values(read_payload(self._reader, leaf), columns))
        for one in table.differences:
            if one.key in table.keys and one.payload is not None:
                found.add(table.live_values(one, columns))
        found.discard(None)
        return cast("set[Values]", found)

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


def _may_be_null(child: PlannedTable, key: ForeignKey) -> bool:
    """Not in a primary key; and a record of a table without one would not be told from others then."""
    live = child.pair.live
    return not live.is_bag and not any(name in key.columns for name, _ in live.key)


def _reference(key: ForeignKey, records: int, what: str) -> Reference:
    child, parent = ".".join(key.child), ".".join(key.parent)
    return Reference(key.name, child, parent, key.on_delete, records, what)
