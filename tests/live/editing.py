"""People at work on a platform: random edits, by several sessions."""

import random
from collections.abc import Sequence

import psycopg

from tests.live.shapes import Shape, Table, Text

SETTINGS = ("SET fuzz.quiet = 'on'", "SET lock_timeout = '20ms'", "SET statement_timeout = '10s'")


def connected(url: str) -> psycopg.Connection:
    """A session whose edits fire no trigger, and that waits for nobody."""
    connection = psycopg.connect(url, autocommit=True)
    for statement in SETTINGS:
        connection.execute(statement.encode())
    return connection


def edit(connection: psycopg.Connection, shape: Shape, seed: int, count: int) -> None:
    """So many edits, each by itself; those that the platform refuses do nothing."""
    rng = random.Random(seed)
    for _ in range(count):
        statement, values = _statement(shape, rng)
        try:
            with connection.transaction():
                connection.execute(statement.encode(), values)
        except psycopg.Error:
            continue


def fill(connection: psycopg.Connection, shape: Shape, seed: int) -> None:
    """The first rows, in one transaction for each table, so that trees and cycles may come to be."""
    rng = random.Random(seed)
    for _ in range(3):
        for table in shape.tables:
            for _ in range(rng.randint(1, 6)):
                statement, values = _insert(table, rng)
                try:
                    with connection.transaction():
                        connection.execute(statement.encode(), values)
                except psycopg.Error:
                    continue


def _statement(shape: Shape, rng: random.Random) -> tuple[str, Sequence[Text | int]]:
    table = rng.choice(shape.tables)
    word = rng.choice(("insert", "insert", "update", "update", "update", "delete", "draw", "same"))
    if word == "insert":
        return _insert(table, rng)
    if word == "draw":
        if not table.draws:
            return "SELECT", ()
        return f"SELECT nextval(pg_get_serial_sequence('{table.quoted}', 'id'))", ()
    place = f"(SELECT ctid FROM {table.quoted} ORDER BY ctid OFFSET %s LIMIT 1)"
    part = f"(SELECT tableoid FROM {table.quoted} ORDER BY ctid OFFSET %s LIMIT 1)"
    of_one = f"ctid = {place} AND tableoid = {part}"
    offset = rng.randrange(4)
    if word == "delete":
        return f"DELETE FROM {table.quoted} WHERE {of_one}", (offset, offset)
    column = rng.choice(table.columns)
    if word == "same":
        return f"UPDATE {table.quoted} SET {column.name} = {column.name} WHERE {of_one}", (offset, offset)
    value = rng.choice(column.values)
    return f"UPDATE {table.quoted} SET {column.name} = %s WHERE {of_one}", (value, offset, offset)


def _insert(table: Table, rng: random.Random) -> tuple[str, Sequence[Text]]:
    columns = [c for c in table.columns if not (c.name == "id" and table.draws and rng.random() < 0.5)]
    values: list[Text] = []
    for column in columns:
        is_reference = column.name.startswith("r")
        none = is_reference and rng.random() < 0.3
        values.append(None if none else rng.choice(column.values))
    names = ", ".join(column.name for column in columns)
    marks = ", ".join("%s" for _ in columns)
    return f"INSERT INTO {table.quoted} ({names}) OVERRIDING SYSTEM VALUE VALUES ({marks})", values
