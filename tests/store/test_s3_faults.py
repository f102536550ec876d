"""The S3 store on bad days: a proxy in front of a real server breaks one thing at a time."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from cas.errors import CasError, CorruptData
from cas.store.interface import FaultKind, ObjectExists, ObjectMissing, Store, StoreFault
from cas.store.opening import StoreOptions, open_bare, open_store
from tests.servers import faulty_http as faulty
from tests.servers.faulty_http import FaultyHttp
from tests.servers.s3 import S3Server, client, free_ports

QUICK = StoreOptions(
    attempts=4,
    first_wait_seconds=0.01,
    longest_wait_seconds=0.05,
    connect_timeout_seconds=0.5,
    read_timeout_seconds=1.0,
    slowest_bytes_per_second=100_000,
    multipart_threshold_bytes=6 * 2**20,
    part_bytes=5 * 2**20,
)
DATA = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def proxy(seaweedfs_server: S3Server) -> Iterator[FaultyHttp]:
    with faulty.faulty_http(seaweedfs_server) as running:
        yield running


@pytest.fixture
def network(proxy: FaultyHttp) -> Iterator[FaultyHttp]:
    """The proxy without plans. A plan that was never met is a mistake in the test."""
    proxy.requests.clear()
    yield proxy
    assert proxy.left() == 0


@pytest.fixture
def url(proxy: FaultyHttp, request: pytest.FixtureRequest) -> str:
    return proxy.server.url(f"faults/{abs(hash(request.node.nodeid))}")


@pytest.fixture
def bare(network: FaultyHttp, url: str) -> Iterator[Store]:
    store = open_bare(url, QUICK)
    store.put("key", DATA)
    network.requests.clear()
    yield store
    store.close()


@pytest.fixture
def retrying(network: FaultyHttp, url: str) -> Iterator[Store]:
    store = open_store(url, QUICK)
    store.put("key", DATA)
    network.requests.clear()
    yield store
    store.close()


CALLS: dict[str, tuple[str, Callable[[Store], object]]] = {
    "put": ("PUT", lambda store: store.put("new", DATA, create_only=True)),
    "get": ("GET", lambda store: store.get("key")),
    "get_range": ("GET", lambda store: store.get_range("key", 5, 10)),
    "get_tail": ("GET", lambda store: store.get_tail("key", 10)),
    "size": ("HEAD", lambda store: store.size("key")),
    "objects": ("GET", lambda store: [info.key for info in store.objects("key")]),
    "delete": ("DELETE", lambda store: store.delete("absent")),
}

ANSWERS: list[tuple[int, str, FaultKind | type[CasError]]] = [
    (400, "", FaultKind.REFUSED),
    (400, "InvalidRequest", FaultKind.REFUSED),
    (400, "RequestTimeout", FaultKind.TRANSIENT),
    (400, "ExpiredToken", FaultKind.DENIED),
    (400, "BadDigest", FaultKind.TRANSIENT),
    (301, "PermanentRedirect", FaultKind.REFUSED),
    (401, "", FaultKind.DENIED),
    (403, "AccessDenied", FaultKind.DENIED),
    (403, "SignatureDoesNotMatch", FaultKind.DENIED),
    (403, "RequestTimeTooSkewed", FaultKind.DENIED),
    (403, "InvalidObjectState", FaultKind.REFUSED),
    (403, "QuotaExceeded", FaultKind.FULL),
    (404, "NoSuchBucket", FaultKind.UNREACHABLE),
    (404, "NoSuchKey", ObjectMissing),
    (405, "MethodNotAllowed", FaultKind.REFUSED),
    (409, "ConditionalRequestConflict", FaultKind.TRANSIENT),
    (409, "OperationAborted", FaultKind.TRANSIENT),
    (412, "PreconditionFailed", ObjectExists),
    (416, "InvalidRange", CorruptData),
    (429, "", FaultKind.TRANSIENT),
    (500, "InternalError", FaultKind.TRANSIENT),
    (500, "", FaultKind.TRANSIENT),
    (501, "NotImplemented", FaultKind.REFUSED),
    (502, "", FaultKind.TRANSIENT),
    (503, "SlowDown", FaultKind.TRANSIENT),
    (503, "", FaultKind.TRANSIENT),
    (504, "", FaultKind.TRANSIENT),
    (507, "", FaultKind.FULL),
    (507, "XMinioStorageFull", FaultKind.FULL),
    (599, "Unheard\nOf" * 50, FaultKind.TRANSIENT),
]


@pytest.mark.parametrize(("status", "code", "meaning"), ANSWERS)
def test_each_answer_has_one_meaning(
    network: FaultyHttp, bare: Store, status: int, code: str, meaning: FaultKind | type[CasError]
) -> None:
    network.plan(faulty.answer(status, code), method="GET")
    with pytest.raises(CasError) as raised:
        bare.get_range("key", 0, 5)
    error = raised.value
    if isinstance(meaning, FaultKind):
        assert isinstance(error, StoreFault)
        assert error.fault is meaning
        assert str(status) in error.what
        assert error.what.isprintable()
        assert len(error.what) < 200
    else:
        assert type(error) is meaning
    assert error.where.endswith("/key")
    assert network.seen("GET") == 1


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("status", "code"), [(500, "InternalError"), (503, "SlowDown"), (409, "OperationAborted"), (502, "")]
)
def test_a_transient_answer_is_one_request_bare_and_tried_again_with_retries(
    network: FaultyHttp, bare: Store, retrying: Store, call: str, status: int, code: str
) -> None:
    method, perform = CALLS[call]
    network.plan(faulty.answer(status, code), method=method)
    with pytest.raises(StoreFault) as raised:
        perform(bare)
    assert raised.value.fault is FaultKind.TRANSIENT
    assert network.seen(method) == 1

    network.plan(faulty.answer(status, code), method=method, times=3)
    perform(retrying)
    assert network.seen(method) == 5


@pytest.mark.parametrize("call", CALLS)
def test_a_denial_is_final(network: FaultyHttp, retrying: Store, call: str) -> None:
    method, perform = CALLS[call]
    network.plan(faulty.answer(403, "AccessDenied"), method=method)
    with pytest.raises(StoreFault) as raised:
        perform(retrying)
    assert raised.value.fault is FaultKind.DENIED
    assert raised.value.hint
    assert network.seen(method) == 1


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "action", [faulty.reset, faulty.lose_answer, faulty.stall(1.5 * QUICK.read_timeout_seconds)]
)
def test_broken_connections_and_silence_pass(
    network: FaultyHttp, bare: Store, retrying: Store, call: str, action: faulty.Action
) -> None:
    method, perform = CALLS[call]
    network.plan(action, method=method)
    with pytest.raises(StoreFault) as raised:
        perform(bare)
    assert raised.value.fault is FaultKind.TRANSIENT
    bare.delete("new")

    network.plan(action, method=method, times=2)
    perform(retrying)


# Bodies.

READS = [call for call in CALLS if call in ("get", "get_range", "get_tail", "objects")]


@pytest.mark.parametrize("call", READS)
@pytest.mark.parametrize("keep", [0, 1, 9])
def test_a_truncated_body_is_never_data(
    network: FaultyHttp, bare: Store, retrying: Store, call: str, keep: int
) -> None:
    _, perform = CALLS[call]
    whole = perform(bare)
    network.plan(faulty.truncate(keep), method="GET")
    with pytest.raises(StoreFault) as raised:
        perform(bare)
    assert raised.value.fault is FaultKind.TRANSIENT

    network.plan(faulty.truncate(keep), method="GET", times=2)
    assert perform(retrying) == whole


def test_a_server_that_ignores_ranges_is_refused(network: FaultyHttp, bare: Store) -> None:
    network.plan(faulty.ignore_range(DATA), method="GET", times=2)
    with pytest.raises(StoreFault) as raised:
        bare.get_range("key", 5, 10)
    assert raised.value.fault is FaultKind.REFUSED
    with pytest.raises(StoreFault):
        bare.get_tail("key", 10)


def test_the_whole_of_a_short_object_is_its_tail(network: FaultyHttp, bare: Store) -> None:
    network.plan(faulty.ignore_range(DATA), method="GET")
    assert bare.get_tail("key", len(DATA) + 1) == DATA


SIZE = len(DATA)


@pytest.mark.parametrize(
    "action",
    [
        faulty.change(content_range=None),
        faulty.change(content_range="bytes 5-14/*"),
        faulty.change(content_range=f"bytes 6-15/{SIZE}"),
        faulty.change(content_range=f"bytes 5-15/{SIZE}"),
        faulty.change(content_range="bytes 5-14/10"),
        faulty.change(content_range="bytes 14-5/20"),
        faulty.change(content_range="bytes five-14/20"),
        faulty.change(content_range=f"bytes 5-13/{SIZE}", body=b"x" * 9),
        faulty.change(body=b"x" * 11),
    ],
)
def test_a_range_that_is_not_the_one_asked_for_is_never_data(
    network: FaultyHttp, bare: Store, action: faulty.Action
) -> None:
    network.plan(action, method="GET")
    with pytest.raises(StoreFault) as raised:
        bare.get_range("key", 5, 10)
    assert raised.value.fault is FaultKind.TRANSIENT


@pytest.mark.parametrize(
    "action",
    [
        faulty.change(content_range=None),
        faulty.change(content_range=f"bytes {SIZE - 11}-{SIZE - 2}/{SIZE}"),
        faulty.change(content_range=f"bytes 0-9/{SIZE}"),
        faulty.change(content_range=f"bytes {SIZE - 9}-{SIZE - 1}/{SIZE}", body=b"x" * 9),
    ],
)
def test_a_tail_that_is_not_the_end_is_never_data(
    network: FaultyHttp, bare: Store, action: faulty.Action
) -> None:
    network.plan(action, method="GET")
    with pytest.raises(StoreFault) as raised:
        bare.get_tail("key", 10)
    assert raised.value.fault is FaultKind.TRANSIENT


def test_a_part_is_not_taken_for_the_whole(network: FaultyHttp, bare: Store) -> None:
    network.plan(faulty.change(status=206, body=DATA[:100]), method="GET")
    with pytest.raises(StoreFault):
        bare.get("key")


def test_an_object_above_the_limit_is_refused_before_it_is_read(network: FaultyHttp, bare: Store) -> None:
    network.plan(faulty.change(claimed=10**12), method="GET")
    before = time.monotonic()
    with pytest.raises(CorruptData) as raised:
        bare.get("key")
    assert raised.value.kind == "limit"
    assert time.monotonic() - before < 0.4


@pytest.mark.parametrize("call", [call for call in CALLS if call != "delete"])
def test_a_log_in_page_with_status_200_is_no_success(network: FaultyHttp, bare: Store, call: str) -> None:
    """(That of a deletion cannot be told from a real one, and leaves an object that gc meets again.)"""
    method, perform = CALLS[call]
    network.plan(faulty.garbage, method=method)
    with pytest.raises(StoreFault):
        perform(bare)


@pytest.mark.parametrize("length", ["", "-5", "many", "1" * 30])
def test_a_length_that_is_no_number_is_a_fault(network: FaultyHttp, bare: Store, length: str) -> None:
    network.plan(faulty.odd_length(length), method="GET")
    with pytest.raises((StoreFault, CorruptData)):
        bare.get("key")


# Pace.


def test_a_body_that_drips_forever_is_given_up(network: FaultyHttp, bare: Store) -> None:
    """It never stays silent for the read time-out, but would take ten times the time allowed."""
    bare.put("large", bytes(200_000))
    network.plan(faulty.drip(20_000), method="GET")
    before = time.monotonic()
    with pytest.raises(StoreFault, match="too slowly") as raised:
        bare.get("large")
    assert raised.value.fault is FaultKind.TRANSIENT
    assert time.monotonic() - before < 8


def test_a_slow_uplink_is_no_time_out(network: FaultyHttp, url: str) -> None:
    """The upload takes several times the connect time-out, which would end it if it were one piece."""
    patient = replace(QUICK, read_timeout_seconds=10, multipart_threshold_bytes=2**30)
    store = open_bare(url, patient)
    data = bytes(12 * 2**20)
    network.plan(faulty.slow_uplink(6 * 2**20), method="PUT")
    before = time.monotonic()
    store.put("large", data)
    assert time.monotonic() - before > 3 * patient.connect_timeout_seconds
    assert store.size("large") == len(data)


# Create-only puts in doubt.


def test_a_create_only_put_whose_answer_was_lost_has_won(network: FaultyHttp, retrying: Store) -> None:
    network.plan(faulty.lose_answer, method="PUT")
    retrying.put("new", DATA, create_only=True)
    assert network.seen("PUT") == 2
    assert network.seen("GET") == 1
    with pytest.raises(ObjectExists):
        retrying.put("new", DATA, create_only=True)


def test_a_create_only_put_that_lost_meanwhile_has_lost(
    network: FaultyHttp, bare: Store, retrying: Store
) -> None:
    def lose_to_another(exchange: faulty.Exchange) -> None:
        bare.put("new", b"theirs", create_only=True)
        faulty.answer(500)(exchange)

    network.plan(lose_to_another, method="PUT", path="/new")
    with pytest.raises(ObjectExists):
        retrying.put("new", DATA, create_only=True)
    assert bare.get("new") == b"theirs"


# Uploads in parts.

LARGE = bytes(range(256)) * (7 * 2**12)


def uploads_left(server: S3Server, url: str) -> int:
    prefix = url.split("/", 3)[3].split("?")[0]
    answer = client(server).list_multipart_uploads(Bucket=server.bucket, Prefix=prefix)
    return len(answer.get("Uploads", []))


def test_a_large_object_goes_up_in_parts(network: FaultyHttp, bare: Store) -> None:
    bare.put("large", LARGE, create_only=True)
    assert network.seen("PUT", "partNumber=") == 2
    assert bare.get("large") == LARGE


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "uploads"), ("PUT", "partNumber=2"), ("POST", "uploadId=")]
)
def test_an_upload_that_fails_is_aborted_and_made_again(
    network: FaultyHttp, bare: Store, retrying: Store, url: str, method: str, path: str
) -> None:
    network.plan(faulty.answer(503, "SlowDown"), method=method, path=path)
    with pytest.raises(StoreFault):
        bare.put("large", LARGE, create_only=True)
    assert uploads_left(network.server, url) == 0
    with pytest.raises(ObjectMissing):
        bare.get("large")

    network.plan(faulty.answer(503, "SlowDown"), method=method, path=path)
    retrying.put("large", LARGE, create_only=True)
    assert retrying.get("large") == LARGE
    assert uploads_left(network.server, url) == 0


def test_an_upload_whose_completion_was_not_heard_has_won(
    network: FaultyHttp, retrying: Store, url: str
) -> None:
    network.plan(faulty.lose_answer, method="POST", path="uploadId=")
    retrying.put("large", LARGE, create_only=True)
    assert retrying.get("large") == LARGE
    assert uploads_left(network.server, url) == 0


def test_an_error_inside_a_completion_that_says_200_is_a_fault(network: FaultyHttp, bare: Store) -> None:
    error = b"<?xml version='1.0'?><Error><Code>InternalError</Code><Message>later</Message></Error>"
    network.plan(faulty.say(200, error), method="POST", path="uploadId=")
    with pytest.raises(StoreFault) as raised:
        bare.put("large", LARGE)
    assert raised.value.fault is FaultKind.TRANSIENT


def test_a_failed_abort_does_not_hide_why(network: FaultyHttp, bare: Store) -> None:
    network.plan(faulty.answer(403, "AccessDenied"), method="PUT", path="partNumber=1")
    network.plan(faulty.answer(500), method="DELETE", path="uploadId=")
    with pytest.raises(StoreFault) as raised:
        bare.put("large", LARGE)
    assert raised.value.fault is FaultKind.DENIED


# Nobody there.


def test_a_refused_connection_is_unreachable_at_once(url: str, proxy: FaultyHttp) -> None:
    nowhere = url.replace(proxy.server.endpoint, f"http://127.0.0.1:{free_ports(1)[0]}")
    store = open_store(nowhere, QUICK)
    with pytest.raises(StoreFault) as raised:
        store.get("key")
    assert raised.value.fault is FaultKind.UNREACHABLE
    assert store.retries == 0


def test_a_name_that_does_not_exist_is_unreachable(url: str, proxy: FaultyHttp) -> None:
    store = open_bare(url.replace(proxy.server.endpoint, "https://no-such-host.invalid"), QUICK)
    with pytest.raises(StoreFault) as raised:
        store.get("key")
    assert raised.value.fault is FaultKind.UNREACHABLE


def test_a_server_that_restarts_is_waited_for(seaweedfs_server: S3Server) -> None:
    with faulty.faulty_http(seaweedfs_server) as proxy:
        store = open_bare(proxy.server.url("faults/restart"), QUICK)
        store.put("key", b"x")
    for _ in range(2):  # the connection that was open is lost, then a new one is refused
        with pytest.raises(StoreFault) as raised:
            store.get("key")
        assert raised.value.fault is FaultKind.TRANSIENT
    assert "EndpointConnectionError" in raised.value.what


@pytest.mark.parametrize("call", CALLS)
def test_a_bucket_that_does_not_exist_is_unreachable(
    url: str, network: FaultyHttp, seaweedfs_server: S3Server, call: str
) -> None:
    store = open_bare(url.replace(f"//{seaweedfs_server.bucket}/", "//no-such-bucket/"), QUICK)
    with pytest.raises(StoreFault) as raised:
        CALLS[call][1](store)
    assert raised.value.fault is FaultKind.UNREACHABLE
    assert "bucket" in raised.value.hint


def test_an_object_is_missing_where_the_bucket_may_not_be_asked_for(network: FaultyHttp, bare: Store) -> None:
    network.plan(faulty.answer(403, "AccessDenied"), method="HEAD", path=r"cas-tests/?$")
    with pytest.raises(ObjectMissing):
        bare.size("absent")


def test_wrong_credentials_are_denied(url: str, monkeypatch: pytest.MonkeyPatch, network: FaultyHttp) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    for perform in (CALLS["get"][1], CALLS["put"][1], CALLS["objects"][1]):
        with pytest.raises(StoreFault) as raised:
            perform(open_bare(url, QUICK))
        assert raised.value.fault is FaultKind.DENIED
        assert "wrong" not in str(raised.value)


def test_no_credentials_are_denied_with_a_hint(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreFault) as raised:
        open_bare(url, QUICK).get("key")
    assert raised.value.fault is FaultKind.DENIED
    assert "credentials" in raised.value.hint
