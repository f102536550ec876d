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

Stores do not retry and do not log. What they raise says whether another try makes sense; the
one wrapper in `cas.store.retrying` acts on it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from cas.errors import CasError


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
    """Wrong host, refused connection, no such bucket or directory."""
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

    Keys are ASCII: `[a-z0-9._/-]+`, 1 to 512 characters, no empty, `.` or `..` segment; anything
    else is `ValueError`, since keys are ours and never a person's. All methods may be called from
    several threads at once.
    """

    @property
    def url(self) -> str:
        """The address without credentials, for people."""

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None: ...

    def get(self, key: str) -> bytes: ...

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """`length` >= 1 bytes from `start` >= 0. A range past the end is CorruptData(truncated)."""

    def get_tail(self, key: str, length: int) -> bytes:
        """The last `length` >= 1 bytes, or the whole object where it is shorter. One request."""

    def size(self, key: str) -> int: ...

    def objects(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """All objects whose key starts with `prefix`, ascending by key."""

    def delete(self, key: str) -> None: ...

    def free_bytes(self) -> int | None:
        """Room left, where the store can tell; None where it cannot."""

    def close(self) -> None: ...
