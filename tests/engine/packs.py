"""Packs made by hand, for tests of the index and of reading."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from cas.engine.compression import Compressor, Dictionary
from cas.engine.packer import ClosedPack, Packer
from cas.format.names import pack_key
from cas.ids import ChunkId, ChunkKind, IdKey
from cas.store.interface import Store

KEY = IdKey(bytes(range(32)))


class Salts:
    """Entropy that is different each time and the same in each run."""

    def __init__(self) -> None:
        self._next = 0

    def __call__(self, length: int) -> bytes:
        self._next += 1
        return self._next.to_bytes(length, "big")


class Packing:
    """A packer whose packs go into a list, and into a store where one is given."""

    def __init__(
        self, key: IdKey = KEY, store: Store | None = None, compressor: Compressor | None = None
    ) -> None:
        self.packs: list[ClosedPack] = []
        self._key = key
        self._store = store
        self._threads = ThreadPoolExecutor(1)
        self._uploads = ThreadPoolExecutor(1)
        self.packer = Packer(
            key,
            compressor or Compressor(),
            self._take,
            workers=self._threads,
            uploads=self._uploads,
            entropy=Salts(),
        )

    def _take(self, pack: ClosedPack) -> None:
        self.packs.append(pack)
        if self._store is not None:
            self._store.put(pack_key(pack.name), pack.stored, create_only=True)

    def put(
        self, kind: ChunkKind, plains: Sequence[bytes], dictionary: Dictionary | None = None
    ) -> list[ChunkId]:
        ids = [self._key.hasher(kind)(plain) for plain in plains]
        self.packer.put(kind, ids, plains, dictionary)
        return ids

    def close(self) -> list[ClosedPack]:
        """Everything that was put, as packs."""
        try:
            self.packer.flush()
        finally:
            self._threads.shutdown()
            self._uploads.shutdown()
        return self.packs


def pack_of(
    plains: Sequence[bytes],
    *,
    kind: ChunkKind = ChunkKind.RECORD,
    key: IdKey = KEY,
    store: Store | None = None,
    salt: int = 0,
) -> ClosedPack:
    """One pack with these chunks. `salt`: packs of equal content have different names."""
    packing = Packing(key, store)
    for _ in range(salt):
        packing.packer._entropy(32)
    packing.put(kind, plains)
    (pack,) = packing.close()
    return pack


def ids_of(plains: Sequence[bytes], kind: ChunkKind = ChunkKind.RECORD, key: IdKey = KEY) -> list[ChunkId]:
    return [key.hasher(kind)(plain) for plain in plains]


def payloads(count: int, start: int = 0) -> list[bytes]:
    return [b"%d\trecord number %d" % (number, number) for number in range(start, start + count)]
