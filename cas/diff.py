"""What differs between two versions: counts per entity, then records, then fields.

Entities whose columns and key are equal are compared by their trees, at the cost of what differs.
Where the columns differ, equal subtrees prove nothing, so all records are read and compared by
column name. Where the keys differ, records cannot be matched: all of one side went, all of the
other came.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from cas.contents import Contents, open_contents
from cas.engine.repository import Repository
from cas.format.entities import EntityEntry
from cas.record_stream import read_payload, read_records
from cas.records.encodings import decode_text
from cas.records.files import SEEN, decode_file
from cas.records.keys import key_texts
from cas.records.model import Entity, EntityKind
from cas.records.values import requiring_types, values_of
from cas.tree.diff import diff_trees
from cas.tree.nodes import Leaf


class ChangeKind(StrEnum):
    """What happened to a record between the older and the newer side."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A column whose text differs. None is NULL, or a column that this side does not have."""

    column: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class RecordChange:
    """A record that differs. `key` is empty for bags. `fields` holds all columns of an added or
    removed record, and the differing ones of a changed one. `count`: equal records of a bag."""

    entity: str
    kind: ChangeKind
    key: tuple[str, ...]
    fields: tuple[FieldChange, ...]
    count: int = 1


@dataclass(frozen=True, slots=True)
class EntityDiff:
    """One entity's counts. `columns_changed` names columns that only one side has or whose type differs."""

    entity: str
    added: int
    removed: int
    changed: int
    columns_changed: tuple[str, ...] = ()
    only_in: str = ""
    """'old' or 'new' where only one side has the entity (or its data)."""

    @property
    def is_equal(self) -> bool:
        return not (self.added or self.removed or self.changed or self.columns_changed or self.only_in)


@dataclass(frozen=True, slots=True)
class VersionDiff:
    """Two open versions, `old` and `new`, ready to be compared entity by entity."""

    old: Contents
    new: Contents
    labels: tuple[str, ...]

    def entity(self, label: str) -> EntityDiff:
        """Counts of one entity; reads only what differs, where the columns are equal."""
        left, right = _side(self.old, label), _side(self.new, label)
        counts = dict.fromkeys(ChangeKind, 0)
        for change in self._changes(left, right):
            counts[change.kind] += change.count
        return EntityDiff(
            label,
            counts[ChangeKind.ADDED],
            counts[ChangeKind.REMOVED],
            counts[ChangeKind.CHANGED],
            _columns_changed(left, right),
            _only_in(left, right),
        )

    def entities(self) -> Iterator[EntityDiff]:
        """Counts of all entities, ascending by label."""
        return map(self.entity, self.labels)

    def records(self, label: str) -> Iterator[RecordChange]:
        """The records of one entity that differ, ascending by key."""
        left, right = _side(self.old, label), _side(self.new, label)
        for change in self._changes(left, right):
            yield self._describe(label, change, left, right)

    def _changes(self, left: EntityEntry | None, right: EntityEntry | None) -> Iterator["_Change"]:
        if left is None or right is None or left.root is None or right.root is None:
            yield from _all_of(self.old, left, ChangeKind.REMOVED)
            yield from _all_of(self.new, right, ChangeKind.ADDED)
        elif left.entity.shape == right.entity.shape:
            for change in diff_trees(self.new.reader, left.root, right.root):
                found = _of_leaves(change.left, change.right)
                is_of_files = left.entity.kind is EntityKind.FILES
                yield from self._of_files(found, left.entity) if is_of_files else found
        elif left.entity.key == right.entity.key and not left.entity.is_bag:
            yield from _merged(self, left, right)
        else:
            yield from _all_of(self.old, left, ChangeKind.REMOVED)
            yield from _all_of(self.new, right, ChangeKind.ADDED)

    def _of_files(self, changes: Iterator["_Change"], entity: Entity) -> Iterator["_Change"]:
        """Without files that were only found elsewhere on their disk, or looked at another time."""
        for change in changes:
            if change.old is None or change.new is None:
                yield change
                continue
            with requiring_types(entity):
                old, new = (
                    decode_file(_bytes(side, one))
                    for side, one in ((self.old, change.old), (self.new, change.new))
                )
            if replace(old, seen=None) != replace(new, seen=None):
                yield change

    def _describe(
        self, label: str, change: "_Change", left: EntityEntry | None, right: EntityEntry | None
    ) -> RecordChange:
        old = _texts(self.old, left, change.old)
        new = _texts(self.new, right, change.new)
        names = list(dict.fromkeys((*old, *new)))
        differing = tuple(
            FieldChange(name, old.get(name), new.get(name))
            for name in names
            if change.kind is not ChangeKind.CHANGED or old.get(name) != new.get(name)
        )
        if _is_of_files(left) or _is_of_files(right):
            differing = tuple(field for field in differing if field.column != SEEN)
        if change.new is not None:
            key = _key(self.new, right, change.new)
        else:
            key = _key(self.old, left, change.old)
        return RecordChange(label, change.kind, key, differing, change.count)


@dataclass(frozen=True, slots=True)
class _Change:
    """A difference before it is put into words: payloads are read only where they are wanted."""

    kind: ChangeKind
    old: "_Payload | None"
    new: "_Payload | None"
    count: int = 1


_Payload = bytes | Leaf
"""The record's bytes, or the leaf that leads to them."""


def diff_versions(repository: Repository, old: int, new: int, entity: str | None = None) -> VersionDiff:
    """Compare two versions; with `entity`, only this one, which at least one side must have."""
    reader = repository.reader()
    left, right = open_contents(repository, old, reader), open_contents(repository, new, reader)
    sides = [entry.entity for contents in (left, right) for entry in contents.entries]
    # What is in files is compared by the hashes in their records.
    labels = {one.label for one in sides if one.kind is not EntityKind.FILE_CONTENT}
    if entity is not None and entity not in labels:
        matches = {label for label in labels if label.endswith(f".{entity}")}
        labels = matches if len(matches) == 1 else {right.entry(entity).entity.label}
    elif entity is not None:
        labels = {entity}
    return VersionDiff(left, right, tuple(sorted(labels)))


def _is_of_files(entry: EntityEntry | None) -> bool:
    return entry is not None and entry.entity.kind is EntityKind.FILES


def _side(contents: Contents, label: str) -> EntityEntry | None:
    return next((entry for entry in contents.entries if entry.entity.label == label), None)


def _columns_changed(left: EntityEntry | None, right: EntityEntry | None) -> tuple[str, ...]:
    if left is None or right is None:
        return ()
    old = {column.name: column.type for column in left.entity.columns}
    new = {column.name: column.type for column in right.entity.columns}
    return tuple(name for name in dict.fromkeys((*old, *new)) if old.get(name) != new.get(name))


def _only_in(left: EntityEntry | None, right: EntityEntry | None) -> str:
    has_old = left is not None and left.root is not None
    has_new = right is not None and right.root is not None
    if has_old == has_new:
        return ""
    return "old" if has_old else "new"


def _all_of(contents: Contents, entry: EntityEntry | None, kind: ChangeKind) -> Iterator[_Change]:
    if entry is None:
        return
    for batch in read_records(contents.reader, entry):
        counts = batch.counts or [1] * len(batch.payloads)
        for payload, count in zip(batch.payloads, counts, strict=True):
            if kind is ChangeKind.REMOVED:
                yield _Change(kind, payload, None, count)
            else:
                yield _Change(kind, None, payload, count)


def _of_leaves(left: Leaf | None, right: Leaf | None) -> Iterator[_Change]:
    """A key of a tree; in a bag both sides may have it, with other counts."""
    if left is not None and right is not None and left.id == right.id:
        more = right.count - left.count
        kind = ChangeKind.ADDED if more > 0 else ChangeKind.REMOVED
        yield _Change(kind, left if more < 0 else None, right if more > 0 else None, abs(more))
    elif left is not None and right is not None:
        yield _Change(ChangeKind.CHANGED, left, right)
    elif left is not None:
        yield _Change(ChangeKind.REMOVED, left, None, left.count)
    elif right is not None:
        yield _Change(ChangeKind.ADDED, None, right, right.count)


def _merged(diff: VersionDiff, left: EntityEntry, right: EntityEntry) -> Iterator[_Change]:
    """Two walks over all records side by side, compared by column name."""
    olds, news = _pairs(diff.old, left), _pairs(diff.new, right)
    old, new = next(olds, None), next(news, None)
    while old is not None or new is not None:
        if new is None or (old is not None and old[0] < new[0]):
            assert old is not None
            yield _Change(ChangeKind.REMOVED, old[1], None)
            old = next(olds, None)
        elif old is None or new[0] < old[0]:
            yield _Change(ChangeKind.ADDED, None, new[1])
            new = next(news, None)
        else:
            if _texts(diff.old, left, old[1]) != _texts(diff.new, right, new[1]):
                yield _Change(ChangeKind.CHANGED, old[1], new[1])
            old, new = next(olds, None), next(news, None)


def _pairs(contents: Contents, entry: EntityEntry) -> Iterator[tuple[bytes, bytes]]:
    for batch in read_records(contents.reader, entry):
        yield from zip(batch.keys, batch.payloads, strict=True)


def _bytes(contents: Contents, payload: _Payload) -> bytes:
    return read_payload(contents.reader, payload) if isinstance(payload, Leaf) else payload


def _texts(contents: Contents, entry: EntityEntry | None, payload: _Payload | None) -> dict[str, str | None]:
    """Column name -> text."""
    if entry is None or payload is None:
        return {}
    columns = entry.entity.columns
    encoding = contents.encoding(entry.entity)
    values = values_of(entry.entity, _bytes(contents, payload))
    return {
        column.name: None if value is None else decode_text(value, encoding)
        for column, value in zip(columns, values, strict=True)
    }


def _key(contents: Contents, entry: EntityEntry | None, payload: _Payload | None) -> tuple[str, ...]:
    if entry is None or payload is None:
        return ()
    texts = key_texts(entry.entity, _bytes(contents, payload)) or ()
    return tuple(decode_text(text, contents.encoding(entry.entity)) for text in texts)
