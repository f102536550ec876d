"""Producing on one thread while another consumes: the database works while its rows are hashed.

A COPY stands still while nobody takes its rows, since a socket holds only some hundred of them. One
thread that does both in turn makes database and program wait for each other.
"""

from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from queue import Full, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

T = TypeVar("T")

_LOOK_SECONDS = 0.1
"""How often a waiting producer looks whether anybody still consumes."""


def read_ahead(items: Iterable[T], depth: int = 4) -> Generator[T, None, None]:
    """The same items, of which up to `depth` were produced before they are asked for.

    The whole of `items` runs on a thread of its own, its clean-up too; what it raises is raised here, in its
    place. When the generator is closed early, the thread has ended before `close` returns.
    """
    producer = _Producer(items, depth)
    producer.start()
    try:
        while (entry := producer.box.get()) is not None:
            if isinstance(entry, _Failure):
                raise entry.error
            yield entry.item
    finally:
        producer.stop()


@dataclass(frozen=True, slots=True)
class _Item(Generic[T]):
    item: T


@dataclass(frozen=True, slots=True)
class _Failure:
    error: BaseException


class _Producer(Thread, Generic[T]):
    """Fills `box` with items, then a failure, or None at the end."""

    def __init__(self, items: Iterable[T], depth: int) -> None:
        super().__init__(name="cas-ahead", daemon=True)
        self._items = items
        self._stopped = Event()
        self.box: Queue[_Item[T] | _Failure | None] = Queue(depth)

    def run(self) -> None:
        iterator = iter(self._items)
        try:
            for item in iterator:
                if not self._put(_Item(item)):
                    return
            self._put(None)
        except BaseException as error:  # noqa: BLE001  # raised again by the consumer
            self._put(_Failure(error))
        finally:
            if isinstance(iterator, Generator):
                iterator.close()

    def _put(self, entry: _Item[T] | _Failure | None) -> bool:
        """False where nobody consumes any more."""
        while not self._stopped.is_set():
            with suppress(Full):
                self.box.put(entry, timeout=_LOOK_SECONDS)
                return True
        return False

    def stop(self) -> None:
        self._stopped.set()
        self.join()
