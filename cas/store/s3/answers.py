"""Bodies of S3 answers, checked: status, Content-Range, length, pace. Nothing else becomes data."""

import re
import time
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from cas.errors import CorruptData
from cas.limits import KIB
from cas.store.interface import MAX_OBJECT_BYTES, FaultKind, StoreFault
from cas.store.options import StoreOptions

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import (
        GetObjectOutputTypeDef,
        HeadObjectOutputTypeDef,
        PutObjectOutputTypeDef,
    )

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_PIECE_BYTES = 64 * KIB
"""Read at once, between two looks at the clock."""
_WHOLE, _PART = 200, 206


def whole_body(answer: "GetObjectOutputTypeDef", options: StoreOptions, where: str) -> bytes:
    """All of the object."""
    with closing(answer["Body"]):
        _require_status(answer, _WHOLE, where)
        length = _length(answer, where)
        if length > MAX_OBJECT_BYTES:
            raise CorruptData("the object is too large", kind="limit", where=where)
        return _read(answer, length, options, where)


def ranged_body(
    answer: "GetObjectOutputTypeDef", start: int, length: int, options: StoreOptions, where: str
) -> bytes:
    """Exactly `length` bytes from `start`; CorruptData(truncated) if the object ends before."""
    with closing(answer["Body"]):
        _require_status(answer, _PART, where)
        first, last, total = _range(answer, where)
        if first == start and last == total - 1 < start + length - 1:
            raise CorruptData("the object ends before the range", kind="truncated", where=where)
        if (first, last) != (start, start + length - 1):
            raise _wrong("another range than the one asked for", where)
        return _read(answer, length, options, where)


def tail_body(answer: "GetObjectOutputTypeDef", length: int, options: StoreOptions, where: str) -> bytes:
    """The last `length` bytes, or all of a shorter object."""
    with closing(answer["Body"]):
        if _status(answer) == _WHOLE and _length(answer, where) <= length:
            return _read(answer, _length(answer, where), options, where)
        _require_status(answer, _PART, where)
        first, last, total = _range(answer, where)
        if last != total - 1 or first != max(0, total - length):
            raise _wrong("another range than the one asked for", where)
        return _read(answer, total - first, options, where)


def whole_length(answer: "GetObjectOutputTypeDef", where: str) -> int:
    """Bytes of an object of any size that was asked for as a whole."""
    _require_status(answer, _WHOLE, where)
    return _length(answer, where)


def require_s3(
    answer: "GetObjectOutputTypeDef | HeadObjectOutputTypeDef | PutObjectOutputTypeDef", where: str
) -> None:
    """StoreFault if the answer has no ETag, as every S3 server sends: then something else answered, such
    as a network's log-in page, whose 200 means nothing."""
    if not answer.get("ETag"):
        raise _wrong("no ETag", where)


def _status(answer: "GetObjectOutputTypeDef") -> int:
    return answer["ResponseMetadata"]["HTTPStatusCode"]


def _require_status(answer: "GetObjectOutputTypeDef", status: int, where: str) -> None:
    if _status(answer) != status:
        raise StoreFault(
            f"the store answered {_status(answer)} where {status} is due",
            fault=FaultKind.REFUSED,
            where=where,
            hint="A proxy or server that ignores ranges cannot hold a repository",
        )


def _length(answer: "GetObjectOutputTypeDef", where: str) -> int:
    require_s3(answer, where)
    length = answer.get("ContentLength")
    if length is None or length < 0:
        raise _wrong("no length", where)
    return length


def _range(answer: "GetObjectOutputTypeDef", where: str) -> tuple[int, int, int]:
    """First and last position and total size, which agree with each other and with the length."""
    found = _CONTENT_RANGE.fullmatch(answer.get("ContentRange", ""))
    if found is None:
        raise _wrong("no range", where)
    first, last, total = (int(number) for number in found.groups())
    if not first <= last < total or _length(answer, where) != last - first + 1:
        raise _wrong("a range that contradicts itself", where)
    return first, last, total


def _read(answer: "GetObjectOutputTypeDef", length: int, options: StoreOptions, where: str) -> bytes:
    return b"".join(body_pieces(answer, length, options, where))


def body_pieces(
    answer: "GetObjectOutputTypeDef", length: int, options: StoreOptions, where: str
) -> Iterator[bytes]:
    """Exactly `length` bytes, at no less than the slowest pace that is set."""
    deadline = time.monotonic() + options.read_timeout_seconds + length / options.slowest_bytes_per_second
    missing = length
    while missing:
        piece = answer["Body"].read(min(missing, _PIECE_BYTES))
        if not piece:
            raise _wrong("a body that ends early", where)
        if time.monotonic() > deadline:
            raise _wrong("a body that comes in too slowly", where)
        yield piece
        missing -= len(piece)


def _wrong(what: str, where: str) -> StoreFault:
    return StoreFault(f"the store answered with {what}", fault=FaultKind.TRANSIENT, where=where)
