"""A version out of the repository into files for people and their programs. No database is needed."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import repeat
from pathlib import Path

from cas.contents import Contents
from cas.format.entities import EntityEntry
from cas.progress import Progress
from cas.record_stream import read_bounded


class ExportFormat(StrEnum):
    """What is written."""

    JSONL = "jsonl"
    CSV = "csv"
    SQL = "sql"
    SQLITE = "sqlite"


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """`entities`: labels, or names where they are unique; empty: all. `force`: replace what is there."""

    place: Path
    entities: tuple[str, ...] = ()
    force: bool = False


@dataclass(frozen=True, slots=True)
class ExportedEntity:
    """One entity. `name`: the file that holds it, or the table."""

    label: str
    name: str
    records: int


@dataclass(frozen=True, slots=True)
class ExportReceipt:
    """What an export wrote. `sha256`: of the one file; None for a directory."""

    version: int
    format: ExportFormat
    path: str
    bytes: int
    records: int
    entities: tuple[ExportedEntity, ...]
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """One record and how often it occurs: once, unless its entity is a bag."""

    key: bytes
    payload: bytes
    count: int


Writing = Callable[[Record], None]


def chosen(contents: Contents, entities: Iterable[str]) -> tuple[EntityEntry, ...]:
    """The entities that are meant, in the version's order; NotFound for one that it does not hold."""
    named = [contents.entry(label) for label in entities]
    return tuple(entry for entry in contents.entries if not named or entry in named)


def records_of(contents: Contents, entry: EntityEntry, progress: Progress) -> Iterator[Record]:
    """All records of an entity, ascending by key."""
    label = entry.entity.label
    progress.entity(label, entry.records, entry.payload_bytes)
    for batch in read_bounded(contents.reader, entry):
        counts: Iterable[int] = batch.counts or repeat(1, len(batch.payloads))
        size = done = 0
        for key, payload, count in zip(batch.keys, batch.payloads, counts, strict=True):
            yield Record(key, payload, count)
            size += len(payload) * count
            done += count
        progress.advance(label, done, size)
