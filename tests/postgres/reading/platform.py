"""What the tests of reading do with a platform: fill it, read all of it, disturb it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from cas.postgres.connecting import ConnectionOptions
from cas.postgres.reading.opening import Patience
from cas.postgres.reading.source import PostgresSnapshot, PostgresSource, SourceOptions
from cas.records.model import Entity
from cas.records.source import Selection

HASTY = Patience(lock_timeout=0.5, openings=2)
"""For tests in which a lock is never had."""


@dataclass(frozen=True, slots=True)
class Records:
    """All records of one entity."""

    keys: list[bytes]
    payloads: list[bytes]


def source(url: str, patience: Patience | None = None, statement_timeout: float = 0) -> PostgresSource:
    return PostgresSource(
        url,
        SourceOptions(
            ConnectionOptions(statement_timeout=statement_timeout), patience or Patience(lock_timeout=20)
        ),
    )


def run(url: str, *statements: str, encoding: str = "UTF8") -> None:
    """Execute as the superuser, each statement by itself."""
    with psycopg.connect(url, autocommit=True, client_encoding=encoding) as connection:
        connection.execute("SET lock_timeout = '10s'")  # a test that blocks itself shall fail
        for statement in statements:
            connection.execute(statement.encode())


def ask(url: str, question: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return list(connection.execute(question.encode()).fetchall())


def read(snapshot: PostgresSnapshot, entity: Entity) -> Records:
    keys: list[bytes] = []
    payloads: list[bytes] = []
    for batch in snapshot.batches(entity):
        keys.extend(batch.keys)
        payloads.extend(batch.payloads)
    return Records(keys, payloads)


def entity_of(snapshot: PostgresSnapshot, label: str) -> Entity:
    return next(entity for entity in snapshot.entities if entity.label == label)


def read_table(url: str, label: str) -> Records:
    """All records of one table, with a snapshot of its own."""
    with source(url).snapshot(Selection(tables=(label,))) as snapshot:
        records = read(snapshot, entity_of(snapshot, label))
        snapshot.finish()
        return records


def login(url: str, role: str) -> str:
    """The same database for another role, without password (the clusters trust)."""
    return url.replace("postgres@", f"{role}@", 1)


@contextmanager
def new_role(url: str, role: str) -> Iterator[str]:
    """A role that may log in and nothing else; yields its URL. Dropped with what it was granted."""
    run(url, f'CREATE ROLE "{role}" LOGIN')
    try:
        yield login(url, role)
    finally:
        run(url, f'DROP OWNED BY "{role}"', f'DROP ROLE "{role}"')


@contextmanager
def meanwhile(action: Callable[[], None]) -> Iterator[threading.Thread]:
    """The action in a thread; at the end it is waited for, and its error is raised here."""
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            action()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(60)
    assert not thread.is_alive()
    if errors:
        raise errors[0]


def wait_for_waiter(url: str, table: str, mode: str) -> None:
    """Until some session waits for a lock of this mode on the table."""
    question = f"""SELECT count(*) FROM pg_locks
        WHERE relation = '{table}'::regclass AND mode = '{mode}' AND NOT granted"""
    deadline = time.monotonic() + 20
    while ask(url, question) == [(0,)]:
        assert time.monotonic() < deadline, f"nobody waits for {table}"
        time.sleep(0.02)
