"""A small platform with versions of it, driven by the library as the command line does."""

from dataclasses import dataclass

import psycopg

from cas.engine.repository import Repository
from cas.live.executing import LiveRestoreReceipt, execute_plan
from cas.live.plan import RestorePlan
from cas.live.request import LiveRequest
from cas.live.restoring import plan_restore
from cas.live.undoing import plan_undo
from cas.postgres.live.platform import PostgresPlatform
from cas.postgres.reading.source import PostgresSource
from cas.progress import Silent
from cas.snapshot import SnapshotRequest, take_version
from tests.engine.scenes import World

Rows = list[tuple[object, ...]]


@dataclass
class Shop:
    """A platform with one version of it."""

    world: World
    repository: Repository
    url: str

    @property
    def platform(self) -> PostgresPlatform:
        return PostgresPlatform(self.url)

    def run(self, sql: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.encode())

    def rows(self, sql: str = "SELECT * FROM items ORDER BY id") -> Rows:
        with psycopg.connect(self.url) as connection:
            return connection.execute(sql.encode()).fetchall()

    def take(self) -> int:
        """A version; its number."""
        return take_version(
            self.repository, self.world.catalog, PostgresSource(self.url), SnapshotRequest()
        ).version.number

    def plan(self, request: LiveRequest, version: int = 1) -> RestorePlan:
        catalog = self.world.catalog
        with plan_restore(
            self.repository, catalog, catalog.restores, self.platform, version, request, Silent()
        ) as prepared:
            return prepared.plan

    def restore(self, request: LiveRequest, version: int = 1) -> LiveRestoreReceipt:
        catalog = self.world.catalog
        restores = catalog.restores
        with plan_restore(
            self.repository, catalog, restores, self.platform, version, request, Silent()
        ) as prepared:
            return execute_plan(self.repository, catalog, restores, self.platform, prepared, Silent())

    def undo(self, number: int) -> LiveRestoreReceipt:
        catalog = self.world.catalog
        restores = catalog.restores
        with plan_undo(self.repository, catalog, restores, self.platform, number, Silent()) as prepared:
            return execute_plan(self.repository, catalog, restores, self.platform, prepared, Silent())
