"""The same journey in a bucket of Google's and a container of Azure's, as their emulators have them."""

from uuid import uuid4

import pytest

from cli.exit_codes import ExitCode
from tests.cli.running import Place
from tests.servers.postgres import Databases
from tests.servers.s3 import S3Server


@pytest.mark.parametrize("server_of", ["gcs_server", "azurite_server"])
def test_the_whole_journey_in_a_cloud(
    cas: Place, database: Databases, request: pytest.FixtureRequest, server_of: str
) -> None:
    server: S3Server = request.getfixturevalue(server_of)
    cas.environment |= {**server.environment, "CAS_STORE": server.url(uuid4().hex), "CAS_CATALOG": database()}
    made = cas("init", "--json")
    assert made.code == ExitCode.OK, made
    for secret in (*server.environment.values(),):
        if secret != "127.0.0.1,localhost":
            assert secret not in made.out
    assert cas("init").code == ExitCode.CONFLICT
    taken = cas("snapshot", "--json")
    assert taken.code == ExitCode.OK, taken
    assert cas("check", "--level", "bytes").code == ExitCode.OK
    target = database()
    done = cas("restore", "1", "--into", target, "--yes", "--json")
    assert done.json["verified"] is True
    again = cas("snapshot", "--source", target, "--json")
    assert again.json["version"]["checksum"] == taken.json["version"]["checksum"]
    rebuilt = cas("catalog", "rebuild", "--json", CAS_CATALOG=database())
    assert rebuilt.json["adopted"] == [1, 2]
    assert cas("gc").code == ExitCode.OK
    assert cas("doctor", "--json").json["observations"]
