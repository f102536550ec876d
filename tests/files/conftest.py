"""Fixtures of trees of files, in directories and in buckets."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from cas.store.bucket import Bucket
from cas.store.bucket_opening import open_bucket
from tests.engine.scenes import World
from tests.files.bucket_scene import BucketScene
from tests.files.memory_bucket import MemoryBucket
from tests.files.scene import Scene
from tests.servers.s3 import S3Server
from tests.store.conftest import OPTIONS, credentials, moto_server

__all__ = ["credentials", "moto_server"]

SERVERS = ("moto", "seaweedfs", "gcs", "azurite")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(World(), tmp_path / "place")


def bucket_url(kind: str, request: pytest.FixtureRequest) -> str:
    """An empty prefix; servers start when the first test needs them."""
    server: S3Server = request.getfixturevalue(f"{kind}_server")
    return server.url(f"files/{uuid4().hex}/")


@pytest.fixture(params=["memory", *SERVERS])
def bucket(request: pytest.FixtureRequest) -> Iterator[Bucket]:
    opened: Bucket
    if request.param == "memory":
        opened = MemoryBucket()
    else:
        opened = open_bucket(bucket_url(request.param, request), OPTIONS)
    yield opened
    opened.close()


@pytest.fixture
def buckets(tmp_path: Path, bucket: Bucket) -> BucketScene:
    """With each kind of bucket."""
    return BucketScene(World(), tmp_path / "place", bucket)


@pytest.fixture
def quick(tmp_path: Path) -> BucketScene:
    """With the bucket in memory."""
    return BucketScene(World(), tmp_path / "place", MemoryBucket())
