"""A platform on a real server, changed by a role of some rights, and restored from versions in memory."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from cas.engine.repository import Repository
from cas.live.executing import LiveRestoreReceipt, execute_plan
from cas.live.prepared import PreparedPlan
from cas.live.request import LiveRequest
from cas.live.restoring import plan_restore
from cas.postgres.capture.installing import install
from cas.postgres.live.locking import LockPatience
from cas.postgres.live.platform import PlatformOptions, PostgresPlatform
from cas.postgres.reading.source import PostgresSource
from cas.progress import Silent
from cas.records.live import LivePlatform
from cas.records.source import Selection
from cas.snapshot import SnapshotRequest, take_version
from tests.engine.scenes import World
from tests.postgres.live.standing import contents, rewritten, standing, texts
from tests.postgres.target.moving import ask
from tests.servers.postgres import Cluster

SUPERUSER, OWNER, GRANTED = "superuser", "owner", "granted"
"""A superuser; who owns the tables and no more; an owner who may set session_replication_role."""

PATIENCE = LockPatience(timeout=0.3, attempts=2, pause=0.05, later=1.0)

_ROLES = """
DO $$ BEGIN CREATE ROLE live_owner LOGIN; CREATE ROLE live_granted LOGIN; CREATE ROLE live_guest LOGIN;
EXCEPTION WHEN duplicate_object THEN NULL; END $$;
GRANT SET ON PARAMETER session_replication_role TO live_granted;
"""


@dataclass
class Scene:
    """One database. `url` is the restoring role's, `admin` a superuser's."""

    cluster: Cluster
    actor: str
    admin: str
    url: str
    world: World = field(default_factory=World)
    taken: dict[int, dict[str, list[str]]] = field(default_factory=dict)

    def run(self, statements: str) -> list[tuple[object, ...]]:
        """As the restoring role."""
        return ask(self.url, statements)

    def as_admin(self, statements: str) -> list[tuple[object, ...]]:
        return ask(self.admin, statements)

    @property
    def name(self) -> str:
        """The database's."""
        return _database(self.admin)

    @property
    def options(self) -> PlatformOptions:
        return PlatformOptions(patience=PATIENCE)

    @property
    def platform(self) -> PostgresPlatform:
        return PostgresPlatform(self.url, self.options)

    def take(self, *tables: str) -> int:
        """A version of everything, or of some tables; its number."""
        request = SnapshotRequest(selection=Selection(tables=tables)) if tables else SnapshotRequest()
        with closing(self.world.open()) as repository:
            source = PostgresSource(self.admin)
            version = take_version(repository, self.world.catalog, source, request).version
        self.taken[version.number] = texts(contents(self.admin))
        return version.number

    @contextmanager
    def planned(
        self, version: int, request: LiveRequest | None = None, platform: LivePlatform | None = None
    ) -> Iterator["Planned"]:
        with closing(self.world.open()) as repository:
            catalog = self.world.catalog
            chosen = platform or self.platform
            with plan_restore(
                repository,
                catalog,
                catalog.restores,
                chosen,
                version,
                request or LiveRequest(),
                Silent(),
            ) as prepared:
                yield Planned(self, prepared, chosen, repository)

    def restore(
        self,
        version: int,
        request: LiveRequest | None = None,
        between: Callable[[], object] = lambda: None,
    ) -> LiveRestoreReceipt:
        """Plan, let something happen, execute; and see that nothing moved but what the plan speaks of."""
        with self.planned(version, request) as plan:
            between()
            return plan.execute()

    def restored(self, version: int, *, between: Callable[[], object] = lambda: None) -> LiveRestoreReceipt:
        """Everything as in the version, and seen to be."""
        receipt = self.restore(version, between=between)
        assert texts(contents(self.admin)) == self.taken[version]
        return receipt


def captured_nine(scene: Scene) -> int:
    """A table t of nine old records whose changes are captured, and the version to build upon."""
    scene.run("CREATE TABLE t (id int PRIMARY KEY, v text)")
    scene.run("INSERT INTO t SELECT generate_series(1, 9), 'old'")
    install(scene.admin)
    scene.take()
    return scene.take()


@dataclass
class Planned:
    """A plan in a scene."""

    scene: Scene
    prepared: PreparedPlan
    platform: LivePlatform
    repository: Repository

    @property
    def blocks(self) -> list[str]:
        """What stands in the way, with the remedy."""
        return [f"{one.what} | {one.hint}" for one in self.prepared.plan.findings if one.blocks]

    @property
    def notes(self) -> list[str]:
        return [f"{one.what} | {one.hint}" for one in self.prepared.plan.findings if not one.blocks]

    def execute(self) -> LiveRestoreReceipt:
        """Rows that stay have stayed where they were, and all that is no row is as before."""
        scene = self.scene
        before, stood = contents(scene.admin), standing(scene.admin)
        receipt = self.run()
        assert standing(scene.admin) == stood
        assert rewritten(before, contents(scene.admin)) == {}
        return receipt

    def run(self) -> LiveRestoreReceipt:
        """Execute it beside whatever else happens."""
        catalog = self.scene.world.catalog
        return execute_plan(
            self.repository, catalog, catalog.restores, self.platform, self.prepared, Silent()
        )

    def refused(self, kind: type[Exception]) -> Exception:
        """Executing it fails so, and nothing at all is changed."""
        scene = self.scene
        before, stood = contents(scene.admin), standing(scene.admin)
        try:
            self.execute()
        except kind as error:
            assert contents(scene.admin) == before
            assert standing(scene.admin) == stood
            return error
        raise AssertionError(f"{kind.__name__} was expected")


def open_scene(cluster: Cluster, admin: str, actor: str) -> Scene:
    """The role owns all that it makes."""
    if actor == SUPERUSER:
        return Scene(cluster, actor, admin, admin)
    ask(admin, _ROLES)
    role = f"live_{actor}"
    ask(admin, f"GRANT ALL ON SCHEMA public TO {role}; GRANT ALL ON DATABASE {_database(admin)} TO {role}")
    return Scene(cluster, actor, admin, as_role(admin, role))


def as_role(url: str, role: str) -> str:
    """The same database by another role."""
    parts = conninfo_to_dict(url)
    host, port = quote(str(parts["host"]), safe=""), parts["port"]
    return f"postgresql://{role}@/{parts['dbname']}?host={host}&port={port}"


def _database(url: str) -> str:
    return str(conninfo_to_dict(url)["dbname"])


def at_once(*deeds: Callable[[], object]) -> list[BaseException | None]:
    """All in threads of their own; what each raised."""
    raised: list[BaseException | None] = [None] * len(deeds)

    def do(at: int) -> None:
        try:
            deeds[at]()
        except BaseException as error:
            raised[at] = error

    threads = [threading.Thread(target=do, args=(at,)) for at in range(len(deeds))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return raised


@contextmanager
def session(url: str) -> Iterator[psycopg.Connection]:
    """Another session of the platform."""
    with psycopg.connect(url, autocommit=True, client_encoding="UTF8") as connection:
        yield connection
