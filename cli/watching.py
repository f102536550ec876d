"""Counting what long work tells, so that rates and remaining time come from real numbers."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from time import monotonic

from cas.records.marks import Mark
from cas.records.model import Entity
from cas.records.source import EntityEstimate, Selection, Source, SourceSnapshot

SHORTEST_SECONDS = 1.0
"""Before this much time has passed, a rate is a guess and is not shown."""

MOST = 0.99
"""Estimates may be too low: a phase is done when it says so, and not before."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters at one moment. Counts and rates (per second) are those of the current phase.

    `share` is the part that is done, 0 to 1; it and the remaining seconds are None where nobody can
    know them.
    """

    phase: str
    seconds: float
    entity: str
    entities_begun: int
    entities: int
    records: int
    payload_bytes: int
    stored_bytes: int
    records_per_second: float
    bytes_per_second: float
    share: float | None
    remaining_seconds: float | None


@dataclass(slots=True)
class _Entity:
    """`ended`: known to be whole, whatever was expected."""

    expected: EntityEstimate
    records: int = 0
    payload_bytes: int = 0
    begun: bool = False
    ended: bool = False

    @property
    def part(self) -> float:
        if self.ended:
            return 1.0
        if self.expected.records > 0:
            return min(self.records / self.expected.records, 1.0)
        return min(self.payload_bytes / self.expected.bytes, 1.0) if self.expected.bytes > 0 else 0.0

    @property
    def weight(self) -> float:
        return max(self.expected.bytes, self.expected.records, 1)


class Counters:
    """A cas.progress.Progress that adds up. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._began = monotonic()
        self._stored = 0
        self._is_exact = False
        self._announced: Mapping[str, EntityEstimate] = {}
        self._enter("")

    def _enter(self, phase: str) -> None:
        self._phase = phase
        self._phase_began = monotonic()
        self._current = ""
        self._entities = {label: _Entity(estimate) for label, estimate in self._announced.items()}

    def expect(self, entities: Mapping[str, EntityEstimate], *, is_exact: bool = False) -> None:
        """Announce all entities before the first begins; otherwise the total grows with each one.

        Unless the numbers are exact, an entity counts as whole when the next one begins.
        """
        with self._lock:
            self._is_exact = is_exact
            self._announced = dict(entities)
            self._enter(self._phase)

    def phase(self, name: str) -> None:
        with self._lock:
            self._enter(name)

    def entity(self, label: str, records: int, payload_bytes: int) -> None:
        with self._lock:
            for other in self._entities.values():
                other.ended = other.ended or (other.records > 0 and not self._is_exact)
            one = self._entities.setdefault(label, _Entity(EntityEstimate(0, 0)))
            one.expected = EntityEstimate(records, payload_bytes)
            one.begun = True
            self._current = label

    def advance(self, label: str, records: int, payload_bytes: int) -> None:
        with self._lock:
            one = self._entities.setdefault(label, _Entity(EntityEstimate(0, 0)))
            one.begun = True
            one.records += records
            one.payload_bytes += payload_bytes
            self._current = label

    def stored(self, stored_bytes: int) -> None:
        with self._lock:
            self._stored += stored_bytes

    def read(self) -> Reading:
        """The counters now."""
        with self._lock:
            now = monotonic()
            seconds = now - self._phase_began
            entities = self._entities.values()
            records = sum(one.records for one in entities)
            size = sum(one.payload_bytes for one in entities)
            is_paced = seconds >= SHORTEST_SECONDS and records > 0
            share = self._share() if records > 0 else None
            return Reading(
                phase=self._phase,
                seconds=now - self._began,
                entity=self._current,
                entities_begun=sum(one.begun for one in entities),
                entities=len(entities),
                records=records,
                payload_bytes=size,
                stored_bytes=self._stored,
                records_per_second=records / seconds if is_paced else 0.0,
                bytes_per_second=size / seconds if is_paced else 0.0,
                share=share,
                remaining_seconds=seconds * (1 / share - 1) if is_paced and share else None,
            )

    def _share(self) -> float:
        """By the weight of each entity and the part of it that was handled."""
        whole = sum(one.weight for one in self._entities.values())
        return min(sum(one.weight * one.part for one in self._entities.values()) / whole, MOST)


class Announced:
    """A Source that announces, when its moment is open, all that will be read."""

    def __init__(self, source: Source, counters: Counters) -> None:
        self._source = source
        self._counters = counters

    @property
    def url(self) -> str:
        return self._source.url

    def kept(self, reader: str, mark: Mark, entities: Sequence[Entity]) -> None:
        self._source.kept(reader, mark, entities)

    @contextmanager
    def snapshot(self, selection: Selection, *, allow_incomplete: bool = False) -> Iterator[SourceSnapshot]:
        with self._source.snapshot(selection, allow_incomplete=allow_incomplete) as snapshot:
            self._counters.expect({entity.label: snapshot.estimate(entity) for entity in snapshot.entities})
            yield snapshot
