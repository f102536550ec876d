"""A bundle that leaves out what an earlier version has, together with the repository that has it: one
store."""

from collections.abc import Iterator
from heapq import merge

from cas.format.names import DICTIONARIES, PACKS
from cas.store.interface import FaultKind, ObjectInfo, ObjectMissing, Store, StoreFault

_SHARED = (PACKS, DICTIONARIES)
"""What the repository adds; config and documents are the bundle's."""


class UnionStore:
    """The objects of `bundle`, and packs and dictionaries of `rest`. It is only read. Closing it is left to
    who opened the two."""

    def __init__(self, bundle: Store, rest: Store) -> None:
        self._bundle = bundle
        self._rest = rest

    @property
    def url(self) -> str:
        return self._bundle.url

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        raise self._refused()

    def get(self, key: str) -> bytes:
        try:
            return self._bundle.get(key)
        except ObjectMissing:
            return self._other(key).get(key)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        try:
            return self._bundle.get_range(key, start, length)
        except ObjectMissing:
            return self._other(key).get_range(key, start, length)

    def get_tail(self, key: str, length: int) -> bytes:
        try:
            return self._bundle.get_tail(key, length)
        except ObjectMissing:
            return self._other(key).get_tail(key, length)

    def size(self, key: str) -> int:
        try:
            return self._bundle.size(key)
        except ObjectMissing:
            return self._other(key).size(key)

    def objects(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        mine = self._bundle.objects(prefix, after=after)
        others = (row for row in self._rest.objects(prefix, after=after) if row.key.startswith(_SHARED))
        last = ""
        for row in merge(mine, others, key=lambda row: row.key):
            if row.key != last:
                yield row
            last = row.key

    def delete(self, key: str) -> None:
        raise self._refused()

    def free_bytes(self) -> int | None:
        return 0

    def close(self) -> None:
        """Nothing that is its own."""

    def _other(self, key: str) -> Store:
        return self._rest if key.startswith(_SHARED) else self._bundle

    def _refused(self) -> StoreFault:
        return StoreFault("a bundle is only read", fault=FaultKind.REFUSED, where=self.url)
