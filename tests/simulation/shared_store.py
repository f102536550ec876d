"""The store of all machines, and who is told of what goes from it."""

from collections.abc import Callable

from cas.store.memory import MemoryStore


class SharedStore(MemoryStore):
    """`watch`: told of every put (True) and delete (False) that changed something, with the key."""

    def __init__(self) -> None:
        super().__init__()
        self.watch: Callable[[str, bool], None] = lambda _key, _is_put: None

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        super().put(key, data, create_only=create_only)
        self.watch(key, True)

    def delete(self, key: str) -> None:
        was_there = key in self._objects
        super().delete(key)
        if was_there:
            self.watch(key, False)

    def contents(self) -> dict[str, bytes]:
        """All objects."""
        return {key: data for key, (data, _) in self._objects.items()}
