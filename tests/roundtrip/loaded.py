"""A real database that is loaded once, a version of it, and copies to be damaged and mended."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from cas.engine.repository import Repository
from cas.postgres.reading.source import PostgresSource
from cas.snapshot import SnapshotRequest, take_version
from tests.engine.scenes import World
from tests.live.shop import Shop
from tests.roundtrip.reading import Dump, Rows, read_dump, read_rows
from tests.servers.postgres import Cluster, Databases


class Loaded:
    """Version 1 in a repository, and the database that it is of, which nobody changes."""

    def __init__(self, cluster: Cluster, url: str) -> None:
        self.cluster = cluster
        self.url = url
        self.world = World()
        self.repository: Repository = self.world.open()
        self.checksum = self.take(url)

    def take(self, url: str) -> bytes:
        """Take a version of a database; its checksum."""
        source = PostgresSource(url)
        checksum = take_version(
            self.repository, self.world.catalog, source, SnapshotRequest()
        ).version.checksum
        assert checksum is not None
        return checksum

    @cached_property
    def rows(self) -> Rows:
        return read_rows(self.url)

    @cached_property
    def dump(self) -> Dump:
        return read_dump(self.cluster, self.url)

    def copy(self, databases: Databases) -> "Copy":
        """A database of its own that is equal."""
        url = databases(self.cluster, template=urlsplit(self.url).path[1:])
        return Copy(self.world, self.repository, url, self)


LoadedOnce = Callable[[Cluster, str], Loaded]
"""loaded(cluster, name): the same one for the whole session."""


@dataclass
class Copy(Shop):
    """A running platform to restore version 1 into."""

    of: Loaded

    def dump(self) -> Dump:
        return read_dump(self.of.cluster, self.url)

    def everything(self) -> Rows:
        return read_rows(self.url)
