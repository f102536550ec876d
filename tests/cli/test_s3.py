"""The same journey in a bucket of a real S3 server, and what a person reads when the bucket misbehaves."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from cli.exit_codes import ExitCode
from tests.cli.running import Place
from tests.servers.faulty_http import FaultyHttp, answer, faulty_http, reset
from tests.servers.postgres import Databases
from tests.servers.s3 import S3Server, seaweedfs


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with seaweedfs() as running:
        yield running


@pytest.fixture
def bucket(cas: Place, server: S3Server) -> Place:
    """A platform, a catalog, and an empty prefix of a bucket; few and quick tries."""
    cas.environment |= {
        **server.environment,
        "CAS_STORE": server.url(uuid4().hex) + "&allow_http=true",
        "CAS_STORE_ATTEMPTS": "2",
        "CAS_CONNECT_TIMEOUT": "2",
    }
    return cas


@pytest.fixture
def proxied(bucket: Place, server: S3Server) -> Iterator[tuple[Place, FaultyHttp]]:
    """The same through a proxy that does what it is told."""
    with faulty_http(server) as proxy:
        store = bucket.environment["CAS_STORE"]
        bucket.environment["CAS_STORE"] = store.replace(server.endpoint, proxy.server.endpoint)
        yield bucket, proxy


def test_the_whole_journey_in_a_bucket(bucket: Place, database: Databases) -> None:
    bucket.environment["CAS_CATALOG"] = database()
    made = bucket("init", "--json")
    assert made.code == 0, made
    assert "secret" not in made.out
    assert bucket("init").code == ExitCode.CONFLICT
    taken = bucket("snapshot", "--json")
    assert taken.code == 0, taken
    assert bucket("check", "--level", "bytes").code == 0
    target = database()
    done = bucket("restore", "1", "--into", target, "--yes", "--json")
    assert done.json["verified"] is True
    again = bucket("snapshot", "--source", target, "--json")
    assert again.json["version"]["checksum"] == taken.json["version"]["checksum"]
    rebuilt = bucket("catalog", "rebuild", "--json", CAS_CATALOG=database())
    assert rebuilt.json["adopted"] == [1, 2]


def test_the_doctor_looks_at_the_bucket(bucket: Place, database: Databases) -> None:
    bucket.environment["CAS_CATALOG"] = database()
    assert bucket("init").code == 0
    seen = {
        one["name"]: one for one in bucket("doctor", "--json").json["observations"] if one["group"] == "store"
    }
    for name in ("reachable", "repository", "create-only", "reads", "lists", "deletes"):
        assert seen[name]["health"] == "ok", seen[name]


def test_wrong_credentials(bucket: Place) -> None:
    ran = bucket("versions", AWS_SECRET_ACCESS_KEY="hunter2")
    assert ran.code == ExitCode.DENIED, ran
    assert "hunter2" not in ran.error
    assert "cas-tests" in ran.error


def test_a_bucket_that_does_not_exist(bucket: Place) -> None:
    ran = bucket("versions", CAS_STORE=bucket.environment["CAS_STORE"].replace("cas-tests", "no-such-bucket"))
    assert ran.code == ExitCode.UNREACHABLE, ran
    assert "no-such-bucket" in ran.error


def test_an_empty_prefix_is_no_repository(bucket: Place) -> None:
    ran = bucket("versions")
    assert ran.code == ExitCode.NOT_FOUND
    assert "cas init" in ran.error


def test_an_endpoint_where_nobody_listens(bucket: Place, server: S3Server) -> None:
    store = bucket.environment["CAS_STORE"].replace(server.endpoint, "http://127.0.0.1:1")
    ran = bucket("versions", CAS_STORE=store)
    assert ran.code in (ExitCode.UNREACHABLE, ExitCode.STORE_FAULT)
    assert ran.err.splitlines()[-1].startswith("cas: ")
    assert "Check endpoint" in ran.err
    assert "http://127.0.0.1:1" in ran.err


def test_plain_http_must_be_asked_for(bucket: Place) -> None:
    store = bucket.environment["CAS_STORE"].replace("&allow_http=true", "")
    ran = bucket("versions", CAS_STORE=store.replace("127.0.0.1", "192.0.2.1"))
    assert ran.code == ExitCode.INVALID
    assert "allow_http" in ran.error


def test_one_bad_answer_costs_a_warning_and_no_version(
    proxied: tuple[Place, FaultyHttp], database: Databases
) -> None:
    place, proxy = proxied
    place.environment["CAS_CATALOG"] = database()
    assert place("init").code == 0
    proxy.plan(answer(503, "SlowDown"), method="PUT", path="packs", times=1)
    proxy.plan(reset, method="PUT", path="versions", times=1)
    ran = place("snapshot")
    assert ran.code == 0, ran
    assert proxy.left() == 0
    assert ran.err.count("warning: the store failed at put") == 2


@pytest.mark.parametrize(
    ("status", "word", "code"),
    [
        (403, "AccessDenied", ExitCode.DENIED),
        (500, "InternalError", ExitCode.STORE_FAULT),
        (507, "InsufficientStorage", ExitCode.NO_SPACE),
        (501, "NotImplemented", ExitCode.STORE_FAULT),
    ],
)
def test_a_store_that_keeps_failing_ends_the_version_and_loses_nothing(
    proxied: tuple[Place, FaultyHttp], database: Databases, status: int, word: str, code: ExitCode
) -> None:
    place, proxy = proxied
    place.environment["CAS_CATALOG"] = database()
    assert place("init").code == 0
    assert place("snapshot").code == 0
    proxy.plan(answer(status, word), method="PUT", times=100)
    ran = place("snapshot", "--compression", "1", "--table", "products", "--name", "x")
    assert ran.code == code, ran
    last = ran.err.splitlines()[-1]
    assert last.startswith("cas: ")
    assert "cas-tests" in last
    proxy.left()
    listed = place("versions", "--json").json["versions"]
    assert [one["state"] for one in listed] == ["failed", "complete"]
    assert place("check", "--level", "bytes").code == 0
    assert place("snapshot").code == 0
