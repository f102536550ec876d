"""What is wrong with a repository, as values: objects, chunks, and who needs them.

Damage is found in one place (an object, a chunk) and matters in others (entities of versions). A
ledger brings the two together: findings are noted where they are met and touched by whoever needs
what was found. It stays small however much is broken.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from cas.errors import CasError, CorruptData, Unsupported
from cas.ids import SHORT_ID_BYTES, ChunkKind

MAX_FINDINGS = 10_000
"""Findings that are told apart; what is beyond is counted in a last one."""

MAX_NAMED_CHUNKS = 20
"""Chunks that a finding names."""

MAX_COUNTED_CHUNKS = 100_000
"""Chunks that a finding tells apart to count them: 10 MiB."""

ALL_OF_IT = ""
"""Stands for an entity where all of a version is touched: its document, list of entities or schema."""


class DamageKind(StrEnum):
    """In which way something is wrong: the words of FORMAT.md's test vectors."""

    MISSING = "missing"
    HASH_MISMATCH = "hash-mismatch"
    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    LIMIT = "limit"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class DamagedChunk:
    """`kind` is a chunk kind in lower case, or empty where nobody says. `id` is hex: 64 digits where a
    version names the chunk, 32 where only a pack's trailer does."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `object` is a key of the store, or a prefix where no object is known.

    `versions` and `entities` (labels) are those that it touches, ascending. `lost_versions` are those
    among them that cannot be brought back in full; for the others a copy elsewhere stands in, or they
    need nothing of what is damaged. `is_loss`: there are such versions, or all are lost.
    `chunks` are the first of `chunk_count`, which is exact up to MAX_COUNTED_CHUNKS.
    """

    object: str
    kind: DamageKind
    what: str
    chunks: tuple[DamagedChunk, ...]
    chunk_count: int
    entities: tuple[str, ...]
    versions: tuple[int, ...]
    lost_versions: tuple[int, ...]
    is_loss: bool
    hint: str


class Fault(NamedTuple):
    """Something that a version needs, and what was found there. `is_loss`: no copy stands in."""

    finding: int
    is_loss: bool


def kind_of(error: CasError) -> DamageKind:
    """The kind of damage that an error means; errors that mean none are raised again."""
    if isinstance(error, CorruptData):
        return DamageKind(error.kind)
    if isinstance(error, Unsupported):
        return DamageKind.UNSUPPORTED
    raise error


@dataclass(slots=True)
class _Open:
    """A finding that still grows."""

    object: str
    kind: DamageKind
    what: str
    hint: str
    chunks: dict[bytes, DamagedChunk] = field(default_factory=dict)
    counted: set[bytes] = field(default_factory=set)
    entities: set[str] = field(default_factory=set)
    versions: set[int] = field(default_factory=set)
    lost: set[int] = field(default_factory=set)
    is_lost_for_all: bool = False

    @property
    def is_loss(self) -> bool:
        return self.is_lost_for_all or bool(self.lost)


class Ledger:
    """Findings by number. One thread."""

    def __init__(self) -> None:
        self._rows: list[_Open] = []
        self._numbers: dict[tuple[str, DamageKind], int] = {}
        self._of_object: dict[str, int] = {}
        self._dropped: set[int] = set()
        self.left_off = 0
        """Objects that got no finding of their own."""

    def note(self, key: str, kind: DamageKind, what: str, hint: str = "") -> int:
        """The finding about this object and kind of damage, made where there is none yet."""
        number = self._numbers.get((key, kind))
        if number is None and len(self._rows) >= MAX_FINDINGS:
            self.left_off += 1
            key, what = "", "more objects are damaged than are told apart here"
            number = self._numbers.get((key, kind))
        if number is None:
            number = self._numbers[key, kind] = len(self._rows)
            self._rows.append(_Open(key, kind, what, hint))
            self._of_object.setdefault(key, number)
        return number

    def note_error(self, key: str, error: CasError, hint: str = "") -> int:
        """The finding that an error means."""
        return self.note(key, kind_of(error), error.what, hint or error.hint)

    def of_object(self, key: str) -> int | None:
        """The first finding about an object."""
        return self._of_object.get(key)

    def chunk(self, finding: int, chunk_id: bytes, kind: ChunkKind | None) -> None:
        """A chunk that is part of the finding: by its id, or by the 16 bytes that a trailer holds."""
        row = self._rows[finding]
        short_id = chunk_id[:SHORT_ID_BYTES]
        known = row.chunks.get(short_id)
        if len(row.counted) < MAX_COUNTED_CHUNKS:
            row.counted.add(short_id)
        if known is None and len(row.chunks) == MAX_NAMED_CHUNKS:
            return
        if known is None or len(known.id) < 2 * len(chunk_id):
            row.chunks[short_id] = DamagedChunk(kind.name.lower() if kind else "", chunk_id.hex())

    def lose(self, finding: int) -> None:
        """What the finding is about is lost for all versions."""
        self._rows[finding].is_lost_for_all = True

    def touch(self, fault: Fault, version: int, entity: str = ALL_OF_IT) -> None:
        """A version needs what the finding is about; `entity` is its label. Whatever was withdrawn stands
        again when somebody is touched by it."""
        row = self._rows[fault.finding]
        if fault.finding in self._dropped:
            self._dropped.discard(fault.finding)
            self._of_object.setdefault(row.object, fault.finding)
        row.versions.add(version)
        if fault.is_loss:
            row.lost.add(version)
        if entity != ALL_OF_IT:
            row.entities.add(entity)

    def objects(self) -> Iterator[tuple[str, str]]:
        """Each object of which something is noted, and what it is first."""
        for key, number in self._of_object.items():
            yield key, self._rows[number].what

    def _standing(self) -> Iterator[_Open]:
        return (row for number, row in enumerate(self._rows) if number not in self._dropped)

    def touched(self) -> frozenset[int]:
        """Versions that some finding touches."""
        return frozenset().union(*(row.versions for row in self._standing()))

    def losses(self) -> dict[int, str]:
        """For each version that cannot be brought back in full, the first thing that it lacks, in words."""
        lost: dict[int, str] = {}
        for row in self._standing():
            for number in row.lost:
                lost.setdefault(number, f"{row.what} ({row.object})")
        return lost

    def withdraw(self, key: str, kind: DamageKind) -> bool:
        """What was noted of an object in this way has turned out to be the fault of another one. Whether
        there was such."""
        number = self._numbers.pop((key, kind), None)
        if number is None:
            return False
        self._dropped.add(number)
        if self._of_object.get(key) == number:
            del self._of_object[key]
        return True

    def forget(self, versions: Collection[int], is_gone: Callable[[str], bool]) -> None:
        """These versions are none any more. What is noted of an object that is gone by now, and that is lost
        to no version and not to all, was no damage."""
        for number, row in enumerate(self._rows):
            row.versions -= set(versions)
            row.lost -= set(versions)
            if not row.is_loss and is_gone(row.object):
                self._dropped.add(number)
        self._of_object = {
            key: number for key, number in self._of_object.items() if number not in self._dropped
        }

    def finding(self, number: int) -> Finding:
        """A finding as it stands now."""
        row = self._rows[number]
        return Finding(
            object=row.object,
            kind=row.kind,
            what=row.what,
            chunks=tuple(row.chunks.values()),
            chunk_count=len(row.counted),
            entities=tuple(sorted(row.entities)),
            versions=tuple(sorted(row.versions)),
            lost_versions=tuple(sorted(row.lost)),
            is_loss=row.is_loss,
            hint=row.hint,
        )

    def findings(self) -> tuple[Finding, ...]:
        """Everything that was noted: what loses something first, then by object."""
        made = (self.finding(number) for number in range(len(self._rows)) if number not in self._dropped)
        return tuple(sorted(made, key=lambda finding: (not finding.is_loss, finding.object, finding.kind)))
