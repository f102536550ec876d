"""Writing an object to S3: in one request, or in parts."""

import base64
import hashlib
import io
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from cas.store.delivering import Repeat, once
from cas.store.options import StoreOptions
from cas.store.s3.faults import CAUGHT

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import (
        CompletedPartTypeDef,
        CompleteMultipartUploadRequestTypeDef,
        CreateMultipartUploadRequestTypeDef,
        PutObjectOutputTypeDef,
        PutObjectRequestTypeDef,
    )

MOST_PARTS = 10_000
"""Of one upload, in S3. Objects beyond 10,000 parts of the usual size are cut into larger ones."""


def put_whole(
    client: "S3Client",
    bucket: str,
    key: str,
    data: bytes | memoryview,
    create_only: bool,
    options: StoreOptions,
    lock_until: datetime | None = None,
) -> "PutObjectOutputTypeDef":
    """One PutObject. lock_until: it cannot be deleted before, by nobody. Raises what botocore raises."""
    request: PutObjectRequestTypeDef = {
        "Bucket": bucket,
        "Key": key,
        "Body": _body(data),
        "ContentMD5": _md5(data),
    }
    if create_only:
        request["IfNoneMatch"] = "*"
    _encrypt(request, options)
    _lock(request, lock_until)
    return client.put_object(**request)


def put_parts(
    client: "S3Client",
    bucket: str,
    key: str,
    data: memoryview,
    create_only: bool,
    options: StoreOptions,
    lock_until: datetime | None = None,
    *,
    step: Repeat = once,
    last: Callable[[Callable[[], None]], None] = once,
) -> None:
    """A multipart upload. It is aborted if anything fails, so that no parts are left to pay for; what a
    killed process leaves is for a lifecycle rule of the bucket. Raises what botocore raises.

    step: runs each request, and may repeat it. last: runs the one that makes the object.
    """
    request: CreateMultipartUploadRequestTypeDef = {"Bucket": bucket, "Key": key}
    _encrypt(request, options)
    _lock(request, lock_until)
    upload = step(lambda: client.create_multipart_upload(**request)["UploadId"])
    try:
        part_bytes = max(options.part_bytes, -(-len(data) // MOST_PARTS))
        parts = _send_parts(client, bucket, key, upload, data, part_bytes, step)
        finish: CompleteMultipartUploadRequestTypeDef = {
            "Bucket": bucket,
            "Key": key,
            "UploadId": upload,
            "MultipartUpload": {"Parts": parts},
        }
        if create_only:
            finish["IfNoneMatch"] = "*"
        last(lambda: _complete(client, finish))
    except BaseException:
        _abort(client, bucket, key, upload)
        raise


def _send_parts(
    client: "S3Client", bucket: str, key: str, upload: str, data: memoryview, part_bytes: int, step: Repeat
) -> "list[CompletedPartTypeDef]":
    def send(number: int, part: memoryview) -> "CompletedPartTypeDef":
        answer = client.upload_part(
            Bucket=bucket,
            Key=key,
            UploadId=upload,
            PartNumber=number,
            Body=_body(part),
            ContentMD5=_md5(part),
        )
        return {"PartNumber": number, "ETag": answer["ETag"]}

    cut = enumerate(range(0, len(data), part_bytes), start=1)
    return [step(partial(send, number, data[start : start + part_bytes])) for number, start in cut]


def _complete(client: "S3Client", finish: "CompleteMultipartUploadRequestTypeDef") -> None:
    client.complete_multipart_upload(**finish)


def _abort(client: "S3Client", bucket: str, key: str, upload: str) -> None:
    try:
        client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
    except CAUGHT:
        return  # the failure that led here is the one to report


def _encrypt(
    request: "PutObjectRequestTypeDef | CreateMultipartUploadRequestTypeDef", options: StoreOptions
) -> None:
    """Ask for server-side encryption, if the options do."""
    if options.sse:
        request["ServerSideEncryption"] = options.sse
    if options.kms_key:
        request["SSEKMSKeyId"] = options.kms_key


def _lock(
    request: "PutObjectRequestTypeDef | CreateMultipartUploadRequestTypeDef", until: datetime | None
) -> None:
    if until is not None:
        request["ObjectLockMode"] = "COMPLIANCE"
        request["ObjectLockRetainUntilDate"] = until


def _body(data: bytes | memoryview) -> io.BytesIO:
    """As a file, since botocore takes no memoryview. Bytes are not copied for it. A file is sent in
    pieces with a time-out each, so that a slow uplink is no failure."""
    return io.BytesIO(data)


def _md5(data: bytes | memoryview) -> str:
    """Content-MD5, which S3 compares with what arrived and demands in buckets with Object Lock."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode("ascii")
