"""Finding the way through an upper node in its bytes: a tenth of the work of parsing all its entries."""

from cas.format.malformed import truncated
from cas.format.node import NODE_VERSION
from cas.ids import CHUNK_ID_BYTES, ChunkId
from cas.limits import MAX_TREE_HEIGHT

_SIZE_AT = 4
"""The first bytes are version, level, features and a zero."""
_SHORT = 0x80
"""Varints below it are one byte."""


def child_for(data: bytes, key: bytes, where: str = "") -> tuple[int, ChunkId | None] | None:
    """The level of an upper node, and the id of the node below it that may hold the key; no id where the
    key is beyond the last one. None where the node has to be parsed: it is a leaf, or it is written in
    another way than upper nodes with short keys are.

    The bytes were proven by their id: entries on which the answer does not depend are not looked at.
    """
    if len(data) < _SIZE_AT + 3 or data[0] != NODE_VERSION or not 1 <= data[1] <= MAX_TREE_HEIGHT:
        return None
    if data[2:_SIZE_AT] != b"\x01\x00":  # counts, and nothing else
        return None
    size, at = data[_SIZE_AT], _SIZE_AT + 1
    if size >= _SHORT:
        size, at = size & 0x7F | data[at] << 7, at + 1
    width, keys = data[at], at + 1
    lengths = data[keys : keys + size] if not width else bytes((width,)) * size
    keys += 0 if width else size
    if max(lengths, default=_SHORT) >= _SHORT:
        return None
    ids = keys + sum(lengths)
    if len(data) < ids + size * CHUNK_ID_BYTES:
        raise truncated("upper node shorter than its entries", where)
    for position, length in enumerate(lengths):
        if data[keys : keys + length] >= key:
            at = ids + position * CHUNK_ID_BYTES
            return data[1], ChunkId(data[at : at + CHUNK_ID_BYTES])
        keys += length
    return data[1], None
