"""What the acceptance tests share: a repository with the history of a product platform."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cas.demo.platform import build, busy_day, json_bytes, mutate
from tests.cli.running import Place, execute
from tests.servers.postgres import Cluster, Databases

PRODUCTS = 3000
CHANGED = 0.01

SMALL = (
    "CREATE SCHEMA stock",
    "CREATE TABLE suppliers (id integer PRIMARY KEY, name text NOT NULL)",
    "CREATE TABLE products (id integer PRIMARY KEY, name text, supplier integer REFERENCES suppliers,"
    " CHECK (id > 0))",
    "CREATE INDEX products_by_name ON products (name)",
    "CREATE TABLE log (what text)",
    "CREATE TABLE stock.places (id integer PRIMARY KEY, name text)",
    "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN INSERT INTO public.log VALUES (NEW.name); RETURN NEW; END'",
    "CREATE TRIGGER noted AFTER INSERT ON products FOR EACH ROW EXECUTE FUNCTION note()",
    "INSERT INTO suppliers SELECT n, 'supplier ' || n FROM generate_series(1, 5) n",
    "INSERT INTO products SELECT n, 'product ' || n, 1 + n % 5 FROM generate_series(1, 40) n",
    "INSERT INTO stock.places SELECT n, 'shelf ' || n FROM generate_series(1, 7) n",
)
"""Two schemas, an index, constraints, and a trigger that wrote 40 records into the log."""


@dataclass(frozen=True, slots=True)
class Dump:
    """A database as pg_dump sees it. Rows are sorted: their place on the disk is no content."""

    schema: str
    data: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class History:
    """Versions 1 to 3 of a platform: at first, after a busy day, and after an accident. `before` and
    `moments` are what pg_dump saw before the first version and at each one; `json_bytes` is what the
    records of each took as JSON."""

    place: Place
    source: str
    before: Dump
    moments: dict[int, Dump]
    json_bytes: dict[int, int]
    versions: dict[int, dict[str, Any]]


def dump(cluster: Cluster, url: str) -> Dump:
    program = cluster.bin_directory / "pg_dump"
    parts = []
    for part in ("--schema-only", "--data-only"):
        done = subprocess.run([program, part, url], capture_output=True, text=True, check=True)
        lines = done.stdout.splitlines()
        parts.append([line for line in lines if not line.startswith(("\\restrict", "\\unrestrict"))])
    return Dump("\n".join(parts[0]), tuple(sorted(parts[1])))


def new_place(directory: Path, databases: Databases, source: str) -> Place:
    """A repository without versions, and the environment to use it in."""
    place = Place(directory)
    place.environment |= {
        "CAS_HOME": str(place.home),
        "CAS_STORE": str(place.store),
        "CAS_CATALOG": databases(),
        "CAS_SOURCE": source,
    }
    assert place("init").code == 0
    return place


@pytest.fixture(scope="session")
def history(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """For tests that change neither the repository nor the platform."""
    databases = Databases(cluster)
    try:
        source = databases()
        build(source, records=PRODUCTS)
        place = new_place(tmp_path_factory.mktemp("history"), databases, source)
        before = dump(cluster, source)
        labels = [
            *("--name", "spring 1", "--description", "All of it, before Anna's file"),
            *("--tag", "spring", "--tag", "import", "--metadata", "ticket=17", "--protect"),
        ]
        assert place("snapshot", "--reason", "before the import", *labels).code == 0
        moments = {1: dump(cluster, source)}
        sizes = {1: json_bytes(source)}
        mutate(source, fraction=CHANGED, seed=1)
        busy_day(source, seed=1)
        assert place("snapshot", "--reason", "Bulk import").code == 0
        moments[2], sizes[2] = dump(cluster, source), json_bytes(source)
        execute(
            source,
            "DELETE FROM products WHERE id % 3 = 0",
            "UPDATE tree_nodes SET name = 'lost', updated_at = now() WHERE depth = 1",
            "DROP VIEW product_listing",
            "ALTER TABLE suppliers DROP COLUMN rating",
        )
        assert place("snapshot", "--reason", "after the accident").code == 0
        moments[3], sizes[3] = dump(cluster, source), json_bytes(source)
        versions = {number: place("show", str(number), "--json").json for number in moments}
        yield History(place, source, before, moments, sizes, versions)
    finally:
        databases.drop_all()


@pytest.fixture
def small(database: Databases) -> str:
    """The URL of a small platform that a test may change."""
    url = database()
    execute(url, *SMALL)
    return url


@pytest.fixture
def cas(tmp_path: Path, database: Databases, small: str) -> Place:
    """A repository without versions, and the small platform to take them of."""
    return new_place(tmp_path, database, small)


@pytest.fixture
def role(cluster: Cluster, database: Databases) -> Iterator[str]:
    """A role that may log in and nothing else. What it was granted goes with the test's databases."""
    name = f"reader_{uuid4().hex[:8]}"
    execute(cluster.url(), f"CREATE ROLE {name} LOGIN")
    yield name
    database.drop_all()
    execute(cluster.url(), f"DROP ROLE {name}")
