"""Writing an object to S3: in one request, or in parts."""

import base64
import hashlib
import io
from datetime import datetime
from typing import TYPE_CHECKING

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
) -> None:
    """A multipart upload. It is aborted if anything fails, so that no parts are left to pay for; what a
    killed process leaves is for a lifecycle rule of the bucket. Raises what botocore raises."""
    request: CreateMultipartUploadRequestTypeDef = {"Bucket": bucket, "Key": key}
    _encrypt(request, options)
    _lock(request, lock_until)
    upload = client.create_multipart_upload(**request)["UploadId"]
    try:
        parts = _send_parts(client, bucket, key, upload, data, options.part_bytes)
        finish: CompleteMultipartUploadRequestTypeDef = {
            "Bucket": bucket,
            "Key": key,
            "UploadId": upload,
            "MultipartUpload": {"Parts": parts},
        }
        if create_only:
            finish["IfNoneMatch"] = "*"
        client.complete_multipart_upload(**finish)
    except BaseException:
        _abort(client, bucket, key, upload)
        raise


def _send_parts(
    client: "S3Client", bucket: str, key: str, upload: str, data: memoryview, part_bytes: int
) -> "list[CompletedPartTypeDef]":
    parts: list[CompletedPartTypeDef] = []
    for start in range(0, len(data), part_bytes):
        part = data[start : start + part_bytes]
        answer = client.upload_part(
            Bucket=bucket,
            Key=key,
            UploadId=upload,
            PartNumber=len(parts) + 1,
            Body=_body(part),
            ContentMD5=_md5(part),
        )
        parts.append({"PartNumber": len(parts) + 1, "ETag": answer["ETag"]})
    return parts


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
