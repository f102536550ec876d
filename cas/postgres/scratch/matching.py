"""Which records of a table a predicate means: evaluated by PostgreSQL, as a statement that only reads.

The predicate's statement gives the places of the rows (ctid) and nothing else; a second, clean
session turns places into keys, with the very code that reads platforms. Were keys part of
the predicate's own statement, a predicate that changes DateStyle would change how they look.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace

import psycopg

from cas.errors import CorruptData, InvalidInput
from cas.postgres.connecting import ConnectionOptions, connect, server_encoding
from cas.postgres.faults import faults_of
from cas.postgres.quoting import shown
from cas.postgres.reading.copying import copied, run
from cas.postgres.reading.introspection import introspect
from cas.postgres.reading.selects import copy_statement
from cas.postgres.reading.shapes import KeyColumn, Table
from cas.postgres.reading.splitting import Splitter
from cas.postgres.scratch.asking import BEFORE
from cas.postgres.scratch.refusals import Asked
from cas.postgres.statements import tokens
from cas.records.model import Entity, EntityKind
from cas.records.scratch import Row

MAX_PREDICATE = 100_000
"""Characters of a predicate: far more than a person types, or a list of keys should have."""

_CLOSED = ") IS TRUE"


def condition(predicate: str) -> str:
    """The predicate in parentheses that it cannot leave. InvalidInput where it is empty, has a quote,
    comment or parenthesis that is not closed, one that was never opened, or a semicolon."""
    if len(predicate) > MAX_PREDICATE:
        raise InvalidInput(f"the predicate has more than {MAX_PREDICATE:,} characters")
    if "\0" in predicate:
        raise InvalidInput("the predicate has a zero byte in it")
    try:
        found = list(tokens(predicate))
    except CorruptData as error:
        raise InvalidInput("a quote or comment in the predicate never ends") from error
    if not found:
        raise InvalidInput("the predicate is empty", hint="Give a condition, such as: price > 100")
    depth = 0
    for token in found:
        if token.kind != "other":
            continue
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth < 0:
            raise _not_one("closes a parenthesis that it did not open", predicate, token.start)
        if token.text == ";":
            raise _not_one("has a semicolon in it", predicate, token.start)
    if depth:
        raise InvalidInput(f"the predicate leaves {depth} of its parentheses open", hint=_ONE)
    # A comment at its end would swallow what stands on the same line.
    return f"(\n{predicate}\n{_CLOSED}"


_ONE = "A predicate is one condition, as it stands behind WHERE"


def _not_one(what: str, predicate: str, at: int) -> InvalidInput:
    head = predicate[:at]
    line, column = head.count("\n") + 1, at - (head.rfind("\n") + 1) + 1
    return InvalidInput(f"the predicate {what}", where=f"line {line}, column {column}", hint=_ONE)


def places_of(entity: Entity, predicate: str) -> tuple[str, Asked]:
    """The statement that gives (tableoid, ctid) of the matching rows, and the predicate for errors."""
    only = "" if entity.kind is EntityKind.PARTITIONED else "ONLY "
    table = shown(entity.schema, entity.name)
    head = f"SELECT tableoid::pg_catalog.int8, ctid FROM {only}{table} WHERE "  # noqa: S608 - a quoted name
    return head + condition(predicate), Asked(predicate, BEFORE + len(head) + 2, "the predicate")


def keys_at(
    own: str, options: ConnectionOptions, entity: Entity, places: Iterable[list[Row]]
) -> Iterator[bytes]:
    """The key bytes, ascending, of the rows at these places. The owner's connection; nobody writes."""
    with closing(connect(own, options)) as connection:
        with faults_of(entity.label):
            connection.execute("CREATE TEMPORARY TABLE cas_places (rel oid, place tid)")
            with connection.cursor() as cursor, cursor.copy("COPY cas_places FROM STDIN") as copy:
                for rows in places:
                    copy.write("".join(f"{rel}\t{place}\n" for rel, place in rows))
            connection.execute("ANALYZE cas_places")
        table = _table(connection, entity)
        where = "WHERE (r.tableoid, r.ctid) IN (SELECT rel, place FROM pg_temp.cas_places)"
        encoding = server_encoding(connection)
        run(connection.pgconn, b"SET client_encoding = '%b'" % encoding.encode(), where=entity.label)
        splitter = Splitter([column.part for column in table.key], entity.label)
        statement = copy_statement(replace(table, condition=where), encoding)
        with closing(copied(connection.pgconn, statement, where=entity.label)) as lists:
            for rows_of_list in lists:
                yield from splitter.split(rows_of_list).keys


def _table(connection: psycopg.Connection, entity: Entity) -> Table:
    """How the table is read, with the version's columns and key, for here it has no primary key. The text
    of a key column is asked of its type's output function, which gives for texts what they are."""
    found = next(
        table
        for table in introspect(connection).tables
        if (table.entity.schema, table.entity.name) == (entity.schema, entity.name)
    )
    key = tuple(KeyColumn(name, part, sorts_as_text=False) for name, part in entity.key)
    return replace(found, entity=entity, key=key)
