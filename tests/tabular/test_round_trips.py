"""An export that is imported again is the same version, and one that a person edited differs in just that."""

import pytest

from tests.cli.running import Place
from tests.postgres.target.conftest import CrowdedDatabases
from tests.postgres.torture import load_torture
from tests.servers.postgres import Cluster, Databases

FORMATS = ["jsonl", "csv"]


def taken(cas: Place, source: str) -> str:
    """A version of a database; its checksum."""
    ran = cas("snapshot", "--source", source, "--json")
    assert ran.code == 0, ran
    checksum: str = ran.json["version"]["checksum"]
    return checksum


@pytest.mark.parametrize("kind", FORMATS)
def test_a_database_of_every_type_comes_back_with_the_same_checksum(
    kind: str, cas: Place, database: Databases
) -> None:
    source = database()
    load_torture(source)
    checksum = taken(cas, source)
    assert cas("export", "1", "--format", kind, "-o", "all.zip").code == 0
    ran = cas("import", "all.zip", "--json")
    assert ran.code == 0, ran
    assert ran.json["version"]["checksum"] == checksum
    assert ran.json["is_same"] is True
    assert ran.json["edited"] == []


@pytest.mark.parametrize("kind", FORMATS)
def test_a_crowded_database_comes_back_with_the_same_checksum(
    kind: str, cas: Place, cluster: Cluster, crowded_databases: CrowdedDatabases
) -> None:
    checksum = taken(cas, crowded_databases.on(cluster))
    assert cas("export", "1", "--format", kind, "-o", "all").code == 0
    assert (cas.directory / "all" / "README.txt").read_text().startswith("Version 1 of the database ")
    ran = cas("import", "all", "--json")
    assert ran.code == 0, ran
    assert ran.json["version"]["checksum"] == checksum
