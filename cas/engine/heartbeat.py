"""Keeping a lease alive while work goes on."""

from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread

from cas.errors import CasError


class Heartbeat:
    """Renews a lease now and then on a thread of its own, until stopped or fenced."""

    def __init__(self, renew: Callable[[], None], seconds: float) -> None:
        """seconds: between two renewals."""
        self._renew = renew
        self._seconds = seconds
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="cas-lease", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            # A renewal that fails is repeated at the next beat; register_pack and commit decide.
            with suppress(CasError):
                self._renew()

    def stop(self, patience: float | None = None) -> None:
        """Wait for a renewal that is under way, at most so many seconds; None: to its end."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(patience)
