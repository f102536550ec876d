"""From the operating system's error numbers to what a store says. One table, for the local store."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from cas.store.interface import FaultKind, StoreFault

_KINDS = {
    errno.ENOSPC: FaultKind.FULL,
    errno.EDQUOT: FaultKind.FULL,
    errno.EFBIG: FaultKind.FULL,
    errno.EACCES: FaultKind.DENIED,
    errno.EPERM: FaultKind.DENIED,
    errno.EROFS: FaultKind.DENIED,
    errno.ENOENT: FaultKind.UNREACHABLE,
    errno.ENOTDIR: FaultKind.UNREACHABLE,
    errno.ENODEV: FaultKind.UNREACHABLE,
    errno.ENXIO: FaultKind.UNREACHABLE,
    errno.ENOTCONN: FaultKind.UNREACHABLE,
    errno.EAGAIN: FaultKind.TRANSIENT,
    errno.EBUSY: FaultKind.TRANSIENT,
    errno.ETIMEDOUT: FaultKind.TRANSIENT,
    errno.ESTALE: FaultKind.TRANSIENT,
    errno.EMFILE: FaultKind.TRANSIENT,
    errno.ENFILE: FaultKind.TRANSIENT,
}
"""Everything else is REFUSED. EIO among it: after a failed fsync the kernel forgets the dirty pages,
and a second fsync would report success for data that never reached the disk."""

_HINTS = {
    FaultKind.FULL: "Free some space, or move the store to a larger disk",
    FaultKind.DENIED: "Give this user read and write access to the directory",
    FaultKind.UNREACHABLE: "Check that the directory exists and its disk is mounted",
    FaultKind.REFUSED: "Look for disk errors in the kernel's log",
}


def fault(error: OSError, where: str) -> StoreFault:
    """The StoreFault for `error`, which happened at the path `where`."""
    kind = _KINDS.get(error.errno or 0, FaultKind.REFUSED)
    reason = os.strerror(error.errno) if error.errno else type(error).__name__
    return StoreFault(f"the file system said: {reason}", fault=kind, where=where, hint=_HINTS.get(kind, ""))


@contextmanager
def faults(where: str) -> Iterator[None]:
    """Within, every OSError leaves as StoreFault about `where`."""
    try:
        yield
    except OSError as error:
        raise fault(error, where) from error
