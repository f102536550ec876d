"""What depends on what in a database, by pg_depend: which objects of a schema belong together.

An object is (catalog oid, object oid), as pg_dump names them too. Two questions are answered: what
falls when something is left out, and what is needed when only something is wanted.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

import psycopg

from cas.postgres.faults import faults_of
from cas.postgres.reading.introspection_types import FIRST_USER_OID

Thing = tuple[int, int]
"""Oid of the catalog, oid of the object in it."""

RELATIONS, NAMESPACES, PUBLISHED, PUBLISHED_SCHEMAS = 1259, 2615, 6106, 6237
"""The oids of pg_class, pg_namespace, pg_publication_rel and pg_publication_namespace."""

_DEPENDENCIES = f"""
SELECT classid::int8, objid::int8, refclassid::int8, refobjid::int8, deptype::text FROM pg_depend
WHERE deptype IN ('n', 'a', 'i', 'P', 'S', 'e') AND objid >= {FIRST_USER_OID}
  AND (refobjid >= {FIRST_USER_OID} OR refclassid = 'pg_namespace'::regclass)
"""  # noqa: S608 - a constant of this program

_RELATIONS = """
SELECT c.oid::int8, n.nspname::text, c.relname::text, c.relkind::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'i', 'I', 'S')
"""

_FOREIGN_KEYS = """
SELECT 'pg_constraint'::regclass::oid::int8, oid::int8, conrelid::int8, confrelid::int8
FROM pg_constraint WHERE contype = 'f'
"""


@dataclass(frozen=True, slots=True)
class Edge:
    """`thing` depends on `on`. kind: n normal, a automatic, i internal, P and S partition, e extension."""

    thing: Thing
    on: Thing
    kind: str
    is_need: bool = True
    """False for a sequence that a table owns: it falls with the table, and can be without it."""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key and the oids of its two tables."""

    thing: Thing
    table: int
    references: int


@dataclass(frozen=True, slots=True)
class Dependencies:
    """All dependencies between objects that users made."""

    edges: tuple[Edge, ...]
    foreign_keys: tuple[ForeignKey, ...]
    relations: Mapping[tuple[str, str], int]
    """(schema, name) -> oid of tables, indexes and sequences."""
    schemas: Mapping[str, int]

    def fallen(self, left_out: Iterable[Thing], protected: Set[Thing]) -> set[Thing]:
        """Everything that cannot be there without what is left out. `protected` never falls: tables
        whose rows are held, and their sequences."""
        dependents: dict[Thing, list[Thing]] = {}
        wholes: dict[Thing, list[Thing]] = {}
        for edge in self.edges:
            if edge.kind != "e":
                dependents.setdefault(edge.on, []).append(edge.thing)
            if edge.kind == "i":
                # A view is nothing without its rule, though it is the rule that depends on the view.
                wholes.setdefault(edge.thing, []).append(edge.on)
        fallen: set[Thing] = set()
        waiting = list(left_out)
        while waiting:
            thing = waiting.pop()
            if thing in fallen or thing in protected:
                continue
            fallen.add(thing)
            waiting.extend(dependents.get(thing, ()))
            waiting.extend(wholes.get(thing, ()))
        return fallen

    def needed(self, wanted: Iterable[Thing], tables: Set[int]) -> set[Thing]:
        """What is wanted, all its parts (indexes, triggers, defaults), and everything that all these need.

        A foreign key belongs to it where both of its tables are among `tables`.
        """
        outside = {k.thing for k in self.foreign_keys if not {k.table, k.references} <= tables}
        needs: dict[Thing, list[Thing]] = {}
        parts: dict[Thing, list[Thing]] = {}
        for edge in self.edges:
            if edge.is_need:
                needs.setdefault(edge.thing, []).append(edge.on)
            if edge.kind in "aiPS" and edge.thing[0] not in (PUBLISHED, PUBLISHED_SCHEMAS):
                parts.setdefault(edge.on, []).append(edge.thing)
        found: set[Thing] = set()
        waiting = list(wanted)
        while waiting:
            thing = waiting.pop()
            if thing in found or thing in outside:
                continue
            found.add(thing)
            waiting.extend(needs.get(thing, ()))
            waiting.extend(parts.get(thing, ()))
        return found

    def prerequisites(self, wanted: Iterable[Thing]) -> set[Thing]:
        """What the bare definition of these things needs: parents, types; not what their parts need."""
        needs: dict[Thing, list[Thing]] = {}
        for edge in self.edges:
            if edge.is_need:
                needs.setdefault(edge.thing, []).append(edge.on)
        found: set[Thing] = set()
        waiting = list(wanted)
        while waiting:
            thing = waiting.pop()
            if thing not in found:
                found.add(thing)
                waiting.extend(needs.get(thing, ()))
        return found

    def parts_of(self, things: Set[Thing]) -> set[Thing]:
        """What belongs to one of these things alone: indexes, constraints, triggers of a table."""
        return {edge.thing for edge in self.edges if edge.kind in "aiPS" and edge.on in things}

    def in_schemas(self, schemas: Set[int]) -> set[Thing]:
        """The objects that lie in these schemas."""
        return {edge.thing for edge in self.edges if edge.on[0] == NAMESPACES and edge.on[1] in schemas}


def dependencies_of(connection: psycopg.Connection) -> Dependencies:
    """All dependencies, as the connection's transaction sees them."""
    with faults_of("reading dependencies"):
        relations = connection.execute(_RELATIONS).fetchall()
        owned = {(RELATIONS, oid) for oid, _, _, kind in relations if kind == "S"}
        edges = tuple(
            Edge((catalog, oid), (on_catalog, on_oid), kind, (catalog, oid) not in owned or kind != "a")
            for catalog, oid, on_catalog, on_oid, kind in connection.execute(_DEPENDENCIES)
        )
        keys = tuple(
            ForeignKey((catalog, oid), table, references)
            for catalog, oid, table, references in connection.execute(_FOREIGN_KEYS)
        )
        schemas = connection.execute("SELECT nspname::text, oid::int8 FROM pg_namespace").fetchall()
    return Dependencies(
        edges,
        keys,
        relations={(schema, name): oid for oid, schema, name, _ in relations},
        schemas=dict(schemas),
    )
