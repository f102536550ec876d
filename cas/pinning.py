"""What is read stays: a pin in the catalog, kept alive until the reader is done.

A pinned version is let go by nobody, and no pack is deleted that was condemned after the pin was made.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from cas.catalog.interface import Catalog
from cas.catalog.model import VersionFilter
from cas.catalog.rules import COMMITTED
from cas.engine.environment import Environment
from cas.errors import CasError, Conflict, NotFound
from cas.limits import SESSION_RENEW_SECONDS

ATTEMPTS = 5
"""How often the newest version may be forgotten between two calls."""


@contextmanager
def pinned(environment: Environment, catalog: Catalog, version: int, purpose: str) -> Iterator[None]:
    """NotFound or Conflict where it is not complete or incomplete, or was forgotten."""
    pin = catalog.keeping.pin(version, purpose)
    beat = environment.heartbeat(lambda: catalog.keeping.renew_pin(pin), SESSION_RENEW_SECONDS)
    try:
        yield
    finally:
        beat.stop()
        with suppress(CasError):  # its lease ends by itself
            catalog.keeping.unpin(pin)


@contextmanager
def holding(environment: Environment, catalog: Catalog, purpose: str) -> Iterator[None]:
    """For who reads all versions: packs stay where they are, whatever is written again meanwhile. Nothing is
    held where there is no version."""
    with ExitStack() as stack:
        for _ in range(ATTEMPTS):
            newest = catalog.versions(VersionFilter(COMMITTED, limit=1))
            if not newest:
                break
            with suppress(NotFound, Conflict):  # it was forgotten just now
                stack.enter_context(pinned(environment, catalog, newest[0].number, purpose))
                break
        yield
