"""The differences between a version and the running platform, in counts, records and fields.

The faces are those of `cas.diff.VersionDiff`; what was found lies on the local disk.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

from cas.contents import Contents
from cas.diff import ChangeKind, EntityDiff, FieldChange, RecordChange
from cas.differences import Difference, DifferenceSpool
from cas.live.deciding import version_payloads
from cas.records.encodings import decode_text
from cas.records.keys import decode_stored_key
from cas.records.model import Entity
from cas.records.values import values_of

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Side:
    """An entity on one side, and the encoding of its texts."""

    entity: Entity
    encoding: str

    def texts(self, payload: bytes) -> dict[str, str | None]:
        """Column name -> text."""
        return {
            column.name: None if value is None else decode_text(value, self.encoding)
            for column, value in zip(self.entity.columns, values_of(self.entity, payload), strict=True)
        }


@dataclass(frozen=True, slots=True)
class ComparedEntity:
    """One entity, compared. `alike`: equal bytes are equal records. None: that side holds no data of it."""

    version: Side | None
    live: Side | None
    alike: bool
    differences: DifferenceSpool


@dataclass(frozen=True, slots=True)
class _Change:
    """A record that differs, and its bytes on the sides that have it."""

    kind: ChangeKind
    key: bytes
    version: bytes | None
    live: bytes | None
    count: int = 1


class LiveDiff:
    """A version and the platform, compared. The faces are those of `VersionDiff`. A context manager: its
    temporary files go with it."""

    def __init__(
        self,
        contents: Contents,
        compared: Mapping[str, ComparedEntity],
        files: ExitStack,
        *,
        live_is_new: bool,
    ) -> None:
        self._contents = contents
        self._compared = compared
        self._files = files
        self._live_is_new = live_is_new
        self.labels = tuple(sorted(compared))

    def __enter__(self) -> "LiveDiff":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def entity(self, label: str) -> EntityDiff:
        """Counts of one entity. Records of the version are read only where the columns differ."""
        one = self._compared[label]
        counts = dict.fromkeys(ChangeKind, 0)
        for change in self._changes(one, with_records=False):
            counts[change.kind] += change.count
        return EntityDiff(
            label,
            counts[ChangeKind.ADDED],
            counts[ChangeKind.REMOVED],
            counts[ChangeKind.CHANGED],
            _columns_changed(*self._in_order(one.version, one.live)),
            self._only_in(one),
        )

    def entities(self) -> Iterator[EntityDiff]:
        """Counts of all entities, ascending by label."""
        return map(self.entity, self.labels)

    def records(self, label: str) -> Iterator[RecordChange]:
        """The records of one entity that differ, ascending by key."""
        one = self._compared[label]
        for change in self._changes(one, with_records=True):
            version = one.version.texts(change.version) if one.version and change.version is not None else {}
            live = one.live.texts(change.live) if one.live and change.live is not None else {}
            old, new = self._in_order(version, live)
            differing = tuple(
                FieldChange(name, old.get(name), new.get(name))
                for name in dict.fromkeys((*old, *new))
                if change.kind is not ChangeKind.CHANGED or old.get(name) != new.get(name)
            )
            yield RecordChange(label, change.kind, _key_texts(one, change), differing, change.count)

    def _in_order(self, version: _T, live: _T) -> tuple[_T, _T]:
        """Older and newer."""
        return (version, live) if self._live_is_new else (live, version)

    def _only_in(self, one: ComparedEntity) -> str:
        if (one.version is None) == (one.live is None):
            return ""
        return "new" if (one.version is None) == self._live_is_new else "old"

    def _changes(self, one: ComparedEntity, *, with_records: bool) -> Iterator[_Change]:
        """`with_records`: with the version's bytes, which the counts mostly can do without."""
        if with_records or not one.alike:
            pairs = version_payloads(one.differences, self._contents.reader)
        else:
            pairs = ((difference, None) for difference in one.differences)
        for difference, payload in pairs:
            change = self._change(one, difference, payload)
            if change is not None:
                yield change

    def _change(self, one: ComparedEntity, difference: Difference, payload: bytes | None) -> _Change | None:
        came, went = self._in_order(ChangeKind.ADDED, ChangeKind.REMOVED)
        here = 0 if difference.version is None else difference.version.count
        live = 0 if difference.live is None else difference.live.count
        if live == here and one.alike:
            return _Change(ChangeKind.CHANGED, difference.key, payload, difference.payload)
        if live > here:
            return _Change(came, difference.key, None, difference.payload, live - here)
        if live < here:
            return _Change(went, difference.key, payload, None, here - live)
        assert one.version is not None, "both sides have the record"
        assert one.live is not None, "both sides have the record"
        assert payload is not None, "records are read where columns differ"
        assert difference.payload is not None, "a live record has bytes"
        if one.version.texts(payload) == one.live.texts(difference.payload):
            return None
        return _Change(ChangeKind.CHANGED, difference.key, payload, difference.payload)


def _key_texts(one: ComparedEntity, change: _Change) -> tuple[str, ...]:
    side = one.live if change.live is not None else one.version
    if side is None or side.entity.is_bag:
        return ()
    return tuple(decode_text(text, side.encoding) for text in decode_stored_key(side.entity, change.key))


def _columns_changed(old: Side | None, new: Side | None) -> tuple[str, ...]:
    """Columns that only one side has, or whose type differs."""
    if old is None or new is None:
        return ()
    before = {column.name: column.type for column in old.entity.columns}
    after = {column.name: column.type for column in new.entity.columns}
    return tuple(name for name in dict.fromkeys((*before, *after)) if before.get(name) != after.get(name))
