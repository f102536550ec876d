"""The port to buckets that hold what people upload: objects of any size, under any keys.

No repository lies in them, and their keys are not ours to choose: whoever asks looks at a key before making
anything of it. Guarantees:

1. `open` reads one state of an object, as whole as the server keeps it, or raises.
2. `send` is atomic and durable: a reader sees the object that was there, or this one. Who dies meanwhile
   leaves nothing under the key; in S3 perhaps parts of an upload, which nobody sees, and a lifecycle rule of
   the bucket removes.
3. Bodies are streamed, both ways: what is sent is not copied into memory but for one part at a time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cas.store.delivering import Repeat, once


@dataclass(frozen=True, slots=True)
class BucketObject:
    """One object. `tag`: another one whenever something else is stored under the key; empty where the server
    does not tell."""

    key: str
    size: int
    modified: datetime
    tag: str


@dataclass(frozen=True, slots=True)
class OpenObject:
    """An object that is being read. `pieces`: its bytes, `about.size` of them or StoreFault. Who has it
    closes it."""

    about: BucketObject
    pieces: Iterator[bytes]
    close: Callable[[], None]


class Bucket(Protocol):
    """All objects whose key begins with a prefix; keys are those below it. A missing object is ObjectMissing,
    every other failure StoreFault."""

    @property
    def url(self) -> str:
        """The address without credentials, for people."""

    @property
    def tells_slashes(self) -> bool:
        """Whether `rows` has the slash that ends the key of an empty object; else `a/` comes as `a`."""

    def rows(self, *, repeat: Repeat = once) -> Iterator[BucketObject]:
        """All objects, in any order; perhaps some of them twice. `repeat` runs each request. StoreFault that
        names the object where the library cannot hold its key."""

    def look(self, key: str) -> BucketObject:
        """The object that is there now."""

    def open(self, key: str) -> OpenObject: ...

    def takes(self, key: str) -> bool:
        """Whether an object can have this key."""

    def send(self, key: str, data: memoryview, *, repeat: Repeat = once) -> None:
        """Put an object in the place of what is there. `repeat` runs each request that can be made again by
        itself."""

    def remove(self, key: str) -> None:
        """Also where there is none."""

    def close(self) -> None:
        """Give back connections."""


def tag_of(etag: str | None) -> str:
    """An ETag, which some answers have in quotes and others not; empty for a weak one, which may be that of
    other bytes."""
    return "" if not etag or etag.startswith("W/") else etag.strip('"')
