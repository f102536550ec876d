"""Calls that run a few steps ahead of whoever wants their results: hides latency, bounds memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

_A = TypeVar("_A")
_B = TypeVar("_B")


def ahead(
    executor: Executor, function: Callable[[_A], _B], items: Iterable[_A], window: int
) -> Iterator[tuple[_A, _B]]:
    """Each item with the function's result, in order; at most `window` results are held or on their way.
    What the function raises comes out at its item; calls that were not begun by then never are."""
    running: deque[tuple[_A, Future[_B]]] = deque()
    try:
        for item in items:
            running.append((item, executor.submit(function, item)))
            if len(running) >= window:
                first, future = running.popleft()
                yield first, future.result()
        while running:
            first, future = running.popleft()
            yield first, future.result()
    finally:
        for _, future in running:
            future.cancel()
