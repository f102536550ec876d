"""A platform whose changes are captured, and one repository that reads them from version to version."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain

import psycopg

from cas.postgres.capture.changes import CapturedChanges
from cas.postgres.capture.installing import install
from cas.postgres.capture.patience import CaptureOptions
from cas.postgres.capture.pruning import Pruned, prune
from cas.postgres.capture.reading import captured
from cas.postgres.capture.status import status
from cas.postgres.connecting import ConnectionOptions, connect
from cas.postgres.reading.introspection import introspect
from cas.postgres.reading.shapes import Table
from cas.records.capture import CaptureReport, CaptureState
from cas.records.keys import decode_key
from tests.postgres.target.moving import ask
from tests.servers.postgres import Cluster

REPOSITORY = "a repository"
OPTIONS = CaptureOptions(lock_timeout=0.2, attempts=3, pause=0.05)

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What capture says of one table: live records by key, and all written keys, both in its order; by how
    many records it has grown."""

    records: dict[Key, str]
    keys: list[Key]
    written: int
    more: int

    @property
    def gone(self) -> set[Key]:
        return set(self.keys) - set(self.records)


@dataclass
class Platform:
    """One database. `url` is the owner's of all tables, `admin` a superuser's."""

    cluster: Cluster
    admin: str
    url: str
    options: CaptureOptions = OPTIONS

    def run(self, statements: str) -> list[tuple[object, ...]]:
        return ask(self.url, statements)

    def as_admin(self, statements: str) -> list[tuple[object, ...]]:
        return ask(self.admin, statements)

    def install(self, *tables: str) -> CaptureReport:
        return install(self.url, tables, self.options)

    def captured(self, statements: str) -> str:
        """Make tables, capture them all, and take the first version."""
        self.run(statements)
        self.install()
        return self.version()

    def version(self, repository: str = REPOSITORY) -> str:
        """What a version leaves behind: its snapshot, told to the platform."""
        snapshot = self.now()
        self.prune(snapshot, repository)
        return snapshot

    def now(self) -> str:
        with self.reading() as connection:
            return str(connection.execute("SELECT pg_current_snapshot()::text").fetchall()[0][0])

    def prune(self, snapshot: str, repository: str = REPOSITORY) -> Pruned:
        return prune(self.url, repository, snapshot, options=self.options)

    @contextmanager
    def reading(self) -> Iterator[psycopg.Connection]:
        """A connection inside of a version's transaction."""
        with closing(connect(self.url, ConnectionOptions())) as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield connection

    def look(self, table: str, base: str, repository: str = REPOSITORY) -> Found | str:
        """What capture says of a table since the base, or why it says nothing."""
        with self.reading() as connection:
            return looked(connection, table, base, repository)

    def found(self, table: str, base: str) -> Found:
        found = self.look(table, base)
        assert isinstance(found, Found), found
        return found

    def reason(self, table: str) -> str:
        """Why `cas capture status` says that a table is not captured."""
        (one,) = [one for one in status(self.url, self.options).tables if one.name == table]
        return "" if one.state is CaptureState.CAPTURED else one.reason


def looked(
    connection: psycopg.Connection, table: str, base: str, repository: str = REPOSITORY
) -> Found | str:
    """Within the transaction of a connection."""
    described = table_of(connection, table)
    changes = captured(connection, described, base, repository)
    return changes if isinstance(changes, str) else found_in(described, changes)


def found_in(table: Table, changes: CapturedChanges) -> Found:
    records = {}
    for batch in changes.batches():
        for key, payload in zip(batch.keys, batch.payloads, strict=True):
            records[_key(table, key)] = payload.decode()
    keys = list(chain.from_iterable(changes.keys()))
    assert keys == sorted(set(keys))
    return Found(records, [_key(table, key) for key in keys], changes.written, changes.more)


def table_of(connection: psycopg.Connection, name: str) -> Table:
    (table,) = [table for table in introspect(connection).tables if table.entity.name == name]
    return table


def _key(table: Table, key: bytes) -> Key:
    return tuple((text or b"").decode("utf-8", "surrogateescape") for text in decode_key(table.entity, key))


def ids(*numbers: int) -> list[Key]:
    """Keys of one integer."""
    return [(str(number),) for number in numbers]


@contextmanager
def writer(platform: Platform) -> Iterator[psycopg.Connection]:
    """A session of the platform that ends its transactions itself."""
    with psycopg.connect(platform.url, autocommit=True, client_encoding="UTF8") as connection:
        yield connection
