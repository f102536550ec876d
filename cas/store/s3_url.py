"""From `s3://bucket/prefix?...` to a store, or to a bucket of uploads."""

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Literal
from urllib.parse import SplitResult

from cas.errors import InvalidInput
from cas.limits import LONGEST_LOCK_DAYS
from cas.store import urls
from cas.store.bucket import Bucket
from cas.store.interface import Store
from cas.store.options import StoreOptions

if TYPE_CHECKING:
    from cas.store.s3 import S3Address

CREDENTIALS_HINT = (
    "Put them where every AWS tool looks: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
    "a profile in ~/.aws/credentials, or the machine's role"
)
PARAMETERS = (
    "addressing",
    "allow_http",
    "ca",
    "endpoint",
    "kms_key",
    "object_lock",
    "profile",
    "region",
    "sse",
)

_SSE: dict[str, Literal["", "AES256", "aws:kms"]] = {"": "", "AES256": "AES256", "aws:kms": "aws:kms"}
_ADDRESSING: dict[str, Literal["", "path", "virtual"]] = {"": "", "path": "path", "virtual": "virtual"}
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_REGION = re.compile(r"[A-Za-z0-9-]{0,63}")


def open_s3(parts: SplitResult, query: dict[str, str], options: StoreOptions) -> Store:
    """The store, which is not contacted yet."""
    from cas.store.s3 import (  # late: boto3 takes a third of a second, which local stores save
        DeliveringS3Store,
        LockedS3Store,
    )

    address, settled = _place(parts, query, options, PARAMETERS)
    days = query.get("object_lock", "")
    return LockedS3Store(address, settled, _lock_days(days)) if days else DeliveringS3Store(address, settled)


def open_s3_bucket(parts: SplitResult, query: dict[str, str], options: StoreOptions) -> Bucket:
    """The bucket, which is not contacted yet."""
    from cas.store.s3 import S3Bucket  # late, as above

    known = tuple(name for name in PARAMETERS if name != "object_lock")
    return S3Bucket(*_place(parts, query, options, known))


def _place(
    parts: SplitResult, query: dict[str, str], options: StoreOptions, known: tuple[str, ...]
) -> "tuple[S3Address, StoreOptions]":
    """Where it is, and the options with what the URL says."""
    urls.only(query, known, CREDENTIALS_HINT)
    address = _address(parts, query)
    kms_key = query.get("kms_key") or (options.kms_key if query.get("sse") != "AES256" else "")
    sse = _SSE.get(query.get("sse") or options.sse or ("aws:kms" if kms_key else ""))
    if sse is None:
        raise InvalidInput("unknown server-side encryption", hint="sse is AES256 or aws:kms")
    if kms_key and sse != "aws:kms":
        raise InvalidInput("kms_key goes with sse=aws:kms only")
    region = query.get("region") or options.region
    if not _REGION.fullmatch(region):
        raise InvalidInput(
            "not a region name", hint="Write region=eu-central-1, or what your server calls it"
        )
    return address, replace(
        options,
        region=region,
        profile=query.get("profile") or options.profile,
        ca=query.get("ca") or options.ca,
        sse=sse,
        kms_key=kms_key,
    )


def _lock_days(text: str) -> int:
    days = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0
    if not 1 <= days <= LONGEST_LOCK_DAYS:
        raise InvalidInput(
            "object_lock is a number of days", hint=f"From 1 to {LONGEST_LOCK_DAYS}: object_lock=30"
        )
    return days


def _address(parts: SplitResult, query: dict[str, str]) -> "S3Address":
    from cas.store.s3 import S3Address  # late, as above

    if not _BUCKET.fullmatch(parts.netloc):
        raise InvalidInput("not a bucket name", hint="Write s3://bucket/prefix")
    addressing = _ADDRESSING.get(query.get("addressing", ""))
    if addressing is None:
        raise InvalidInput("addressing is path or virtual")
    return S3Address(
        bucket=parts.netloc,
        prefix=urls.prefix(parts.path, "s3://bucket/some/prefix"),
        endpoint=urls.endpoint(query.get("endpoint", ""), CREDENTIALS_HINT),
        addressing=addressing,
        allow_http=urls.flag(query, "allow_http"),
    )
