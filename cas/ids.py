"""The identifiers of a repository: what they are, how long, and how they are computed.

A chunk id is the keyed BLAKE3-256 of the chunk's plain bytes. Each kind of chunk has a key of
its own, derived from the repository's id key, so that equal bytes of two kinds never share an
id (FORMAT.md, "Identifiers").
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NewType, cast

from blake3 import blake3

ChunkId = NewType("ChunkId", bytes)
"""32 bytes: the identity of a chunk, as nodes and manifests hold it."""

ShortId = NewType("ShortId", bytes)
"""The first 16 bytes of a chunk id, as pack trailers and the chunk index hold it. It finds a
chunk; after decoding, the whole 32 bytes are compared."""

PackName = NewType("PackName", str)
"""64 lower-case hex digits: the BLAKE3-256 of the pack's stored bytes."""

CHUNK_ID_BYTES = 32
SHORT_ID_BYTES = 16
ID_KEY_BYTES = 32


_PIECE_BYTES = 2047
"""blake3 gives up the interpreter's lock for whatever is longer. That suits a MiB; whoever hashes a tree
node of 3 KiB beside busy threads waits for the lock a hundred times longer than for the hash."""

_PIECEWISE_BYTES = 8192
"""Up to here the lock is kept: 13 us in pieces, 6 us at once."""


class ChunkKind(IntEnum):
    """What a chunk is. The number is part of the stored format."""

    RECORD = 1
    NODE = 2
    DICTIONARY = 3
    DEFINITION = 4
    PIECE = 5
    LARGE = 6
    ENTITIES = 7


@dataclass(frozen=True, slots=True)
class IdKey:
    """The repository's secret from which chunk ids and tree boundaries are derived.

    It is random, 32 bytes, made once with the repository and never rotated: ids would change.
    """

    material: bytes

    def __post_init__(self) -> None:
        if len(self.material) != ID_KEY_BYTES:
            raise ValueError(f"an id key has {ID_KEY_BYTES} bytes, not {len(self.material)}")

    def hasher(self, kind: ChunkKind) -> Callable[[bytes], ChunkId]:
        """The function that gives a chunk of this kind its id. Made once, called millions of times."""
        key = self.derive(f"cas 1 chunk {kind.name.lower()}")

        def chunk_id(plain: bytes) -> ChunkId:
            if _PIECE_BYTES < len(plain) <= _PIECEWISE_BYTES:
                return ChunkId(_piecewise(plain, key))
            return ChunkId(blake3(plain, key=key).digest())

        return chunk_id

    def batch_hasher(self, kind: ChunkKind) -> Callable[[Sequence[bytes]], list[ChunkId]]:
        """As `hasher` for many chunks at once: one hash state that is set back for each costs 0.8 us for a
        record of 463 bytes, a state of its own with its key 1.25."""
        key = self.derive(f"cas 1 chunk {kind.name.lower()}")
        chunk_id = self.hasher(kind)

        def chunk_ids(plains: Sequence[bytes]) -> list[ChunkId]:
            if any(map(_PIECE_BYTES.__lt__, map(len, plains))):
                return [chunk_id(plain) for plain in plains]
            state = blake3(key=key)
            update, digest, reset = state.update, state.digest, state.reset
            ids: list[bytes] = []
            add = ids.append
            for plain in plains:
                update(plain)
                add(digest())
                reset()
            return cast("list[ChunkId]", ids)

        return chunk_ids

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one purpose, by BLAKE3's key derivation."""
        return blake3(self.material, derive_key_context=purpose).digest()


def _piecewise(plain: bytes, key: bytes) -> bytes:
    hasher = blake3(key=key)
    for begin in range(0, len(plain), _PIECE_BYTES):
        hasher.update(plain[begin : begin + _PIECE_BYTES])
    return hasher.digest()


def short(chunk_id: ChunkId) -> ShortId:
    """The part of the id by which a chunk is found."""
    return ShortId(chunk_id[:SHORT_ID_BYTES])


def split_short_ids(packed: bytes) -> list[ShortId]:
    """Short ids that stand one after another, as in a trailer, each of its own."""
    starts = range(0, len(packed), SHORT_ID_BYTES)
    return [ShortId(packed[at : at + SHORT_ID_BYTES]) for at in starts]


def pack_name(stored: bytes | memoryview) -> PackName:
    """The name of a pack with these stored bytes."""
    return PackName(blake3(stored).hexdigest())
