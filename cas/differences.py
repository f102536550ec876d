"""Where the records of a table differ from a version's, key by key; and many of them on a local disk."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from cas.ids import CHUNK_ID_BYTES, ChunkId
from cas.spool_file import SpoolFile
from cas.tree.nodes import Leaf

_HEAD = struct.Struct("<BII")
_LEAF = struct.Struct(f"<{CHUNK_ID_BYTES}sQB")
_HAS_VERSION, _HAS_LIVE, _HAS_PAYLOAD = 1, 2, 4


@dataclass(frozen=True, slots=True)
class Difference:
    """One key whose records are not the same in a version and in the live table.

    None: that side has no such record. `payload` is the live record; for a bag, whose keys are chunk ids,
    it is set only where the live table has more of them, and `live` counts.
    """

    key: bytes
    version: Leaf | None
    live: Leaf | None
    payload: bytes | None = None


class DifferenceSpool(SpoolFile):
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
        self.append(parts)

    def __iter__(self) -> Iterator[Difference]:
        take = self.reading().take
        for _ in range(self.length):
            flags, key_length, payload_length = _HEAD.unpack(take(_HEAD.size))
            key = take(key_length)
            version = _leaf(take(_LEAF.size)) if flags & _HAS_VERSION else None
            live = _leaf(take(_LEAF.size)) if flags & _HAS_LIVE else None
            payload = take(payload_length) if flags & _HAS_PAYLOAD else None
            yield Difference(key, version, live, payload)


def _leaf(stored: bytes) -> Leaf:
    chunk_id, count, is_large = _LEAF.unpack(stored)
    return Leaf(ChunkId(chunk_id), count, bool(is_large))
