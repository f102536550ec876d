"""The stores at Google and Azure on bad days: a proxy in front of a server breaks one thing at a time."""

import time
from collections.abc import Callable, Iterator

import pytest

from cas.errors import CasError, CorruptData
from cas.store.interface import MAX_OBJECT_BYTES, FaultKind, ObjectExists, ObjectMissing, Store, StoreFault
from cas.store.opening import StoreOptions, open_bare, open_store
from tests.servers import faulty_http as faulty
from tests.servers.azure import KEY
from tests.servers.faulty_http import FaultyHttp
from tests.servers.gcs import TOKEN
from tests.servers.processes import free_ports

QUICK = StoreOptions(
    attempts=4,
    first_wait_seconds=0.01,
    longest_wait_seconds=0.05,
    connect_timeout_seconds=2.0,
    read_timeout_seconds=2.0,
    slowest_bytes_per_second=200_000,
)
DATA = bytes(range(256)) * 40
SIZE = len(DATA)


@pytest.fixture(scope="module", params=["gcs", "azurite"])
def proxy(request: pytest.FixtureRequest) -> Iterator[FaultyHttp]:
    with faulty.faulty_http(request.getfixturevalue(f"{request.param}_server")) as running:
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
    "delete": ("DELETE|POST", lambda store: store.delete("key")),
}
"""A deletion at Azure is a batch, which is posted."""

ANSWERS: list[tuple[int, str, FaultKind | type[CasError]]] = [
    (400, "", FaultKind.REFUSED),
    (400, "InvalidHeaderValue", FaultKind.REFUSED),
    (400, "Md5Mismatch", FaultKind.TRANSIENT),
    (401, "InvalidAuthenticationInfo", FaultKind.DENIED),
    (403, "AuthenticationFailed", FaultKind.DENIED),
    (403, "AccessDenied", FaultKind.DENIED),
    (404, "NoSuchBucket", FaultKind.UNREACHABLE),
    (404, "ContainerNotFound", FaultKind.UNREACHABLE),
    (404, "NoSuchKey", ObjectMissing),
    (404, "BlobNotFound", ObjectMissing),
    (405, "MethodNotAllowed", FaultKind.REFUSED),
    (409, "BlobImmutableDueToPolicy", FaultKind.DENIED),
    (409, "BlobArchived", FaultKind.REFUSED),
    (409, "ContainerBeingDeleted", FaultKind.TRANSIENT),
    (412, "LeaseIdMissing", FaultKind.REFUSED),
    (416, "InvalidRange", CorruptData),
    (429, "", FaultKind.TRANSIENT),
    (500, "InternalError", FaultKind.TRANSIENT),
    (501, "NotImplemented", FaultKind.REFUSED),
    (502, "", FaultKind.TRANSIENT),
    (503, "ServerBusy", FaultKind.TRANSIENT),
    (507, "", FaultKind.FULL),
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
@pytest.mark.parametrize("status", [500, 503])
def test_a_transient_answer_is_one_request_bare_and_tried_again_with_retries(
    network: FaultyHttp, bare: Store, retrying: Store, call: str, status: int
) -> None:
    methods, perform = CALLS[call]
    method = _method(network, methods)
    network.plan(faulty.answer(status), method=method)
    with pytest.raises(StoreFault) as raised:
        perform(bare)
    assert raised.value.fault is FaultKind.TRANSIENT
    assert network.seen(method) == 1

    network.plan(faulty.answer(status), method=method, times=3)
    perform(retrying)
    assert network.seen(method) == 5


@pytest.mark.parametrize("call", CALLS)
def test_a_denial_is_final(network: FaultyHttp, retrying: Store, call: str) -> None:
    methods, perform = CALLS[call]
    method = _method(network, methods)
    network.plan(faulty.answer(403, "AccessDenied"), method=method)
    with pytest.raises(StoreFault) as raised:
        perform(retrying)
    assert raised.value.fault is FaultKind.DENIED
    assert raised.value.hint
    assert network.seen(method) == 1


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("action", [faulty.reset, faulty.lose_answer])
def test_broken_connections_pass(
    network: FaultyHttp, bare: Store, retrying: Store, call: str, action: faulty.Action
) -> None:
    methods, perform = CALLS[call]
    method = _method(network, methods)
    network.plan(action, method=method)
    with pytest.raises(StoreFault) as raised:
        perform(bare)
    assert raised.value.fault is FaultKind.TRANSIENT
    bare.delete("new")

    network.plan(action, method=method, times=2)
    perform(retrying)


@pytest.mark.parametrize("call", [call for call in CALLS if call != "put"])
def test_silence_ends_after_the_read_time_out(network: FaultyHttp, bare: Store, call: str) -> None:
    methods, perform = CALLS[call]
    network.plan(faulty.stall(2 * QUICK.read_timeout_seconds), method=_method(network, methods))
    before = time.monotonic()
    with pytest.raises(StoreFault) as raised:
        perform(bare)
    assert raised.value.fault is FaultKind.TRANSIENT
    assert time.monotonic() - before < 1.7 * QUICK.read_timeout_seconds


def _method(network: FaultyHttp, methods: str) -> str:
    return methods.split("|")[-1 if network.server.kind == "azurite" else 0]


# Bodies.

READS = ["get", "get_range", "get_tail", "objects"]


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
    network.plan(faulty.ignore_range(DATA), method="GET", times=3)
    with pytest.raises(StoreFault) as raised:
        bare.get_range("key", 5, 10)
    assert raised.value.fault is FaultKind.REFUSED
    with pytest.raises(StoreFault):
        bare.get_tail("key", 10)
    assert network.left() == (1 if network.server.kind == "azurite" else 0)


@pytest.mark.parametrize(
    "action",
    [
        faulty.change(content_range=None),
        faulty.change(content_range="bytes 5-14/*"),
        faulty.change(content_range=f"bytes 6-15/{SIZE}"),
        faulty.change(content_range=f"bytes 5-15/{SIZE}"),
        faulty.change(content_range="bytes 14-5/20"),
        faulty.change(content_range="bytes five-14/20"),
        faulty.change(content_range=f"bytes 5-13/{SIZE}", body=b"x" * 9),
        faulty.change(body=b"x" * 9),
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


def test_a_part_is_not_taken_for_the_whole(network: FaultyHttp, bare: Store) -> None:
    network.plan(faulty.change(status=206, body=DATA[:100]), method="GET")
    with pytest.raises(StoreFault):
        bare.get("key")


def test_an_object_above_the_limit_is_refused_before_it_is_read(network: FaultyHttp, bare: Store) -> None:
    network.plan(faulty.change(content_range=f"bytes 0-{MAX_OBJECT_BYTES - 1}/{10**12}"), method="GET")
    before = time.monotonic()
    with pytest.raises(CorruptData) as raised:
        bare.get("key")
    assert raised.value.kind == "limit"
    assert time.monotonic() - before < 2


@pytest.mark.parametrize("call", ["put", "get", "get_range", "get_tail", "size", "objects"])
def test_a_log_in_page_with_status_200_is_no_success(network: FaultyHttp, bare: Store, call: str) -> None:
    method, perform = CALLS[call]
    network.plan(faulty.garbage, method=method)
    with pytest.raises(StoreFault):
        perform(bare)


@pytest.mark.parametrize("length", ["", "-5", "many", "1" * 30])
def test_a_length_that_is_no_number_is_a_fault(network: FaultyHttp, bare: Store, length: str) -> None:
    network.plan(faulty.odd_length(length), method="GET")
    with pytest.raises((StoreFault, CorruptData)):
        bare.get("key")


# The end of an object, where its size is asked for first.


@pytest.mark.parametrize("new", [b"", b"short", b"x" * 2 * SIZE])
def test_an_object_that_is_replaced_while_its_end_is_read_gives_no_mixture(
    network: FaultyHttp, bare: Store, retrying: Store, new: bytes
) -> None:
    def replace_it(exchange: faulty.Exchange) -> None:
        bare.put("key", new)
        exchange.send(exchange.forward())

    network.plan(replace_it, method="GET", path="key$")
    assert retrying.get_tail("key", 10) == new[-10:]


def test_an_object_that_goes_while_its_end_is_read_is_missing(
    network: FaultyHttp, bare: Store, retrying: Store
) -> None:
    def delete_it(exchange: faulty.Exchange) -> None:
        bare.delete("key")
        exchange.send(exchange.forward())

    network.plan(delete_it, method="GET", path="key$")
    with pytest.raises(ObjectMissing):
        retrying.get_tail("key", 10)


# Pace.


def test_a_body_that_drips_forever_is_given_up(network: FaultyHttp, bare: Store) -> None:
    """It never stays silent for the read time-out, but would take ten times the time allowed."""
    bare.put("large", bytes(400_000))
    network.plan(faulty.drip(40_000), method="GET")
    before = time.monotonic()
    with pytest.raises(StoreFault, match="too slowly") as raised:
        bare.get("large")
    assert raised.value.fault is FaultKind.TRANSIENT
    assert time.monotonic() - before < 8


def test_a_slow_uplink_is_no_time_out(network: FaultyHttp, bare: Store) -> None:
    """The upload takes several times the read time-out, with no word of the server meanwhile."""
    data = bytes(12 * 2**20)
    network.plan(faulty.slow_uplink(2 * 2**20), method="PUT")
    before = time.monotonic()
    bare.put("large", data)
    assert time.monotonic() - before > 2 * QUICK.read_timeout_seconds
    assert bare.size("large") == len(data)


def test_an_upload_that_nobody_answers_ends(network: FaultyHttp, bare: Store) -> None:
    network.plan(faulty.stall(10), method="PUT")
    before = time.monotonic()
    with pytest.raises(StoreFault) as raised:
        bare.put("new", b"x")
    assert raised.value.fault is FaultKind.TRANSIENT
    assert time.monotonic() - before < 9


# Puts.


def test_the_largest_create_only_put_is_one_request(network: FaultyHttp, bare: Store) -> None:
    data = bytes(MAX_OBJECT_BYTES)
    bare.put("large", data, create_only=True)
    with pytest.raises(ObjectExists):
        bare.put("large", data, create_only=True)
    assert network.seen("PUT") == 2
    assert network.seen("POST") == 0


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

    network.plan(lose_to_another, method="PUT", path="new$")
    with pytest.raises(ObjectExists):
        retrying.put("new", DATA, create_only=True)
    assert bare.get("new") == b"theirs"


def test_a_conflict_that_is_not_about_existence_is_no_lost_race(network: FaultyHttp, bare: Store) -> None:
    network.plan(faulty.answer(409, "ContainerBeingDeleted"), method="PUT")
    with pytest.raises(StoreFault) as raised:
        bare.put("new", DATA, create_only=True)
    assert raised.value.fault is FaultKind.TRANSIENT


# Nobody there.


def test_a_bucket_that_is_not_there_is_told_from_an_object(network: FaultyHttp) -> None:
    where = network.server.url("x").replace(network.server.bucket, "cas-no-such-bucket")
    store = open_bare(where, QUICK)
    for call, (_, perform) in CALLS.items():
        with pytest.raises(StoreFault) as raised:
            perform(store)
        assert raised.value.fault is FaultKind.UNREACHABLE, call
        assert "ucket" in str(raised.value) or "ontainer" in str(raised.value), call


def test_a_refused_connection_is_unreachable_at_once(url: str, proxy: FaultyHttp) -> None:
    nowhere = url.replace(proxy.server.endpoint, f"http://127.0.0.1:{free_ports(1)[0]}")
    store = open_store(nowhere, QUICK)
    with pytest.raises(StoreFault) as raised:
        store.get("key")
    assert raised.value.fault is FaultKind.UNREACHABLE
    assert "127.0.0.1" in raised.value.what
    assert store.retries == 0


def test_a_name_that_does_not_exist_is_unreachable(url: str, proxy: FaultyHttp) -> None:
    store = open_bare(url.replace(proxy.server.endpoint, "https://no-such-host.invalid"), QUICK)
    with pytest.raises(StoreFault) as raised:
        store.get("key")
    assert raised.value.fault is FaultKind.UNREACHABLE


def test_a_server_that_went_away_is_restarting(url: str, proxy: FaultyHttp) -> None:
    with faulty.faulty_http(proxy.server) as short:
        store = open_bare(url.replace(proxy.server.endpoint, short.server.endpoint), QUICK)
        store.put("key", DATA)
    with pytest.raises(StoreFault) as raised:
        store.get("key")
    assert raised.value.fault is FaultKind.TRANSIENT


# Secrets.


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [400, 403, 500])
def test_no_fault_has_a_credential_in_it(
    network: FaultyHttp, url: str, monkeypatch: pytest.MonkeyPatch, call: str, status: int
) -> None:
    """Whatever a server repeats of the request, and in the URL itself, where a signature stands at Azure."""
    secret = "sv=2021-12-02&sig=hunter2secret"
    if network.server.kind == "azurite":
        monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_KEY")
        monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", secret)
    else:
        monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "hunter2secret")
    store = open_bare(url, QUICK)
    methods, perform = CALLS[call]
    said = b"<Error><Code>Odd</Code><Message>you sent hunter2secret</Message></Error>"
    is_measured = call == "get_tail" and network.server.kind == "azurite"
    network.plan(faulty.say(status, said), method="HEAD" if is_measured else _method(network, methods))
    with pytest.raises(StoreFault) as raised:
        perform(store)
    text = f"{raised.value} {raised.value.where} {raised.value.hint} {raised.value.__cause__} {store.url}"
    for word in ("hunter2secret", KEY, TOKEN):
        assert word not in text
    assert raised.value.__suppress_context__ or raised.value.__cause__ is None
