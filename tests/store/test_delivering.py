"""What buckets hand out: objects of any size under names of people's, and links that expire."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl, quote, urlsplit
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from cas.errors import InvalidInput
from cas.limits import MIB
from cas.store.cloud import delivering as cloud
from cas.store.delivering import LONGEST_LINK_SECONDS, DeliveringStore
from cas.store.interface import FaultKind, ObjectExists, ObjectMissing, StoreFault
from cas.store.opening import StoreOptions, open_bare, open_store
from cas.store.urls import and_above, join_name, split_name
from tests.servers import faulty_http as faulty
from tests.servers.downloads import download
from tests.servers.faulty_http import FaultyHttp
from tests.servers.gcs import SIGNER, key_file
from tests.servers.s3 import S3Server, client
from tests.store.conftest import OPTIONS, place_url

T = TypeVar("T")

KINDS = ("moto", "seaweedfs", "gcs", "azurite")
CHECKING = ("seaweedfs", "azurite")
"""Servers that look at signatures and their time."""

NAME = "Shop-v12.casb"
SMALL = memoryview(b"a bundle, say")
LARGE = memoryview(bytes(range(256)) * (12 * 2**12))
"""12 MiB: three parts in S3."""


def delivering(url: str, options: StoreOptions = OPTIONS, *, retries: bool = True) -> DeliveringStore:
    store = open_store(url, options) if retries else open_bare(url, options)
    assert isinstance(store, DeliveringStore)
    return store


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of an empty place, with credentials that can sign."""
    place = place_url(kind, tmp_path, request)
    if kind != "gcs":
        return place
    monkeypatch.delenv("GOOGLE_BEARER_TOKEN")
    return f"{place}&credentials={key_file(tmp_path)}"


@pytest.mark.parametrize("retries", [False, True], ids=["bare", "retries"])
@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_an_object_is_there_whole_and_only_once(url: str, data: memoryview, retries: bool) -> None:
    store = delivering(url, retries=retries)
    with pytest.raises(ObjectMissing):
        store.delivered_size(NAME)
    store.deliver(NAME, data, create_only=True)
    assert store.delivered_size(NAME) == len(data)
    assert download(store.link(NAME, 60).url).body == data
    for other in (data, data[:-1]):
        with pytest.raises(ObjectExists):
            store.deliver(NAME, other, create_only=True)
    assert store.delivered_size(NAME) == len(data)
    store.deliver(NAME, data[:-1])
    assert download(store.link(NAME, 60).url).body == data[:-1]


def test_of_many_who_deliver_one_wins(kind: str, url: str) -> None:
    def won(number: int) -> bool:
        try:
            delivering(url).deliver(NAME, memoryview(b"%d" % number * 1000), create_only=True)
        except ObjectExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(won, range(8)))
    assert outcomes.count(True) == 1
    body = download(delivering(url).link(NAME, 60).url).body
    assert body == b"%d" % outcomes.index(True) * 1000


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "ä", "a\n", "x" * 201, 'a"b', "../x"])
def test_a_name_that_is_none_is_refused(url: str, name: str) -> None:
    store = delivering(url)
    for call in (
        lambda: store.deliver(name, SMALL),
        lambda: store.delivered_size(name),
        lambda: store.link(name, 60),
    ):
        with pytest.raises(InvalidInput):
            call()


@pytest.mark.parametrize("seconds", [0, -1, LONGEST_LINK_SECONDS + 1])
def test_a_span_that_no_link_holds_is_refused(url: str, seconds: int) -> None:
    with pytest.raises(InvalidInput, match="7 days"):
        delivering(url).link(NAME, seconds)


# Links.


def test_a_download_that_broke_off_goes_on_in_the_middle(url: str) -> None:
    """By somebody without credentials, in two ranges; and the file gets its name."""
    store = delivering(url)
    store.deliver(NAME, LARGE, create_only=True)
    link = store.link(NAME, 60)
    begun = download(link.url, 0, 5 * MIB)
    rest = download(link.url, 5 * MIB + 1)
    assert (begun.status, rest.status) == (206, 206)
    assert len(begun.body) == 5 * MIB + 1
    whole = begun.body + rest.body
    assert hashlib.sha256(whole).digest() == hashlib.sha256(LARGE).digest()
    assert begun.file_name == NAME
    assert link.ends_early is False
    assert link.url not in repr(link)


@pytest.mark.parametrize("kind", [*CHECKING, "gcs"])
def test_a_link_to_what_is_not_there_finds_nothing(url: str) -> None:
    assert download(delivering(url).link(NAME, 60).url).status == 404


@pytest.mark.parametrize("kind", CHECKING)
def test_a_link_ends(url: str) -> None:
    store = delivering(url)
    store.deliver(NAME, SMALL)
    link = store.link(NAME, 3)
    assert download(link.url).body == SMALL
    time.sleep(4.1)
    ended = download(link.url)
    assert ended.status == 403
    assert bytes(SMALL) not in ended.body


@pytest.mark.parametrize("kind", CHECKING)
def test_a_link_leads_to_one_object_only(url: str) -> None:
    store = delivering(url)
    store.deliver(NAME, SMALL)
    store.deliver(f"{NAME}.sha256", SMALL)
    link = store.link(NAME, 60).url
    assert download(link).status == 200
    for changed in (
        link.replace(f"/{NAME}?", f"/{NAME}.sha256?"),
        re.sub(r"(Expires=|se=)([^&]*?)(\d)", lambda found: found[1] + found[2] + "9", link, count=1),
        link[:-6] + ("A" * 6),
        link.partition("?")[0],
    ):
        assert changed != link
        assert download(changed).status in (403, 404)
        assert bytes(SMALL) not in download(changed).body


def test_google_takes_the_signature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As its documentation has it, computed anew: no emulator looks at it."""
    monkeypatch.delenv("GOOGLE_BEARER_TOKEN")
    store = delivering(f"gs://bucket/exports?credentials={key_file(tmp_path)}")
    link = urlsplit(store.link(NAME, 3600).url)
    assert (link.scheme, link.netloc, link.path) == (
        "https",
        "storage.googleapis.com",
        f"/bucket/exports/{NAME}",
    )
    pairs = dict(parse_qsl(link.query))
    signature = bytes.fromhex(pairs.pop("X-Goog-Signature"))
    assert pairs["X-Goog-Expires"] == "3600"
    account, scope = pairs["X-Goog-Credential"].split("/", 1)
    assert account == SIGNER
    query = "&".join(f"{quote(name, safe='')}={quote(pairs[name], safe='')}" for name in sorted(pairs))
    asked = "\n".join(("GET", link.path, query, f"host:{link.netloc}", "", "host", "UNSIGNED-PAYLOAD"))
    digest = hashlib.sha256(asked.encode()).hexdigest()
    said = "\n".join((pairs["X-Goog-Algorithm"], pairs["X-Goog-Date"], scope, digest))
    pem = json.loads((tmp_path / "service-account.json").read_text())["private_key"]
    key = serialization.load_pem_private_key(pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    key.public_key().verify(signature, said.encode(), padding.PKCS1v15(), hashes.SHA256())


def test_amazon_gets_signatures_of_today_in_every_region(monkeypatch: pytest.MonkeyPatch) -> None:
    for region in ("us-east-1", "eu-west-1", "eu-central-1"):
        link = delivering(f"s3://bucket/exports?region={region}").link(NAME, 3600)
        pairs = dict(parse_qsl(urlsplit(link.url).query))
        assert pairs["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
        assert f"/{region}/s3/" in pairs["X-Amz-Credential"]
        assert link.ends_early is False
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-a-role")
    assert delivering("s3://bucket/exports?region=eu-west-1").link(NAME, 3600).ends_early is True


@pytest.mark.parametrize("place", ["s3://bucket/x", "gs://bucket/x", "az://container/x?account=name"])
def test_who_cannot_sign_is_told_so(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent to the store for it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_ACCOUNT_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("GOOGLE_SKIP_SIGNATURE", "true")
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", "sv=2021-12-02&sig=hunter2")
    monkeypatch.delenv("GOOGLE_BEARER_TOKEN")
    with pytest.raises(StoreFault) as raised:
        delivering(place).link(NAME, 60)
    assert raised.value.fault is FaultKind.DENIED
    assert raised.value.hint
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "place", ["memory://x", "file://{}", "s3://bucket/x?object_lock=1"], ids=["memory", "local", "locked"]
)
def test_other_stores_hand_nothing_out(place: str, tmp_path: Path) -> None:
    assert not isinstance(open_store(place.format(tmp_path), OPTIONS), DeliveringStore)


# Bad days.


@pytest.fixture
def network(seaweedfs_server: S3Server) -> Iterator[FaultyHttp]:
    with faulty.faulty_http(seaweedfs_server) as proxy:
        yield proxy
        assert proxy.left() == 0


def test_only_the_part_that_failed_is_sent_again(network: FaultyHttp) -> None:
    store = delivering(network.server.url(uuid4().hex))
    network.plan(faulty.answer(503, "SlowDown"), method="PUT", path="partNumber=2", times=2)
    network.plan(faulty.reset, method="PUT", path="partNumber=3")
    store.deliver(NAME, LARGE, create_only=True)
    assert [network.seen("PUT", f"partNumber={part}") for part in (1, 2, 3)] == [1, 3, 2]
    assert download(store.link(NAME, 60).url).body == LARGE


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("create_only", [False, True])
def test_an_answer_that_was_lost_is_no_conflict(
    network: FaultyHttp, data: memoryview, create_only: bool
) -> None:
    store = delivering(network.server.url(uuid4().hex))
    method, path = ("POST", "uploadId=") if data is LARGE else ("PUT", NAME)
    network.plan(faulty.lose_answer, method=method, path=path)
    store.deliver(NAME, data, create_only=create_only)
    assert network.seen(method, path) == 1
    assert store.delivered_size(NAME) == len(data)


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_what_arrives_while_it_is_sent_again_is_no_conflict(network: FaultyHttp, data: memoryview) -> None:
    """The answer was lost, and the object is there only after somebody has looked for it."""
    store = delivering(network.server.url(uuid4().hex))
    method, path = ("POST", "uploadId=") if data is LARGE else ("PUT", NAME)
    network.plan(faulty.lose_answer, method=method, path=path)
    network.plan(faulty.answer(404, ""), method="HEAD", path=NAME)
    store.deliver(NAME, data, create_only=True)
    assert network.seen(method, path) == 2
    assert download(store.link(NAME, 60).url).body == data


def test_a_lost_answer_does_not_hide_what_somebody_else_put(network: FaultyHttp) -> None:
    url = network.server.url(uuid4().hex)
    delivering(url).deliver(NAME, memoryview(b"b" * len(SMALL)))
    network.plan(faulty.reset, method="PUT", path=NAME)
    with pytest.raises(ObjectExists):
        delivering(url).deliver(NAME, SMALL, create_only=True)


@pytest.mark.parametrize("status", [200, 403])
def test_a_link_is_signed_for_the_region_where_the_bucket_is(network: FaultyHttp, status: int) -> None:
    """As the server tells it, also to who may not look at the bucket."""
    url = network.server.url("regions")
    for said, signed in (("eu-west-9", "eu-west-9"), ("../odd?", "us-east-1"), (None, "us-east-1")):
        network.plan(faulty.change(status=status, x_amz_bucket_region=said), method="HEAD")
        link = delivering(url.replace("&region=us-east-1", "")).link(NAME, 60).url
        assert f"/{signed}/s3/" in dict(parse_qsl(urlsplit(link).query))["X-Amz-Credential"]
    asked = network.seen("HEAD")
    assert "/us-east-1/" in delivering(url).link(NAME, 60).url.replace("%2F", "/")
    assert network.seen("HEAD") == asked, "who names a region is believed"


def test_an_upload_that_fails_leaves_neither_object_nor_parts(network: FaultyHttp) -> None:
    prefix = uuid4().hex
    store = delivering(network.server.url(prefix))
    network.plan(faulty.answer(403, "AccessDenied"), method="PUT", path="partNumber=3")
    with pytest.raises(StoreFault) as raised:
        store.deliver(NAME, LARGE, create_only=True)
    assert raised.value.fault is FaultKind.DENIED
    with pytest.raises(ObjectMissing):
        store.delivered_size(NAME)
    server = network.server
    listed = client(server).list_multipart_uploads(Bucket=server.bucket, Prefix=prefix)
    assert not listed.get("Uploads")


def test_an_upload_that_is_stopped_leaves_neither_object_nor_parts(seaweedfs_server: S3Server) -> None:
    """By Ctrl-C, when the second part is about to go."""
    prefix = uuid4().hex
    store = delivering(seaweedfs_server.url(prefix), retries=False)
    steps = iter(range(9))

    def stopped(step: Callable[[], T]) -> T:
        if next(steps) == 2:
            raise KeyboardInterrupt
        return step()

    with pytest.raises(KeyboardInterrupt):
        store.deliver(NAME, LARGE, create_only=True, repeat=stopped)
    listed = client(seaweedfs_server).list_multipart_uploads(Bucket=seaweedfs_server.bucket, Prefix=prefix)
    assert not listed.get("Uploads")
    with pytest.raises(ObjectMissing):
        store.delivered_size(NAME)


def test_what_has_too_many_parts_is_cut_into_larger_ones(
    network: FaultyHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cas.store.s3.upload.MOST_PARTS", 2)
    store = delivering(network.server.url(uuid4().hex))
    store.deliver(NAME, LARGE)
    assert network.seen("PUT", "partNumber=") == 2
    assert download(store.link(NAME, 60).url).body == LARGE


def test_an_answer_of_azures_that_was_lost_is_no_conflict(azurite_server: S3Server) -> None:
    with faulty.faulty_http(azurite_server) as proxy:
        store = delivering(proxy.server.url(uuid4().hex))
        proxy.plan(faulty.lose_answer, method="PUT", path=NAME)
        store.deliver(NAME, LARGE, create_only=True)
        assert proxy.seen("PUT", NAME) == 1
        assert proxy.left() == 0
        with pytest.raises(ObjectExists):
            store.deliver(NAME, SMALL, create_only=True)


def test_more_than_azure_takes_is_told_before_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud, "MOST_OF_AZURE_BYTES", len(LARGE) - 1)
    with pytest.raises(StoreFault, match="in one request") as raised:
        delivering("az://container/x?account=name&endpoint=http://127.0.0.1:1").deliver(NAME, LARGE)
    assert raised.value.fault is FaultKind.REFUSED


_FROM_A_FILE = """
import mmap, resource, sys
from cas.store.opening import StoreOptions, open_store
url, path, room = sys.argv[1:]
store = open_store(url, StoreOptions())
store.deliver("Warm.casb", memoryview(b"x"))
with open("/proc/self/status") as status:
    used = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (used + int(room),) * 2)
with open(path, "rb") as file:
    store.deliver("Large.casb", memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
"""


@pytest.mark.parametrize("kind", ["seaweedfs", "azurite"])
def test_what_lies_in_a_file_is_not_held_in_memory(url: str, tmp_path: Path) -> None:
    """192 MiB, where a process may take 96 MiB more than it has."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(192 * MIB)
    command = [sys.executable, "-c", _FROM_A_FILE, url, str(path), str(96 * MIB)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=dict(os.environ), cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr
    assert delivering(url).delivered_size("Large.casb") == 192 * MIB


# URLs of objects.


def test_the_url_of_an_object_is_taken_apart_and_put_together() -> None:
    query = "?endpoint=http://127.0.0.1:8333&region=x"
    for url, above, name in (
        (f"s3://bucket/A/b/{NAME}{query}", f"s3://bucket/A/b{query}", NAME),
        (f"s3://bucket/{NAME}", "s3://bucket", NAME),
        (f"s3://bucket/a/{query}", f"s3://bucket/a{query}", ""),
        ("gs://bucket", "gs://bucket", ""),
        ("az://c/a/x%20y?account=n", "az://c/a?account=n", "x y"),
    ):
        assert split_name(url) == (above, name)
        if name:
            assert join_name(above, name) == url
    assert and_above("s3://bucket/a/b?q=1") == [
        "s3://bucket/a/b?q=1",
        "s3://bucket/a?q=1",
        "s3://bucket/?q=1",
    ]
    assert and_above("file:///a/b") == ["file:///a/b", "file:///a"]
    with pytest.raises(InvalidInput):
        split_name("s3://[hunter2/x")
