"""The store of all machines, and who is told of what goes from it."""

from collections.abc import Callable

from cas.store.interface import ObjectInfo
from cas.store.memory import MemoryStore


class SharedStore(MemoryStore):
    """`watch`: told of every put (True) and delete (False) that changed something, with the key."""

    def __init__(self) -> None:
        super().__init__()
        self.torn: set[str] = set()
        """Of which half was put."""
        self._before: list[tuple[str, tuple[bytes, float] | None]] = []
        self.watch: Callable[[str, bool], None] = lambda _key, _is_put: None

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        before = self._objects.get(key)
        super().put(key, data, create_only=create_only)
        self._before.append((key, before))
        self.watch(key, True)

    def delete(self, key: str) -> None:
        before = self._objects.get(key)
        super().delete(key)
        if before is not None:
            self._before.append((key, before))
            self.watch(key, False)

    def put_half(self, key: str, data: bytes, *, create_only: bool) -> None:
        """What a disk that breaks off leaves."""
        self.put(key, data[: len(data) // 2], create_only=create_only)
        self.torn.add(key)

    @property
    def changes(self) -> int:
        """How many there were."""
        return len(self._before)

    def objects_before(self, changes: int, prefix: str, after: str) -> list[ObjectInfo]:
        """A listing that is stale by so many changes."""
        now = self._objects
        self._objects = dict(now)
        try:
            for key, before in reversed(self._before[-changes:]):
                if before is None:
                    self._objects.pop(key, None)
                else:
                    self._objects[key] = before
            return list(self.objects(prefix, after=after))
        finally:
            self._objects = now

    def contents(self) -> dict[str, bytes]:
        """All objects."""
        return {key: data for key, (data, _) in self._objects.items()}
