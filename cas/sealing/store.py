"""A sealed store: what is put is sealed, what is read is opened, and the layers above know nothing of it.

All objects but config and keys are sealed (cas/sealing/blocks.py). The config that is read here is the plain
one, which lies sealed among the keys; the one that lies in the store says only that it is sealed.

Sizes are those of the plain bytes. A block that does not open reads as zeros: no hash of the layers above
fits them, as with a disk that lies, and what is whole beside it is still found and saved.
"""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TypeAlias

from cas.errors import Conflict, CorruptData
from cas.format.config import encode_config, parse_config
from cas.format.names import CONFIG, KEYS
from cas.format.sealing import encode_sealed_config, parse_sealed_config
from cas.limits import MAX_PACK_BYTES, SEALED_BLOCK_BYTES
from cas.sealing.blocks import PLAIN_BLOCK_BYTES, Opened, newest_key, plain_size
from cas.sealing.held_keys import HeldKeys
from cas.store.interface import ObjectExists, ObjectInfo, Store
from cas.store.keys import check_key, check_range
from cas.store.locking import LockingStore

REMEMBERED = 1 << 16
"""Sizes of objects: of a range it must be known whether the object's last block is in it. 65,536 packs of the
usual size hold a terabyte; of others the size is asked for, by a request more."""

_Span: TypeAlias = tuple[int, int]
"""Start and length."""


class SealedStore:
    """`store`, sealed with these keys."""

    def __init__(self, store: Store, keys: HeldKeys) -> None:
        self._store = store
        self.keys = keys
        self._sizes: dict[str, int] = {}
        self._remembering = threading.Lock()

    @property
    def url(self) -> str:
        return self._store.url

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        check_key(key)
        if memoryview(data).nbytes > MAX_PACK_BYTES:
            raise ValueError(f"an object has at most {MAX_PACK_BYTES} bytes in a sealed store")
        if key.startswith(KEYS):
            raise ValueError("the keys of a sealed store are not put like other objects")
        if key == CONFIG:
            self._put_config(bytes(data), create_only)
            return
        sealed = self.keys.sealer.seal(key, data)
        self._forget(key)
        self._store.put(key, sealed, create_only=create_only)
        self._remember(key, len(sealed))

    def get(self, key: str) -> bytes:
        check_key(key)
        if key == CONFIG:
            return self._config()
        return self._open(key, 0, self._store.get(key), is_end=True).join()

    def get_range(self, key: str, start: int, length: int) -> bytes:
        check_key(key)
        check_range(start, length)
        return self._part(key, lambda _: (start, length))

    def get_tail(self, key: str, length: int) -> bytes:
        check_key(key)
        check_range(0, length)
        return self._part(key, lambda plain: (max(0, plain - length), min(length, plain)))

    def size(self, key: str) -> int:
        check_key(key)
        return len(self._config()) if key == CONFIG else plain_size(self._asked_size(key))

    def objects(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        rows = self._store.objects(prefix, after=after)
        return (self._row(info) for info in rows if not info.key.startswith(KEYS))

    def delete(self, key: str) -> None:
        self._store.delete(key)
        self._forget(key)

    def free_bytes(self) -> int | None:
        return self._store.free_bytes()

    def close(self) -> None:
        self._store.close()

    def _row(self, info: ObjectInfo) -> ObjectInfo:
        if info.key == CONFIG:
            return ObjectInfo(info.key, len(encode_config(self.keys.config)), info.modified)
        self._remember(info.key, info.size)
        return ObjectInfo(info.key, plain_size(info.size), info.modified)

    def _part(self, key: str, part: Callable[[int], _Span]) -> bytes:
        """The part of an object that `part` chooses by its plain size."""
        if key == CONFIG:
            data = self._config()
            start, length = part(len(data))
            self._require(start + length <= len(data), key)
            return data[start : start + length]
        known = self._sizes.get(key)
        if known is not None:
            try:
                opened, plain = self._read(key, known, part)
            except CorruptData:  # it ends before what is remembered
                pass
            else:
                if not opened.lost or self._asked_size(key) == known:
                    return plain
        return self._read(key, self._asked_size(key), part)[1]

    def _read(self, key: str, size: int, part: Callable[[int], _Span]) -> tuple[Opened, bytes]:
        """`size`: of the sealed object."""
        start, length = part(plain_size(size))
        self._require(start + length <= plain_size(size), key)
        if not length:
            return Opened(), b""
        first = start // PLAIN_BLOCK_BYTES
        begin = first * SEALED_BLOCK_BYTES
        end = min(-(-(start + length) // PLAIN_BLOCK_BYTES) * SEALED_BLOCK_BYTES, size)
        sealed = self._store.get_range(key, begin, end - begin)
        opened = self._open(key, first, sealed, is_end=end == size)
        at = start - first * PLAIN_BLOCK_BYTES
        return opened, opened.join()[at : at + length]

    def _open(self, key: str, first: int, sealed: bytes, *, is_end: bool) -> Opened:
        sealer = self.keys.sealer
        opened = sealer.open_blocks(key, first, sealed, is_end=is_end)
        if opened.lost and not sealer.knows(newest_key(sealed)) and self.keys.look_again():
            opened = self.keys.sealer.open_blocks(key, first, sealed, is_end=is_end)
        return opened

    def _config(self) -> bytes:
        data = self._store.get(CONFIG)
        config = self.keys.config
        if parse_sealed_config(data, f"{self.url}/{CONFIG}") != config.repository_id:
            raise CorruptData("the config was exchanged", kind="malformed", where=f"{self.url}/{CONFIG}")
        return encode_config(config)

    def _put_config(self, data: bytes, create_only: bool) -> None:
        """The first one of a new store, or the one that was lost."""
        config = parse_config(data)
        if not self.keys.are_there:
            self.keys.begin(config)
        if self.keys.config != config:
            if create_only and any(info.key == CONFIG for info in self._store.objects(CONFIG)):
                raise ObjectExists("the object exists", where=f"{self.url}/{CONFIG}")
            raise Conflict(
                "the keys that lie there are of another repository, or of an init that was interrupted",
                where=self.url,
                hint="`cas init --encrypt` makes the repository with new ones",
            )
        self._store.put(CONFIG, encode_sealed_config(config.repository_id), create_only=create_only)

    def _asked_size(self, key: str) -> int:
        size = self._store.size(key)
        self._remember(key, size)
        return size

    def _remember(self, key: str, size: int) -> None:
        with self._remembering:
            self._sizes.pop(key, None)
            while len(self._sizes) >= REMEMBERED:
                self._sizes.pop(next(iter(self._sizes)))
            self._sizes[key] = size

    def _forget(self, key: str) -> None:
        with self._remembering:
            self._sizes.pop(key, None)

    def _require(self, is_within: bool, key: str) -> None:
        if not is_within:
            where = f"{self.url}/{key}"
            raise CorruptData("the object ends before the range", kind="truncated", where=where)


class SealedLockingStore(SealedStore):
    """`store`, whose objects are locked, sealed with these keys."""

    def __init__(self, store: LockingStore, keys: HeldKeys) -> None:
        super().__init__(store, keys)
        self._locking = store

    @property
    def lock_days(self) -> int:
        return self._locking.lock_days

    def require_locking(self) -> None:
        self._locking.require_locking()

    def extend(self, key: str, until: datetime) -> None:
        self._locking.extend(key, until)
