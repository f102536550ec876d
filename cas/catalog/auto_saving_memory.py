"""What auto-save remembers, in memory. Guarantees: cas/catalog/auto_saving.py."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta

from cas.catalog import auto_save_rules
from cas.catalog.auto_save_model import Claim, Policy, PolicyKind, Watched
from cas.catalog.rules import MAX_WORD, check_text
from cas.records.changes import PlatformName


@dataclass(slots=True)
class _Watch:
    holder: str
    until: datetime
    watched: Watched | None = None


class MemoryAutoSaving:
    """Of a `MemoryCatalog`, whose clock and lock it shares: each method is a transaction."""

    def __init__(self, now: Callable[[], datetime], lock: AbstractContextManager[object]) -> None:
        self._now = now
        self._lock = lock
        self._policies: dict[PolicyKind, Policy] = {}
        self._watches: dict[PlatformName, _Watch] = {}

    def policies(self) -> Sequence[Policy]:
        with self._lock:
            return auto_save_rules.in_order(list(self._policies.values()))

    def set_policies(self, policies: Sequence[Policy], *, set_by: str) -> None:
        auto_save_rules.check_policies(policies, set_by)
        with self._lock:
            self._policies |= {policy.kind: policy for policy in policies}

    def drop_policies(self, kinds: Sequence[PolicyKind]) -> Sequence[PolicyKind]:
        with self._lock:
            return [kind for kind in PolicyKind if kind in kinds and self._drop(kind)]

    def _drop(self, kind: PolicyKind) -> bool:
        return self._policies.pop(kind, None) is not None

    def claim(self, platform: PlatformName, holder: str, seconds: float) -> Claim | None:
        check_text("holder", holder, MAX_WORD)
        with self._lock:
            now = self._now()
            watch = self._watches.get(platform)
            if watch is not None and watch.holder != holder and watch.until > now:
                return Claim(watch.holder, watch.until)
            kept = watch.watched if watch else None
            self._watches[platform] = _Watch(holder, now + timedelta(seconds=seconds), kept)
            return None

    def release(self, platform: PlatformName, holder: str) -> None:
        with self._lock:
            watch = self._watches.get(platform)
            if watch is not None and watch.holder == holder:
                watch.until = self._now()

    def watched(self, platform: PlatformName) -> Watched | None:
        with self._lock:
            watch = self._watches.get(platform)
            return watch.watched if watch else None

    def keep(self, platform: PlatformName, holder: str, watched: Watched) -> None:
        with self._lock:
            watch = self._watches.get(platform)
            if watch is None or watch.holder != holder:
                raise auto_save_rules.taken_over()
            watch.watched = watched
