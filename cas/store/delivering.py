"""The port to stores that hand objects out to people: of any size, under names that people choose, by links.

Such an object is none of a repository: its name is one segment below the store's prefix, which may have
capitals, and it may be larger than anything that `get` gives. Guarantees, besides those of a store:

1. `deliver` is atomic, durable, and create-only as `put` is. Who dies meanwhile leaves nothing under the
   name; in S3 perhaps parts of an upload, which nobody sees, and a lifecycle rule of the bucket removes.
2. The data are not copied into memory but for one part at a time: what is mapped from a file is read as it is
   sent.
3. Under a link exactly this object is read, by whoever has it, whole or in ranges, until it expires.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, runtime_checkable

from cas.errors import InvalidInput
from cas.store.interface import ObjectExists, ObjectMissing, Store

_T = TypeVar("_T")

LONGEST_LINK_SECONDS = 7 * 86400
"""Signatures of Amazon and Google hold no longer; one limit for all keeps commands portable."""

NAME_HINT = "Letters without accents, digits and - . _ = can stand in it"

_NAME = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._=-]{1,200}")
"""Signs that all providers, their tools and file systems write the same way."""


@dataclass(frozen=True, slots=True)
class Link:
    """An address under which anybody reads one object: a secret until it expires. `ends_early`: it ends with
    the credentials that signed it, which are temporary, where these end first."""

    url: str = field(repr=False)
    ends_early: bool = False


class Repeat(Protocol):
    """Runs one step of a delivery: once, or again where it failed for a passing reason."""

    def __call__(self, step: Callable[[], _T], /) -> _T: ...


def once(step: Callable[[], _T]) -> _T:
    """The step, as it is."""
    return step()


@runtime_checkable
class DeliveringStore(Store, Protocol):
    """Methods may be called from several threads at once. A name that is none is InvalidInput."""

    def deliver(
        self, name: str, data: memoryview, *, create_only: bool = False, repeat: Repeat = once
    ) -> None:
        """Store `data`, however large. `repeat` runs each request that can be made again by itself. After a
        StoreFault the object may be there or not."""

    def delivered_size(self, name: str) -> int:
        """Bytes of what lies under the name; ObjectMissing."""

    def link(self, name: str, seconds: int) -> Link:
        """A link to what lies under the name, or is going to, for 1 to LONGEST_LINK_SECONDS seconds.
        StoreFault where the credentials cannot sign."""


def check_name(name: str) -> None:
    """InvalidInput unless an object can be handed out under this name."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"no name for an object in a bucket: {name[:60]!r}", hint=NAME_HINT)


def check_seconds(seconds: int, where: str = "") -> None:
    """InvalidInput unless a link can hold so long."""
    if not 1 <= seconds <= LONGEST_LINK_SECONDS:
        raise InvalidInput(
            "a link holds for a second at least and for 7 days at most", where=where, hint="Write 24h or 7d"
        )


def disposition(name: str) -> str:
    """What makes a browser keep the object as a file of this name."""
    return f'attachment; filename="{name}"'


def arriving(send: Callable[[], None], has_arrived: Callable[[], bool]) -> Callable[[], None]:
    """`send` as a step that can be repeated: from its second run on, what lies there is looked at first,
    since an answer may have been lost and not the object; and again where the object, or what was to become
    it, is no more as it was: what a server was still working on has come since. `send` raises what stores
    raise."""
    is_repeated = False

    def step() -> None:
        nonlocal is_repeated
        was_sent = is_repeated
        if was_sent and has_arrived():
            return
        is_repeated = True
        try:
            send()
        except (ObjectExists, ObjectMissing):
            if not (was_sent and has_arrived()):
                raise

    return step


def is_same(data: memoryview, read: Callable[[int, int], bytes], at_once: int) -> bool:
    """Whether an object of this size holds these bytes. `read`: gives so many of it from an offset on."""
    return all(
        read(start, min(at_once, data.nbytes - start)) == data[start : start + at_once]
        for start in range(0, data.nbytes, at_once)
    )
