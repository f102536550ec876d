"""A version that is read stays: a pin in the catalog, kept alive until the reader is done."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from cas.catalog.interface import Catalog
from cas.engine.environment import Environment
from cas.errors import CasError
from cas.limits import SESSION_RENEW_SECONDS


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
