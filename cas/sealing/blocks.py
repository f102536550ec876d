"""Sealed objects: blocks of 32 KiB, each of which opens alone, so that ranges of an object can be read.

    block    4 bytes      version, whether it is the last one, number of the data key
             12           nonce: random
             0 to 32,736  the plain bytes, encrypted by AES-256-GCM
             16           tag

The key of an object is derived from a data key and the object's name. The tag binds repository, name,
position of the block and its first 4 bytes: blocks cannot be exchanged, moved or cut off unnoticed.
"""

import os
import struct
from collections.abc import Callable, Sequence
from functools import lru_cache

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cas.format.sealing import DATA_KEY_BYTES
from cas.limits import MAX_DATA_KEYS, SEALED_BLOCK_BYTES

NONCE_BYTES = 12
TAG_BYTES = 16
VERSION = 1

_HEAD = struct.Struct("<BBH")
_NUMBER = struct.Struct("<Q")
_BOUND_TO = b"cas 1 block"
_DERIVED_FOR = "cas 1 sealed object"
_NONCES_FOR = "cas 1 sealed nonce"

OVERHEAD_BYTES = _HEAD.size + NONCE_BYTES + TAG_BYTES
PLAIN_BLOCK_BYTES = SEALED_BLOCK_BYTES - OVERHEAD_BYTES

_KEPT_CIPHERS = 4096
"""Keys of objects that are remembered: deriving one takes 5 us, and ranges of one pack come by hundreds."""


def sealed_size(plain: int) -> int:
    """Bytes of a sealed object with so many plain ones."""
    return plain + OVERHEAD_BYTES * max(1, -(-plain // PLAIN_BLOCK_BYTES))


def plain_size(sealed: int) -> int:
    """The reverse; for a size that no sealed object has, the bytes that may be found in it."""
    whole, rest = divmod(sealed, SEALED_BLOCK_BYTES)
    return whole * PLAIN_BLOCK_BYTES + max(0, rest - OVERHEAD_BYTES)


class Sealer:
    """Seals and opens the objects of one repository. Thread-safe.

    `data_keys`: all there ever were, in the order of their numbers, which begin with 1; what is written is
    sealed with the last one. `entropy` gives n random bytes for nonces; None: they are made of what is
    sealed, so that equal objects are sealed to equal bytes (see `_nonces`).
    """

    def __init__(
        self,
        repository_id: bytes,
        data_keys: Sequence[bytes],
        entropy: Callable[[int], bytes] | None = os.urandom,
    ) -> None:
        if not data_keys or len(data_keys) > MAX_DATA_KEYS or {*map(len, data_keys)} != {DATA_KEY_BYTES}:
            raise ValueError("data keys have 32 bytes each, and there is one at least")
        self._bound_to = _BOUND_TO + repository_id
        self._purposes = [blake3(key, derive_key_context=_DERIVED_FOR).digest() for key in data_keys]
        self._entropy = entropy
        self._cipher = lru_cache(_KEPT_CIPHERS)(self._derived)

    def _derived(self, key: int, name: str) -> AESGCM:
        return AESGCM(self._object_key(key, name))

    def _object_key(self, key: int, name: str) -> bytes:
        return blake3(name.encode("ascii"), key=self._purposes[key - 1]).digest()

    def _nonces(self, name: str) -> Callable[[bytes, int, bytes | memoryview], bytes]:
        """Gives the nonce of a block by its head, its number and its plain bytes.

        A nonce that is made of what is sealed: a keyed hash of everything that goes into the block and is not
        the same for all blocks of the object. A block is sealed under (key of the object, nonce). The key is
        a hash of the object's name. So whatever is sealed twice under one pair has the same name, and the
        same nonce; that is, but for a collision in 96 bits of a keyed hash, the same number, head and plain
        bytes, hence the same associated data (they are repository, number, head and name): it is the same
        block. Of an object of 2^11 blocks in 2^20 differing copies two collide with a probability of 2^-35.
        Nobody can look for collisions who does not have the key. All that it tells is that two blocks are
        equal, and where all of an object is equal, that is what it is for.
        """
        if self._entropy is not None:
            entropy = self._entropy
            return lambda head, number, plain: entropy(NONCE_BYTES)
        key = blake3(self._object_key(len(self._purposes), name), derive_key_context=_NONCES_FOR).digest()
        return lambda head, number, plain: _nonce_of(key, head, number, plain)

    def knows(self, key: int) -> bool:
        """Whether there is a data key of this number."""
        return 1 <= key <= len(self._purposes)

    def seal(self, name: str, plain: bytes | memoryview) -> bytes:
        """The sealed object of this name."""
        view = memoryview(plain).cast("B")
        newest = len(self._purposes)
        cipher = self._cipher(newest, name)
        count = max(1, -(-len(view) // PLAIN_BLOCK_BYTES))
        nonce_of = self._nonces(name)
        parts: list[bytes] = []
        for number in range(count):
            head = _HEAD.pack(VERSION, number == count - 1, newest)
            begin = number * PLAIN_BLOCK_BYTES
            data = view[begin : begin + PLAIN_BLOCK_BYTES]
            nonce = nonce_of(head, number, data)
            parts += (head, nonce, cipher.encrypt(nonce, data, self._bound(name, number, head)))
        return b"".join(parts)

    def open_blocks(self, name: str, first: int, sealed: bytes, *, is_end: bool) -> "Opened":
        """Blocks from number `first` on, `sealed` beginning where it begins. `is_end`: the last of them is
        the object's last one; no other may be. Where there is none at all then, one is lost."""
        opened = Opened()
        view = memoryview(sealed)
        for at in range(0, max(len(view), is_end), SEALED_BLOCK_BYTES):
            block = view[at : at + SEALED_BLOCK_BYTES]
            ends = is_end and at + SEALED_BLOCK_BYTES >= len(view)
            plain = self._opened(name, first + at // SEALED_BLOCK_BYTES, block, ends)
            opened.add(plain, max(0, len(block) - OVERHEAD_BYTES))
        return opened

    def _opened(self, name: str, number: int, block: memoryview, ends: bool) -> bytes | None:
        if len(block) < OVERHEAD_BYTES or (len(block) == OVERHEAD_BYTES and number):
            return None
        version, is_last, key = _HEAD.unpack(block[: _HEAD.size])
        if version != VERSION or is_last != ends or not self.knows(key):
            return None
        head, nonce = bytes(block[: _HEAD.size]), bytes(block[_HEAD.size : _HEAD.size + NONCE_BYTES])
        try:
            return self._cipher(key, name).decrypt(
                nonce, block[_HEAD.size + NONCE_BYTES :], self._bound(name, number, head)
            )
        except InvalidTag:
            return None

    def _bound(self, name: str, number: int, head: bytes) -> bytes:
        return b"".join((self._bound_to, _NUMBER.pack(number), head, name.encode("ascii")))


def _nonce_of(key: bytes, head: bytes, number: int, plain: bytes | memoryview) -> bytes:
    """`head` and number have fixed lengths: no two triples are hashed as the same bytes."""
    return blake3(head + _NUMBER.pack(number), key=key).update(plain).digest()[:NONCE_BYTES]


class Opened:
    """Plain bytes of blocks. One that does not open is as many zeros: the layers above prove each byte that
    they use, and what is whole beside it must still be found."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.lost = 0
        """Blocks that did not open."""

    def add(self, plain: bytes | None, length: int) -> None:
        self.lost += plain is None
        self._parts.append(bytes(length) if plain is None else plain)

    def join(self) -> bytes:
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)


def newest_key(sealed: bytes) -> int:
    """The greatest number of a data key that blocks name, true or not: who does not know it looks for
    newer keys."""
    view = memoryview(sealed)
    heads = (view[at : at + _HEAD.size] for at in range(0, len(view), SEALED_BLOCK_BYTES))
    return max((_HEAD.unpack(head)[2] for head in heads if len(head) == _HEAD.size), default=0)
