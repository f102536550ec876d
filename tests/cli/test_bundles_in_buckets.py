"""`cas export` into a bucket, and the link to it, as a person types and a stranger follows them."""

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from cas.errors import InsufficientSpace, InvalidInput
from cas.store.delivering import DeliveringStore
from cas.store.opening import open_store
from cli.bucket_places import BucketPlace, local_path
from cli.bundle_bucket import new_object
from cli.exit_codes import ExitCode
from cli.terminal import Terminal
from tests.cli.running import Place, packs
from tests.servers import faulty_http as faulty
from tests.servers.downloads import download
from tests.servers.faulty_http import FaultyHttp
from tests.servers.gcs import GcsServer, key_file
from tests.servers.postgres import Databases
from tests.servers.s3 import S3Server, client


@pytest.fixture
def one(cas: Place, seaweedfs_server: S3Server) -> Place:
    """A repository with one version, and the credentials of a bucket; few tries."""
    cas.environment |= {**seaweedfs_server.environment, "CAS_STORE_ATTEMPTS": "2"}
    assert cas("snapshot").code == 0
    return cas


@pytest.fixture
def prefix() -> str:
    return f"Exports/{uuid4().hex}"


def keys(server: S3Server, prefix: str) -> list[str]:
    """What lies below a prefix, seen by another client."""
    listed = client(server).list_objects_v2(Bucket=server.bucket, Prefix=f"{prefix}/")
    return [row["Key"].removeprefix(f"{prefix}/") for row in listed.get("Contents", ())]


def content(server: S3Server, key: str) -> bytes:
    return client(server).get_object(Bucket=server.bucket, Key=key)["Body"].read()


def test_from_a_bucket_by_a_link_into_another_repository(
    one: Place, seaweedfs_server: S3Server, prefix: str, database: Databases
) -> None:
    ran = one("export", "latest", "-o", seaweedfs_server.url(f"{prefix}/"), "--link", "24h", "--json")
    assert ran.code == 0, ran
    bundle, beside = keys(seaweedfs_server, prefix)
    assert bundle.endswith("-v1.casb")
    assert beside == f"{bundle}.sha256"
    assert ran.json["path"] == seaweedfs_server.url(f"{prefix}/{bundle}")
    link = ran.json["link"]["url"]
    assert "X-Amz-Signature" in link
    assert link not in ran.err
    assert seaweedfs_server.secret_key not in ran.out + ran.err

    half = ran.json["exported"]["bytes"] // 2
    begun, rest = download(link, 0, half - 1), download(link, half)
    assert (begun.status, rest.status, begun.file_name) == (206, 206, bundle)
    path = one.directory / bundle
    path.write_bytes(begun.body + rest.body)
    path.with_name(beside).write_bytes(content(seaweedfs_server, f"{prefix}/{beside}"))
    subprocess.run(["sha256sum", "-c", beside], cwd=one.directory, check=True, capture_output=True)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == ran.json["sha256"]
    assert one("export", "1", "-o", "here.casb").code == 0
    assert path.read_bytes() == (one.directory / "here.casb").read_bytes()

    other = {"CAS_STORE": str(one.directory / "other"), "CAS_CATALOG": database()}
    assert one("init", **other).code == 0
    ran = one("import", path, "--yes", **other)
    assert (ran.code, "Version 1 is complete" in ran.out) == (0, True), ran


def test_what_a_person_sees(one: Place, seaweedfs_server: S3Server, prefix: str) -> None:
    url = seaweedfs_server.url(f"{prefix}/Shop.casb")
    ran = one("export", "1", "-o", url, "--link", "7d")
    assert ran.code == 0, ran
    assert f"Version 1 is in {url}" in ran.out.replace("\n", "")
    (link,) = (line for line in ran.out.splitlines() if line.startswith("http"))
    assert download(link).body == content(seaweedfs_server, f"{prefix}/Shop.casb")
    assert link not in ran.err
    assert "whoever has this link can download it" in ran.err
    plain = one("export", "1", "-o", seaweedfs_server.url(f"{prefix}/more/"))
    assert plain.code == 0
    assert "Signature" not in plain.out + plain.err


def test_what_is_there_stays_unless_it_is_forced_away(
    one: Place, seaweedfs_server: S3Server, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = seaweedfs_server.url(f"{prefix}/x.casb")
    assert one("export", "1", "-o", url).code == 0
    first = content(seaweedfs_server, f"{prefix}/x.casb")
    with monkeypatch.context() as patch:
        patch.setattr("cli.commands.export.export_version", _must_not_run)
        ran = one("export", "1", "--entity", "suppliers", "-o", url)
    assert (ran.code, "is there already" in ran.error, "--force" in ran.error) == (
        ExitCode.CONFLICT,
        True,
        True,
    ), ran
    assert content(seaweedfs_server, f"{prefix}/x.casb") == first
    ran = one("export", "1", "--entity", "suppliers", "-o", url, "--force", "--json")
    assert ran.code == 0, ran
    second = content(seaweedfs_server, f"{prefix}/x.casb")
    digest = hashlib.sha256(second).hexdigest()
    assert second != first
    assert content(seaweedfs_server, f"{prefix}/x.casb.sha256") == f"{digest}  x.casb\n".encode()


def _must_not_run(*_: object) -> None:
    raise AssertionError("the work has begun")


def test_who_comes_in_between_wins(
    one: Place, seaweedfs_server: S3Server, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something came under the name while the bundle was written."""
    monkeypatch.setattr("cli.bundle_bucket._is_there", lambda _place: False)
    key = f"{prefix}/x.casb"
    client(seaweedfs_server).put_object(Bucket=seaweedfs_server.bucket, Key=key, Body=b"theirs")
    ran = one("export", "1", "-o", seaweedfs_server.url(key))
    assert (ran.code, "is there already" in ran.err) == (ExitCode.CONFLICT, True), ran
    assert keys(seaweedfs_server, prefix) == ["x.casb"]
    assert content(seaweedfs_server, key) == b"theirs"


@pytest.mark.parametrize("words", [[], ["--encrypt"]], ids=["clear", "sealed"])
def test_no_bundle_goes_where_a_repository_lies(
    one: Place, seaweedfs_server: S3Server, prefix: str, database: Databases, words: list[str]
) -> None:
    """In our own, in another one, and in any place below them; beside them it does."""
    ours = seaweedfs_server.url(f"{prefix}/ours")
    more = {"CAS_STORE": ours, "CAS_CATALOG": database(), "CAS_KEY_FILE": str(one.directory / "key")}
    assert one("init", *words, **more).code == 0
    assert one("snapshot", **more).code == 0
    before = keys(seaweedfs_server, prefix)
    for place, settings in (("ours/", more), ("ours/packs/x.casb", more), ("ours/a/b/", {}), ("ours/", {})):
        ran = one("export", "1", "-o", seaweedfs_server.url(f"{prefix}/{place}"), **settings)
        assert (ran.code, "a repository lies there" in ran.err) == (ExitCode.CONFLICT, True), (place, ran)
    assert keys(seaweedfs_server, prefix) == before
    ran = one("export", "1", "-o", seaweedfs_server.url(f"{prefix}/x.casb"), **more)
    assert ran.code == 0, ran
    assert one("gc", **more).code == 0
    assert "x.casb" in keys(seaweedfs_server, prefix)


def test_nor_does_a_file_go_into_one(one: Place) -> None:
    before = set(one.store.rglob("*"))
    linked = one.directory / "linked"
    linked.symlink_to(one.store / "packs")
    for place in (one.store / "x.casb", one.store, one.store / "packs" / "x.casb", linked):
        ran = one("export", "1", "-o", place)
        assert (ran.code, "a repository lies there" in ran.error) == (ExitCode.CONFLICT, True), ran
    assert set(one.store.rglob("*")) == before


def test_a_file_url_is_a_file(one: Place) -> None:
    place = one.directory / "with space"
    place.mkdir()
    ran = one("export", "1", "-o", place.as_uri(), "--json")
    assert ran.code == 0, ran
    assert Path(ran.json["path"]).parent == place
    assert Path(f"{ran.json['path']}.sha256").exists()
    assert local_path("x/y.casb") == Path("x/y.casb")
    for odd in ("file://elsewhere/x", "file://x", "file:///a%00b"):
        with pytest.raises(InvalidInput):
            local_path(odd)


@pytest.mark.parametrize("server_of", ["gcs_server", "azurite_server"])
def test_other_clouds_take_bundles_and_lead_to_them(
    one: Place, request: pytest.FixtureRequest, server_of: str, tmp_path: Path, prefix: str
) -> None:
    server: S3Server = request.getfixturevalue(server_of)
    one.environment |= server.environment
    url = server.url(f"{prefix}/Shop.casb")
    if isinstance(server, GcsServer):
        del one.environment["GOOGLE_BEARER_TOKEN"]
        url += f"&credentials={key_file(tmp_path)}"
    ran = one("export", "1", "-o", url, "--link", "1h", "--json")
    assert ran.code == 0, ran
    found = download(ran.json["link"]["url"])
    assert found.file_name == "Shop.casb"
    assert hashlib.sha256(found.body).hexdigest() == ran.json["sha256"]
    assert one("export", "1", "-o", url).code == ExitCode.CONFLICT
    ran = one("store", "link", url.replace("Shop.casb", "Shop.casb.sha256"))
    assert ran.code == 0, ran
    assert download(ran.out.strip()).body.decode().startswith(hashlib.sha256(found.body).hexdigest())


# What is refused, before the work.


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "x.casb", "--link", "1h"], "only to bundles in buckets"),
        (["-o", "-", "--link", "1h"], "only to bundles in buckets"),
        (["--link", "1h"], "only to bundles in buckets"),
        (["-o", "memory://x/", "--link", "1h"], "a store in memory"),
        (["-o", "s3://BUCKET/y/?object_lock=3", "--link", "1h"], "from buckets only"),
        (["-o", "s3://BUCKET/y/", "--link", "8d"], "7 days at most"),
        (["-o", "s3://BUCKET/y/", "--link", "soon"], "no span of time"),
        (["-o", "s3://BUCKET/y"], "ends with .casb"),
        (["-o", "s3://BUCKET/y/a%20b.casb"], "no name for an object"),
        (["-o", f"s3://BUCKET/y/{'x' * 190}.casb"], "no name for an object"),
        (["-o", "https://BUCKET/y.casb"], "not a store URL"),
        (["-o", "s3://user:hunter2@BUCKET/y.casb"], "must not contain credentials"),
        (["-o", "s3://BUCKET/y/", "--format", "csv"], "--format"),
        (["-o", "x.zip", "--format", "csv", "--link", "1h"], "--link"),
    ],
)
def test_a_wish_that_cannot_come_true(
    one: Place, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.setattr("cli.commands.export.export_version", _must_not_run)
    before = set(one.directory.iterdir())
    ran = one("export", "1", *(word.replace("BUCKET", "bucket") for word in words))
    assert (ran.code, said in ran.error) == (ExitCode.INVALID, True), ran
    assert "hunter2" not in ran.err
    assert set(one.directory.iterdir()) == before


def test_who_cannot_sign_is_told_before_the_work(
    one: Place, azurite_server: S3Server, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    """The SAS token of somebody who may write."""
    monkeypatch.setattr("cli.commands.export.export_version", _must_not_run)
    monkeypatch.setattr("cli.commands.export.require_outside", lambda *_: None)
    ran = one(
        "export",
        "1",
        "-o",
        azurite_server.url(f"{prefix}/"),
        "--link",
        "1h",
        AZURE_STORAGE_SAS_TOKEN="sig=hunter2",
    )
    assert (ran.code, "cannot sign links" in ran.error) == (ExitCode.DENIED, True), ran
    assert "hunter2" not in ran.err


def test_a_bucket_that_is_not_there_is_told_before_the_work(
    one: Place, seaweedfs_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.commands.export.export_version", _must_not_run)
    url = seaweedfs_server.url("x/").replace(seaweedfs_server.bucket, "no-such-bucket")
    ran = one("export", "1", "-o", url)
    assert (ran.code, "no-such-bucket" in ran.error) == (ExitCode.UNREACHABLE, True), ran


# Bad days.


@pytest.fixture
def network(seaweedfs_server: S3Server) -> Iterator[FaultyHttp]:
    with faulty.faulty_http(seaweedfs_server) as proxy:
        yield proxy
        assert proxy.left() == 0


def test_who_may_only_write_can_export(one: Place, network: FaultyHttp, prefix: str) -> None:
    """Every other call is answered 403, as S3 does for who may not list."""
    network.plan(faulty.answer(403), method="HEAD", times=1)
    network.plan(faulty.answer(403, "AccessDenied"), method="GET", times=3)
    ran = one("export", "1", "-o", network.server.url(f"{prefix}/x.casb"))
    assert ran.code == 0, ran
    assert keys(network.server, prefix) == ["x.casb", "x.casb.sha256"]


def test_nothing_is_sent_of_a_version_that_is_damaged(one: Place, network: FaultyHttp, prefix: str) -> None:
    for path in packs(one):
        data = bytearray(path.read_bytes())
        data[len(data) // 3] ^= 1
        path.write_bytes(data)
    ran = one("export", "1", "-o", network.server.url(f"{prefix}/x.casb"))
    assert ran.code == ExitCode.CORRUPT, ran
    assert network.seen("PUT") == 0
    assert keys(network.server, prefix) == []


def test_no_room_for_temporary_files(
    seaweedfs_server: S3Server, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in seaweedfs_server.environment.items():
        monkeypatch.setenv(name, value)

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cli.bundle_file.HashingSink.write", fails)
    store = open_store(seaweedfs_server.url(prefix))
    assert isinstance(store, DeliveringStore)
    place = BucketPlace(store, "x.casb")
    with (
        pytest.raises(InsufficientSpace, match="TMPDIR"),
        new_object(place, Terminal(as_json=True), force=False) as sink,
    ):
        sink.write(b"more than there is room for")
    assert keys(seaweedfs_server, prefix) == []


def test_a_store_that_fails_ends_the_export_and_leaves_nothing(
    one: Place, network: FaultyHttp, prefix: str
) -> None:
    network.plan(faulty.answer(503, "SlowDown"), method="PUT", times=2)
    ran = one("export", "1", "-o", network.server.url(f"{prefix}/x.casb"), "--link", "1h")
    assert ran.code == ExitCode.STORE_FAULT, ran
    assert "Signature" not in ran.out + ran.err
    assert keys(network.server, prefix) == []


# Links to what lies there.


def test_a_link_to_an_object_that_lies_there(one: Place, seaweedfs_server: S3Server, prefix: str) -> None:
    key = f"{prefix}/Page 1.html"
    name = key.replace("Page 1", "Page-1")
    client(seaweedfs_server).put_object(Bucket=seaweedfs_server.bucket, Key=name, Body=b"page")
    ran = one("store", "link", seaweedfs_server.url(name), "--for", "30m")
    assert ran.code == 0, ran
    assert ran.out.count("\n") == 1
    assert download(ran.out.strip()).body == b"page"
    as_json = one("store", "link", seaweedfs_server.url(name), "--json").json
    assert set(as_json) == {"url", "expires_at", "ends_early"}
    for words, code in (
        ([seaweedfs_server.url(f"{prefix}/missing")], ExitCode.NOT_FOUND),
        ([seaweedfs_server.url(f"{prefix}/")], ExitCode.INVALID),
        ([seaweedfs_server.url(name), "--for", "8d"], ExitCode.INVALID),
        ([str(one.directory / "x")], ExitCode.INVALID),
        ([(one.directory / "x").as_uri()], ExitCode.INVALID),
        (["memory://x/y"], ExitCode.INVALID),
    ):
        ran = one("store", "link", *words)
        assert ran.code == code, (words, ran)
        assert ran.error


def test_a_trial_says_whether_links_can_be_signed(
    bare: Place, seaweedfs_server: S3Server, tmp_path: Path, prefix: str
) -> None:
    bare.environment |= seaweedfs_server.environment
    ran = bare("store", "test", seaweedfs_server.url(prefix))
    assert ran.code == 0, ran
    assert "can be signed, for 7 days at most" in ran.out
    assert "Signature" not in ran.out + ran.err
    assert bare("store", "test", tmp_path, "--json").json["links"] == {
        "signed": False,
        "seen": "this kind of store has no links",
    }


@pytest.mark.parametrize("address", ["https://host/x.casb?sig=hunter2", "s3://bucket/x.casb", "HTTP://x/y"])
def test_an_address_is_not_imported_but_downloaded(standing: Place, address: str) -> None:
    long = address + "&" + "a" * 5000
    for words in (["import", "--yes"], ["import"], ["bundle", "show"], ["bundle", "check"]):
        for one in (address, long):
            ran = standing(*words, one)
            assert (ran.code, "Download it first" in ran.error) == (ExitCode.INVALID, True), ran
            assert "hunter2" not in ran.err
