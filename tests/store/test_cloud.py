"""What the stores at Google and Azure do beyond the contract: foreign objects, odd orders, credentials."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cas.errors import InvalidInput
from cas.store.cloud.connection_string import VARIABLE, connection_string
from cas.store.cloud.listing import listing
from cas.store.credentials import AzureCredentials
from cas.store.interface import FaultKind, StoreFault
from cas.store.opening import open_bare
from tests.servers import azure, gcs
from tests.servers.azure import ACCOUNT, KEY, AzureServer
from tests.servers.gcs import GcsServer

Put = Callable[[str, bytes], None]
"""Puts an object under any name, past the store."""


@pytest.fixture(params=["gcs", "azurite"])
def foreign(request: pytest.FixtureRequest) -> tuple[str, Put]:
    """The URL of a fresh place, and a way to put what is not ours there."""
    server = request.getfixturevalue(f"{request.param}_server")
    prefix = f"foreign/{abs(hash(request.node.nodeid))}"

    def put(name: str, data: bytes) -> None:
        path = f"/{server.bucket}/{prefix}/{name}"
        if isinstance(server, GcsServer):
            gcs.request(server, "PUT", path, data)
        else:
            assert isinstance(server, AzureServer)
            azure.request(server, "PUT", path, {}, data, blob="BlockBlob")

    return server.url(prefix), put


@pytest.mark.parametrize("name", ["Upper", "sp%20ce", "uml%C3%A4ut", "x" * 256, "d/Upper", "a%2Bb"])
def test_what_is_not_ours_is_not_listed(foreign: tuple[str, Put], name: str) -> None:
    url, put = foreign
    store = open_bare(url)
    store.put("d/x", b"1")
    put(name, b"theirs")
    assert [info.key for info in store.objects()] == ["d/x"]


@pytest.mark.parametrize("folder", ["", "d/", "d-x/", "e/", "d/x/"])
def test_a_folder_that_somebody_made_in_a_console_is_not_listed(
    foreign: tuple[str, Put], folder: str
) -> None:
    """An empty object whose name ends in a slash; obstore drops that slash."""
    url, put = foreign
    store = open_bare(url)
    for key in ("d-x", "d/x", "d/empty", "f"):
        store.put(key, b"" if key == "d/empty" else b"1")
    put(folder, b"")
    assert [info.key for info in store.objects()] == ["d-x", "d/empty", "d/x", "f"]
    assert [info.key for info in store.objects("d/")] == ["d/empty", "d/x"]
    assert [info.key for info in store.objects("d")] == ["d-x", "d/empty", "d/x"]


def test_a_name_that_cannot_be_listed_is_told(foreign: tuple[str, Put]) -> None:
    url, put = foreign
    store = open_bare(url)
    store.put("key", b"1")
    put("a//b", b"theirs")
    with pytest.raises(StoreFault, match="a//b") as raised:
        list(store.objects())
    assert raised.value.fault is FaultKind.REFUSED


# Listings, from servers that are none.

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _listed(*paths: str, prefix: str = "", after: str = "", root: str = "r/") -> tuple[list[str], list[str]]:
    """The keys of a listing of objects with these names, and what the server was asked."""
    asked: list[str] = []

    def rows(directory: str, start: str) -> Iterator[tuple[str, int, datetime]]:
        asked.append(f"{directory}|{start}")
        for path in paths:
            yield path, 1, _NOW

    found = listing(rows, root, prefix, after, is_there=lambda key: True)
    return [info.key for info in found], asked


def test_a_server_that_starts_with_the_key_itself_or_at_the_front_lists_the_same() -> None:
    paths = ["r/a", "r/b", "r/b/c", "r/c"]
    for first in range(3):
        assert _listed(*paths[first:], after="b")[0] == ["b/c", "c"]


@pytest.mark.parametrize("paths", [("r/b", "r/a"), ("r/a", "r/a"), ("r/a/x", "r/a-b")])
def test_an_order_that_is_not_that_of_bytes_is_refused(paths: tuple[str, ...]) -> None:
    with pytest.raises(StoreFault) as raised:
        _listed(*paths)
    assert raised.value.fault is FaultKind.REFUSED


def test_a_listing_ends_where_its_prefix_does_and_starts_shortly_before() -> None:
    found, asked = _listed("r/versions/000010", "r/versions/000020", prefix="versions/00001")
    assert found == ["versions/000010"]
    assert asked == ["r/versions|r/versions/0000"]
    assert _listed(prefix="packs/ab/")[1] == ["r/packs/ab|r/packs/ab"]
    assert _listed(prefix="packs/", after="packs/ab")[1] == ["r/packs|r/packs/ab"]
    assert _listed(prefix="b", after="zzz") == ([], [])
    assert _listed("a", "b", prefix="a", root="")[0] == ["a"]


# Azure's credentials.


def test_a_connection_string_is_read_as_the_portal_writes_it() -> None:
    text = f"DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={KEY};EndpointSuffix=core.windows.net"
    found = connection_string({VARIABLE: text})
    assert found == AzureCredentials("shop", "https://shop.blob.core.windows.net", KEY)
    assert KEY not in repr(found)
    with_sas = "BlobEndpoint=https://shop.blob.core.windows.net/;SharedAccessSignature=sv=2021&sig=a%3D"
    found = connection_string({VARIABLE: with_sas})
    assert found == AzureCredentials("shop", "https://shop.blob.core.windows.net", sas="sv=2021&sig=a%3D")
    assert connection_string({}) is None
    emulator = connection_string({VARIABLE: "UseDevelopmentStorage=true;"})
    assert emulator is not None
    assert emulator.account == ACCOUNT


@pytest.mark.parametrize("before", ["", "AccountKey=", "AccountName=;AccountKey="])
def test_a_connection_string_that_is_none_is_refused_and_not_shown(before: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        connection_string({VARIABLE: f"{before}hunter2secret"})
    assert "hunter2secret" not in f"{raised.value}"


@pytest.mark.parametrize("way", ["variables", "az", "connection string"])
def test_azure_takes_its_credentials_from_each_place(
    azurite_server: AzureServer, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_KEY")
    url = f"az://{azurite_server.bucket}/credentials"
    endpoint = f"{azurite_server.endpoint}/{ACCOUNT}"
    if way == "variables":
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
        url += f"?endpoint={endpoint}"
    elif way == "az":
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", ACCOUNT)
        monkeypatch.setenv("AZURE_STORAGE_KEY", KEY)
        url += f"?endpoint={endpoint}"
    else:
        text = f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint}"
        monkeypatch.setenv(VARIABLE, text)
        with pytest.raises(InvalidInput, match="another account"):
            open_bare(f"{url}?account=other")
    store = open_bare(url)
    store.put("key", way.encode())
    assert store.get("key") == way.encode()


def test_a_key_that_is_none_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "hunter2 secret")
    with pytest.raises(InvalidInput, match="key") as raised:
        open_bare("az://container/a?account=name")
    assert "hunter2" not in f"{raised.value} {raised.value.__cause__}"


def test_a_file_of_credentials_that_is_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_BEARER_TOKEN")
    file = tmp_path / "key.json"
    file.write_text('{"type": "hunter2"}')
    with pytest.raises(InvalidInput, match="credentials") as raised:
        open_bare(f"gs://bucket/a?credentials={file}")
    assert "hunter2" not in str(raised.value)
