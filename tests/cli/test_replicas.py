"""`cas replica` and `cas replicate`, as a person types them, up to the worst day."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from cli.exit_codes import ExitCode
from tests.cli.running import Place, Ran, execute
from tests.servers.postgres import Databases
from tests.servers.s3 import S3Server, client, seaweedfs

LOCKED = "cas-locked"


@pytest.fixture
def two(cas: Place, shop: str) -> Place:
    """Two versions, and a replica without anything in it."""
    for number in range(2):
        execute(shop, f"UPDATE products SET name = name || '{number}' WHERE id = {number + 1}")
        assert cas("snapshot").code == ExitCode.OK
    added = cas("replica", "add", "offsite", offsite(cas))
    assert added.code == ExitCode.OK, added
    return cas


def offsite(cas: Place) -> Path:
    return cas.directory / "offsite"


def elsewhere(cas: Place, database: Databases, store: str) -> dict[str, str]:
    """What is left on the worst day: the replica's URL, and another machine."""
    return {"CAS_STORE": store, "CAS_CATALOG": database(), "CAS_HOME": str(cas.directory / uuid4().hex)}


def checksums(ran: Ran) -> dict[int, str]:
    return {one["number"]: one["checksum"] for one in ran.json["versions"]}


def test_from_nothing_to_a_copy(two: Place) -> None:
    assert "2 versions, " in two("replica", "status").out
    assert "never" in two("replica", "status").out
    ran = two("replicate")
    assert ran.code == ExitCode.OK, ran
    assert "offsite: 2 versions copied" in ran.out
    assert "offsite: up to date" in two("replicate", "offsite").out
    shown = two("replica", "status").out
    assert "up to date" in shown
    assert "complete" in shown
    assert "as the primary" in shown
    assert offsite(two).as_uri() in shown
    assert "Nothing is wrong" in two("replica", "verify", "offsite", "--level", "bytes").out
    (status,) = two("replica", "status", "--json").json["replicas"]
    assert (status["versions"], status["lacking"], status["outcome"]) == (2, 0, "complete")
    assert status["verified"]["level"] == "bytes"
    assert status["verified"]["is_clean"] is True
    assert status["stored_bytes"] == sum(
        path.stat().st_size for path in offsite(two).rglob("*") if path.is_file() and "+" not in str(path)
    )


def test_how_far_it_is_behind(two: Place) -> None:
    two("replicate")
    two("snapshot")
    shown = two("replica", "status").out
    assert "1 version, " in shown
    (status,) = two("replica", "status", "--json").json["replicas"]
    assert status["lacking"] == 1
    assert 0 <= status["behind_seconds"] < 600


def test_the_worst_day(two: Place, database: Databases) -> None:
    """Nothing is left but the replica."""
    two("hold", "1", "--reason", "case 4711")
    two("replicate")
    before = checksums(two("versions", "--json"))
    shutil.rmtree(two.store)
    alone = elsewhere(two, database, str(offsite(two)))
    rebuilt = two("catalog", "rebuild", "--json", **alone)
    assert rebuilt.json["adopted"] == [1, 2], rebuilt
    assert checksums(two("versions", "--json", **alone)) == before
    assert two("show", "1", "--json", **alone).json["hold"] == "case 4711"
    assert two("check", "--level", "bytes", **alone).code == ExitCode.OK
    restored = two("restore", "2", "--into", database(), "--yes", "--json", **alone)
    assert restored.json["verified"] is True, restored
    taken = two("snapshot", "--json", **alone)
    assert taken.json["version"]["number"] == 3, "and it goes on from there"


def test_a_replica_is_not_taken_for_the_primary(two: Place) -> None:
    two("replicate")
    ran = two("snapshot", CAS_STORE=str(offsite(two)))
    assert ran.code == ExitCode.CONFLICT, ran
    assert "that is the replica offsite of the repository" in ran.error
    assert "empty catalog" in ran.error
    ran = two("catalog", "rebuild", CAS_STORE=str(offsite(two)))
    assert ran.code == ExitCode.CONFLICT, ran


def test_rules_of_its_own(cas: Place, shop: str) -> None:
    for number in range(3):
        execute(shop, f"UPDATE products SET name = name || '{number}' WHERE id = {number + 1}")
        cas("snapshot")
    cas("replica", "add", "long", cas.directory / "long", "--retention", "last 9")
    cas("replica", "add", "short", cas.directory / "short", "--retention", "last 1")
    ran = cas("replicate", "--json")
    assert [one["report"]["versions"] for one in ran.json["replicas"]] == [[1, 2, 3], [3]]
    cas("delete", "1", "--reason", "gone", "--yes")
    ran = cas("replicate", "--json")
    assert [one["report"]["forgotten"] for one in ran.json["replicas"]] == [[], []]
    shown = cas("replica", "status").out
    assert "last 9" in shown
    assert "last 1" in shown
    assert [one["versions"] for one in cas("replica", "status", "--json").json["replicas"]] == [3, 1]


def test_removed(two: Place) -> None:
    two("replicate")
    before = sorted(offsite(two).rglob("*"))
    ran = two("replica", "remove", "offsite")
    assert "is no replica any more" in ran.out
    assert sorted(offsite(two).rglob("*")) == before
    assert "There is no replica yet" in two("replica", "status").out
    assert two("replica", "remove", "offsite").code == ExitCode.NOT_FOUND
    assert two("replicate").code == ExitCode.NOT_FOUND
    assert two("replicate", "offsite").code == ExitCode.NOT_FOUND
    two("replica", "add", "again", offsite(two))
    ran = two("replicate", "--json")
    assert ran.json["replicas"][0]["report"]["versions"] == [1, 2]
    assert ran.json["replicas"][0]["report"]["packs"] == 0


def test_one_that_fails_does_not_keep_the_others_waiting(two: Place) -> None:
    two("replica", "add", "later", two.directory / "later")
    shutil.rmtree(offsite(two))
    offsite(two).write_text("not a directory")
    ran = two("replicate", "--json")
    first, second = sorted(ran.json["replicas"], key=lambda one: str(one["name"]))
    assert (first["name"], first["report"]["versions"]) == ("later", [1, 2])
    assert (second["name"], second["report"]) == ("offsite", None)
    assert second["error"]["code"] == "STORE_FAULT"
    assert ran.code not in (ExitCode.OK, ExitCode.FAILURE)
    assert "offsite: failed." in two("replicate").out


def test_damage_is_told_with_what_to_do(two: Place) -> None:
    pack = next(path for path in (two.store / "packs").rglob("*") if path.is_file())
    data = pack.read_bytes()
    pack.chmod(0o600)
    pack.write_bytes(data[:-1])
    ran = two("replicate")
    assert ran.code == ExitCode.CORRUPT, ran
    assert "a pack of the primary is damaged" in ran.out
    assert "cas check --level bytes" in ran.out
    assert "partial" in two("replica", "status").out
    pack.write_bytes(data)
    assert two("replicate").code == ExitCode.OK


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("offsite", "{home}/other"), ExitCode.CONFLICT, "there is a replica offsite already"),
        (("other", "{offsite}"), ExitCode.CONFLICT, "is the replica offsite already"),
        (("other", "{store}"), ExitCode.INVALID, "the repository itself"),
        (("other", "{store}/inside"), ExitCode.INVALID, "the repository itself"),
        (("other", "{home}/.."), ExitCode.INVALID, "the repository itself"),
        (("Other Name", "{home}/x"), ExitCode.INVALID, "is no name of a replica"),
        (("other", "{home}/x", "--retention", "for ever"), ExitCode.INVALID, "--retention"),
        (("other", "{home}/x", "--object-lock", "30"), ExitCode.INVALID, "only a bucket"),
        (("other", "s3://b/x", "--object-lock", "30"), ExitCode.INVALID, "bucket"),
        (("other", "s3://bucket/x", "--object-lock", "0"), ExitCode.INVALID, "number of days"),
        (("other", "s3://bucket/x?object_lock=3", "--object-lock", "3"), ExitCode.INVALID, "Say it once"),
        (("other", "memory://x"), ExitCode.INVALID, "in memory"),
        (("other", "gopher://x"), ExitCode.INVALID, "not a store URL"),
        (("other", "{home}"), ExitCode.CONFLICT, "no repository"),
    ],
)
def test_what_cannot_be_meant(two: Place, words: tuple[str, ...], code: ExitCode, said: str) -> None:
    places = {"home": str(two.home), "offsite": str(offsite(two)), "store": str(two.store)}
    two.home.mkdir(exist_ok=True)
    (two.home / "something").write_text("there")
    ran = two("replica", "add", *(word.format(**places) for word in words))
    assert ran.code == code, ran
    assert said in ran.error
    assert len(two("replica", "status", "--json").json["replicas"]) == 1


def test_another_repository_is_refused(two: Place, database: Databases) -> None:
    other = two.directory / "another"
    assert two("init", other, **elsewhere(two, database, "")).code == ExitCode.OK
    ran = two("replica", "add", "other", other)
    assert ran.code == ExitCode.CONFLICT
    assert "another repository lies there" in ran.error


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with seaweedfs() as running:
        client(running).create_bucket(Bucket=LOCKED, ObjectLockEnabledForBucket=True)
        yield running


def test_a_vault_survives_whoever_has_all_credentials(
    cas: Place, shop: str, server: S3Server, database: Databases
) -> None:
    """Everything is overwritten, deleted, and deleted again by version; the primary and the catalog are gone;
    and all comes back from the URL."""
    for number in range(2):
        execute(shop, f"UPDATE products SET name = name || '{number}' WHERE id = {number + 1}")
        assert cas("snapshot").code == ExitCode.OK
    prefix = uuid4().hex
    cas.environment |= server.environment
    plain = server.url(prefix)
    ran = cas("replica", "add", "vault", plain, "--object-lock", "30")
    assert ran.code != ExitCode.OK, "that bucket does not lock"
    assert "does not lock objects" in ran.error
    place = plain.replace(server.bucket, LOCKED, 1)
    ran = cas("replica", "add", "vault", place, "--object-lock", "30", "--json")
    assert ran.code == ExitCode.OK, ran
    url = ran.json["url"]
    assert "object_lock=30" in url
    assert cas("replicate").code == ExitCode.OK
    shown = cas("replica", "status").out
    assert "locks hold until" in shown
    assert "object_lock=30" in shown
    before = checksums(cas("versions", "--json"))

    attacker = client(server)
    listed = attacker.list_object_versions(Bucket=LOCKED, Prefix=f"{prefix}/")["Versions"]
    assert len(listed) >= 5
    for row in listed:
        attacker.put_object(Bucket=LOCKED, Key=row["Key"], Body=b"evil")
    attacker.delete_objects(Bucket=LOCKED, Delete={"Objects": [{"Key": row["Key"]} for row in listed]})
    by_version = [{"Key": row["Key"], "VersionId": row["VersionId"]} for row in listed]
    refused = attacker.delete_objects(Bucket=LOCKED, Delete={"Objects": by_version})  # type: ignore[typeddict-item]
    assert len(refused.get("Errors", ())) == len(listed)
    with pytest.raises(ClientError):
        attacker.get_object(Bucket=LOCKED, Key=listed[0]["Key"])

    assert cas("replica", "verify", "vault", "--level", "bytes").code == ExitCode.OK
    assert "vault: up to date" in cas("replicate").out
    shutil.rmtree(cas.store)
    alone = elsewhere(cas, database, url)
    rebuilt = cas("catalog", "rebuild", "--json", **alone)
    assert rebuilt.json["adopted"] == [1, 2], rebuilt
    assert checksums(cas("versions", "--json", **alone)) == before
    assert cas("check", "--level", "bytes", **alone).code == ExitCode.OK
    restored = cas("restore", "2", "--into", database(), "--yes", "--json", **alone)
    assert restored.json["verified"] is True, restored
    blind = cas("catalog", "rebuild", **elsewhere(cas, database, place))
    assert blind.code != ExitCode.OK, "without the word in the URL, the attacker's state is what is seen"
