"""Which of a database's tables and sequences a selection means."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from cas.errors import InvalidInput
from cas.postgres.reading.obstacles import as_omission
from cas.postgres.reading.shapes import Obstacle, Table, Tables
from cas.postgres.reading.shapes import Sequence as DatabaseSequence
from cas.records.source import Omission, Selection

Name = tuple[str, str]
"""Schema and table."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The tables of a version: those that can be read, and those that cannot."""

    tables: tuple[Table, ...]
    refused: tuple[Table, ...]
    """What should be read and cannot; each has its obstacle."""
    unwanted: tuple[Table, ...]
    """Tables that the selection does not mean."""
    omissions: tuple[Omission, ...]
    """What is no entity anyway: foreign tables and the like, as far as the selection means them."""

    @property
    def oids(self) -> frozenset[int]:
        """The chosen tables and their partitions."""
        return frozenset(oid for table in self.tables for oid in table.relations)

    @property
    def refusals(self) -> list[tuple[str, Obstacle]]:
        """(label, why) of what cannot be read."""
        return [(t.entity.label, t.obstacle) for t in self.refused if t.obstacle is not None]


def choose(tables: Tables, selection: Selection) -> Chosen:
    """Divide a database's tables. InvalidInput where a pattern or schema matches nothing at all."""
    names: list[Name] = [(t.entity.schema, t.entity.name) for t in tables.tables]
    wanted = wanted_names([*names, *(name for name, _ in tables.left_out)], selection)
    meant = [t for t in tables.tables if (t.entity.schema, t.entity.name) in wanted]
    return Chosen(
        tables=tuple(t for t in meant if t.obstacle is None),
        refused=tuple(t for t in meant if t.obstacle is not None),
        unwanted=tuple(t for t in tables.tables if (t.entity.schema, t.entity.name) not in wanted),
        omissions=tuple(omission for name, omission in tables.left_out if name in wanted),
    )


def wanted_names(names: Sequence[Name], selection: Selection) -> set[Name]:
    """Those (schema, table) that the selection means."""
    _require_schemas({schema for schema, _ in names}, selection.schemas)
    wanted = {name for name in names if not selection.schemas or name[0] in selection.schemas}
    spoken = _Spoken(names)
    if selection.tables:
        wanted &= set().union(*(spoken.matches(pattern) for pattern in selection.tables))
    for pattern in selection.exclude:
        wanted -= spoken.matches(pattern)
    return wanted


def choose_sequences(
    sequences: Iterable[DatabaseSequence], selection: Selection, chosen: Chosen
) -> tuple[DatabaseSequence, ...]:
    """The sequences of a version: with selected tables, those that belong to one or give it defaults;
    with selected schemas, also the free ones there; else all but those of excluded tables."""
    oids = chosen.oids
    unwanted = {oid for table in chosen.unwanted for oid in table.relations}

    def is_wanted(sequence: DatabaseSequence) -> bool:
        if not oids.isdisjoint(sequence.tables):
            return True
        if selection.tables or sequence.owner in unwanted:
            return False
        return not selection.schemas or sequence.schema in selection.schemas

    return tuple(sequence for sequence in sequences if is_wanted(sequence))


def holds_large_objects(selection: Selection) -> bool:
    """Large objects belong to no table: they are left out with selected tables or schemas."""
    return not (selection.schemas or selection.tables)


def refused_omissions(refused: Iterable[tuple[str, Obstacle]]) -> list[Omission]:
    """What the caller allowed to be missing."""
    return [as_omission(name, obstacle) for name, obstacle in refused]


class _Spoken:
    """Tables by what a pattern may call them: `schema.table`, or `table` alone."""

    def __init__(self, names: Iterable[Name]) -> None:
        self._called: dict[str, set[Name]] = {}
        for name in names:
            self._called.setdefault(f"{name[0]}.{name[1]}", set()).add(name)
            self._called.setdefault(name[1], set()).add(name)

    def matches(self, pattern: str) -> set[Name]:
        """The tables that the pattern means; only `*` is special in it. InvalidInput for none."""
        found = set(self._called.get(pattern, ()))
        if "*" in pattern:
            regex = _regex(pattern)
            found.update(*(names for called, names in self._called.items() if regex.fullmatch(called)))
        if not found:
            raise InvalidInput(
                f"no table matches {pattern[:200]!r}",
                hint="Patterns are schema.table, table, or with *; a partition is chosen through its root",
            )
        return found


def _regex(pattern: str) -> re.Pattern[str]:
    """Each part is looked for where it comes first, and once: many stars take no longer than one."""
    first, *middle, last = map(re.escape, pattern.split("*"))
    return re.compile(f"{first}{''.join(f'(?>.*?{part})' for part in middle)}.*{last}", re.DOTALL)


def _require_schemas(known: Collection[str], wanted: Iterable[str]) -> None:
    for schema in wanted:
        if schema not in known:
            raise InvalidInput(f"there is no schema {schema[:200]!r} with tables")
