"""Listings in key order from a library that knows directories only. No I/O: rows come from a callable.

obstore lists below a directory, never from the middle of a name, and leaves to the server where to begin.
Not every server does that (Azurite ignores it), and Azure's begins with the key itself. So what comes is
looked through here: whatever the server makes of the two, just what was asked for is listed, in order.

obstore also drops the slash at the end of the empty objects that consoles make for "folders", so `a/` comes
as `a`, out of order. An empty object is asked for by its name before it is listed: they are rare.
"""

from collections.abc import Callable, Iterator
from datetime import datetime

from cas.store.interface import FaultKind, ObjectInfo, StoreFault
from cas.store.keys import is_key

Rows = Callable[[str, str], Iterator[tuple[str, int, datetime]]]
"""Path, size and time of all objects below a directory (its name, without a slash at the end; empty: the
bucket), from after a path (empty: from the start) or from any earlier one."""


def listing(
    rows: Rows, root: str, prefix: str, after: str, *, is_there: Callable[[str], bool]
) -> Iterator[ObjectInfo]:
    """All objects of ours under `root + prefix` with a key above `after`, ascending; keys are below `root`.

    is_there: whether an object has just this key. Raises StoreFault(REFUSED) if the server's order is not
    that of the keys' bytes.
    """
    if after > prefix and not after.startswith(prefix):
        return
    wanted = root + prefix
    directory = wanted.rpartition("/")[0]
    last = ""
    for path, size, modified in rows(directory, _start(root, wanted, after)):
        if path <= last:
            if not size:
                continue  # a folder, whose slash would have stood behind what came before it
            raise _disorder(wanted)
        last = path
        if not path.startswith(wanted):
            if path > wanted and size:
                return
            continue
        key = path[len(root) :]
        if key > after and is_key(key) and (size or is_there(key)):
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
        hint="Remove objects whose names end in a slash; use a place without a hierarchical namespace",
    )
