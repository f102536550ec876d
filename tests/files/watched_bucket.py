"""A bucket that counts what is asked of it, and in which something happens at a chosen moment."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from cas.store.bucket import Bucket, BucketObject, OpenObject
from cas.store.delivering import Repeat, once


def nothing(_: str) -> None:
    """Happens."""


class WatchedBucket:
    """`listed`: once, behind the listing. `opening`: before an object is read. `reading`: behind the first
    piece of it. `sending`: before one is sent."""

    def __init__(self, bucket: Bucket) -> None:
        self.inner = bucket
        self.opened: list[str] = []
        self.sent: list[str] = []
        self.removed: list[str] = []
        self.listed: Callable[[], None] = lambda: None
        self.opening: Callable[[str], None] = nothing
        self.reading: Callable[[str], None] = nothing
        self.sending: Callable[[str], None] = nothing

    @property
    def url(self) -> str:
        return self.inner.url

    @property
    def tells_slashes(self) -> bool:
        return self.inner.tells_slashes

    def rows(self, *, repeat: Repeat = once) -> Iterator[BucketObject]:
        yield from self.inner.rows(repeat=repeat)
        happens, self.listed = self.listed, lambda: None
        happens()

    def look(self, key: str) -> BucketObject:
        return self.inner.look(key)

    def open(self, key: str) -> OpenObject:
        self.opening(key)
        self.opened.append(key)
        opened = self.inner.open(key)
        return replace(opened, pieces=self._pieces(key, opened.pieces))

    def takes(self, key: str) -> bool:
        return self.inner.takes(key)

    def send(self, key: str, data: memoryview, *, repeat: Repeat = once) -> None:
        self.sending(key)
        self.inner.send(key, data, repeat=repeat)
        self.sent.append(key)

    def remove(self, key: str) -> None:
        self.inner.remove(key)
        self.removed.append(key)

    def close(self) -> None:
        self.inner.close()

    def put(self, key: str, content: bytes) -> None:
        """Past what is counted."""
        self.inner.send(key, memoryview(content))

    def contents(self) -> dict[str, bytes]:
        """All that is there, past what is counted."""
        found = {}
        for row in self.inner.rows():
            opened = self.inner.open(row.key)
            found[row.key] = b"".join(opened.pieces)
            opened.close()
        return found

    def _pieces(self, key: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for number, piece in enumerate(pieces):
            yield piece
            if not number:
                self.reading(key)
