"""A store in memory: for tests, and the model that the other stores are compared with."""

import threading
import time
from bisect import bisect_right
from collections.abc import Iterator

from cas.errors import CorruptData
from cas.store.interface import ObjectExists, ObjectInfo, ObjectMissing
from cas.store.keys import check_data, check_key, check_prefix, check_range

_named: dict[str, "MemoryStore"] = {}
_naming = threading.Lock()


class MemoryStore:
    """Objects in a dictionary. They live as long as the process."""

    def __init__(self, name: str = "") -> None:
        self._name = name
        self._objects: dict[str, tuple[bytes, float]] = {}
        self._lock = threading.Lock()

    @classmethod
    def named(cls, name: str) -> "MemoryStore":
        """The one store of this process with this name, so that `memory://name` is one place."""
        with _naming:
            return _named.setdefault(name, cls(name))

    @property
    def url(self) -> str:
        return f"memory://{self._name}"

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        check_key(key)
        check_data(data)
        row = (bytes(data), time.time())
        with self._lock:
            if create_only and key in self._objects:
                raise ObjectExists("the object exists", where=self._where(key))
            self._objects[key] = row

    def get(self, key: str) -> bytes:
        check_key(key)
        row = self._objects.get(key)
        if row is None:
            raise ObjectMissing("no such object", where=self._where(key))
        return row[0]

    def get_range(self, key: str, start: int, length: int) -> bytes:
        check_range(start, length)
        data = self.get(key)
        if start + length > len(data):
            raise CorruptData("the object ends before the range", kind="truncated", where=self._where(key))
        return data[start : start + length]

    def get_tail(self, key: str, length: int) -> bytes:
        check_range(0, length)
        return self.get(key)[-length:]

    def size(self, key: str) -> int:
        return len(self.get(key))

    def objects(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        with self._lock:
            keys = sorted(key for key in self._objects if key.startswith(prefix))
        return self._rows(keys[bisect_right(keys, after) :])

    def _rows(self, keys: list[str]) -> Iterator[ObjectInfo]:
        for key in keys:
            row = self._objects.get(key)
            if row is not None:
                yield ObjectInfo(key, len(row[0]), row[1])

    def delete(self, key: str) -> None:
        check_key(key)
        with self._lock:
            self._objects.pop(key, None)

    def free_bytes(self) -> int | None:
        return None

    def close(self) -> None:
        """Nothing to give back; a named store keeps its objects for the next who opens it."""

    def _where(self, key: str) -> str:
        return f"{self.url}/{key}"
