"""Places where stores live: each kind of store, empty for each test, bare, with retries, and sealed."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from cas.store.interface import Store
from cas.store.opening import StoreOptions, open_bare, open_store
from tests.sealing.scenes import bare_sealed
from tests.servers.azure import ACCOUNT, KEY, AzureServer
from tests.servers.gcs import GcsServer
from tests.servers.s3 import S3Server, moto

KINDS = ("memory", "local", "moto", "seaweedfs", "gcs", "azurite")

OPTIONS = StoreOptions(
    first_wait_seconds=0.01,
    longest_wait_seconds=0.1,
    multipart_threshold_bytes=6 * 2**20,
    part_bytes=5 * 2**20,
    connections=40,
)
"""Short waits, and parts early, so that objects of a few MiB go through a multipart upload."""


@dataclass(frozen=True, slots=True)
class Place:
    """An empty place for a store. `open` gives a new store object on it, as another process has it."""

    kind: str
    url: str
    retries: bool = False
    is_sealed: bool = False

    def open(self) -> Store:
        if self.retries:
            return open_store(self.url, OPTIONS, create=True)
        bare = open_bare(self.url, OPTIONS, create=True)
        return bare_sealed(bare) if self.is_sealed else bare


@pytest.fixture(scope="session")
def moto_server() -> Iterator[S3Server]:
    with moto() as running:
        yield running


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the servers take; nothing of the machine's own settings is seen."""
    for name in [name for name in os.environ if name.startswith(("GOOGLE_", "AZURE_"))]:
        monkeypatch.delenv(name)
    for server in (GcsServer("any", "", "", ""), AzureServer("any", "", ACCOUNT, KEY)):
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
    for name, value in S3Server("any", "", "tests-access", "tests-secret-key").environment.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


def place_url(kind: str, directory: Path, request: pytest.FixtureRequest) -> str:
    """The URL of an empty place of this kind; servers start when the first test needs them."""
    fresh = uuid4().hex
    if kind == "memory":
        return f"memory://{fresh}"
    if kind == "local":
        return (directory / fresh).as_uri()
    server: S3Server = request.getfixturevalue(f"{kind}_server")
    return server.url(f"tests/{fresh}")


@pytest.fixture(params=[f"{kind}{wrapped}" for kind in KINDS for wrapped in ("", "+retries", "+sealed")])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    kind, _, wrapped = str(request.param).partition("+")
    url = place_url(kind, tmp_path, request)
    return Place(kind, url, retries=wrapped == "retries", is_sealed=wrapped == "sealed")


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    opened = place.open()
    yield opened
    opened.close()
