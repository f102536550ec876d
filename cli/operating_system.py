"""What the operating system refuses, as our errors."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cas.errors import CasError, InsufficientSpace, PermissionDenied

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)


def fault_of_files(error: OSError, *, where: str = "", hint: str = "") -> CasError:
    """The error that this one means."""
    place = str(error.filename or where)
    words = (error.strerror or str(error)).lower()
    if error.errno in _NO_ROOM:
        return InsufficientSpace("the disk is full", where=place, hint="Free some space and run again")
    if error.errno in _NO_RIGHT:
        return PermissionDenied(words, where=place, hint=hint or "Correct the rights, or run as another user")
    return CasError(f"the operating system refused: {words}", where=place, hint=hint)


@contextmanager
def faults_of_files(place: Path, *, hint: str = "") -> Iterator[None]:
    """Raise OSErrors of the block as ours."""
    try:
        yield
    except OSError as error:
        raise fault_of_files(error, where=str(place), hint=hint) from error
