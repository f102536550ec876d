"""What other programs leave in buckets, and servers on bad days."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from cas.bucket_tree import BucketTree
from cas.catalog.model import VersionState
from cas.limits import MIB
from cas.records.file_tree import Found, Missed
from cas.records.files import FileType, decode_file, encode_file
from cas.store.bucket_opening import open_bucket
from cas.store.interface import FaultKind, StoreFault
from tests.engine.scenes import World
from tests.files.bucket_scene import BucketScene
from tests.files.scene import NAME
from tests.files.test_taking import random_bytes
from tests.files.test_taking_buckets import held
from tests.servers import azure, gcs
from tests.servers import faulty_http as faulty
from tests.servers.azure import AzureServer
from tests.servers.faulty_http import FaultyHttp
from tests.servers.gcs import GcsServer
from tests.servers.s3 import S3Server, client
from tests.store.conftest import OPTIONS

Put = Callable[[str, bytes], None]
"""Puts an object under any key, past the port."""


def foreign(kind: str, request: pytest.FixtureRequest) -> tuple[BucketTree, Put]:
    server: S3Server = request.getfixturevalue(f"{kind}_server")
    prefix = f"foreign/{uuid4().hex}"

    def put(key: str, data: bytes) -> None:
        path = f"/{server.bucket}/{prefix}/{key}"
        if isinstance(server, GcsServer):
            gcs.request(server, "PUT", path, data)
        elif isinstance(server, AzureServer):
            azure.request(server, "PUT", path, {}, data, blob="BlockBlob")
        else:
            client(server).put_object(Bucket=server.bucket, Key=f"{prefix}/{key}", Body=data)

    return BucketTree(NAME, open_bucket(server.url(prefix), OPTIONS)), put


@pytest.mark.parametrize("kind", ["moto", "seaweedfs", "gcs", "azurite"])
def test_what_consoles_call_folders_are_directories(kind: str, request: pytest.FixtureRequest) -> None:
    tree, put = foreign(kind, request)
    for key, data in {"": b"", "d/": b"", "d/x": b"1", "d-x": b"1", "empty": b"", "alone/": b""}.items():
        put(key, data)
    found = {one.record.path: one.record.type for one in tree.entries() if isinstance(one, Found)}
    directory, file = FileType.DIRECTORY, FileType.FILE
    assert found == {b"alone": directory, b"d": directory, b"d-x": file, b"d/x": file, b"empty": file}


@pytest.mark.parametrize("key", ["a//b", "/x", "a/./b", "n" * 300, "tab\t&<>", "a+b c%20"])
def test_s3_tells_of_every_key(key: str, request: pytest.FixtureRequest) -> None:
    """Those that are paths are read, and the others named."""
    tree, put = foreign("moto", request)
    put(key, b"1")
    put("harmless", b"2")
    read, missed = {}, []
    for one in tree.entries():
        if isinstance(one, Missed):
            missed.append(one.path)
        elif one.record.type is FileType.FILE:
            with one.open() as opened:
                read[one.record.path.decode()] = b"".join(opened.pieces())
    is_path = key in ("tab\t&<>", "a+b c%20")
    assert read == {"harmless": b"2", **({key: b"1"} if is_path else {})}
    assert missed == ([] if is_path else [key.encode()])


@pytest.mark.parametrize("kind", ["gcs", "azurite"])
def test_a_key_that_the_library_cannot_hold_is_told(kind: str, request: pytest.FixtureRequest) -> None:
    tree, put = foreign(kind, request)
    put("a//b", b"1")
    with pytest.raises(StoreFault, match="a//b") as told:
        list(tree.entries())
    assert told.value.fault is FaultKind.REFUSED


@pytest.mark.parametrize("kind", ["seaweedfs", "gcs", "azurite"])
def test_a_bucket_that_is_not_there_is_told(kind: str, request: pytest.FixtureRequest) -> None:
    server: S3Server = request.getfixturevalue(f"{kind}_server")
    url = server.url("x").replace(f"//{server.bucket}/", "//nobodys-bucket/")
    with pytest.raises(StoreFault, match=r"bucket|Bucket|ContainerNotFound") as told:
        list(BucketTree(NAME, open_bucket(url, OPTIONS)).entries())
    assert told.value.fault is FaultKind.UNREACHABLE


@pytest.mark.parametrize("kind", ["gcs", "azurite"])
def test_listings_of_more_than_a_page(kind: str, request: pytest.FixtureRequest) -> None:
    tree, put = foreign(kind, request)
    paths = [b"%d/%d" % (number % 3, number) for number in range(1100)]
    for path in paths:
        put(path.decode(), b"1")
    found = [one.record.path for one in tree.entries() if isinstance(one, Found)]
    assert found == sorted([*paths, b"0", b"1", b"2"])


def listing(*rows: str, more: str = "") -> bytes:
    """What a server may say that is none."""
    objects = "".join(f"<Contents>{row}</Contents>" for row in rows)
    token = f"<NextContinuationToken>{more}</NextContinuationToken>" if more else ""
    return (
        "<?xml version='1.0'?><ListBucketResult><EncodingType>url</EncodingType>"
        f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>{objects}{token}</ListBucketResult>"
    ).encode()


def row(key: str, size: str = "1", time: str = "2026-01-01T00:00:00.000Z", etag: str = "x") -> str:
    return f"<Key>{key}</Key><Size>{size}</Size><LastModified>{time}</LastModified><ETag>{etag}</ETag>"


@pytest.fixture
def lying(seaweedfs_server: S3Server) -> Iterator[tuple[BucketTree, FaultyHttp, str]]:
    """A server whose listings are made up, and the prefix that is asked for."""
    with faulty.faulty_http(seaweedfs_server) as proxy:
        prefix = f"lying/{uuid4().hex}"
        bucket = open_bucket(proxy.server.url(prefix), replace(OPTIONS, attempts=2))
        yield BucketTree(NAME, bucket), proxy, prefix
        bucket.close()


@pytest.mark.parametrize(
    ("rows", "more"),
    [
        (["elsewhere/x"], ""),
        (["{}/x"], "always the same"),
        (["{}"], ""),
    ],
)
def test_a_listing_that_makes_no_sense_is_a_fault(
    lying: tuple[BucketTree, FaultyHttp, str], rows: list[str], more: str
) -> None:
    tree, proxy, prefix = lying
    told = listing(*(row(key.format(prefix)) for key in rows), more=more)
    proxy.plan(faulty.say(200, told), path="list-type", times=5)
    with pytest.raises(StoreFault) as refused:
        list(tree.entries())
    assert refused.value.fault is FaultKind.REFUSED


@pytest.mark.parametrize(
    "odd",
    [
        {"size": "-1"},
        {"size": "9" * 30},
        {"key": "%FF%FE//x"},
        {"key": "a%00b"},
        {"key": "..%2F..%2Fx"},
    ],
)
def test_a_row_that_no_object_has_is_named(
    lying: tuple[BucketTree, FaultyHttp, str], odd: dict[str, str]
) -> None:
    tree, proxy, prefix = lying
    one = row(**{**odd, "key": f"{prefix}/{odd.get('key', 'x')}"})
    proxy.plan(faulty.say(200, listing(one, row(f"{prefix}/harmless"))), path="list-type")
    missed, found = list(tree.entries())
    assert isinstance(missed, Missed)
    assert not missed.is_path
    assert isinstance(found, Found)
    assert found.record.path == b"harmless"


@pytest.mark.parametrize(
    "odd", [{"size": "many"}, {"time": "never"}, {"time": "0001-01-01T00:00:00+14:00"}, {"time": ""}]
)
def test_a_row_that_cannot_be_read_is_a_fault(
    lying: tuple[BucketTree, FaultyHttp, str], odd: dict[str, str]
) -> None:
    tree, proxy, prefix = lying
    told = listing(row(f"{prefix}/x", **odd))
    proxy.plan(faulty.say(200, told), path="list-type", times=5)
    with pytest.raises(StoreFault):
        list(tree.entries())


@pytest.mark.parametrize("etag", ["", "W/x", "&#252;", "x" * 100_000])
def test_an_odd_etag_is_no_harm(lying: tuple[BucketTree, FaultyHttp, str], etag: str) -> None:
    tree, proxy, prefix = lying
    proxy.plan(faulty.say(200, listing(row(f"{prefix}/x", etag=etag))), path="list-type")
    (found,) = tree.entries()
    assert isinstance(found, Found)
    assert (found.record.seen is None) == (etag in ("", "W/x"))
    assert (
        decode_file(encode_file(replace(found.record, content=bytes(32), pieces=1))).seen == found.record.seen
    )


@pytest.fixture(params=["seaweedfs", "gcs"])
def bad(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[BucketScene, FaultyHttp]]:
    """A bucket behind a proxy that obeys. A plan that is never met is a mistake of the test."""
    with faulty.faulty_http(request.getfixturevalue(f"{request.param}_server")) as proxy:
        bucket = open_bucket(proxy.server.url(f"bad/{uuid4().hex}"), OPTIONS)
        yield BucketScene(World(), tmp_path / "place", bucket), proxy
        bucket.close()
        assert proxy.left() == 0


def test_requests_that_fail_for_a_passing_reason_are_repeated(bad: tuple[BucketScene, FaultyHttp]) -> None:
    buckets, proxy = bad
    large = random_bytes(2 * MIB)
    proxy.plan(faulty.answer(503), method="PUT")
    buckets.bucket.put("large", large)
    proxy.plan(faulty.answer(503), path="list-type|prefix=")
    proxy.plan(faulty.reset, path="list-type|prefix=")
    proxy.plan(faulty.answer(503), method="GET", path="large")
    proxy.plan(faulty.answer(503), method="HEAD", path="large")
    assert buckets.take_bucket().state is VersionState.COMPLETE
    assert held(buckets, 1) == {"large": large}
    proxy.plan(faulty.answer(503), method="DELETE")
    buckets.bucket.remove("large")
    assert buckets.bucket.contents() == {}


def test_a_server_that_says_no_more_than_404_has_no_such_bucket(bad: tuple[BucketScene, FaultyHttp]) -> None:
    buckets, proxy = bad
    proxy.plan(faulty.answer(404), path="list-type|prefix=")
    with pytest.raises(StoreFault, match="no such bucket") as told:
        buckets.take_bucket()
    assert told.value.fault is FaultKind.UNREACHABLE


@pytest.mark.parametrize("size", [1000, 2 * MIB])
def test_a_body_that_breaks_off_is_read_again(bad: tuple[BucketScene, FaultyHttp], size: int) -> None:
    buckets, proxy = bad
    buckets.bucket.put("broken", random_bytes(size))
    proxy.plan(faulty.truncate(size // 2), method="GET", path="broken")
    assert buckets.take_bucket().state is VersionState.COMPLETE
    assert buckets.bucket.opened == ["broken", "broken"]
    assert held(buckets, 1) == {"broken": random_bytes(size)}


def test_an_upload_whose_answer_is_lost_is_looked_up(bad: tuple[BucketScene, FaultyHttp]) -> None:
    buckets, proxy = bad
    proxy.plan(faulty.lose_answer, method="PUT")
    buckets.bucket.put("x", b"content")
    assert buckets.bucket.contents() == {"x": b"content"}
    assert proxy.seen("PUT") == 1
