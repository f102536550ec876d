"""A server with the API of Google Cloud Storage on 127.0.0.1, with one empty bucket. What it is, and why it
is no other: gcs_in_turn.py. Who starts it stops it: `with gcs() as server: ...`.
"""

import json
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.servers.processes import free_ports, running, temporary
from tests.servers.s3 import S3Server

TOKEN = "tests-token"
SIGNER = "tests@tests.iam.gserviceaccount.com"
_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class GcsServer(S3Server):
    """A running server with its bucket, and the token that it takes."""

    def url(self, prefix: str) -> str:
        return f"gs://{self.bucket}/{prefix}?endpoint={self.endpoint}"

    @property
    def environment(self) -> Mapping[str, str]:
        return {"GOOGLE_BEARER_TOKEN": TOKEN, "NO_PROXY": "127.0.0.1,localhost"}


@contextmanager
def gcs() -> Iterator[GcsServer]:
    with temporary("gcs") as directory:
        port = free_ports(1)[0]
        server = GcsServer("gcs", f"http://127.0.0.1:{port}", "", "")
        command = [sys.executable, "-m", "tests.servers.gcs_in_turn", str(port)]
        with running(command, directory, inside=Path(__file__).parents[2]) as process:
            deadline = time.monotonic() + _START_SECONDS
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    request(server, "PUT", f"/{server.bucket}")
                except (URLError, ConnectionError):
                    time.sleep(0.1)
                else:
                    yield server
                    return
            log = (directory / "log").read_text(errors="replace")[-4000:]
            raise AssertionError(f"the server did not start\n{log}")


def request(server: GcsServer, method: str, path: str, data: bytes = b"") -> bytes:
    """One request past the store that is tested; its answer's body."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/octet-stream"}
    asked = urllib.request.Request(server.endpoint + path, data or None, headers, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(asked, timeout=30) as answer:
        body: bytes = answer.read()
    return body


def key_file(directory: Path) -> Path:
    """The key file of a service account that nobody knows: it signs, and asks for no token."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    content = {
        "type": "service_account",
        "private_key": pem.decode(),
        "private_key_id": "1",
        "client_email": SIGNER,
        "disable_oauth": True,
    }
    path = directory / "service-account.json"
    path.write_text(json.dumps(content))
    return path
