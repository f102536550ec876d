"""Keeping the lease of a restore alive while it works, and hearing of a cancellation."""

from collections.abc import Callable
from threading import Event, Thread
from types import TracebackType

from cas.errors import Cancelled, CasError, Fenced

EVERY_SECONDS = 2.0
"""How soon a cancellation is heard."""


class Renewing:
    """A thread that renews; `require` raises what it was told. A context manager."""

    def __init__(self, renew: Callable[[], None], every: float = EVERY_SECONDS) -> None:
        self._renew = renew
        self._every = every
        self._stopped = Event()
        self._lost: CasError | None = None
        self._tell: Callable[[], None] = lambda: None
        self._thread = Thread(target=self._run, name="cas-renew", daemon=True)

    def __enter__(self) -> "Renewing":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        if isinstance(error, CasError) and self._lost is not None and error is not self._lost:
            raise self._lost from error  # a cancelled statement is the consequence, not the cause

    def on_loss(self, tell: Callable[[], None]) -> None:
        """What to call, on the renewing thread, when the lease is lost or a cancellation was asked for."""
        self._tell = tell

    def require(self) -> None:
        """Raise what was learnt: Cancelled or Fenced."""
        if self._lost is not None:
            raise self._lost

    def _run(self) -> None:
        while not self._stopped.wait(self._every):
            try:
                self._renew()
            except (Cancelled, Fenced) as error:
                self._lost = error
                self._tell()
                return
            except CasError:
                continue  # the catalog does not answer: the lease lasts for a while
