"""What the engine takes from the world besides stores and databases: time, chance, and threads."""

import os
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from cas.engine.heartbeat import Heartbeat
from cas.engine.inline import InlineExecutor


@dataclass(frozen=True, slots=True)
class Environment:
    """`threads`: work goes on beside the caller, and leases are renewed meanwhile. Without, everything is
    done by the caller in an order that is always the same, and nobody renews a lease: for a simulation."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    entropy: Callable[[int], bytes] = os.urandom
    threads: bool = True

    def executor(self, workers: int, name: str) -> Executor:
        """Who does what is not done by the caller itself, so many at once; threads have this name."""
        return ThreadPoolExecutor(workers, thread_name_prefix=name) if self.threads else InlineExecutor()

    def heartbeat(self, renew: Callable[[], None], seconds: float) -> Heartbeat:
        """Renews a lease every so many seconds, until it is stopped."""
        beat = Heartbeat(renew, seconds)
        if self.threads:
            beat.start()
        return beat
