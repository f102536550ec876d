"""Which records a WHERE condition means, as PostgreSQL understands it, without asking the platform."""

from collections.abc import Callable, Iterator

from cas.contents import Contents
from cas.errors import InvalidInput
from cas.format.entities import EntityEntry
from cas.progress import Progress, Silent
from cas.records.model import EntityKind
from cas.records.scratch import ReadLimits, Reads, ScratchServer
from cas.scratch_filling import build_schema, fill, platform_of, require_records

DEFAULT_SECONDS = 600.0
"""Time for the predicate on all records of a table. It is no small one, since nobody waits for a lock."""


def matching_keys(
    contents: Contents,
    entity: str,
    predicate: str,
    server: ScratchServer,
    *,
    progress: Progress | None = None,
    warn: Callable[[str], None] = lambda _: None,
    seconds: float = DEFAULT_SECONDS,
) -> Iterator[bytes]:
    """The key bytes, ascending, of the entity's records for which the predicate is true.

    The predicate is evaluated in a throwaway database that holds this entity's records of the version
    and no others, by a statement that can only read; subqueries may read this entity only. `warn` is
    told what is not as on the platform (the order of texts). The database lasts until the iterator
    ends or is closed.

    InvalidInput where the predicate is not one boolean expression, or reads another table, with the
    server's words and the place; PermissionDenied for what may not be done; TimedOut; NotFound; Unsupported
    where the server lacks what the table needs.
    """
    told = progress or Silent()
    entry = contents.entry(entity)
    _require_keyed(entry)
    require_records(contents, entry)
    told.phase("prepare")
    platform = platform_of(contents)
    what = f"a condition on {entry.entity.label} of version {contents.document.number}"
    with server.database(platform, what) as scratch:
        for note in scratch.notes:
            warn(note)
        build_schema(contents, scratch, told)
        reads = scratch.check_predicate(entry.entity, predicate)
        told.phase("load")
        for one in _own(contents, entry, scratch.check_predicate(entry.entity, "true"), reads):
            fill(contents, scratch, one, told)
        scratch.analyze()
        told.phase("compare")
        yield from scratch.matches(entry.entity, predicate, ReadLimits(seconds=seconds))


def _require_keyed(entry: EntityEntry) -> None:
    entity = entry.entity
    if entity.kind not in (EntityKind.TABLE, EntityKind.PARTITIONED):
        raise InvalidInput(f"{entity.label} is no table, so it has no columns to speak of")
    if entity.is_bag:
        raise InvalidInput(f"{entity.label} has no primary key, so no condition can name its records")


def _own(contents: Contents, entry: EntityEntry, table: Reads, reads: Reads) -> list[EntityEntry]:
    """What is loaded: the table, and those that inherit from it, whose rows a subquery sees in it. Any
    other table would be empty there, and the answer wrong: InvalidInput."""
    others = {".".join(name) for name in (reads.certain | reads.guessed) - table.certain}
    others |= {*reads.foreign, *(".".join(name) for name in reads.views)}
    if others:
        raise InvalidInput(
            f"the predicate reads {', '.join(sorted(others)[:5])}",
            where=entry.entity.label,
            hint="It may read the records of its own table only",
        )
    return [one for one in contents.entries if (one.entity.schema, one.entity.name) in table.certain]
