"""A store that locks its objects, with the calls that fail for a passing reason repeated."""

from collections.abc import Callable
from datetime import datetime

from cas.store.locking import LockingStore
from cas.store.options import StoreOptions
from cas.store.retrying import Retry, RetryingStore


class RetryingLockingStore(RetryingStore):
    """`store`, as `RetryingStore` has it."""

    def __init__(
        self,
        store: LockingStore,
        *,
        options: StoreOptions | None = None,
        on_retry: Callable[[Retry], None] | None = None,
    ) -> None:
        super().__init__(store, options=options, on_retry=on_retry)
        self._locking = store

    @property
    def lock_days(self) -> int:
        return self._locking.lock_days

    def require_locking(self) -> None:
        self._call("require_locking", self._locking.require_locking)

    def extend(self, key: str, until: datetime) -> None:
        self._call("extend", lambda: self._locking.extend(key, until))
