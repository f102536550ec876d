"""What cleaning up has done, in memory. Guarantees: cas/catalog/cleaning.py."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from cas.catalog.cleaning import Cleanup, CleanupKind, CleanupOutcome, CleanupResult
from cas.catalog.memory_rows import MemoryRows
from cas.catalog.rules import clean


class MemoryCleaning:
    """On the rows of a `MemoryCatalog`."""

    def __init__(self, rows: MemoryRows, demand_attached: Callable[[], None]) -> None:
        self._rows = rows
        self._demand_attached = demand_attached
        self._last: dict[CleanupKind, Cleanup] = {}
        self._runs: dict[CleanupKind, UUID] = {}

    def begin(self, kind: CleanupKind) -> UUID:
        with self._rows.lock:
            self._demand_attached()
            self._runs[kind] = self._rows.new_id()
            now = self._rows.now()
            known = self._last.get(kind, Cleanup(kind, now))
            self._last[kind] = replace(known, started_at=now, ended_at=None)
            return self._runs[kind]

    def end(self, run: UUID, result: CleanupResult) -> None:
        with self._rows.lock:
            self._demand_attached()
            for kind, known in self._last.items():
                if self._runs[kind] == run and known.ended_at is None:
                    now = self._rows.now()
                    is_complete = result.outcome is CleanupOutcome.COMPLETE
                    self._last[kind] = replace(
                        known,
                        ended_at=now,
                        succeeded_at=now if is_complete else known.succeeded_at,
                        result=replace(result, text=clean(result.text)),
                    )

    def rebuilt_at(self) -> datetime | None:
        with self._rows.lock:
            return self._rows.rebuilt_at

    def confirm(self, rebuilt_at: datetime) -> bool:
        with self._rows.lock:
            self._demand_attached()
            is_that = self._rows.rebuilt_at == rebuilt_at
            if is_that:
                self._rows.rebuilt_at = None
            return is_that

    def last(self) -> Mapping[CleanupKind, Cleanup]:
        with self._rows.lock:
            return dict(self._last)
