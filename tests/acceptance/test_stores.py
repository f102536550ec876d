"""The same journey with the repository in a bucket, and with the platform behind TLS."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from minio import Minio

from cas.postgres.embedded.server_user import server_user
from tests.acceptance.conftest import dump
from tests.cli.running import Place, execute
from tests.servers.postgres import DEBIAN_15, Cluster, Databases, temporary_directory
from tests.servers.s3 import REGION, S3Server, free_ports
from tests.store.test_s3 import certificate


@pytest.fixture
def bucket(
    tmp_path: Path,
    database: Databases,
    small: str,
    seaweedfs_server: S3Server,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Place, str]:
    """A repository under a prefix of a bucket. Endpoint in the URL; region, encryption and
    credentials in the environment."""
    prefix = f"shops/{uuid4().hex}"
    for name, value in seaweedfs_server.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    place = Place(tmp_path)
    place.environment |= {
        "CAS_HOME": str(place.home),
        "CAS_STORE": f"s3://{seaweedfs_server.bucket}/{prefix}?endpoint={seaweedfs_server.endpoint}",
        "CAS_S3_REGION": REGION,
        "CAS_S3_SSE": "AES256",
        "CAS_CATALOG": database(),
        "CAS_SOURCE": small,
    }
    return place, prefix


def test_a_bucket_holds_a_repository(
    bucket: tuple[Place, str], seaweedfs_server: S3Server, cluster: Cluster, database: Databases
) -> None:
    place, prefix = bucket
    assert place("init").code == 0
    taken = place.process("snapshot", "--reason", "to the bucket", "--json")
    assert taken.code == 0, taken
    assert place("snapshot").code == 0

    other = Minio(
        urlsplit(seaweedfs_server.endpoint).netloc,
        access_key=seaweedfs_server.access_key,
        secret_key=seaweedfs_server.secret_key,
        secure=False,
    )
    objects = list(other.list_objects(seaweedfs_server.bucket, prefix=prefix, recursive=True))
    names = {str(found.object_name).removeprefix(f"{prefix}/").split("/")[0] for found in objects}
    assert {"config", "packs", "versions"} <= names
    sizes = [found.size or 0 for found in objects]
    assert sum(sizes) >= taken.json["version"]["added_bytes"]

    target, home = database(), place.directory / "another-machine"
    done = place.process("restore", "1", "--into", target, "--yes", CAS_HOME=str(home))
    assert done.code == 0, done
    assert dump(cluster, target) == dump(cluster, place.environment["CAS_SOURCE"])


def test_a_bucket_that_is_not_there_or_refuses_is_said_in_one_line(bucket: tuple[Place, str]) -> None:
    place, _ = bucket
    nowhere = place.environment["CAS_STORE"].replace("s3://", "s3://nowhere-")
    for change in ({"CAS_STORE": nowhere}, {"AWS_SECRET_ACCESS_KEY": "wrong"}):
        ran = place.process("init", "--json", **change)
        assert ran.code != 0
        assert ran.json["error"]["code"] in ("STORE_FAULT", "CONNECTION_FAILED", "PERMISSION_DENIED")
        assert ran.json["error"]["hint"]


@pytest.fixture
def tls_platform(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A PostgreSQL on 127.0.0.1 that takes TLS alone, with a certificate that one authority vouches
    for: a URL without sslmode, and the authority's file. The embedded server is built without TLS."""
    programs = DEBIAN_15
    if not (programs / "postgres").exists():
        pytest.skip(f"no PostgreSQL with TLS in {programs} (Debian: apt install postgresql-15)")
    authority, _ = certificate(tmp_path)
    with temporary_directory() as directory:
        data = directory / "data"
        data.mkdir(mode=0o700)
        user = server_user(data).admitted(directory)
        user.own(data)

        def run(program: str, *arguments: str) -> None:
            code, output = user.run([programs / program, "-D", data, *arguments], seconds=60)
            assert code == 0, output

        run("initdb", "-U", "postgres", "--auth=trust", "--no-sync")
        for name, source in (("server.crt", authority), ("server.key", tmp_path / "key.pem")):
            (data / name).write_bytes(source.read_bytes())
            (data / name).chmod(0o600)
            user.own(data / name)
        (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 trust\n")
        port = free_ports(1)[0]
        options = f"-p {port} -h 127.0.0.1 -k {data} -c ssl=on -c fsync=off"
        run("pg_ctl", "start", "-w", "-t", "30", "-l", str(data / "log"), "-o", options)
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres", authority
        finally:
            run("pg_ctl", "stop", "-w", "-m", "fast")


def test_postgresql_is_reached_by_tls_with_a_private_authority(
    cas: Place, tls_platform: tuple[str, Path], tmp_path: Path
) -> None:
    url, authority = tls_platform
    execute(f"{url}?sslmode=require", "CREATE TABLE a (id integer PRIMARY KEY)", "INSERT INTO a VALUES (1)")
    strict = f"{url}?sslmode=verify-full"
    taken = cas("snapshot", "--source", strict, "--json", CAS_POSTGRES_CA=str(authority))
    assert taken.code == 0, taken
    assert taken.json["version"]["records"] == 1
    (tmp_path / "other").mkdir()
    stranger, _ = certificate(tmp_path / "other")
    for change in ({}, {"CAS_POSTGRES_CA": str(stranger)}):
        ran = cas("snapshot", "--source", strict, "--json", **change)
        assert ran.json["error"]["code"] == "CONNECTION_FAILED", ran
    # An authority that is named is meant, also where the URL says nothing of TLS.
    implied = cas("snapshot", "--source", url, "--json", CAS_POSTGRES_CA=str(authority))
    assert implied.code == 0, implied
    refused = cas("snapshot", "--source", url, "--json", CAS_POSTGRES_CA=str(stranger))
    assert refused.json["error"]["code"] == "CONNECTION_FAILED", refused
    plain = cas("snapshot", "--source", f"{url}?sslmode=disable", "--json")
    assert plain.code != 0
