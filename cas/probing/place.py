"""Where a trial writes: below a fresh prefix, through two stores as two processes have them."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import compress

from cas.errors import CasError
from cas.store.interface import ObjectMissing, Store

SETTLE_SECONDS = 3.0
"""How long something late is waited for, to tell what is late from what never comes."""

_BETWEEN_LOOKS_SECONDS = 0.05
_AT_ONCE = 16


class Broken(Exception):
    """A promise was not kept; its text says what was seen."""


@dataclass(slots=True)
class Place:
    """`writer` and `reader` are open on the same place, and share nothing else."""

    writer: Store
    reader: Store
    prefix: str
    _written: set[str] = field(default_factory=set)
    _noting: threading.Lock = field(default_factory=threading.Lock)

    def put(self, name: str, data: bytes, *, create_only: bool = False) -> str:
        """Put an object of the trial; its key. It is noted before, since a put that fails may have worked."""
        key = self.key(name)
        self.writer.put(key, data, create_only=create_only)
        return key

    def key(self, name: str) -> str:
        """The key of an object of the trial, which is removed at the end."""
        key = f"{self.prefix}/{name}"
        with self._noting:
            self._written.add(key)
        return key

    def listed(self, name: str = "", *, after: str = "") -> list[str]:
        """Names that the reader lists, in its order."""
        begin = f"{self.prefix}/"
        rows = self.reader.objects(begin + name, after=begin + after if after else "")
        return [info.key.removeprefix(begin) for info in rows]

    def remove(self) -> tuple[str, ...]:
        """Delete what the trial wrote, and what else is listed below its prefix. Keys of what is still there,
        or may be; nothing is raised but an interruption."""
        keys = set(self._written)
        with suppress(CasError):  # what was noted is then all that is known
            keys |= {info.key for info in self.reader.objects(f"{self.prefix}/")}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            deleted = set(compress(keys, pool.map(self._delete, keys)))
            left = set(deleted)

            def are_gone() -> bool:
                some = tuple(left)
                left.difference_update(compress(some, pool.map(self._is_gone, some)))
                return not left

            settles(are_gone)
        return tuple(sorted((keys - deleted) | left))

    def _delete(self, key: str) -> bool:
        try:
            self.writer.delete(key)
        except CasError:
            return False
        return True

    def _is_gone(self, key: str) -> bool:
        try:
            self.reader.size(key)
        except ObjectMissing:
            return True
        except CasError:
            return False
        return False


def settles(is_so: Callable[[], bool]) -> bool:
    """Whether it is so, now or within SETTLE_SECONDS."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(_BETWEEN_LOOKS_SECONDS)
    return True
