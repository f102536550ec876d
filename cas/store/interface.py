"""The port to object storage, and what the engine relies on.

Guarantees that an implementation gives, each proved by the contract suite:

1. `put` is atomic: a reader sees the whole object or none, and after a power loss too.
2. When `put` has returned, the object is durable and `get`, `get_range`, `size` and `objects`
   of any process see it (strong consistency).
3. `put(create_only=True)` has exactly one winner among any number of racers; the others get
   `ObjectExists`. An existing object is never touched by it.
4. `get` returns all of the object or raises; a short body is `StoreFault`, never data.
5. `get_range` returns exactly `length` bytes or raises.
6. `delete` of an absent object succeeds. `objects` lists in ascending key order.

Two limits keep stores portable and memory bounded. A key is never a directory of another key (`a`
and `a/b`): file systems cannot hold both, and a store may refuse the second. An object has at most
`MAX_OBJECT_BYTES`: `put` of more is `ValueError`, `get` of more is CorruptData(limit), raised
before memory is allocated for it.

Stores do not retry and do not log. What they raise says whether another try makes sense; the
one wrapper in `cas.store.retrying` acts on it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from cas.errors import CasError
from cas.limits import MAX_PACK_BYTES, MIB

MAX_OBJECT_BYTES = MAX_PACK_BYTES + MIB
"""Bytes of one object. Packs are the largest objects there are; sealing adds a thousandth."""

MAX_KEY_CHARACTERS = 512
"""Characters of one key, below S3's limit of 1024 bytes, so that the store's own prefix has room."""

MAX_KEY_SEGMENT_CHARACTERS = 255
"""Characters between two slashes of a key: NAME_MAX of the usual file systems."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One row of a listing: key below the store's prefix, size in bytes, seconds since 1970 (UTC)."""

    key: str
    size: int
    modified: float


class FaultKind(StrEnum):
    """Why a store call failed, as far as the caller's next step depends on it."""

    TRANSIENT = "transient"
    """500, 503, 409, reset connection, time-out, short body: the same call may succeed."""
    DENIED = "denied"
    """401, 403, EACCES: final until somebody changes rights or credentials."""
    FULL = "full"
    """ENOSPC, EDQUOT, 507: final until there is room."""
    UNREACHABLE = "unreachable"
    """Wrong host, refused connection, no such bucket or directory. (A server that has answered this
    store before and now refuses connections is restarting: TRANSIENT.)"""
    REFUSED = "refused"
    """The store understood and said no for another reason (400, 501, a disabled feature)."""


class StoreFault(CasError):
    """A store call failed. `fault` drives retries, exit codes and problem documents."""

    code = "STORE_FAULT"

    def __init__(self, what: str, *, fault: FaultKind, where: str = "", hint: str = "") -> None:
        super().__init__(what, where=where, hint=hint)
        self.fault = fault


class ObjectMissing(CasError):
    """No object under this key."""

    code = "NOT_FOUND"


class ObjectExists(CasError):
    """A create-only put found an object under its key."""

    code = "CONFLICT"


class Store(Protocol):
    """A flat map from keys to immutable bytes.

    Keys are ASCII: `[a-z0-9._/-]+`, 1 to 512 characters, no empty, `.` or `..` segment, no segment
    above 255 characters; anything else is `ValueError`, since keys are ours and never a person's.
    A missing object is `ObjectMissing`, every other failure `StoreFault`. All methods may be called
    from several threads at once.
    """

    @property
    def url(self) -> str:
        """The address without credentials, for people."""

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        """Store `data`, at most MAX_OBJECT_BYTES. After a StoreFault the object may be there or not."""

    def get(self, key: str) -> bytes:
        """All bytes of the object. More than MAX_OBJECT_BYTES is CorruptData(limit)."""

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """`length` >= 1 bytes from `start` >= 0. A range past the end is CorruptData(truncated)."""

    def get_tail(self, key: str, length: int) -> bytes:
        """The last `length` >= 1 bytes, or the whole object where it is shorter. One request."""

    def size(self, key: str) -> int:
        """Bytes of the object."""

    def objects(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        """All objects whose key starts with `prefix` and is greater than `after`, ascending by key.

        Objects that are put or deleted meanwhile may be listed or not. What is not an object of
        ours (a key outside the rules, a directory, a symbolic link) is left out.
        """

    def delete(self, key: str) -> None:
        """Remove the object if it is there; durable on return."""

    def free_bytes(self) -> int | None:
        """Room left, where the store can tell; None where it cannot."""

    def close(self) -> None:
        """Give back connections and descriptors. The store is not used afterwards."""
