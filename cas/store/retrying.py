"""The one place where store calls are repeated, and only those that failed for a passing reason.

A create-only put whose answer was lost has perhaps won: its repetition meets its own object. So
after a repeated create-only put finds the key taken, the object is read back, and equal bytes are
success (STORAGE.md, rule 2).
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from cas.store.interface import FaultKind, ObjectExists, ObjectInfo, Store, StoreFault
from cas.store.options import StoreOptions

_T = TypeVar("_T")

_LISTED_AT_ONCE = 1000
"""Rows of a listing that are read under one set of attempts: as many as an S3 page has."""


@dataclass(frozen=True, slots=True)
class Retry:
    """What `on_retry` is told: the call, how it failed, how often by now, seconds until the next try."""

    call: str
    fault: StoreFault
    failures: int
    wait_seconds: float


class Attempts:
    """Calls that are made again where they failed for a passing reason, and how many were."""

    def __init__(self, options: StoreOptions, on_retry: Callable[[Retry], None] | None) -> None:
        self._on_retry = on_retry
        self._stop = stop_after_attempt(options.attempts)
        self._wait = wait_random_exponential(
            multiplier=options.first_wait_seconds, max=options.longest_wait_seconds
        )
        self._counting = threading.Lock()
        self.retries = 0
        """Calls that were repeated, over all threads."""

    def call(self, name: str, attempt: Callable[[], _T]) -> _T:
        """What `attempt` gives; the last fault where no attempt is left."""

        def count(state: RetryCallState) -> None:
            fault = state.outcome and state.outcome.exception()
            assert isinstance(fault, StoreFault)
            with self._counting:
                self.retries += 1
            if self._on_retry is not None:
                self._on_retry(Retry(name, fault, state.attempt_number, state.upcoming_sleep))

        calls = Retrying(
            retry=retry_if_exception(_is_transient),
            stop=self._stop,
            wait=self._wait,
            before_sleep=count,
            reraise=True,
        )
        return calls(attempt)


class RetryingStore:
    """`store`, with transient faults tried again after random, growing waits.

    `on_retry` is called before each wait, in the thread of the call. A fault that lasts through all
    attempts is raised as it came. After a failed put the object may be there or not.
    """

    def __init__(
        self,
        store: Store,
        *,
        options: StoreOptions | None = None,
        on_retry: Callable[[Retry], None] | None = None,
    ) -> None:
        self._store = store
        self._attempts = Attempts(options or StoreOptions(), on_retry)

    @property
    def url(self) -> str:
        return self._store.url

    @property
    def retries(self) -> int:
        """Calls that were repeated since the store was opened, over all threads."""
        return self._attempts.retries

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        repeated = False

        def attempt() -> None:
            nonlocal repeated
            try:
                self._store.put(key, data, create_only=create_only)
            except ObjectExists:
                if not repeated or self._store.get(key) != data:
                    raise
            except StoreFault:
                repeated = True
                raise

        self._call("put", attempt)

    def get(self, key: str) -> bytes:
        return self._call("get", lambda: self._store.get(key))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return self._call("get_range", lambda: self._store.get_range(key, start, length))

    def get_tail(self, key: str, length: int) -> bytes:
        return self._call("get_tail", lambda: self._store.get_tail(key, length))

    def size(self, key: str) -> int:
        return self._call("size", lambda: self._store.size(key))

    def objects(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        rows: Iterator[ObjectInfo] | None = self._store.objects(prefix, after=after)
        piece: list[ObjectInfo] = []

        def attempt() -> None:
            """Fill the piece, from where the listing broke if it did."""
            nonlocal rows
            if rows is None:
                rows = self._store.objects(prefix, after=piece[-1].key if piece else after)
            try:
                for info in islice(rows, _LISTED_AT_ONCE - len(piece)):
                    piece.append(info)  # noqa: PERF402 - what came before a fault is kept
            except StoreFault:
                rows = None
                raise

        def all_rows() -> Iterator[ObjectInfo]:
            nonlocal after
            while True:
                self._call("objects", attempt)
                yield from piece
                if len(piece) < _LISTED_AT_ONCE:
                    return
                after = piece[-1].key
                piece.clear()

        return all_rows()

    def delete(self, key: str) -> None:
        self._call("delete", lambda: self._store.delete(key))

    def free_bytes(self) -> int | None:
        return self._call("free_bytes", self._store.free_bytes)

    def close(self) -> None:
        self._store.close()

    def _call(self, name: str, attempt: Callable[[], _T]) -> _T:
        return self._attempts.call(name, attempt)


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, StoreFault) and error.fault is FaultKind.TRANSIENT
