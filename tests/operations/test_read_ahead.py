"""Items that are produced on a thread of their own: in order, bounded, and never left running."""

import threading
from collections.abc import Iterator

import pytest

from cas.read_ahead import read_ahead


def ahead_threads() -> int:
    return sum(thread.name == "cas-ahead" for thread in threading.enumerate())


@pytest.mark.parametrize("depth", [1, 3])
def test_all_items_arrive_in_order(depth: int) -> None:
    assert list(read_ahead(range(1000), depth)) == list(range(1000))
    assert list(read_ahead([], depth)) == []
    assert ahead_threads() == 0


def test_no_more_than_depth_items_wait() -> None:
    produced: list[int] = []
    seen = threading.Event()

    def numbers() -> Iterator[int]:
        for number in range(100):
            produced.append(number)
            if number == 3:
                seen.set()
            yield number

    items = read_ahead(numbers(), 2)
    assert next(items) == 0
    assert seen.wait(5)
    assert len(produced) <= 5
    items.close()


def test_an_error_comes_after_the_items_before_it() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    items = read_ahead(failing())
    assert next(items) == 1
    with pytest.raises(OSError, match="gone"):
        next(items)
    assert ahead_threads() == 0


def test_closing_early_cleans_up_the_producer_on_its_own_thread() -> None:
    cleaned: list[str] = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            cleaned.append(threading.current_thread().name)

    items = read_ahead(endless())
    assert next(items) == 1
    items.close()
    assert cleaned == ["cas-ahead"]
    assert ahead_threads() == 0
