"""One record through all versions: each state that it had, and what changed from one to the next.

A version counts as long as the way to the record can be read in it. One whose own document is lost
is read all the same, where another one shows what the entity looked like.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from cas.catalog.interface import Catalog
from cas.catalog.model import Trigger, VersionRoots
from cas.engine.chunk_reader import ChunkReader
from cas.engine.kept_nodes import KeptNodes
from cas.engine.node_runs import NodeRuns
from cas.engine.repository import Repository
from cas.errors import CorruptData, NotFound, Unsupported
from cas.ids import ChunkKind
from cas.record_stream import read_payload
from cas.shapes import Shapes
from cas.sightings import Sighting, meant, sightings
from cas.tree.nodes import Leaf


class StateKind(StrEnum):
    """How a record came into a state."""

    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"
    CAME_BACK = "came-back"


@dataclass(frozen=True, slots=True)
class FieldStep:
    """A column whose text differs. None is NULL, or a column that this side does not have."""

    column: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class RecordState:
    """A record as it was from one version on.

    `fields` holds the columns that differ from the state before, and all of them where the record was
    created, deleted, or came back, or where the state before cannot be read.
    """

    kind: StateKind
    version: int
    """The first version that shows it."""
    created_at: datetime
    """When that version was taken."""
    trigger: Trigger
    reason: str
    name: str
    last_version: int
    """The last version that shows it."""
    versions: int
    """How many versions show it, from the first to the last."""
    fields: tuple[FieldStep, ...]
    columns_changed: tuple[str, ...] = ()
    """Columns that only this state or the one before has, or whose type differs."""
    same_as: int | None = None
    """The first version of an earlier state with the same columns and values."""
    is_oldest: bool = False
    """No older version tells whether the record was there: it may have been created before."""
    chunk: str = ""
    """The id of its chunk, hex; empty where the record was deleted."""
    damage: str = ""
    """Why values of this state, or of the one before, are not known."""


@dataclass(frozen=True, slots=True)
class UnreadableVersion:
    """A version of which nobody can say what it holds of the record."""

    number: int
    what: str
    where: str


@dataclass(frozen=True, slots=True)
class RecordHistory:
    """The states of one record, newest first. Of versions that are named beside them nothing follows: not
    that a record was deleted, and not that it was there."""

    entity: str
    key: tuple[str, ...]
    states: tuple[RecordState, ...]
    left_out: int
    """Older states, beyond the limit."""
    versions: int
    """Versions that were looked at."""
    not_held: tuple[int, ...]
    """Versions without the entity, or without its records."""
    other_key: tuple[int, ...]
    """Versions in which the entity's key has another number of columns, or none."""
    unreadable: tuple[UnreadableVersion, ...]

    @property
    def is_whole(self) -> bool:
        """Whether everything that was looked at could be read."""
        return not self.unreadable and not any(state.damage for state in self.states)


@dataclass(frozen=True, slots=True)
class Window:
    """States that began in versions taken at or after `since` and before `until`, and of these the newest
    `limit`; 0 for all. What is older than the window still says whether a record was created in it."""

    since: datetime | None = None
    until: datetime | None = None
    limit: int = 0

    def holds(self, version: VersionRoots) -> bool:
        return (self.since is None or version.created_at >= self.since) and self.reaches(version)

    def reaches(self, version: VersionRoots) -> bool:
        """Whether it is not too new."""
        return self.until is None or version.created_at < self.until


def history(
    repository: Repository,
    catalog: Catalog,
    entity: str,
    key: Sequence[str],
    window: Window | None = None,
    kept: Path | None = None,
) -> RecordHistory:
    """The states of the record with this key. `entity`: schema.table, or table where one schema has it.
    `kept`: a file of this repository's cache, in which nodes of trees wait for the next time.

    NotFound where no version holds such an entity, or all that hold it can be read and never had the
    record; InvalidInput where its records have no such key.
    """
    wanted = window or Window()
    everything = catalog.entity_roots(entity)
    label = meant(everything, entity)
    versions = list(filter(wanted.reaches, everything))
    runs = NodeRuns(repository)
    with KeptNodes(runs.read, repository.config.id_key, kept) as nodes:
        seen = sightings(Shapes(repository, runs.reader), nodes, versions, label, key)
    values = _Values(runs.reader)
    states = list(_states(seen.shown, values))
    if not states and not seen.unreadable:
        raise NotFound(f"no record {', '.join(key)} in {label}", where=f"versions looked at: {len(versions)}")
    chosen = [state for state in states if wanted.holds(state.first.version)]
    shown = chosen[-wanted.limit :] if wanted.limit else chosen
    values.prepare(side.leaf for state in shown for side in (state.first, state.before) if side)
    return RecordHistory(
        entity=label,
        key=tuple(key),
        states=tuple(_told(state, values) for state in reversed(shown)),
        left_out=len(chosen) - len(shown),
        versions=sum(map(wanted.holds, versions)),
        not_held=tuple(version.number for version in seen.not_held if wanted.holds(version)),
        other_key=tuple(version.number for version in seen.other_key if wanted.holds(version)),
        unreadable=tuple(
            UnreadableVersion(version.number, error.what, error.where)
            for version, error in seen.unreadable
            if wanted.holds(version)
        ),
    )


@dataclass(slots=True)
class _State:
    """A run of sightings that are alike. `before`: the last one with the record, of the states before."""

    kind: StateKind
    first: Sighting
    before: Sighting | None
    same_as: int | None
    is_oldest: bool
    last: int
    count: int = 1


def _states(shown: Sequence[Sighting], values: "_Values") -> Iterator[_State]:
    """The states in the order in which they began; before the record's first one there is none."""
    state: _State | None = None
    before: Sighting | None = None
    seen: dict[object, int] = {}
    for at, sighting in enumerate(shown):
        if sighting.leaf is None:
            if before is None:
                continue
            kind = StateKind.DELETED
            is_same = state is not None and state.kind is StateKind.DELETED
        elif before is None:
            kind, is_same = StateKind.CREATED, False
        elif state is not None and state.kind is StateKind.DELETED:
            kind, is_same = StateKind.CAME_BACK, False
        else:
            kind, is_same = StateKind.CHANGED, _are_alike(before, sighting, values)
        if state is not None and is_same:
            state.last = sighting.version.number
            state.count += 1
        else:
            if state is not None:
                yield state
            mark = (sighting.leaf, sighting.shape.face)
            state = _State(
                kind,
                sighting,
                before,
                same_as=seen.get(mark) if sighting.leaf else None,
                is_oldest=at == 0,
                last=sighting.version.number,
            )
            seen.setdefault(mark, sighting.version.number)
        if sighting.leaf is not None:
            before = sighting
    if state is not None:
        yield state


def _are_alike(old: Sighting, new: Sighting, values: "_Values") -> bool:
    """Whether the record has the same columns with the same values, in whatever order they are stored."""
    if old.shape.face == new.shape.face and (old.leaf == new.leaf or not old.shape.hidden):
        return old.leaf == new.leaf
    if old.shape.columns != new.shape.columns:
        return False
    texts = values.texts(old)
    return texts is not None and texts == values.texts(new)


class _Values:
    """The texts of records, as far as they can be read. Each chunk is read once."""

    def __init__(self, reader: ChunkReader) -> None:
        self._reader = reader
        self._payloads: dict[Leaf, bytes | CorruptData | Unsupported] = {}

    def prepare(self, leaves: Iterable[Leaf | None]) -> None:
        """Read many together, which takes fewer requests. What cannot be read is found out one by one."""
        small = list(dict.fromkeys(leaf for leaf in leaves if leaf is not None and not leaf.is_large))
        try:
            plains = self._reader.read(ChunkKind.RECORD, [leaf.id for leaf in small])
        except (CorruptData, Unsupported):
            return
        self._payloads.update(zip(small, plains, strict=True))

    def payload(self, leaf: Leaf) -> bytes | CorruptData | Unsupported:
        if leaf not in self._payloads:
            try:
                self._payloads[leaf] = read_payload(self._reader, leaf)
            except (CorruptData, Unsupported) as error:
                self._payloads[leaf] = error
        return self._payloads[leaf]

    def texts(self, sighting: Sighting) -> dict[str, str | None] | None:
        """Column name -> text; None where that cannot be read, nothing where the record is not there."""
        if sighting.leaf is None:
            return {}
        payload = self.payload(sighting.leaf)
        return sighting.shape.texts(payload) if isinstance(payload, bytes) else None

    def damage(self, sighting: Sighting) -> str:
        """What is wrong with the record's bytes; empty where nothing is."""
        payload = b"" if sighting.leaf is None else self.payload(sighting.leaf)
        return "" if isinstance(payload, bytes) else str(payload)


def _told(state: _State, values: _Values) -> RecordState:
    first, before = state.first, state.before
    compared = before if state.kind in (StateKind.CHANGED, StateKind.DELETED) else None
    new, old = values.texts(first), values.texts(compared) if compared else {}
    version = first.version
    return RecordState(
        kind=state.kind,
        version=version.number,
        created_at=version.created_at,
        trigger=version.trigger,
        reason=version.reason,
        name=version.name,
        last_version=state.last,
        versions=state.count,
        fields=() if new is None else _steps(old, new, is_whole=state.kind is not StateKind.CHANGED),
        columns_changed=_columns_changed(before, first) if first.leaf else (),
        same_as=state.same_as,
        is_oldest=state.is_oldest,
        chunk=first.leaf.id.hex() if first.leaf else "",
        damage=values.damage(first) or (values.damage(compared) if compared else ""),
    )


def _steps(
    old: dict[str, str | None] | None, new: dict[str, str | None], *, is_whole: bool
) -> tuple[FieldStep, ...]:
    """What differs; all columns with `is_whole`, or where `old` is not known."""
    known = old or {}
    return tuple(
        FieldStep(name, known.get(name), new.get(name))
        for name in dict.fromkeys((*known, *new))
        if is_whole or old is None or known.get(name) != new.get(name)
    )


def _columns_changed(old: Sighting | None, new: Sighting) -> tuple[str, ...]:
    if old is None:
        return ()
    before, after = old.shape.columns, new.shape.columns
    return tuple(name for name in dict.fromkeys((*before, *after)) if before.get(name) != after.get(name))
