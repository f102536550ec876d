"""The locked S3 store on SeaweedFS, which keeps versions and locks of objects in earnest: what is put stays,
and is what is read, whatever somebody with the same credentials does. (SeaweedFS lists the versions of a key
from the newest on, as S3 does, and refuses what a lock forbids with 403. A default retention of buckets is
not needed.)"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from cas.errors import CorruptData, InvalidInput
from cas.store.interface import FaultKind, ObjectExists, ObjectMissing, StoreFault
from cas.store.locking import LockingStore
from cas.store.opening import open_bare, open_store
from cas.store.s3 import LockedS3Store
from tests.servers.s3 import S3Server, client
from tests.store.conftest import OPTIONS
from tests.store.test_contract import ORDERED

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

BUCKET = "cas-locked"
DAYS = 3
KEY = "versions/0000000001"


@pytest.fixture(scope="session")
def attacker(seaweedfs_server: S3Server) -> "S3Client":
    """A client with the same credentials, and a bucket with Object Lock."""
    made = client(seaweedfs_server)
    made.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
    return made


@pytest.fixture
def prefix() -> str:
    return f"tests/{uuid4().hex}"


@pytest.fixture
def url(seaweedfs_server: S3Server, prefix: str) -> str:
    plain = seaweedfs_server.url(prefix).replace(seaweedfs_server.bucket, BUCKET, 1)
    return f"{plain}&object_lock={DAYS}"


@pytest.fixture
def store(url: str, attacker: "S3Client") -> Iterator[LockedS3Store]:
    del attacker  # the bucket is there
    opened = open_bare(url, OPTIONS)
    assert isinstance(opened, LockedS3Store)
    yield opened
    opened.close()


def versions(attacker: "S3Client", prefix: str, key: str) -> list[str]:
    found = attacker.list_object_versions(Bucket=BUCKET, Prefix=f"{prefix}/{key}")
    return [row["VersionId"] for row in found.get("Versions", ())]


def retained(attacker: "S3Client", prefix: str, key: str) -> timedelta:
    """How long the object that was put first is still locked."""
    which = versions(attacker, prefix, key)[-1]
    answer = attacker.get_object_retention(Bucket=BUCKET, Key=f"{prefix}/{key}", VersionId=which)
    assert answer["Retention"]["Mode"] == "COMPLIANCE"
    return answer["Retention"]["RetainUntilDate"] - datetime.now(UTC)


def attack(attacker: "S3Client", prefix: str, key: str) -> None:
    """All that somebody with the credentials can do to an object."""
    whole = f"{prefix}/{key}"
    attacker.put_object(Bucket=BUCKET, Key=whole, Body=b"evil")
    attacker.delete_object(Bucket=BUCKET, Key=whole)
    attacker.put_object(Bucket=BUCKET, Key=whole, Body=b"evil again", IfNoneMatch="*")
    attacker.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": whole}]})
    first = versions(attacker, prefix, key)[-1]
    with pytest.raises(ClientError):
        attacker.delete_object(Bucket=BUCKET, Key=whole, VersionId=first)
    with pytest.raises(ClientError):
        attacker.delete_object(Bucket=BUCKET, Key=whole, VersionId=first, BypassGovernanceRetention=True)
    refused = attacker.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": whole, "VersionId": first}]})
    assert refused.get("Errors")
    with pytest.raises(ClientError):
        attacker.put_object_retention(
            Bucket=BUCKET,
            Key=whole,
            VersionId=first,
            Retention={"Mode": "COMPLIANCE", "RetainUntilDate": datetime.now(UTC) + timedelta(minutes=1)},
        )


def test_what_is_put_is_locked_for_twice_the_days(
    store: LockedS3Store, attacker: "S3Client", prefix: str
) -> None:
    store.put(KEY, b"ours", create_only=True)
    assert abs(retained(attacker, prefix, KEY) - timedelta(days=2 * DAYS)) < timedelta(minutes=5)
    large = bytes(OPTIONS.multipart_threshold_bytes + 1)
    store.put("packs/ab/large", large)
    assert abs(retained(attacker, prefix, "packs/ab/large") - timedelta(days=2 * DAYS)) < timedelta(minutes=5)
    assert store.get("packs/ab/large") == large


def test_what_was_put_first_is_what_is_read(store: LockedS3Store, attacker: "S3Client", prefix: str) -> None:
    store.put(KEY, b"ours", create_only=True)
    attack(attacker, prefix, KEY)
    another = open_bare(store.url, OPTIONS)
    for reader in (store, another):
        assert reader.get(KEY) == b"ours"
        assert reader.get_range(KEY, 1, 2) == b"ur"
        assert reader.get_tail(KEY, 3) == b"urs"
        assert reader.size(KEY) == 4
        assert [(info.key, info.size) for info in reader.objects("versions/")] == [(KEY, 4)]
        with pytest.raises(CorruptData):
            reader.get_range(KEY, 3, 2)


def test_a_create_only_put_finds_what_lies_below_a_delete_marker(
    store: LockedS3Store, attacker: "S3Client", prefix: str
) -> None:
    store.put(KEY, b"ours", create_only=True)
    attacker.delete_object(Bucket=BUCKET, Key=f"{prefix}/{KEY}")
    with pytest.raises(ObjectExists):
        store.put(KEY, b"another", create_only=True)
    with pytest.raises(ObjectExists):
        open_store(store.url, OPTIONS).put(KEY, b"another", create_only=True)
    assert store.get(KEY) == b"ours"


def test_what_is_locked_is_not_deleted_and_what_lies_on_top_is(
    store: LockedS3Store, attacker: "S3Client", prefix: str
) -> None:
    store.put(KEY, b"ours", create_only=True)
    attacker.put_object(Bucket=BUCKET, Key=f"{prefix}/{KEY}", Body=b"evil")
    with pytest.raises(StoreFault) as caught:
        store.delete(KEY)
    assert caught.value.fault is FaultKind.DENIED
    assert len(versions(attacker, prefix, KEY)) == 1
    assert store.get(KEY) == b"ours"


def test_what_is_locked_no_more_is_deleted_whole(
    store: LockedS3Store, attacker: "S3Client", prefix: str
) -> None:
    """Here it never was: somebody else put it."""
    whole = f"{prefix}/{KEY}"
    for body in (b"1", b"2"):
        attacker.put_object(Bucket=BUCKET, Key=whole, Body=body)
    attacker.delete_object(Bucket=BUCKET, Key=whole)
    assert store.get(KEY) == b"1"
    store.delete(KEY)
    store.delete(KEY)
    left = attacker.list_object_versions(Bucket=BUCKET, Prefix=whole)
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")
    with pytest.raises(ObjectMissing):
        store.get(KEY)


def test_nothing_is_nothing(store: LockedS3Store, attacker: "S3Client", prefix: str) -> None:
    attacker.delete_object(Bucket=BUCKET, Key=f"{prefix}/{KEY}")
    assert list(store.objects()) == []
    for read in (
        store.get,
        store.size,
        lambda key: store.get_tail(key, 1),
        lambda key: store.get_range(key, 0, 1),
    ):
        with pytest.raises(ObjectMissing):
            read(KEY)
    with pytest.raises(ObjectMissing):
        store.extend(KEY, datetime.now(UTC) + timedelta(days=30))


def test_a_lock_is_extended_and_never_shortened(
    store: LockedS3Store, attacker: "S3Client", prefix: str
) -> None:
    store.put(KEY, b"ours")
    attacker.put_object(Bucket=BUCKET, Key=f"{prefix}/{KEY}", Body=b"evil")
    open_store(store.url, OPTIONS).extend(KEY, datetime.now(UTC) + timedelta(days=30))  # type: ignore[attr-defined]
    assert retained(attacker, prefix, KEY) > timedelta(days=29)
    store.extend(KEY, datetime.now(UTC) + timedelta(days=9))
    assert retained(attacker, prefix, KEY) > timedelta(days=29)


def test_listings_are_in_order_whatever_lies_on_top(
    store: LockedS3Store, attacker: "S3Client", prefix: str
) -> None:
    for key in ORDERED:
        attacker.put_object(Bucket=BUCKET, Key=f"{prefix}/{key}", Body=key.encode())
        for _ in range(len(key) % 3):
            attacker.put_object(Bucket=BUCKET, Key=f"{prefix}/{key}", Body=b"")
    attacker.delete_object(Bucket=BUCKET, Key=f"{prefix}/{ORDERED[3]}")
    assert [(info.key, info.size) for info in store.objects()] == [(key, len(key)) for key in ORDERED]
    assert [info.key for info in store.objects("b/")] == [key for key in ORDERED if key.startswith("b/")]
    assert [info.key for info in store.objects(after="b/c")] == [key for key in ORDERED if key > "b/c"]


@pytest.mark.parametrize("page", [1, 2, 3, 7])
def test_versions_of_a_key_may_go_on_with_the_next_page(
    store: LockedS3Store, attacker: "S3Client", prefix: str, page: int
) -> None:
    keys = [f"packs/{number:02}/x{number % 2}" for number in range(4)] + [KEY, "versions/0000000002"]
    for key in keys:
        attacker.put_object(Bucket=BUCKET, Key=f"{prefix}/{key}", Body=key.encode())
        for _ in range(3):
            attacker.put_object(Bucket=BUCKET, Key=f"{prefix}/{key}", Body=b"")
        attacker.delete_object(Bucket=BUCKET, Key=f"{prefix}/{key}")
    real = store._client

    def few(**asked: Any) -> object:
        return real.list_object_versions(**asked, MaxKeys=page)

    store._client = cast(
        Any, SimpleNamespace(list_object_versions=few, get_object=real.get_object, close=real.close)
    )
    assert [(info.key, info.size) for info in store.objects()] == [(key, len(key)) for key in keys]
    for key in keys:
        assert store.get(key) == key.encode()


def test_a_bucket_that_does_not_lock_is_refused(seaweedfs_server: S3Server, store: LockedS3Store) -> None:
    store.require_locking()
    plain = open_store(f"{seaweedfs_server.url('x')}&object_lock=3", OPTIONS)
    assert isinstance(plain, LockingStore)
    with pytest.raises(StoreFault) as caught:
        plain.require_locking()
    assert caught.value.fault is FaultKind.REFUSED
    assert "made with Object Lock" in caught.value.hint


def test_the_url_alone_says_how_to_read() -> None:
    store = open_store("s3://bucket/a?region=eu-1&object_lock=30")
    assert isinstance(store, LockingStore)
    assert store.lock_days == 30
    assert store.url == "s3://bucket/a?region=eu-1&object_lock=30"
    assert open_store("s3://bucket/a?object_lock=30").url == "s3://bucket/a?object_lock=30"
    assert not isinstance(open_store("s3://bucket/a"), LockingStore)


@pytest.mark.parametrize("days", ["0", "-1", "x", "3651", "1.5", "%D9%A1"])
def test_days_that_make_no_sense(days: str) -> None:
    with pytest.raises(InvalidInput, match="number of days"):
        open_bare(f"s3://bucket/a?object_lock={days}")
