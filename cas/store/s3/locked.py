"""The S3 store with Object Lock in compliance mode: what was put first is what is read, and it cannot go.

The bucket must have been made with Object Lock. Whoever has our credentials can still put objects and delete
markers on top; neither is ever read. Guarantees: cas/store/locking.py.
"""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cas.store.interface import FaultKind, ObjectExists, ObjectInfo, ObjectMissing, StoreFault
from cas.store.keys import check_data, check_key, check_prefix, is_key
from cas.store.options import StoreOptions
from cas.store.s3.answers import require_s3
from cas.store.s3.connection import S3Address
from cas.store.s3.listing import Page, listing
from cas.store.s3.object_versions import ObjectVersion, first_of, page_of_first, versions_of
from cas.store.s3.store import S3Store

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import GetObjectRequestTypeDef

REMEMBERED = 100_000
"""Keys whose first version is remembered: ranged reads of one pack ask for it once."""

_NOT_LOCKING = "Use a bucket that was made with Object Lock, and with versions"


class LockedS3Store(S3Store):
    """`days`: what is put is locked for twice as many. `now`: the machine's clock, which must be right to the
    day: a lock that was set too far cannot be taken back."""

    def __init__(
        self,
        address: S3Address,
        options: StoreOptions,
        days: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(address, options)
        self._days = days
        self._now = now
        self._first: dict[str, str] = {}
        self._remembering = threading.Lock()

    @property
    def url(self) -> str:
        plain = super().url
        return f"{plain}{'&' if '?' in plain else '?'}object_lock={self._days}"

    @property
    def lock_days(self) -> int:
        return self._days

    def require_locking(self) -> None:
        where = f"s3://{self._bucket}"
        try:
            with self._faults("get_object_lock_configuration", ""):
                answer = self._client.get_object_lock_configuration(Bucket=self._bucket)
                is_on = answer["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled"
        except ObjectMissing:
            is_on = False
        except StoreFault as error:
            if error.fault is not FaultKind.REFUSED:
                raise
            is_on = False
        if not is_on:
            raise StoreFault(
                "the bucket does not lock objects", fault=FaultKind.REFUSED, where=where, hint=_NOT_LOCKING
            )

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        check_key(key)
        check_data(data)
        # The server takes a create-only put where a delete marker lies on top.
        if create_only and first_of(self._versions(key)) is not None:
            raise ObjectExists("the object exists", where=self._where(key))
        super().put(key, data, create_only=create_only)

    def size(self, key: str) -> int:
        check_key(key)
        which = self._first_version(key)
        with self._faults("size", key):
            answer = self._client.head_object(Bucket=self._bucket, Key=self._key(key), VersionId=which)
            require_s3(answer, self._where(key))
            return answer["ContentLength"]

    def objects(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        return listing(self._page, prefix, after, bytewise=self._bytewise)

    def delete(self, key: str) -> None:
        check_key(key)
        for version in self._versions(key):
            with self._faults("delete", key):
                self._client.delete_object(Bucket=self._bucket, Key=self._key(key), VersionId=version.id)
        with self._remembering:
            self._first.pop(key, None)

    def extend(self, key: str, until: datetime) -> None:
        check_key(key)
        which = self._first_version(key)
        try:
            with self._faults("put_object_retention", key):
                self._client.put_object_retention(
                    Bucket=self._bucket,
                    Key=self._key(key),
                    VersionId=which,
                    Retention={"Mode": "COMPLIANCE", "RetainUntilDate": _whole(until)},
                )
        except StoreFault as error:
            # A lock is never shortened: refused, too, where the object is locked for longer already.
            if error.fault is not FaultKind.DENIED or self._locked_until(key, which) < _whole(until):
                raise

    def _locked_until(self, key: str, which: str) -> datetime:
        with self._faults("get_object_retention", key):
            answer = self._client.get_object_retention(
                Bucket=self._bucket, Key=self._key(key), VersionId=which
            )
            return answer["Retention"]["RetainUntilDate"]

    def _lock_until(self) -> datetime | None:
        return _whole(self._now() + timedelta(days=2 * self._days))

    def _asked(self, key: str) -> "GetObjectRequestTypeDef":
        return {"Bucket": self._bucket, "Key": self._key(key), "VersionId": self._first_version(key)}

    def _first_version(self, key: str) -> str:
        with self._remembering:
            known = self._first.get(key)
        if known is not None:
            return known
        first = first_of(self._versions(key))
        if first is None:
            raise ObjectMissing("no such object", where=self._where(key))
        with self._remembering:
            while len(self._first) >= REMEMBERED:
                self._first.pop(next(iter(self._first)))
            self._first[key] = first.id
        return first.id

    def _versions(self, key: str) -> list[ObjectVersion]:
        with self._faults("list", key):
            return versions_of(self._client, self._bucket, self._key(key))

    def _page(self, prefix: str, *, flat: bool, after: str, token: str | None) -> Page:
        with self._faults("list", prefix):
            page = page_of_first(
                self._client,
                self._bucket,
                self._key(prefix),
                flat=flat,
                after=self._key(after) if after else "",
                token=token,
            )
        objects = [
            ObjectInfo(self._below(info.key), info.size, info.modified)
            for info in page.objects
            if is_key(self._below(info.key))
        ]
        below = map(self._below, page.directories)
        inside = [name for name in below if name != prefix and is_key(name.removesuffix("/"))]
        return Page(objects, inside, page.more)


def _whole(moment: datetime) -> datetime:
    """In whole seconds, as servers keep it."""
    return moment.astimezone(UTC).replace(microsecond=0)
