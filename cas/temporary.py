"""Temporary files, and what it means when they cannot be written."""

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from cas.errors import CasError, InsufficientSpace, PermissionDenied

_FULL = (errno.ENOSPC, errno.EDQUOT)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def temporary_faults() -> Iterator[None]:
    """Around what writes temporary files: the system's refusals as our errors."""
    try:
        yield
    except OSError as error:
        raise _fault(error) from error


def _fault(error: OSError) -> CasError:
    where = str(error.filename or tempfile.tempdir or "TMPDIR")
    hint = "Let TMPDIR name a directory on a file system with more room"
    if error.errno in _FULL:
        return InsufficientSpace("no room for temporary files", where=where, hint=hint)
    if error.errno in _DENIED:
        return PermissionDenied("temporary files may not be written", where=where, hint=hint)
    return CasError(f"temporary files cannot be written: {error.strerror or error}", where=where, hint=hint)
