"""Differences on a local disk: a plan may speak of millions of records, and memory must not.

Records of one entity, ascending by key, written once and read as often as needed.
"""

import os
import struct
import tempfile
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import IO, Self

from cas.ids import CHUNK_ID_BYTES, ChunkId
from cas.live.comparing import Difference
from cas.records.live import Change
from cas.temporary import temporary_faults
from cas.tree.nodes import Leaf

_HEAD = struct.Struct("<BII")
_CHANGE = struct.Struct("<BIIIQQ")
_LEAF = struct.Struct(f"<{CHUNK_ID_BYTES}sQB")
_HAS_VERSION, _HAS_LIVE, _HAS_PAYLOAD = 1, 2, 4
_HAS_BEFORE, _HAS_AFTER = 1, 2
_BUFFER_BYTES = 1 << 18


class _SpoolFile:
    """A temporary file that is written at its end and read from its start. A context manager: it goes with
    it. InsufficientSpace where there is no room for temporary files."""

    def __init__(self) -> None:
        self.length = 0
        with temporary_faults():
            self._file: IO[bytes] = tempfile.TemporaryFile(  # noqa: SIM115  # closed by `close`
                prefix="cas-plan-", buffering=_BUFFER_BYTES
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """The file is gone."""
        self._file.close()

    def _write(self, parts: Sequence[bytes]) -> None:
        with temporary_faults():
            self._file.write(b"".join(parts))
        self.length += 1

    def _reading(self) -> "_Reading":
        with temporary_faults():
            self._file.flush()
        return _Reading(self._file.fileno())


class DifferenceSpool(_SpoolFile):
    """All differences of one entity, ascending by key. May be read by several at once, as often as asked."""

    def add(self, one: Difference) -> None:
        """Behind all others."""
        flags = 0
        parts = [b"", one.key]
        for flag, leaf in ((_HAS_VERSION, one.version), (_HAS_LIVE, one.live)):
            if leaf is not None:
                flags |= flag
                parts.append(_LEAF.pack(leaf.id, leaf.count, leaf.is_large))
        if one.payload is not None:
            flags |= _HAS_PAYLOAD
            parts.append(one.payload)
        parts[0] = _HEAD.pack(flags, len(one.key), len(one.payload or b""))
        self._write(parts)

    def __iter__(self) -> Iterator[Difference]:
        take = self._reading().take
        for _ in range(self.length):
            flags, key_length, payload_length = _HEAD.unpack(take(_HEAD.size))
            key = take(key_length)
            version = _leaf(take(_LEAF.size)) if flags & _HAS_VERSION else None
            live = _leaf(take(_LEAF.size)) if flags & _HAS_LIVE else None
            payload = take(payload_length) if flags & _HAS_PAYLOAD else None
            yield Difference(key, version, live, payload)


class ChangeSpool(_SpoolFile):
    """The changes of one entity, ascending by key. May be read by several at once, as often as asked."""

    def add(self, one: Change) -> None:
        """Behind all others."""
        flags = (_HAS_BEFORE if one.before is not None else 0) | (_HAS_AFTER if one.after is not None else 0)
        before, after = one.before or b"", one.after or b""
        head = _CHANGE.pack(flags, len(one.key), len(before), len(after), one.count, one.left)
        self._write((head, one.key, before, after))

    def __iter__(self) -> Iterator[Change]:
        take = self._reading().take
        for _ in range(self.length):
            flags, key_length, before_length, after_length, *counts = _CHANGE.unpack(take(_CHANGE.size))
            body, middle = take(key_length + before_length + after_length), key_length + before_length
            yield Change(
                body[:key_length],
                body[key_length:middle] if flags & _HAS_BEFORE else None,
                body[middle:] if flags & _HAS_AFTER else None,
                *counts,
            )


class _Reading:
    """A place in a file of its own, whoever else reads or writes it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._offset = 0
        self._buffer = b""
        self._at = 0

    def take(self, length: int) -> bytes:
        """The next bytes, all of them."""
        end = self._at + length
        if end > len(self._buffer):
            rest = self._buffer[self._at :]
            with temporary_faults():
                more = os.pread(self._descriptor, max(_BUFFER_BYTES, length), self._offset)
            self._offset += len(more)
            self._buffer, self._at, end = rest + more, 0, length
        taken = self._buffer[self._at : end]
        self._at = end
        return taken


def _leaf(stored: bytes) -> Leaf:
    chunk_id, count, is_large = _LEAF.unpack(stored)
    return Leaf(ChunkId(chunk_id), count, bool(is_large))
