"""Azurite, Microsoft's emulator of Azure Blob Storage, on 127.0.0.1 with one empty container.

It comes from npm, in the version that azurite/package-lock.json pins, and is installed once into the virtual
environment. Without npm, or without a registry to ask, tests that need it are skipped. Who starts the server
stops it: `with azurite() as server: ...`.
"""

import base64
import fcntl
import hashlib
import hmac
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from urllib.error import URLError

import pytest

from cas.store.cloud.connection_string import EMULATOR
from tests.servers.processes import free_ports, running, temporary
from tests.servers.s3 import S3Server

ACCOUNT, KEY = EMULATOR["accountname"], EMULATOR["accountkey"]
_PINNED = Path(__file__).with_name("azurite")
_START_SECONDS = 60.0
_INSTALL_SECONDS = 280
_MAIN = Path("node_modules/azurite/dist/src/blob/main.js")


@dataclass(frozen=True, slots=True)
class AzureServer(S3Server):
    """A running server with its container. `access_key` is the account, `secret_key` its key."""

    def url(self, prefix: str) -> str:
        return f"az://{self.bucket}/{prefix}?account={self.access_key}&endpoint={self.endpoint}/{self.access_key}"

    @property
    def environment(self) -> Mapping[str, str]:
        return {"AZURE_STORAGE_ACCOUNT_KEY": self.secret_key, "NO_PROXY": "127.0.0.1,localhost"}


@contextmanager
def azurite() -> Iterator[AzureServer]:
    """The test is skipped where Azurite cannot be had."""
    program = _installed()
    node = shutil.which("node") or "node"
    with temporary("azurite") as directory:
        port = free_ports(1)[0]
        server = AzureServer("azurite", f"http://127.0.0.1:{port}", ACCOUNT, KEY)
        command = [
            node,
            str(program),
            "--blobHost=127.0.0.1",
            f"--blobPort={port}",
            f"--location={directory / 'data'}",
            "--skipApiVersionCheck",
            "--disableTelemetry",
            "--silent",
        ]
        with running(command, directory) as process:
            deadline = time.monotonic() + _START_SECONDS
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    request(server, "PUT", f"/{server.bucket}", {"restype": "container"})
                except (URLError, ConnectionError):
                    time.sleep(0.1)
                else:
                    yield server
                    return
            log = (directory / "log").read_text(errors="replace")[-4000:]
            raise AssertionError(f"Azurite did not start\n{log}")


def request(
    server: AzureServer, method: str, path: str, query: Mapping[str, str], data: bytes = b"", blob: str = ""
) -> None:
    """One signed request past the store that is tested. blob: the type of blob that is put."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-12-02"}
    if blob:
        headers["x-ms-blob-type"] = blob
    names = sorted(headers)
    length = str(len(data)) if data else ""
    kind = "application/octet-stream" if data else ""
    lines = [method, "", "", length, "", kind, "", "", "", "", "", ""]
    lines += [f"{name}:{headers[name]}" for name in names]
    lines += [f"/{ACCOUNT}/{ACCOUNT}{path}", *(f"{name}:{query[name]}" for name in sorted(query))]
    digest = hmac.digest(base64.b64decode(KEY), "\n".join(lines).encode(), hashlib.sha256)
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
    if data:
        headers["Content-Type"] = kind
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    url = f"{server.endpoint}/{ACCOUNT}{path}" + (f"?{asked}" if asked else "")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, data or None, headers, method=method), timeout=30):
        pass


def _installed() -> Path:
    """Azurite's program, installed if it is not there in the pinned version; one process at a time."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("no npm, which installs Azurite, the emulator of Azure (Debian: apt install npm)")
    place = Path(sys.prefix) / "azurite"
    place.mkdir(exist_ok=True)
    lock = (_PINNED / "package-lock.json").read_bytes()
    done = place / "installed-from.json"
    with (place / "lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not (done.exists() and done.read_bytes() == lock):
            for name in ("package.json", "package-lock.json"):
                shutil.copyfile(_PINNED / name, place / name)
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
            try:
                subprocess.run(
                    command, cwd=place, check=True, capture_output=True, text=True, timeout=_INSTALL_SECONDS
                )
            except subprocess.TimeoutExpired:
                pytest.skip("npm did not install Azurite in time: no registry answers")
            except subprocess.CalledProcessError as error:
                said = " ".join(str(error.stderr).split())[:300]
                pytest.skip(f"npm could not install Azurite: {said}")
            done.write_bytes(lock)
    return place / _MAIN
