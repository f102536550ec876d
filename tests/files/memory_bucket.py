"""A bucket in memory, which passes the tests of the real ones."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import md5

from cas.store.bucket import BucketObject, OpenObject
from cas.store.delivering import Repeat, once
from cas.store.interface import ObjectMissing

PIECE_BYTES = 100_000


class MemoryBucket:
    """Any key goes. Listed in the order of insertion, which is none."""

    url = "memory-bucket://uploads"
    tells_slashes = True

    def __init__(self) -> None:
        self._objects: dict[str, tuple[bytes, BucketObject]] = {}
        self._lock = threading.Lock()

    def rows(self, *, repeat: Repeat = once) -> Iterator[BucketObject]:
        with self._lock:
            return iter([about for _, about in self._objects.values()])

    def look(self, key: str) -> BucketObject:
        return self._found(key)[1]

    def open(self, key: str) -> OpenObject:
        data, about = self._found(key)
        pieces = (data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES))
        return OpenObject(about, pieces, lambda: None)

    def takes(self, key: str) -> bool:
        return True

    def send(self, key: str, data: memoryview, *, repeat: Repeat = once) -> None:
        content = bytes(data)
        tag = md5(content, usedforsecurity=False).hexdigest()
        with self._lock:
            about = BucketObject(key, len(content), datetime.now(UTC), tag)
            self._objects[key] = (content, about)

    def remove(self, key: str) -> None:
        with self._lock:
            self._objects.pop(key, None)

    def close(self) -> None:
        """It lives on."""

    def _found(self, key: str) -> tuple[bytes, BucketObject]:
        with self._lock:
            if key not in self._objects:
                raise ObjectMissing("no such object", where=key)
            return self._objects[key]
