"""Which entries of a whole database's dump a version keeps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cas.postgres.dumping.dependencies import RELATIONS, Dependencies, Thing
from cas.postgres.dumping.text import SETTINGS, DumpEntry

_NAMED_BY_CHILD = ("TABLE ATTACH", "INDEX ATTACH", "SEQUENCE OWNED BY")
"""Entries about two relations, which pg_dump names by one of them and gives no oid."""


@dataclass(frozen=True, slots=True)
class SchemaChoice:
    """What of a schema is kept. All numbers are oids.

    tables: those whose rows are held, partitions included, and `sequences` those whose values are.
    left_out: tables that must not come along, unless a held one needs their definition.
    hidden_schemas: by name; nothing of them, and nothing that depends on them.
    only_needed: only the held tables, what lies in `schemas`, and all that these need.
    """

    tables: frozenset[int]
    sequences: frozenset[int] = frozenset()
    left_out: frozenset[int] = frozenset()
    hidden_schemas: frozenset[str] = frozenset()
    only_needed: bool = False
    schemas: frozenset[str] = frozenset()


class EntryFilter:
    """Decides entry by entry, from the dependencies of the same snapshot."""

    def __init__(self, dependencies: Dependencies, choice: SchemaChoice) -> None:
        held = {(RELATIONS, oid) for oid in choice.tables | choice.sequences}
        left_out = {(RELATIONS, oid) for oid in choice.left_out} - dependencies.prerequisites(held)
        hidden = {oid for name, oid in dependencies.schemas.items() if name in choice.hidden_schemas}
        self.hidden = dependencies.fallen(dependencies.in_schemas(hidden), held)
        """What goes because it lies in a hidden schema or depends on one."""
        self._fallen = dependencies.fallen(left_out, held) | self.hidden
        self._needed: set[Thing] | None = None
        if choice.only_needed:
            wanted = dependencies.in_schemas({dependencies.schemas[name] for name in choice.schemas})
            self._needed = dependencies.needed(held | wanted - self._fallen, choice.tables)
        self._relations = {
            (_sanitised(schema), _sanitised(name)): oid
            for (schema, name), oid in dependencies.relations.items()
        }
        self._owners = {
            edge.thing: edge.on for edge in dependencies.edges if edge.kind == "a" and edge.on[0] == RELATIONS
        }

    def is_alive(self, thing: Thing) -> bool:
        """Whether the object is part of what is kept."""
        return thing not in self._fallen and (self._needed is None or thing in self._needed)

    def kept(self, entries: Sequence[DumpEntry]) -> list[DumpEntry]:
        """The entries that stay, in order."""
        gone = {entry.dump_id for entry in entries if not self._stands_alone(entry)}
        return [entry for entry in entries if entry.dump_id not in gone and gone.isdisjoint(entry.needs)]

    def _stands_alone(self, entry: DumpEntry) -> bool:
        """Whether an entry stays, as far as it does not hang on another entry."""
        if entry.type == SETTINGS:
            return True
        if entry.class_oid:
            return self.is_alive((entry.class_oid, entry.oid))
        if entry.type in _NAMED_BY_CHILD:
            child = (RELATIONS, self._relations.get((entry.schema, entry.name), 0))
            parent = self._owners.get(child)
            return self.is_alive(child) and (parent is None or self.is_alive(parent))
        return bool(entry.needs) or self._needed is None


def describe(entries: Iterable[DumpEntry]) -> list[str]:
    """`type schema.name` of each, for people."""
    return [
        f"{e.type.lower()} {e.schema}.{e.name}" if e.schema else f"{e.type.lower()} {e.name}" for e in entries
    ]


def _sanitised(name: str) -> str:
    """A name as pg_dump writes it in a comment."""
    return name.replace("\n", " ").replace("\r", " ")
