"""What is remembered of the keys of sealed stores, in memory. Guarantees: cas/catalog/sealing.py."""

from collections.abc import Callable

from cas.catalog.memory_rows import MemoryRows
from cas.catalog.sealing import SeenKeys


class MemorySealing:
    """On the rows of a `MemoryCatalog`."""

    def __init__(self, rows: MemoryRows, demand_attached: Callable[[], None]) -> None:
        self._rows = rows
        self._demand_attached = demand_attached
        self._seen: dict[str, SeenKeys] = {}

    def seen(self, place: str) -> SeenKeys | None:
        with self._rows.lock:
            return self._seen.get(place)

    def note(self, place: str, keys: SeenKeys) -> None:
        with self._rows.lock:
            self._demand_attached()
            known = self._seen.get(place)
            if known is None or known.number < keys.number:
                self._seen[place] = keys

    def forget(self, place: str) -> None:
        with self._rows.lock:
            self._demand_attached()
            self._seen.pop(place, None)
