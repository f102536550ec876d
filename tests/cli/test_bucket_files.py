"""Files beside the rows that lie in a bucket, by the commands that people type."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from cas.store.bucket import Bucket
from cas.store.bucket_opening import open_bucket
from cli.settings import load_settings
from tests.cli.running import Place
from tests.servers.postgres import Databases
from tests.servers.s3 import S3Server

CONTENTS = {"2026/photo.jpg": bytes(range(256)) * 20, "notes.txt": b"first\n", "empty": b""}


@pytest.fixture(params=["seaweedfs", "gcs", "azurite"])
def url(cas: Place, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix with three objects, whose credentials are in the environment."""
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    cas.environment.update(server.environment)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server.url(f"cli/{uuid4().hex}")


@pytest.fixture
def bucket(url: str) -> Iterator[Bucket]:
    opened = open_bucket(url)
    for key, content in CONTENTS.items():
        opened.send(key, memoryview(content))
    yield opened
    opened.close()


def contents(bucket: Bucket) -> dict[str, bytes]:
    return {row.key: b"".join(bucket.open(row.key).pieces) for row in bucket.rows()}


def test_a_version_with_rows_and_objects_comes_back_both_ways(cas: Place, url: str, bucket: Bucket) -> None:
    taken = cas("snapshot", "--files", f"uploads={url}", "--json")
    assert taken.code == 0, taken
    assert "after the rows" in cas("show", "1").out
    bucket.send("notes.txt", memoryview(b"second\n"))
    bucket.remove("empty")
    assert cas("snapshot", CAS_FILES=f"uploads={url}").code == 0
    differing = cas("diff", "1", "2", "--entity", "files.uploads", "--json").json
    (files,) = differing["entities"]
    assert {record["key"][0]: record["kind"] for record in files["records"]} == {
        "empty": "removed",
        "notes.txt": "changed",
    }
    history = cas("history", "files.uploads", "notes.txt", "--json").json
    assert [state["version"] for state in history["states"]] == [2, 1]
    out = cas.directory / "out.jpg"
    assert cas("get", "1", "uploads", "2026/photo.jpg", "-o", out).code == 0
    assert out.read_bytes() == CONTENTS["2026/photo.jpg"]

    bucket.send("extra", memoryview(b"x"))
    shown = cas("restore", "1", "--files", f"uploads={url}")
    assert shown.code == 0, shown
    assert "Add --yes" in shown.err
    assert contents(bucket)["notes.txt"] == b"second\n"
    done = cas("restore", "1", "--files", f"uploads={url}", "--yes", "--delete", "--json")
    assert done.code == 0, done
    assert done.json["receipts"][0]["written"] == 2
    assert contents(bucket) == CONTENTS

    target = cas.directory / "again"
    assert cas("restore", "1", "--files", f"uploads={target}", "--yes").code == 0
    assert {key: (target / key).read_bytes() for key in CONTENTS} == CONTENTS
    assert cas("check", "--level", "bytes").code == 0


def test_a_version_of_a_directory_goes_into_a_bucket(cas: Place, url: str) -> None:
    place = cas.directory / "uploads"
    (place / "d").mkdir(parents=True)
    (place / "d" / "x").write_bytes(b"x")
    (place / "link").symlink_to("d/x")
    assert cas("snapshot", "--files", f"uploads={place}").code == 0
    done = cas("restore", "1", "--files", f"uploads={url}", "--yes")
    assert done.code == 0, done
    assert "link: not made, since a bucket has only files" in " ".join(done.out.split())
    opened = open_bucket(url)
    assert contents(opened) == {"d/x": b"x"}
    opened.close()


def test_a_place_around_the_repository_or_inside_of_one_is_refused(
    cas: Place, seaweedfs_server: S3Server, database: Databases
) -> None:
    above, server = uuid4().hex, seaweedfs_server
    cas.environment.update(server.environment)
    cas.environment |= {"CAS_STORE": server.url(f"{above}/my%20repository"), "CAS_CATALOG": database()}
    assert cas("init").code == 0
    beside = f"uploads={server.url(above + '-beside')}"
    assert cas("snapshot", "--files", beside).code == 0
    for prefix in (above, f"{above}/my%20repository", f"{above}/my%20repository/packs"):
        for command in (["snapshot"], ["restore", "1", "--delete", "--yes"]):
            ran = cas(*command, "--files", f"uploads={server.url(prefix)}")
            assert ran.code != 0, ran
            assert "repository lies there" in ran.err, ran
    assert cas("restore", "1", "--files", beside, "--delete", "--yes").code == 0
    assert cas("check", "--level", "bytes").code == 0


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("ftp://host/uploads", "in buckets"),
        ("file:///srv/uploads", "in buckets"),
        ("s3://key:secret@bucket/uploads", "must not contain credentials"),
        ("s3://bucket/uploads?object_lock=30", "unknown parameters"),
        ("s3://bucket/uploads?secret=x", "must not contain credentials"),
        ("gs://b/uploads", "not a bucket name"),
    ],
)
def test_what_is_refused(cas: Place, place: str, says: str) -> None:
    ran = cas("snapshot", "--files", f"uploads={place}")
    assert ran.code != 0
    assert says in ran.err


def test_a_setting_parts_places_and_no_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "s3://bucket/uploads?endpoint=https://host:9000&region=eu"
    monkeypatch.setenv("CAS_HOME", str(tmp_path))
    monkeypatch.setenv("CAS_FILES", f"a=/srv/a:b={url}:c=gs://bucket/c/:d=/srv/d")
    settings = load_settings({})
    assert settings.files == ("a=/srv/a", f"b={url}", "c=gs://bucket/c/", "d=/srv/d")
