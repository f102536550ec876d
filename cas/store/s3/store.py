"""The S3 store: create-only puts by If-None-Match, parts for large objects, ranged reads that are checked.

Needed of the server: strong consistency, and If-None-Match on PutObject and, for objects above the
multipart threshold, on CompleteMultipartUpload.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError, EndpointConnectionError

from cas.store.interface import FaultKind, ObjectInfo, ObjectMissing, StoreFault
from cas.store.keys import check_data, check_key, check_prefix, check_range, is_key
from cas.store.options import StoreOptions
from cas.store.s3.answers import ranged_body, require_s3, tail_body, whole_body
from cas.store.s3.connection import S3Address, connect, is_amazon
from cas.store.s3.faults import CAUGHT, translate
from cas.store.s3.listing import Page, listing
from cas.store.s3.upload import put_parts, put_whole

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import GetObjectRequestTypeDef, ListObjectsV2RequestTypeDef

_EMPTY_TAIL = 416
"""What a server may answer to a request for the last bytes of an empty object."""


class S3Store:
    """Objects below a prefix of a bucket, which must exist."""

    def __init__(self, address: S3Address, options: StoreOptions) -> None:
        self._address = address
        self._bucket = address.bucket
        self._options = options
        self._client = connect(address, options)
        self._bytewise = is_amazon(self._client)
        self._answered = False

    @property
    def url(self) -> str:
        options = self._options
        return self._address.url(
            region=options.region,
            profile=options.profile,
            sse=options.sse,
            kms_key=options.kms_key,
            ca=options.ca,
        )

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        check_key(key)
        check_data(data)
        with self._faults("put", key):
            if memoryview(data).nbytes > self._options.multipart_threshold_bytes:
                view = memoryview(data).cast("B")
                put_parts(
                    self._client,
                    self._bucket,
                    self._key(key),
                    view,
                    create_only,
                    self._options,
                    self._lock_until(),
                )
            else:
                answer = put_whole(
                    self._client,
                    self._bucket,
                    self._key(key),
                    data,
                    create_only,
                    self._options,
                    self._lock_until(),
                )
                require_s3(answer, self._where(key))

    def get(self, key: str) -> bytes:
        check_key(key)
        asked = self._asked(key)
        with self._faults("get", key):
            answer = self._client.get_object(**asked)
            return whole_body(answer, self._options, self._where(key))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        check_key(key)
        check_range(start, length)
        asked = self._asked(key)
        asked["Range"] = f"bytes={start}-{start + length - 1}"
        with self._faults("get_range", key):
            answer = self._client.get_object(**asked)
            return ranged_body(answer, start, length, self._options, self._where(key))

    def get_tail(self, key: str, length: int) -> bytes:
        check_key(key)
        check_range(0, length)
        asked = self._asked(key)
        asked["Range"] = f"bytes=-{length}"
        with self._faults("get_tail", key):
            try:
                answer = self._client.get_object(**asked)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == _EMPTY_TAIL:
                    return b""
                raise
            return tail_body(answer, length, self._options, self._where(key))

    def size(self, key: str) -> int:
        check_key(key)
        return self._size(key)

    def _size(self, key: str) -> int:
        try:
            with self._faults("size", key):
                answer = self._client.head_object(Bucket=self._bucket, Key=self._key(key))
                require_s3(answer, self._where(key))
                return answer["ContentLength"]
        except ObjectMissing:
            self._require_bucket(key)
            raise

    def objects(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        return listing(self._page, prefix, after, bytewise=self._bytewise)

    def delete(self, key: str) -> None:
        check_key(key)
        try:
            with self._faults("delete", key):
                self._client.delete_object(Bucket=self._bucket, Key=self._key(key))
        except ObjectMissing:
            return

    def free_bytes(self) -> int | None:
        return None

    def close(self) -> None:
        self._client.close()

    def _asked(self, key: str) -> "GetObjectRequestTypeDef":
        """Which object is read."""
        return {"Bucket": self._bucket, "Key": self._key(key)}

    def _lock_until(self) -> datetime | None:
        """Until when what is put now cannot be deleted; None: it can be."""
        return None

    def _key(self, key: str) -> str:
        return self._address.prefix + key

    def _where(self, key: str) -> str:
        return f"s3://{self._bucket}/{self._key(key)}"

    @contextmanager
    def _faults(self, what: str, key: str) -> Iterator[None]:
        """Translate what goes wrong. A server that has answered before and now refuses connections
        is restarting; one that never did is a wrong address."""
        try:
            yield
        except EndpointConnectionError as error:
            fault = translate(error, what, self._where(key))
            if self._answered and isinstance(fault, StoreFault):
                fault.fault = FaultKind.TRANSIENT
            raise fault from error
        except CAUGHT as error:
            self._answered = self._answered or isinstance(error, ClientError)
            raise translate(error, what, self._where(key)) from error
        self._answered = True

    def _require_bucket(self, key: str) -> None:
        """The answer to HEAD has no body, so 404 does not say what is missing: ask for the bucket."""
        try:
            with self._faults("size", key):
                self._client.head_bucket(Bucket=self._bucket)
        except ObjectMissing as error:
            raise StoreFault(
                "no such bucket",
                fault=FaultKind.UNREACHABLE,
                where=self._where(key),
                hint="Create the bucket, or correct its name",
            ) from error
        except StoreFault:
            return  # not allowed to ask: then the object is what is missing

    def _page(self, prefix: str, *, flat: bool, after: str, token: str | None) -> Page:
        asked: ListObjectsV2RequestTypeDef = {
            "Bucket": self._bucket,
            "Prefix": self._key(prefix),
        }
        if not flat:
            asked["Delimiter"] = "/"
        if token is not None:
            asked["ContinuationToken"] = token
        elif after:
            asked["StartAfter"] = self._key(after)
        with self._faults("list", prefix):
            answer = self._client.list_objects_v2(**asked)
            objects = [
                ObjectInfo(self._below(row["Key"]), row["Size"], row["LastModified"].timestamp())
                for row in answer.get("Contents", ())
                if is_key(self._below(row["Key"]))
            ]
            directories = [self._below(row["Prefix"]) for row in answer.get("CommonPrefixes", ())]
            more = answer["NextContinuationToken"] if answer["IsTruncated"] else None
        inside = [name for name in directories if name != prefix and is_key(name.removesuffix("/"))]
        return Page(objects, inside, more)

    def _below(self, key: str) -> str:
        """The key below our prefix; not a key if the server lists what was not asked for."""
        prefix = self._address.prefix
        return key[len(prefix) :] if key.startswith(prefix) else ""
