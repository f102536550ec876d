"""Writing a bundle's members one after another into a sink, sealed or not."""

from collections.abc import Callable
from typing import Protocol

from cas.format.bundle import END_BYTES, Member, MemberOrder, encode_header

Seal = Callable[[str, bytes | memoryview], bytes | memoryview]
"""Makes of an object's key and its bytes what lies in the store."""


class Sink(Protocol):
    """Takes all bytes that it is given, or raises."""

    def write(self, data: bytes | memoryview, /) -> object: ...


class ArchiveWriter:
    """One bundle on its way. What is written in another order than a reader takes is our mistake."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._order = MemberOrder()
        self.bytes = 0

    def put(self, key: str, data: bytes | memoryview) -> None:
        member = Member(key, memoryview(data).nbytes)
        self._order.take(member)
        self._write(encode_header(member))
        self._write(data)
        self._write(bytes(member.filled - member.size))

    def finish(self) -> None:
        self._order.finish()
        self._write(bytes(END_BYTES))

    def _write(self, data: bytes | memoryview) -> None:
        self._sink.write(data)
        self.bytes += memoryview(data).nbytes
