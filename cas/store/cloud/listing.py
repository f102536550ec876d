"""Listings in key order from a provider that knows directories only. No I/O: rows come from a callable.

obstore lists below a directory, never from the middle of a name, and leaves to the server where to begin.
Not every server does that (Azurite ignores it), and Azure's begins with the key itself. So what comes is
looked through here: whatever the server makes of the two, just what was asked for is listed, in order.
"""

from collections.abc import Callable, Iterator
from datetime import datetime

from cas.store.interface import FaultKind, ObjectInfo, StoreFault
from cas.store.keys import is_key

Rows = Callable[[str, str], Iterator[tuple[str, int, datetime]]]
"""Path, size and time of all objects below a directory (its name, without a slash at the end; empty: the
bucket), from after a path (empty: from the start) or from any earlier one."""


def listing(rows: Rows, root: str, prefix: str, after: str) -> Iterator[ObjectInfo]:
    """All objects of ours under `root + prefix` with a key above `after`, ascending; keys are below `root`.

    Raises StoreFault(REFUSED) if the server's order is not that of the keys' bytes.
    """
    if after > prefix and not after.startswith(prefix):
        return
    wanted = root + prefix
    directory = wanted.rpartition("/")[0]
    last = ""
    for path, size, modified in rows(directory, _start(root, wanted, after)):
        if path <= last:
            raise _disorder(wanted)
        last = path
        if path > wanted and not path.startswith(wanted):
            return
        key = path[len(root) :]
        if path.startswith(wanted) and key > after and is_key(key):
            yield ObjectInfo(key, size, modified.timestamp())


def _start(root: str, wanted: str, after: str) -> str:
    """A path that comes before everything that is wanted: `after`, or else the prefix without its last
    letter, so that what lies before it in a large directory is not listed."""
    later = after.rstrip("/")
    if root + after > wanted:
        return root + later if is_key(later) else ""
    earlier = wanted[:-1]
    return earlier if is_key(earlier[len(root) :]) else ""


def _disorder(where: str) -> StoreFault:
    return StoreFault(
        "the store does not list its objects in key order",
        fault=FaultKind.REFUSED,
        where=where,
        hint="Use a bucket or container without a hierarchical namespace",
    )
