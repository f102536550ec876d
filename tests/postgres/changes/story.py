"""A platform, versions of it by the library, and how each entity of a version was read."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from cas.catalog.model import EntitySummary, Version
from cas.postgres.reading.source import PostgresSource
from cas.snapshot import SnapshotRequest, take_version
from tests.engine.scenes import World


class Story:
    """One database and its repository."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.world = World()
        self.repository = self.world.open()

    def close(self) -> None:
        self.repository.close()

    def run(self, *statements: str) -> None:
        """Each statement for itself."""
        with self.session() as session:
            for statement in statements:
                session.execute(statement.encode())

    @contextmanager
    def session(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection of the application, without transactions that nobody asked for."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            yield connection

    def take(self, **options: Any) -> Version:
        source = PostgresSource(self.url)
        request = SnapshotRequest(with_schema=False, **options)
        return take_version(self.repository, self.world.catalog, source, request).version

    def checked(self) -> Version:
        """A version by what changed; and one by every row, which must be equal."""
        version = self.take()
        again = self.take(scan=True)
        assert again.checksum == version.checksum, "what changed gives another version than every row"
        assert again.original_bytes == version.original_bytes
        assert not self.world.catalog.incidents()
        return version

    @staticmethod
    def entity(version: Version, label: str = "public.t") -> EntitySummary:
        return next(one for one in version.entities if one.label == label)


def changes(summary: EntitySummary) -> Sequence[int | None]:
    return (summary.inserted, summary.updated, summary.deleted)
