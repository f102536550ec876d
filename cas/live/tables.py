"""The tables of a restore: each entity of the version beside the live table that it goes into."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from cas.contents import Contents
from cas.errors import InvalidInput, NotFound, Unsupported
from cas.format.entities import EntityEntry
from cas.live.column_map import ColumnMap, column_map
from cas.live.request import LiveRequest
from cas.records.model import Entity, EntityKind

Name = tuple[str, str]
"""Schema and table of the live platform."""

TABLES = (EntityKind.TABLE, EntityKind.PARTITIONED)


@dataclass(frozen=True, slots=True)
class Pair:
    """One entity of the version and its live table."""

    entry: EntityEntry
    live: Entity
    columns: ColumnMap
    is_narrow: bool = False
    """Whether only some columns come back, of records that are there."""

    @property
    def name(self) -> Name:
        return (self.live.schema, self.live.name)


@dataclass(frozen=True, slots=True)
class Renames:
    """Tables and columns that are called otherwise now."""

    tables: Mapping[str, str]
    """The version's label -> the live one."""
    columns: Mapping[str, Mapping[str, str]]
    """The version's label -> old column -> new column."""


def renames_of(contents: Contents, request: LiveRequest) -> Renames:
    """What `--map` says. InvalidInput for what the version does not hold."""
    tables: dict[str, str] = {}
    columns: dict[str, dict[str, str]] = {}
    for old, new in request.renamed:
        entry = _find(contents, old)
        if entry is not None:
            tables[entry.entity.label] = new
            continue
        table, _, column = old.rpartition(".")
        entry = _find(contents, table) if table else None
        if entry is None:
            raise InvalidInput(
                f"the version holds neither table nor column {old}", where=f"--map {old}={new}"
            )
        columns.setdefault(entry.entity.label, {})[column] = new.rpartition(".")[2]
    return Renames(tables, columns)


def _find(contents: Contents, label: str) -> EntityEntry | None:
    try:
        return contents.entry(label)
    except NotFound:
        return None


def in_scope(contents: Contents, request: LiveRequest) -> list[EntityEntry]:
    """The entities that the request names, with data. InvalidInput for a pattern that matches nothing."""
    entries = [e for e in contents.entries if e.entity.kind in TABLES and e.root is not None]
    for pattern in (*request.tables, *request.exclude):
        if not any(_matches(entry.entity, pattern) for entry in entries):
            raise InvalidInput(
                f"version {contents.document.number} holds no records of a table {pattern}",
                hint="`cas show` lists what it holds",
            )
    named = {contents.entry(name).entity.label for name, _ in (*request.keys, *request.subtrees)}
    named |= {contents.entry(name).entity.label for name, _ in request.where}
    chosen = [
        entry
        for entry in entries
        if (not request.tables or any(_matches(entry.entity, p) for p in request.tables))
        and not any(_matches(entry.entity, p) for p in request.exclude)
    ]
    return [entry for entry in chosen if not named or entry.entity.label in named]


def _matches(entity: Entity, pattern: str) -> bool:
    """By pattern; and by its own name, whatever letters that has."""
    names = (entity.label, entity.name)
    return pattern in names or any(fnmatchcase(name, pattern) for name in names)


def live_label(entry: EntityEntry, renames: Renames) -> str:
    """What the live table is called."""
    return renames.tables.get(entry.entity.label, entry.entity.label)


def paired(entry: EntityEntry, live: Entity, renames: Renames, only: tuple[str, ...] = ()) -> Pair:
    """The entity beside its live table; `only` these columns come back, where it is not empty. Unsupported
    where records cannot be matched: the keys differ."""
    old = entry.entity
    renamed = renames.columns.get(old.label, {})
    key = tuple((renamed.get(name, name), part) for name, part in old.key)
    if key != live.key:
        raise Unsupported(
            f"the primary key of {live.label} is another one than in the version",
            where=_shown_key(old) + " -> " + _shown_key(live),
            hint="Restore the version into an empty database with --into, or ask it with `cas query`",
        )
    return Pair(entry, live, column_map(old, live, renamed, only), is_narrow=bool(only))


def columns_of(live: Entity, request: LiveRequest) -> tuple[str, ...]:
    """Those of the requested columns that the table has. InvalidInput where one is of its key, or it has
    none to match records by."""
    only = tuple(name for name in request.columns if any(c.name == name for c in live.columns))
    for name in only:
        if any(name == part for part, _ in live.key):
            raise InvalidInput(f"column {name} belongs to the primary key of {live.label}", where="--columns")
    if only and live.is_bag:
        raise InvalidInput(f"{live.label} has no primary key to match records by", where="--columns")
    return only


def require_columns(tables: Sequence[Entity], request: LiveRequest) -> None:
    """InvalidInput for a column that none of the tables has."""
    for name in request.columns:
        if not any(column.name == name for live in tables for column in live.columns):
            raise InvalidInput(f"none of the tables has a column {name}", where="--columns")


def _shown_key(entity: Entity) -> str:
    return f"({', '.join(name for name, _ in entity.key)})" if entity.key else "no key"
