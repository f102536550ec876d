"""The claim on a platform, renewed beside the work: a version may take longer than a claim lasts, and whoever
else watches must not begin the same one meanwhile."""

from contextlib import suppress

from cas.catalog.auto_save_model import Claim
from cas.catalog.auto_saving import AutoSaving
from cas.engine.heartbeat import Heartbeat
from cas.errors import CasError
from cas.records.changes import PlatformName

BEATS = 3
"""Renewals within the time of a claim: two may fail."""

PATIENCE_SECONDS = 5.0
"""How long a renewal that is under way is waited for at the end, where the catalog does not answer."""


class Holding:
    """What one watcher holds. `beats`: renewed by a thread; without, by `take` alone."""

    def __init__(self, saving: AutoSaving, holder: str, seconds: float, *, beats: bool) -> None:
        self._saving = saving
        self._holder = holder
        self._seconds = seconds
        self._beats = beats
        self._platform: PlatformName | None = None
        self._heartbeat: Heartbeat | None = None

    def take(self, platform: PlatformName) -> Claim | None:
        """Hold it, or go on to; None. Else who does."""
        claim = self._saving.claim(platform, self._holder, self._seconds)
        if claim is not None:
            self.pause()
            self._platform = None
            return claim
        self._platform = platform
        if self._beats and self._heartbeat is None:
            self._heartbeat = Heartbeat(lambda: self._renew(platform), self._seconds / BEATS)
            self._heartbeat.start()
        return None

    def pause(self) -> None:
        """Let it run out, unless it is taken again before."""
        if self._heartbeat is not None:
            self._heartbeat.stop(PATIENCE_SECONDS)
            self._heartbeat = None

    def release(self) -> None:
        """Let somebody else have it at once; where the catalog does not answer, when it has run out."""
        self.pause()
        platform, self._platform = self._platform, None
        if platform is not None:
            with suppress(CasError):
                self._saving.release(platform, self._holder)

    def _renew(self, platform: PlatformName) -> None:
        self._saving.claim(platform, self._holder, self._seconds)
