"""Tree nodes: a run of ascending keys with their values, and exactly one encoding of it.

A leaf (level 0) maps a record's key to its chunk id. An upper node maps the last key of each node
below to that node's id and to the number of records under it. Bags count equal records, so their
leaves carry counts too.
"""

import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import lt
from typing import cast

from cas.format.malformed import malformed, newer, over_limit
from cas.format.wire import Reader, varint
from cas.ids import CHUNK_ID_BYTES, ChunkId
from cas.limits import MAX_CHUNK_BYTES, MAX_KEY_BYTES, MAX_NODE_ENTRIES, MAX_TREE_HEIGHT

NODE_VERSION = 1
_HEAD = struct.Struct("<BBBB")
_HAS_COUNTS = 1
_HAS_LARGE = 2
MAX_RECORDS = (1 << 63) - 1
_FEW = 256
"""Entries of nearly all nodes."""


@dataclass(frozen=True, slots=True)
class Node:
    """A parsed node. `ids[i]` and `counts[i]` belong to `keys[i]`.

    `counts` is empty in the leaves of keyed entities, where every entry is one record. `large`
    holds the positions of entries whose id is that of a LARGE chunk instead of a RECORD chunk.
    """

    level: int
    keys: tuple[bytes, ...]
    ids: tuple[ChunkId, ...]
    counts: tuple[int, ...] = ()
    large: tuple[int, ...] = ()

    @property
    def records(self) -> int:
        """Records under this node."""
        return sum(self.counts) if self.counts else len(self.keys)


EMPTY_LEAF = Node(0, (), ())


def encode_node(
    level: int,
    keys: Sequence[bytes],
    ids: Sequence[bytes],
    counts: Sequence[int] = (),
    large: Sequence[int] = (),
) -> bytes:
    """The one encoding of these entries. Keys ascend strictly; the caller has seen to that.

    CorruptData for a key that is too long to be read back.
    """
    flags = (_HAS_COUNTS if counts else 0) | (_HAS_LARGE if large else 0)
    lengths = set(map(len, keys))
    if lengths and max(lengths) > MAX_KEY_BYTES:
        raise over_limit(f"key of {max(lengths)} bytes")
    width = lengths.pop() if len(lengths) == 1 else 0
    parts = [_HEAD.pack(NODE_VERSION, level, flags, 0), varint(len(keys)), varint(width)]
    if not width:
        parts.extend(varint(len(key)) for key in keys)
    parts.extend(keys)
    parts.extend(ids)
    parts.extend(map(varint, counts))
    if large:
        parts.append(varint(len(large)))
        parts.extend(map(varint, large))
    return b"".join(parts)


def parse_node(data: bytes, where: str = "") -> Node:
    """The node. Refuses every other encoding of the same entries, unsorted keys and wrong counts."""
    reader = Reader(data, where)
    version, level, flags, zero = reader.unpack(_HEAD)
    if version != NODE_VERSION:
        raise newer(f"node version {version}", where)
    if flags & ~(_HAS_COUNTS | _HAS_LARGE):
        raise newer(f"node features {flags:#x}", where)
    if level > MAX_TREE_HEIGHT:
        raise over_limit(f"node of level {level}", where)
    if zero:
        raise malformed("reserved byte of the node is not zero", where)
    size = reader.varint()
    if size > MAX_NODE_ENTRIES or len(data) > MAX_CHUNK_BYTES:
        raise over_limit(f"node of {size} entries and {len(data)} bytes", where)
    keys = _parse_keys(reader, size, where)
    ids = _split(reader.take(size * CHUNK_ID_BYTES), CHUNK_ID_BYTES)
    counts = tuple(reader.varint() for _ in range(size)) if flags & _HAS_COUNTS else ()
    large = _parse_large(reader, size, where) if flags & _HAS_LARGE else ()
    reader.finish()
    if level and (not counts or large or not size):
        raise malformed("upper node without counts, with large entries, or empty", where)
    if (flags & _HAS_COUNTS and not counts) or 0 in counts:
        raise malformed("counts are missing or zero", where)
    if sum(counts) > MAX_RECORDS:
        raise over_limit("more records under a node than can be counted", where)
    return Node(level, keys, cast("tuple[ChunkId, ...]", ids), counts, large)


def _parse_keys(reader: Reader, size: int, where: str) -> tuple[bytes, ...]:
    width = reader.varint()
    if width > MAX_KEY_BYTES:
        raise over_limit(f"key of {width} bytes", where)
    if width:
        if not size:
            raise malformed("key width in an empty node", where)
        keys = _split(reader.take(size * width), width)
    else:
        lengths = [reader.varint() for _ in range(size)]
        if any(length > MAX_KEY_BYTES for length in lengths):
            raise over_limit(f"key of {max(lengths)} bytes", where)
        if len(set(lengths)) == 1 and lengths[0]:
            raise malformed("keys of one width are not written with that width", where)
        keys = tuple(reader.take(length) for length in lengths)
    if not all(map(lt, keys, keys[1:])):
        raise malformed("keys do not ascend", where)
    return keys


def _parse_large(reader: Reader, size: int, where: str) -> tuple[int, ...]:
    count = reader.varint()
    if not 1 <= count <= size:
        raise malformed("number of large entries", where)
    positions = tuple(reader.varint() for _ in range(count))
    if positions[-1] >= size or any(a >= b for a, b in itertools.pairwise(positions)):
        raise malformed("positions of large entries", where)
    return positions


def _split(data: bytes, width: int) -> tuple[bytes, ...]:
    count = len(data) // width
    if count <= _FEW:
        return cast("tuple[bytes, ...]", _parts(width, count).unpack(data))
    return tuple(data[at : at + width] for at in range(0, len(data), width))


@lru_cache(maxsize=256)
def _parts(width: int, count: int) -> struct.Struct:
    """Four times as fast as slicing; each takes 32 bytes a part, so only some are kept."""
    return struct.Struct(f"{width}s" * count)
