"""A bucket of uploads in S3, by boto3: obstore gives up a listing that has a key in it which is no path."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from cas.store.bucket import BucketObject, OpenObject, tag_of
from cas.store.delivering import Repeat, once
from cas.store.interface import FaultKind, ObjectMissing, StoreFault
from cas.store.s3.answers import body_pieces, require_s3, whole_length
from cas.store.s3.delivering import DeliveringS3Store

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import (
        GetObjectOutputTypeDef,
        ListObjectsV2OutputTypeDef,
        ListObjectsV2RequestTypeDef,
    )

MOST_KEY_BYTES = 1024
"""Of a whole key, the prefix included, in S3."""


class S3Bucket(DeliveringS3Store):
    """Guarantees: cas/store/bucket.py."""

    tells_slashes = True

    def rows(self, *, repeat: Repeat = once) -> Iterator[BucketObject]:
        token: str | None = None
        while True:
            rows, more = repeat(partial(self._listed, token))
            yield from rows
            if more is None:
                return
            if more == token:
                raise StoreFault(
                    "a listing does not get ahead", fault=FaultKind.REFUSED, where=self._where("")
                )
            token = more

    def look(self, key: str) -> BucketObject:
        try:
            with self._faults("size", key):
                answer = self._client.head_object(Bucket=self._bucket, Key=self._key(key))
                require_s3(answer, self._where(key))
                return BucketObject(
                    key, answer["ContentLength"], _time(answer["LastModified"]), tag_of(answer["ETag"])
                )
        except ObjectMissing:
            self._require_bucket(key)
            raise

    def open(self, key: str) -> OpenObject:
        with self._faults("get", key):
            answer = self._client.get_object(**self._asked(key))
            length = whole_length(answer, self._where(key))
            about = BucketObject(key, length, _time(answer["LastModified"]), tag_of(answer["ETag"]))
        return OpenObject(about, self._read(key, answer, length), answer["Body"].close)

    def takes(self, key: str) -> bool:
        return len(self._key(key).encode()) <= MOST_KEY_BYTES

    def send(self, key: str, data: memoryview, *, repeat: Repeat = once) -> None:
        self._send(key, data, create_only=False, repeat=repeat)

    def remove(self, key: str) -> None:
        try:
            with self._faults("delete", key):
                self._client.delete_object(Bucket=self._bucket, Key=self._key(key))
        except ObjectMissing:
            return

    def _read(self, key: str, answer: "GetObjectOutputTypeDef", length: int) -> Iterator[bytes]:
        with self._faults("get", key):
            yield from body_pieces(answer, length, self._options, self._where(key))

    def _listed(self, token: str | None) -> tuple[list[BucketObject], str | None]:
        asked: ListObjectsV2RequestTypeDef = {"Bucket": self._bucket, "Prefix": self._address.prefix}
        if token is not None:
            asked["ContinuationToken"] = token
        try:
            with self._faults("list", ""):
                answer = self._client.list_objects_v2(**asked)
                return list(self._rows_of(answer)), (
                    answer["NextContinuationToken"] if answer["IsTruncated"] else None
                )
        except ObjectMissing as error:
            raise StoreFault(
                "no such bucket",
                fault=FaultKind.UNREACHABLE,
                where=self._where(""),
                hint="Create the bucket, or correct its name",
            ) from error

    def _rows_of(self, answer: "ListObjectsV2OutputTypeDef") -> Iterator[BucketObject]:
        prefix = self._address.prefix
        for row in answer.get("Contents", ()):
            if not row["Key"].startswith(prefix):
                raise StoreFault(
                    "the store lists what lies elsewhere", fault=FaultKind.REFUSED, where=self._where("")
                )
            yield BucketObject(
                row["Key"][len(prefix) :], row["Size"], _time(row["LastModified"]), tag_of(row.get("ETag"))
            )


def _time(told: datetime) -> datetime:
    """ValueError where no calendar has it."""
    try:
        return told.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a time that no calendar has") from error
