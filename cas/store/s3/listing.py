"""Listings in key order from servers that have orders of their own. No I/O: pages come from a callable.

Amazon lists by the bytes of whole keys. Servers with directories inside (SeaweedFS is one) list by
name, level by level, so that `a/x` comes before `a-b` although `-` sorts before `/`. There, a
listing of more than one page is walked level by level. Within a level the two orders differ only
in where directories stand: `a/` may come before `a-b` and `a.b`, or after. So a directory waits
until the names have got past all those that could stand before it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from cas.store.interface import FaultKind, ObjectInfo, StoreFault


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to a list request: objects and directories (keys that end in a slash), in any order,
    and the token of the next page, None on the last."""

    objects: list[ObjectInfo]
    directories: list[str] = field(default_factory=list)
    more: str | None = None


class Pages(Protocol):
    """Ask for a page of keys that start with `prefix` and come after `after` in the server's order.

    flat: all objects; otherwise objects and directories of the level that `prefix` ends in.
    """

    def __call__(self, prefix: str, *, flat: bool, after: str, token: str | None) -> Page: ...


def listing(pages: Pages, prefix: str, after: str, *, bytewise: bool) -> Iterator[ObjectInfo]:
    """All objects under `prefix` with a key above `after`, ascending.

    bytewise: the server is known to list by the bytes of keys, so any number of pages can be taken
    as they come. Raises StoreFault(REFUSED) if the server's order turns out to be neither of the two.
    """
    if bytewise:
        yield from _flat(pages, prefix, after)
        return
    first = pages(prefix, flat=True, after="", token=None)
    if first.more is None:
        yield from (info for info in sorted(first.objects, key=_key) if info.key > after)
    else:
        yield from _level(pages, prefix, after)


def _key(info: ObjectInfo) -> str:
    return info.key


def _flat(pages: Pages, prefix: str, after: str) -> Iterator[ObjectInfo]:
    last = after
    for page in _all(pages, prefix, after, flat=True):
        for info in page.objects:
            if info.key <= last:
                raise _disorder(prefix)
            last = info.key
            yield info


def _level(pages: Pages, prefix: str, after: str) -> Iterator[ObjectInfo]:
    last = ""
    waiting: list[str] = []
    for page in _all(pages, prefix, _resume(prefix, after), flat=False):
        rows: dict[str, ObjectInfo | None] = dict.fromkeys((*waiting, *page.directories))
        rows.update((info.key, info) for info in page.objects)
        waiting = _waiting(rows) if page.more is not None else []
        for name in sorted(set(rows).difference(waiting)):
            if name <= last:
                raise _disorder(prefix)
            last = name
            info = rows[name]
            if info is None:
                if name > after or after.startswith(name):
                    yield from _level(pages, name, after)
            elif info.key > after:
                yield info


def _waiting(rows: dict[str, ObjectInfo | None]) -> list[str]:
    """The directories in `rows` before which a name of a later page could sort."""
    latest = max((name.removesuffix("/") for name in rows), default="")
    directories = [name.removesuffix("/") for name, info in rows.items() if info is None]
    return [
        f"{name}/" for name in directories if latest == name or latest.startswith((f"{name}-", f"{name}."))
    ]


def _all(pages: Pages, prefix: str, after: str, *, flat: bool) -> Iterator[Page]:
    page = pages(prefix, flat=flat, after=after, token=None)
    yield page
    while page.more is not None:
        token = page.more
        page = pages(prefix, flat=flat, after=after, token=token)
        if page.more == token:
            raise StoreFault("a listing does not get ahead", fault=FaultKind.REFUSED, where=prefix)
        yield page


def _resume(prefix: str, after: str) -> str:
    """A point from which the level `prefix` can be listed without losing a key above `after`.

    It must be right in both orders. Cut before the first character that sorts before the slash,
    and one earlier: no directory up to there holds a key above `after` in either order.
    """
    if not after.startswith(prefix):
        return ""
    name = after[len(prefix) :].split("/", 1)[0]
    plain = name.split("-", 1)[0].split(".", 1)[0]
    return prefix + plain[:-1] if len(plain) > 1 else ""


def _disorder(prefix: str) -> StoreFault:
    return StoreFault(
        "the store does not list its objects in key order",
        fault=FaultKind.REFUSED,
        where=prefix,
        hint="Use a general purpose bucket; S3 directory buckets have no order",
    )
