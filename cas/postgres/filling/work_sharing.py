"""Units of work that several threads share, where some must not run at the same time.

A unit claims names (of tables), shared or exclusively, as the statements in it lock them. Handing
out only what can run at once keeps a thread from idling on another one's lock, and the server
from resolving deadlocks that we could foresee.
"""

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cas.postgres.filling.schema_steps import Name

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a unit locks while it runs."""

    shared: frozenset[Name] = frozenset()
    exclusive: frozenset[Name] = frozenset()


class WorkList(Generic[T]):
    """Hands out units in order, passing over those whose claims meet the claims of running ones."""

    def __init__(self, units: Iterable[tuple[T, Claim]]) -> None:
        self._waiting = list(units)
        self._running: list[tuple[T, Claim]] = []
        self._shared: Counter[Name] = Counter()
        self._exclusive: set[Name] = set()
        self._changed = threading.Condition()
        self._stopped = False

    @property
    def is_stopped(self) -> bool:
        return self._stopped

    def take(self) -> tuple[T, Claim] | None:
        """The next unit that can run, waiting for one; None when all have finished, or after `stop`."""
        with self._changed:
            while not self._stopped and (self._waiting or self._running):
                for place, (unit, claim) in enumerate(self._waiting):
                    if self._is_free(claim):
                        del self._waiting[place]
                        self._hold(unit, claim)
                        return unit, claim
                self._changed.wait()
            return None

    def finish(self, unit: T, claim: Claim, *, rest: T | None = None) -> None:
        """Give back what the unit claimed; `rest` is queued under the same claim."""
        with self._changed:
            self._running = [other for other in self._running if other[0] is not unit]
            self._shared.subtract(claim.shared)
            self._exclusive -= claim.exclusive
            if rest is not None:
                self._waiting.append((rest, claim))
            self._changed.notify_all()

    def stop(self) -> None:
        """Hand out nothing more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _is_free(self, claim: Claim) -> bool:
        if self._exclusive & (claim.shared | claim.exclusive):
            return False
        return not any(self._shared[name] for name in claim.exclusive)

    def _hold(self, unit: T, claim: Claim) -> None:
        self._running.append((unit, claim))
        self._shared.update(claim.shared)
        self._exclusive |= claim.exclusive
