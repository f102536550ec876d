"""The S3 store that hands objects out: in parts, each repeated by itself, and by presigned URLs."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import ClientError

from cas.store.delivering import Link, Repeat, arriving, check_name, check_seconds, disposition, is_same, once
from cas.store.interface import ObjectMissing
from cas.store.s3.answers import ranged_body, require_s3
from cas.store.s3.connection import connect
from cas.store.s3.store import S3Store
from cas.store.s3.upload import put_parts, put_whole

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_T = TypeVar("_T")

_REGION = re.compile(r"[A-Za-z0-9-]{1,63}")

_TEMPORARY = "X-Amz-Security-Token="
"""In a link that temporary credentials have signed."""


class DeliveringS3Store(S3Store):
    """Guarantees: cas/store/delivering.py."""

    def deliver(
        self, name: str, data: memoryview, *, create_only: bool = False, repeat: Repeat = once
    ) -> None:
        check_name(name)
        self._send(name, data, create_only=create_only, repeat=repeat)

    def _send(self, name: str, data: memoryview, *, create_only: bool, repeat: Repeat) -> None:
        key = self._key(name)

        def step(request: Callable[[], _T]) -> _T:
            def told() -> _T:
                with self._faults("deliver", name):
                    return request()

            return repeat(told)

        def last(request: Callable[[], None]) -> None:
            def send() -> None:
                with self._faults("deliver", name):
                    request()

            step(arriving(send, lambda: self._holds(name, data)))

        if data.nbytes > self._options.multipart_threshold_bytes:
            put_parts(
                self._client,
                self._bucket,
                key,
                data,
                create_only,
                self._options,
                step=step,
                last=last,
            )
            return

        def send() -> None:
            answer = put_whole(self._client, self._bucket, key, data, create_only, self._options)
            require_s3(answer, self._where(name))

        last(send)

    def delivered_size(self, name: str) -> int:
        check_name(name)
        return self._size(name)

    def link(self, name: str, seconds: int) -> Link:
        check_name(name)
        check_seconds(seconds)
        with self._faults("link", name):
            url = self._signer().generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": self._bucket,
                    "Key": self._key(name),
                    "ResponseContentDisposition": disposition(name),
                },
                ExpiresIn=seconds,
            )
        return Link(url, ends_early=_TEMPORARY in url)

    def _signer(self) -> "S3Client":
        """A client of the bucket's own region. Where none is named, botocore takes a request on to where the
        bucket is, and signs links for where it thought it was."""
        if self._options.region:
            return self._client
        region = self._bucket_region()
        if region in ("", self._client.meta.region_name) or not _REGION.fullmatch(region):
            return self._client
        return connect(self._address, replace(self._options, region=region))

    def _bucket_region(self) -> str:
        """As the server says, to who may look at the bucket and who may not; empty where it does not."""
        try:
            headers = self._client.head_bucket(Bucket=self._bucket)["ResponseMetadata"]["HTTPHeaders"]
        except ClientError as error:
            headers = error.response["ResponseMetadata"]["HTTPHeaders"]
        return headers.get("x-amz-bucket-region", "")

    def _holds(self, name: str, data: memoryview) -> bool:
        """Whether these bytes lie there: read back, and compared."""
        try:
            if self._size(name) != data.nbytes:
                return False
        except ObjectMissing:
            return False
        return is_same(data, partial(self._range, name), self._options.part_bytes)

    def _range(self, name: str, start: int, length: int) -> bytes:
        asked = self._asked(name)
        asked["Range"] = f"bytes={start}-{start + length - 1}"
        with self._faults("get_range", name):
            return ranged_body(
                self._client.get_object(**asked), start, length, self._options, self._where(name)
            )
