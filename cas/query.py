"""Asking a version by SQL: the tables that a statement reads, in a throwaway database, and its rows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from cas.contents import Contents
from cas.errors import InvalidInput, NotFound
from cas.format.entities import EntityEntry
from cas.progress import Progress, Silent
from cas.records.model import OF_THE_DATABASE, EntityKind
from cas.records.scratch import ReadLimits, Reads, Rows, Scratch, ScratchServer
from cas.scratch_filling import build_schema, fill, platform_of, require_records

DEFAULT_ROWS = 1000
"""Rows that are given unless more are asked for."""

SHOWN = 5
"""Names that a message spells out."""

_LARGE_OBJECT_WORDS = ("lo_get", "lo_open", "loread", "pg_largeobject")
"""What a statement about large objects has in it; no dependency is recorded for these."""


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """`entities`: labels or names of what is loaded; none means what the statement is found to read."""

    sql: str
    entities: tuple[str, ...] = ()
    limits: ReadLimits = ReadLimits(rows=DEFAULT_ROWS)  # noqa: RUF009 - frozen


@dataclass(frozen=True, slots=True)
class Answer:
    """`loaded`: labels of what the throwaway database holds. `notes`: what a person should know about
    the rows, in words."""

    rows: Rows
    loaded: tuple[str, ...]
    records: int
    notes: tuple[str, ...]


@contextmanager
def query(
    contents: Contents, server: ScratchServer, request: QueryRequest, progress: Progress | None = None
) -> Iterator[Answer]:
    """The answer, as long as the block lasts; the database is dropped with it.

    InvalidInput, PermissionDenied or TimedOut for what the server refuses, with its words; NotFound where the
    version holds nothing of what the statement reads; Unsupported where the server lacks what a table
    needs.
    """
    told = progress or Silent()
    told.phase("prepare")
    named = [_named(contents, label) for label in request.entities]
    platform = platform_of(contents)
    what = f"a query of version {contents.document.number}"
    with server.database(platform, what) as scratch:
        build_schema(contents, scratch, told)
        scratch.check(request.sql)
        reads = scratch.reads(request.sql)
        chosen = named or _found(contents, reads, request.sql)
        if named:
            _require_named(reads, named)
        _load(contents, scratch, chosen, reads, told)
        told.phase("query")
        with scratch.rows(request.sql, request.limits) as rows:
            yield Answer(
                rows=rows,
                loaded=tuple(entry.entity.label for entry in chosen),
                records=sum(entry.records for entry in chosen),
                notes=(*scratch.notes, *_guesses(reads, named)),
            )


def _named(contents: Contents, label: str) -> EntityEntry:
    entry = contents.entry(label)
    if entry.entity.kind not in OF_THE_DATABASE:
        raise InvalidInput(
            f"{entry.entity.label} is no table", where="--entity", hint="See files by `cas get`"
        )
    return entry


def _found(contents: Contents, reads: Reads, sql: str) -> list[EntityEntry]:
    """What the statement reads, for certain or as guessed; NotFound where the version has it not."""
    by_name = {(entry.entity.schema, entry.entity.name): entry for entry in contents.entries}
    if reads.foreign:
        raise NotFound(
            f"the statement reads foreign tables, which no version holds: {', '.join(reads.foreign[:SHOWN])}"
        )
    missing = sorted(reads.certain - by_name.keys())
    if missing:
        names = ", ".join(".".join(name) for name in missing[:SHOWN])
        raise NotFound(
            f"version {contents.document.number} holds no records of {names}",
            hint="`cas show` lists what it holds",
        )
    for name in sorted(reads.certain):
        require_records(contents, by_name[name])
    wanted = reads.certain | reads.guessed
    return [entry for entry in contents.entries if _is_wanted(entry, wanted, reads, sql)]


def _is_wanted(entry: EntityEntry, names: frozenset[tuple[str, str]], reads: Reads, sql: str) -> bool:
    if entry.root is None or entry.entity.kind not in OF_THE_DATABASE:
        return False
    if entry.entity.kind is EntityKind.SEQUENCES:
        return reads.sequences
    if entry.entity.kind is EntityKind.LARGE_OBJECTS:
        return any(word in sql.lower() for word in _LARGE_OBJECT_WORDS)
    return (entry.entity.schema, entry.entity.name) in names


def _require_named(reads: Reads, named: Sequence[EntityEntry]) -> None:
    """An empty table would answer, and wrongly."""
    there = {(entry.entity.schema, entry.entity.name) for entry in named}
    unnamed = sorted(".".join(name) for name in reads.certain - there)
    if unnamed:
        raise InvalidInput(
            f"the statement reads what was not named: {', '.join(unnamed[:SHOWN])}",
            where="--entity",
            hint="Name these too, or none: then what the statement reads is found",
        )


def _load(
    contents: Contents, scratch: Scratch, chosen: Sequence[EntityEntry], reads: Reads, progress: Progress
) -> None:
    for entry in chosen:
        require_records(contents, entry)
    progress.phase("load")
    for entry in chosen:
        fill(contents, scratch, entry, progress)
    if reads.views:
        progress.phase("materialized views")
        scratch.fill_views(reads.views)
    progress.phase("statistics")
    scratch.analyze()


def _guesses(reads: Reads, named: Sequence[EntityEntry]) -> Iterator[str]:
    if not reads.functions or named:
        return
    functions = ", ".join(reads.functions[:SHOWN])
    guessed = ", ".join(sorted(".".join(name) for name in reads.guessed)[:SHOWN]) or "nothing"
    yield (
        f"what functions read ({functions}) was guessed from the names in them: {guessed}."
        " If they read more, name all that is read with --entity"
    )
