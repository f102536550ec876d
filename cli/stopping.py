"""Ctrl-C and SIGTERM: the first ends the work in good order, the third ends it at once."""

import signal
from time import monotonic
from types import FrameType

from cli.exit_codes import ExitCode

_SIGNALS = {
    signal.SIGINT: ("stopped by Ctrl-C", ExitCode.INTERRUPTED),
    signal.SIGTERM: ("stopped by SIGTERM", ExitCode.TERMINATED),
}

MOST = 3
"""Signals after which the program ends without tidying up. What it leaves behind is listed as failed
when its lease has run out."""

IMPATIENCE_SECONDS = 2.0
"""A second signal within this time is a finger that was too long on the key: tidying up goes on."""


class Stopped(KeyboardInterrupt):
    """Somebody wants us to end. Its text is kept as the reason of a version that did not come to be."""

    def __init__(self, what: str, exit_code: ExitCode) -> None:
        super().__init__(what)
        self.exit_code = exit_code


class Stopping:
    """The handler of both signals."""

    def __init__(self) -> None:
        self._count = 0
        self._last = 0.0

    def install(self) -> None:
        for number in _SIGNALS:
            signal.signal(number, self.heard)

    def heard(self, number: int, frame: FrameType | None) -> None:
        """A signal came. Raises Stopped, in the main thread, wherever it is at work."""
        del frame
        self._count += 1
        since, self._last = monotonic() - self._last, monotonic()
        if self._count >= MOST:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        if self._count == 1 or since > IMPATIENCE_SECONDS:
            raise Stopped(*_SIGNALS[signal.Signals(number)])
