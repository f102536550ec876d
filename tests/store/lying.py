"""Stores that each break one promise, as real ones do that were not made for it: a store in memory with one
flaw in front of it. Which promise a trial must name is in `LIES`.
"""

import threading
import time
from collections.abc import Callable, Iterator

from cas.limits import MIB
from cas.store.interface import ObjectExists, ObjectInfo, ObjectMissing
from cas.store.memory import MemoryStore

LATE_SECONDS = 0.3


class CreateOnlyIgnored(MemoryStore):
    """If-None-Match is passed over, as by servers that do not know it."""

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        super().put(key, data)


class LooksThenWrites(MemoryStore):
    """Whether the object is there is looked up first, and written a moment later: right for one at a time."""

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        if create_only and key in self._objects:
            raise ObjectExists("the object exists", where=key)
        time.sleep(0.005)
        super().put(key, data)


class LargeOverwrites(MemoryStore):
    """The condition is lost on objects that go up in parts."""

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        super().put(key, data, create_only=create_only and len(data) < 5 * MIB)


class LargeLooksThenWrites(LooksThenWrites):
    """The same of large objects alone, as SeaweedFS 4.48 has it: harmless for packs."""

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        if len(data) > 5 * MIB:
            super().put(key, data, create_only=create_only)
        else:
            MemoryStore.put(self, key, data, create_only=create_only)


class Torn(MemoryStore):
    """The first half is there before the second."""

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        if not create_only and len(data) > 1000:
            super().put(key, data[: len(data) // 2])
            time.sleep(0.005)
        super().put(key, data, create_only=create_only)


class Mixed(MemoryStore):
    """Written in place: the new beginning stands before the old end for a moment."""

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        old = self._objects.get(key)
        if old and not create_only and len(data) > 1000:
            half = len(data) // 2
            super().put(key, bytes(data[:half]) + old[0][half:])
            time.sleep(0.005)
        super().put(key, data, create_only=create_only)


class Short(MemoryStore):
    """A body that ends early is taken for all of it."""

    def get(self, key: str) -> bytes:
        data = super().get(key)
        return data[:-1] if len(data) > 60_000 else data


class ShortRange(MemoryStore):
    """A range comes a byte short."""

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return super().get_range(key, start, length)[: max(1, length - 1)]


class ClippedRange(MemoryStore):
    """A range past the end is clipped to what there is, without a word."""

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return super().get(key)[start : start + length]


class WrongTail(MemoryStore):
    """The length of a suffix range is taken for its start."""

    def get_tail(self, key: str, length: int) -> bytes:
        return super().get(key)[length:] or super().get(key)


class Forgetful(MemoryStore):
    """Deletions succeed, and nothing happens."""

    def delete(self, key: str) -> None:
        self.size_or_none(key)

    def size_or_none(self, key: str) -> int | None:
        try:
            return self.size(key)
        except ObjectMissing:
            return None


class _Cached(MemoryStore):
    """What was asked for once is remembered for a while."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, tuple[float, bytes | None]] = {}
        self._knowing = threading.Lock()

    def remembered(self, key: str) -> bytes | None:
        with self._knowing:
            until, data = self._known.get(key, (0.0, None))
            if time.monotonic() > until:
                row = self._objects.get(key)
                data = None if row is None else row[0]
                self._known[key] = (time.monotonic() + LATE_SECONDS, data)
            return data


class StaleReads(_Cached):
    """A replaced object is read as it was, for a while."""

    def get(self, key: str) -> bytes:
        return super().get(key) if key not in self._objects else self.remembered(key) or b""


class StaleAbsence(_Cached):
    """Who asked for an object before it was there does not see it for a while."""

    def get(self, key: str) -> bytes:
        if self.remembered(key) is None:
            raise ObjectMissing("no such object", where=key)
        return super().get(key)


class StaleAfterDelete(MemoryStore):
    """A deleted object is read for a while."""

    def __init__(self) -> None:
        super().__init__()
        self._ghosts: dict[str, tuple[float, bytes]] = {}

    def delete(self, key: str) -> None:
        row = self._objects.get(key)
        if row is not None:
            self._ghosts[key] = (time.monotonic() + LATE_SECONDS, row[0])
        super().delete(key)

    def get(self, key: str) -> bytes:
        until, data = self._ghosts.get(key, (0.0, b""))
        if key not in self._objects and key.split("/")[1] == "deleted" and time.monotonic() < until:
            return data
        return super().get(key)


class LateListing(MemoryStore):
    """New objects are listed a little later."""

    def objects(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        now = time.time()
        return (info for info in super().objects(prefix, after=after) if info.modified < now - LATE_SECONDS)


class GhostListing(MemoryStore):
    """Deleted objects are listed for a while."""

    def __init__(self) -> None:
        super().__init__()
        self._ghosts: dict[str, float] = {}

    def delete(self, key: str) -> None:
        super().delete(key)
        self._ghosts[key] = time.monotonic() + LATE_SECONDS

    def objects(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        rows = list(super().objects(prefix, after=after))
        seen = {info.key for info in rows}
        for key, until in self._ghosts.items():
            if key.startswith(prefix) and key > after and key not in seen and time.monotonic() < until:
                rows.append(ObjectInfo(key, 1, time.time()))
        return iter(sorted(rows, key=lambda info: info.key))


class DirectoryOrder(MemoryStore):
    """Listed level by level, as file systems have it."""

    def objects(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        return iter(sorted(super().objects(prefix, after=after), key=lambda info: info.key.split("/")))


class InclusiveAfter(MemoryStore):
    """A listing from after a key has that key in it again."""

    def objects(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        return (info for info in super().objects(prefix) if info.key >= after)


class FoldedKeys(MemoryStore):
    """Two keys that differ in a sign are one."""

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        super().put(key.replace("b_/x", "b.c"), data, create_only=create_only)

    def get(self, key: str) -> bytes:
        return super().get(key.replace("b_/x", "b.c"))


LIES: tuple[tuple[Callable[[], MemoryStore], set[str]], ...] = (
    (CreateOnlyIgnored, {"create-only", "one winner", "create-only, large", "one winner, large"}),
    (LooksThenWrites, {"one winner", "one winner, large"}),
    (LargeOverwrites, {"create-only, large", "one winner, large"}),
    (LargeLooksThenWrites, {"one winner, large"}),
    (Torn, {"whole objects"}),
    (Mixed, {"whole objects"}),
    (Short, {"reads"}),
    (ShortRange, {"ranges"}),
    (ClippedRange, {"ranges"}),
    (WrongTail, {"ranges"}),
    (Forgetful, {"gone at once"}),
    (StaleReads, {"read at once"}),
    (StaleAbsence, {"read at once"}),
    (StaleAfterDelete, {"gone at once"}),
    (LateListing, {"listed at once"}),
    (GhostListing, {"unlisted at once"}),
    (DirectoryOrder, {"order"}),
    (InclusiveAfter, {"order"}),
    (FoldedKeys, {"keys"}),
)
"""Each with what a trial must find broken, at least."""
