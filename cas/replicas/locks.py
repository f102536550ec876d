"""Keeping what lives on a replica locked: never less than `lock_days` are left, and 2 `lock_days` at most.

    put        locks for twice `lock_days`
    extend     all that was there before, but for what was let go   (crash: the next run does it again)
    locked     catalog: when                                        (it is due again in `lock_days`)

Everything is extended together once in `lock_days`, so no lock need be asked for: what was put later than the
last time is locked for longer than that. What was let go is not extended, and its lock runs out. So
forgetting, with whatever rules and for whoever's sake, does not shorten what a lock has promised.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from cas.catalog.replica_model import Replica
from cas.progress import Progress
from cas.store.interface import ObjectMissing
from cas.store.locking import LockingStore

RENEWED_EVERY = 500
"""Extensions between two looks at the lease."""


@dataclass(frozen=True, slots=True)
class Locks:
    """Of one run. `started`: when it began."""

    store: LockingStore
    days: timedelta
    started: datetime
    is_due: bool

    @classmethod
    def of(cls, replica: Replica, store: LockingStore, started: datetime) -> "Locks":
        days = timedelta(days=store.lock_days)
        is_due = replica.locked_at is None or started >= replica.locked_at + days
        return cls(store, days, started, is_due)

    def extend(self, keys: Iterable[str], renew: Callable[[], None], progress: Progress) -> int:
        """How many. As the store raises."""
        progress.phase("lock")
        until = self.started + 2 * self.days
        count = 0
        for count, key in enumerate(keys, 1):
            with suppress(ObjectMissing):  # the next run puts it again
                self.store.extend(key, until)
            if count % RENEWED_EVERY == 0:
                renew()
        return count
