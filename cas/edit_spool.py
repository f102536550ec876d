"""Edits of a tree on their way, ascending by key: in memory, and on a local disk where they are many."""

import struct
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from cas.ids import CHUNK_ID_BYTES, ChunkId
from cas.temporary import temporary_faults
from cas.tree.edit import Edit
from cas.tree.nodes import Leaf

_HEAD = struct.Struct(f"<I{CHUNK_ID_BYTES}sB")
_IN_MEMORY_BYTES = 16 << 20
_IS_LARGE, _IS_GONE = 1, 2


class EditSpool:
    """Takes edits of keyed entities, gives them back once, in their order. A context manager: its file goes
    with it. InsufficientSpace where there is no room for temporary files."""

    def __init__(self) -> None:
        self.length = 0
        with temporary_faults():
            self._file = tempfile.SpooledTemporaryFile(  # noqa: SIM115  # closed by __exit__
                max_size=_IN_MEMORY_BYTES, prefix="cas-edit-"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, key: bytes, leaf: Leaf | None) -> None:
        """Behind all others."""
        flags = _IS_GONE if leaf is None else _IS_LARGE if leaf.is_large else 0
        with temporary_faults():
            self._file.write(_HEAD.pack(len(key), leaf.id if leaf else b"", flags) + key)
        self.length += 1

    def __iter__(self) -> Iterator[Edit]:
        self._file.seek(0)
        for _ in range(self.length):
            length, chunk_id, flags = _HEAD.unpack(self._file.read(_HEAD.size))
            key = self._file.read(length)
            yield key, None if flags & _IS_GONE else Leaf(ChunkId(chunk_id), 1, bool(flags & _IS_LARGE))
