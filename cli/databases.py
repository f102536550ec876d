"""What people say of databases: URLs that may be secrets, authorities to trust, how long locks may take."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING
from urllib.parse import quote

from cas.errors import InvalidInput

if TYPE_CHECKING:
    from cas.postgres.live.locking import LockPatience

SHORTEST_LOCK_SECONDS = 0.001
"""PostgreSQL counts milliseconds, and takes 0 for any time."""


def lock_patience(seconds: float) -> "LockPatience":
    """Short attempts that together wait about so long; 0: any time."""
    from cas.postgres.live.locking import LockPatience

    usual = LockPatience()
    if not seconds:
        return replace(usual, attempts=sys.maxsize)
    timeout = max(min(usual.timeout, seconds), SHORTEST_LOCK_SECONDS)
    return replace(usual, timeout=timeout, attempts=max(ceil(seconds / (timeout + usual.pause)), 1))


@contextmanager
def naming(origin: str) -> Iterator[None]:
    """Say where an invalid value came from; the value itself may be a secret."""
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(error.what, where=error.where or origin, hint=error.hint) from error


def with_authority(url: str, ca: str) -> str:
    """A connection URL or string that trusts this certificate authority and no server without a certificate
    of it, unless it says something else itself."""
    if not ca or "sslrootcert" in url:
        return url
    mode = "" if "sslmode" in url else "sslmode=verify-full"
    if "://" not in url:
        escaped = ca.replace("\\", "\\\\").replace("'", "\\'")
        return f"{url} sslrootcert='{escaped}' {mode}".rstrip()
    return f"{url}{'&' if '?' in url else '?'}sslrootcert={quote(ca, safe='')}{'&' if mode else ''}{mode}"
