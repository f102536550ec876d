"""Bodies of answers, checked: range, length, pace. Nothing else becomes data."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cas.errors import CorruptData
from cas.store.interface import MAX_OBJECT_BYTES, FaultKind, StoreFault
from cas.store.options import StoreOptions

if TYPE_CHECKING:
    from obstore import GetResult

_AS_IT_COMES = 1
"""Least bytes of a piece of the stream: each is handed over at once, between two looks at the clock."""


def whole_body(answer: "GetResult", options: StoreOptions, where: str) -> bytes:
    """All of the object."""
    size = answer.meta["size"]
    if size > MAX_OBJECT_BYTES:
        raise CorruptData("the object is too large", kind="limit", where=where)
    _require_range(answer, 0, size, where)
    return _read(answer, size, options, where)


def ranged_body(answer: "GetResult", start: int, length: int, options: StoreOptions, where: str) -> bytes:
    """Exactly `length` bytes from `start`; CorruptData(truncated) if the object ends before."""
    if answer.meta["size"] < start + length:
        raise CorruptData("the object ends before the range", kind="truncated", where=where)
    _require_range(answer, start, start + length, where)
    return _read(answer, length, options, where)


def tail_body(answer: "GetResult", length: int, options: StoreOptions, where: str) -> bytes:
    """The last `length` bytes, or all of a shorter object."""
    size = answer.meta["size"]
    start = max(0, size - length)
    _require_range(answer, start, size, where)
    return _read(answer, size - start, options, where)


def _require_range(answer: "GetResult", start: int, stop: int, where: str) -> None:
    if tuple(answer.range) != (start, stop):
        raise _wrong("another range than the one asked for", where)


def _read(answer: "GetResult", length: int, options: StoreOptions, where: str) -> bytes:
    return b"".join(body_pieces(answer, length, options, where))


def body_pieces(answer: "GetResult", length: int, options: StoreOptions, where: str) -> Iterator[bytes]:
    """Exactly `length` bytes, at no less than the slowest pace that is set."""
    deadline = time.monotonic() + options.read_timeout_seconds + length / options.slowest_bytes_per_second
    come = 0
    for piece in answer.stream(_AS_IT_COMES):
        come += len(piece)
        if come > length:
            raise _wrong("more than it announced", where)
        if time.monotonic() > deadline:
            raise _wrong("a body that comes in too slowly", where)
        yield piece
    if come < length:
        raise _wrong("a body that ends early", where)


def _wrong(what: str, where: str) -> StoreFault:
    return StoreFault(f"the store answered with {what}", fault=FaultKind.TRANSIENT, where=where)
