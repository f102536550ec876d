"""What a statement reads, found by the server itself: the dependencies of a view made of it.

A plan would tell too little: the planner leaves out tables that cannot matter, looks into no function
that it does not inline, and runs code that it takes for constant. A view is only analysed, and the
server records every table, column, function and operator that it speaks of (pg_depend), so its answer
is complete, as deep as views go and as functions with standard bodies (BEGIN ATOMIC) go. Around the
statement stands `SELECT 1 FROM (...)`, since a view's own columns would need different names.

Bodies that are text are text to the server, too. All names in them are taken for what they could
mean: that finds too much rather than too little, and it is said that it was guessed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

import psycopg

from cas.records.scratch import Reads

_VIEW = b"CREATE TEMPORARY VIEW cas_statement AS SELECT 1 AS one FROM (\n%b\n) AS cas_statement"

_RELATION = """
SELECT n.nspname::text, c.relname::text, c.relkind::text, c.relispartition,
       ARRAY(SELECT inhparent::int8 FROM pg_inherits WHERE inhrelid = c.oid),
       ARRAY(SELECT inhrelid::int8 FROM pg_inherits WHERE inhparent = c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = %s::oid
"""

# What the rules of a view depend on, or what an object itself depends on.
_OF_VIEW = """
SELECT d.refclassid::regclass::text, d.refobjid::int8 FROM pg_rewrite r
JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
WHERE r.ev_class = %(oid)s::oid AND NOT (d.refclassid = 'pg_class'::regclass AND d.refobjid = r.ev_class)
  AND d.refclassid IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_operator'::regclass)
"""
_OF_FUNCTION = """
SELECT d.refclassid::regclass::text, d.refobjid::int8 FROM pg_depend d
WHERE d.classid = 'pg_proc'::regclass AND d.objid = %(oid)s::oid
  AND d.refclassid IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_operator'::regclass)
"""
_OF_OPERATOR = "SELECT 'pg_proc', oprcode::oid::int8 FROM pg_operator WHERE oid = %(oid)s::oid"

# Functions of extensions and of the server read no table of ours.
_BODY = """
SELECT p.oid::regprocedure::text, p.prosrc FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.oid = %s::oid AND p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal') AND p.prosrc <> ''
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                  AND d.deptype = 'e')
"""

_MEANT = """
SELECT 'pg_class', c.oid::int8 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = ANY (%(names)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.oid >= 16384
  AND n.nspname !~ '^pg_'
UNION ALL
SELECT 'pg_proc', p.oid::int8 FROM pg_proc p WHERE p.proname = ANY (%(names)s) AND p.oid >= 16384
"""

_WORD = re.compile(r'"((?:[^"]|"")+)"|([A-Za-z_\u0080-\U0010ffff][\w$]*)')

_VIEWS = ("v", "m")

_Object = tuple[str, int]
"""Catalog and oid."""


@dataclass(slots=True)
class _Found:
    entities: frozenset[tuple[str, str]]
    certain: set[tuple[str, str]] = field(default_factory=set)
    guessed: set[tuple[str, str]] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)
    sequences: bool = False
    materialized: dict[int, tuple[str, str]] = field(default_factory=dict)
    edges: dict[int, set[int]] = field(default_factory=dict)
    """Views and what they read, by oid."""


def needs(connection: psycopg.Connection, statement: bytes, entities: frozenset[tuple[str, str]]) -> Reads:
    """What the statement reads, in terms of these entities where there are such.

    The connection is the owner's, with the search path of the statement; it is left as it was. Raises
    psycopg.Error where no view can be made of the statement.
    """
    with connection.transaction(force_rollback=True):
        connection.execute(_VIEW % statement, prepare=True)
        row = connection.execute("SELECT 'pg_temp.cas_statement'::regclass::oid::int8").fetchone()
        assert row is not None
        return _followed(connection, int(row[0]), _Found(entities))


def _followed(connection: psycopg.Connection, view: int, found: _Found) -> Reads:
    certain = _walk(connection, [("pg_class", view)], set(), found, is_certain=True)
    # What only a guess leads to, behind all that is certain: an object of both kinds is certain.
    _walk(connection, certain, {("pg_class", view)}, found, is_certain=False)
    return Reads(
        certain=frozenset(found.certain),
        guessed=frozenset(found.guessed - found.certain),
        functions=tuple(sorted(found.functions)),
        views=tuple(_ordered(found)),
        foreign=tuple(sorted(found.foreign)),
        sequences=found.sequences,
    )


def _walk(
    connection: psycopg.Connection,
    start: list[_Object],
    seen: set[_Object],
    found: _Found,
    *,
    is_certain: bool,
) -> list[_Object]:
    """Follow everything from here; what names in bodies may mean, as the start of the second walk."""
    waiting, guesses = list(start), []
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        catalog, oid = one
        if catalog == "pg_class":
            waiting += _relation(connection, oid, found, is_certain=is_certain)
        elif catalog == "pg_operator":
            waiting += _rows(connection, _OF_OPERATOR, oid)
        elif catalog == "pg_proc":
            waiting += _rows(connection, _OF_FUNCTION, oid)
            meant = list(_meant(connection, oid, found))
            guesses += meant
            waiting += [] if is_certain else meant
    return guesses


def _relation(
    connection: psycopg.Connection, oid: int, found: _Found, *, is_certain: bool
) -> Iterator[_Object]:
    row = connection.execute(_RELATION, [oid]).fetchone()
    if row is None:
        return
    schema, name, kind, is_partition, parents, children = row
    if kind in _VIEWS:
        read = _rows(connection, _OF_VIEW, oid)
        found.edges[oid] = {other for catalog, other in read if catalog == "pg_class"}
        if kind == "m":
            found.materialized[oid] = (schema, name)
        yield from read
    elif kind == "f":
        found.foreign.add(f"{schema}.{name}")
    elif kind == "S":
        found.sequences = True
    elif kind in ("r", "p"):
        is_entity = (schema, name) in found.entities
        if is_entity or (kind == "r" and not is_partition):
            (found.certain if is_certain else found.guessed).add((schema, name))
        # A partition's rows come with its root, if that is an entity; children of inheritance, and
        # partitions beside a foreign one, are entities of their own.
        further = parents if is_partition and not is_entity else []
        if kind == "r" or not is_entity:
            further = [*further, *children]
        yield from (("pg_class", other) for other in further)


def _rows(connection: psycopg.Connection, query: str, oid: int) -> list[_Object]:
    return [(str(catalog), int(other)) for catalog, other in connection.execute(query, {"oid": oid})]


def _meant(connection: psycopg.Connection, function: int, found: _Found) -> Iterator[_Object]:
    row = connection.execute(_BODY, [function]).fetchone()
    if row is None:
        return
    found.functions.add(str(row[0]))
    names = {
        quoted.replace('""', '"') if quoted else word.lower() for quoted, word in _WORD.findall(str(row[1]))
    }
    for catalog, oid in connection.execute(_MEANT, {"names": sorted(names)}):
        yield str(catalog), int(oid)


def _ordered(found: _Found) -> Iterator[tuple[str, str]]:
    """Materialized views, those that others read first."""
    try:
        order = list(TopologicalSorter(found.edges).static_order())
    except CycleError:  # views that read each other can be read by nobody
        order = list(found.materialized)
    return (found.materialized[oid] for oid in order if oid in found.materialized)
