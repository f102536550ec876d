"""A store that hands objects out, with the calls that fail for a passing reason repeated: of a delivery each
request by itself."""

from collections.abc import Callable
from typing import TypeVar

from cas.store.delivering import DeliveringStore, Link, Repeat, once
from cas.store.options import StoreOptions
from cas.store.retrying import Retry, RetryingStore

_T = TypeVar("_T")


class RetryingDeliveringStore(RetryingStore):
    """`store`, as `RetryingStore` has it."""

    def __init__(
        self,
        store: DeliveringStore,
        *,
        options: StoreOptions | None = None,
        on_retry: Callable[[Retry], None] | None = None,
    ) -> None:
        super().__init__(store, options=options, on_retry=on_retry)
        self._delivering = store

    def deliver(
        self, name: str, data: memoryview, *, create_only: bool = False, repeat: Repeat = once
    ) -> None:
        def again(step: Callable[[], _T]) -> _T:
            return repeat(lambda: self._call("deliver", step))

        self._delivering.deliver(name, data, create_only=create_only, repeat=again)

    def delivered_size(self, name: str) -> int:
        return self._call("size", lambda: self._delivering.delivered_size(name))

    def link(self, name: str, seconds: int) -> Link:
        return self._call("link", lambda: self._delivering.link(name, seconds))
