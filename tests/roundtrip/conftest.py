"""A place for `cas` with a catalog of its own, real databases, and the judge of two of them."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.running import Place
from tests.roundtrip.loaded import Loaded, LoadedOnce
from tests.servers.postgres import Cluster, Databases

SHARED = Path(__file__).parents[3] / "shared"
DATA = SHARED / "data"
JUDGE = SHARED / "tools" / "same-database"

Load = Callable[[str, str], None]
"""load(name, url): one of the real databases into an empty one."""

Compare = Callable[[str, str], str]
"""The differences that an independent program finds; empty where there are none."""


@pytest.fixture
def cas(tmp_path: Path, database: Databases) -> Place:
    """A repository in a directory, empty, with its catalog on the session's cluster."""
    place = Place(tmp_path)
    place.environment |= {
        "CAS_HOME": str(place.home),
        "CAS_STORE": str(place.store),
        "CAS_CATALOG": database(),
    }
    return place


@pytest.fixture(scope="session")
def with_psql(cluster: Cluster) -> dict[str, str]:
    """An environment whose psql and pg_dump are those of the embedded server, new enough for all."""
    path = os.pathsep.join((str(cluster.bin_directory), os.environ["PATH"]))
    return {**os.environ, "PATH": path, "PG_DUMP": str(cluster.bin_directory / "pg_dump")}


@pytest.fixture(scope="session")
def load(with_psql: dict[str, str]) -> Load:
    def run(name: str, url: str) -> None:
        subprocess.run([DATA / name / "load.sh", url], check=True, capture_output=True, env=with_psql)

    return run


@pytest.fixture
def differences(with_psql: dict[str, str]) -> Compare:
    def run(left: str, right: str) -> str:
        judged = subprocess.run([JUDGE, left, right], capture_output=True, text=True, env=with_psql)
        assert judged.returncode in (0, 1), judged.stderr
        return "" if judged.returncode == 0 else judged.stdout

    return run


@pytest.fixture(scope="session")
def loaded(load: Load) -> Iterator[LoadedOnce]:
    """Each database is loaded, and a version taken of it, when the first test wants it. They go with their
    clusters."""
    made: dict[tuple[int, str], Loaded] = {}

    def once(cluster: Cluster, name: str) -> Loaded:
        if (cluster.major, name) not in made:
            url = Databases(cluster)()
            load(name, url)
            made[cluster.major, name] = Loaded(cluster, url)
        return made[cluster.major, name]

    yield once
    for one in made.values():
        one.repository.close()
