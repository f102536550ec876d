"""Real databases and a hostile one, there and back through the command line, judged independently."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import Place
from tests.postgres.torture import load_torture
from tests.roundtrip.conftest import DATA, JUDGE, Compare, Load
from tests.servers.postgres import Cluster, Databases
from tests.servers.s3 import S3Server

READER = Path(__file__).parents[1] / "reference_reader.py"

NAMES = ["northwind", "bestbuy", "pagila", "shopify-taxonomy"]

needs_data = pytest.mark.skipif(
    not (DATA.exists() and JUDGE.exists()),
    reason="the real databases and their judge are not on this machine (../shared)",
)
needs_judge = pytest.mark.skipif(
    not JUDGE.exists(), reason="the judge of two databases is not on this machine (../shared/tools)"
)


def take(cas: Place, source: str) -> None:
    assert cas("init", "--json").code == 0
    taken = cas("snapshot", "--source", source, "--json")
    assert taken.code == 0, taken


def bring_back(cas: Place, target: str) -> None:
    restored = cas("restore", "1", "--into", target, "--yes", "--json")
    assert restored.code == 0, restored
    assert restored.json["verified"] is True


def read_back_by_reference(cas: Place, target: str, out: Path, with_psql: dict[str, str]) -> None:
    """By the reader that was written from FORMAT.md alone, and psql."""
    subprocess.run([sys.executable, READER, cas.store, "1", out], check=True, capture_output=True)
    psql = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", target, "-f", "restore.sql"]
    done = subprocess.run(psql, cwd=out, capture_output=True, text=True, env=with_psql)
    assert done.returncode == 0, done.stderr


@needs_data
@pytest.mark.parametrize("name", NAMES)
def test_a_real_database_comes_back_equal_by_the_program_and_by_the_reference_reader(
    name: str,
    cas: Place,
    database: Databases,
    load: Load,
    differences: Compare,
    with_psql: dict[str, str],
    tmp_path: Path,
) -> None:
    source, restored, by_reference = database(), database(), database()
    load(name, source)
    take(cas, source)
    bring_back(cas, restored)
    assert differences(source, restored) == ""
    again = cas("snapshot", "--source", restored, "--json")
    assert again.code == 0, again
    shown = cas("versions", "--json").json["versions"]
    assert len({version["checksum"] for version in shown}) == 1
    read_back_by_reference(cas, by_reference, tmp_path / "out", with_psql)
    assert differences(source, by_reference) == ""
    assert cas("check", "--level", "bytes", "--json").code == 0


@needs_data
def test_a_real_database_comes_back_equal_through_an_s3_server(
    cas: Place, database: Databases, load: Load, differences: Compare, seaweedfs_server: S3Server
) -> None:
    source, restored = database(), database()
    load("pagila", source)
    cas.environment |= {"CAS_STORE": seaweedfs_server.url("roundtrip"), **seaweedfs_server.environment}
    take(cas, source)
    bring_back(cas, restored)
    assert differences(source, restored) == ""


@needs_judge
def test_every_type_and_structure_comes_back_equal(
    each_cluster: Cluster, cas: Place, database: Databases, differences: Compare
) -> None:
    source, restored = database(each_cluster), database(each_cluster)
    load_torture(source)
    take(cas, source)
    bring_back(cas, restored)
    assert differences(source, restored) == ""
