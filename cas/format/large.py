"""LARGE chunks: the list of pieces of a value that is too big for one chunk.

    u32 number of pieces, u64 length of the value, then per piece its 32-byte id

All pieces have the size of `LARGE_VALUE_BYTES` but the last, so a value has exactly one list.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from cas.format.malformed import malformed, over_limit
from cas.format.wire import Reader
from cas.ids import CHUNK_ID_BYTES, ChunkId
from cas.limits import LARGE_VALUE_BYTES, MAX_LARGE_PIECES

_HEAD = struct.Struct("<IQ")


@dataclass(frozen=True, slots=True)
class Large:
    """`length` is that of the whole value in bytes."""

    length: int
    pieces: tuple[ChunkId, ...]


def encode_large(length: int, pieces: Sequence[ChunkId]) -> bytes:
    """The list of these pieces. Raises what `parse_large` would raise for it."""
    _check(len(pieces), length, "")
    return _HEAD.pack(len(pieces), length) + b"".join(pieces)


def parse_large(data: bytes, where: str = "") -> Large:
    reader = Reader(data, where)
    count, length = reader.unpack(_HEAD)
    _check(count, length, where)
    ids = reader.take(count * CHUNK_ID_BYTES)
    reader.finish()
    return Large(
        length, tuple(ChunkId(ids[at : at + CHUNK_ID_BYTES]) for at in range(0, len(ids), CHUNK_ID_BYTES))
    )


def _check(count: int, length: int, where: str) -> None:
    if count > MAX_LARGE_PIECES:
        raise over_limit(f"value of {count} pieces", where)
    if length <= LARGE_VALUE_BYTES or count != -(-length // LARGE_VALUE_BYTES):
        raise malformed("number of pieces does not fit the length", where)
