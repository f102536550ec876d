"""A store in memory that locks its objects, by the world's clock."""

from collections.abc import Callable
from datetime import datetime, timedelta

from cas.store.interface import FaultKind, ObjectMissing, StoreFault
from cas.store.memory import MemoryStore


class LockedMemoryStore(MemoryStore):
    """Objects cannot be deleted before their time; nobody overwrites here."""

    def __init__(self, days: int, now: Callable[[], datetime]) -> None:
        super().__init__("locked")
        self._days = days
        self._now = now
        self.until: dict[str, datetime] = {}
        self.extended: list[str] = []
        self.refused: list[str] = []

    @property
    def lock_days(self) -> int:
        return self._days

    def require_locking(self) -> None:
        """It does."""

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        super().put(key, data, create_only=create_only)
        self.until[key] = self._now() + timedelta(days=2 * self._days)

    def extend(self, key: str, until: datetime) -> None:
        if key not in self.until:
            raise ObjectMissing("no such object", where=key)
        self.extended.append(key)
        self.until[key] = max(until, self.until[key])

    def delete(self, key: str) -> None:
        if key in self.until and self._now() < self.until[key]:
            self.refused.append(key)
            raise StoreFault("locked", fault=FaultKind.DENIED, where=key)
        self.until.pop(key, None)
        super().delete(key)

    def left(self, key: str) -> timedelta:
        return self.until[key] - self._now()
