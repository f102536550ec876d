"""Credentials that were entrusted to a catalog in memory. Guarantees: cas/catalog/entrusting.py."""

from collections.abc import Callable, Sequence

from cas.catalog.entrusting import EntrustedPrimary, check_size
from cas.catalog.memory_rows import MemoryRows
from cas.catalog.sealing import PRIMARY


class MemoryEntrusting:
    """On the rows of a `MemoryCatalog`."""

    def __init__(
        self, rows: MemoryRows, demand_attached: Callable[[], None], repository_id: Callable[[], str | None]
    ) -> None:
        self._rows = rows
        self._demand_attached = demand_attached
        self._repository_id = repository_id
        self._sealed: dict[str, bytes] = {}

    def primary(self) -> EntrustedPrimary | None:
        with self._rows.lock:
            sealed, repository_id = self._sealed.get(PRIMARY), self._repository_id()
            return EntrustedPrimary(repository_id, sealed) if sealed and repository_id else None

    def places(self) -> Sequence[str]:
        with self._rows.lock:
            return sorted(self._sealed)

    def entrusted(self, place: str) -> bytes | None:
        with self._rows.lock:
            return self._sealed.get(place)

    def entrust(self, place: str, sealed: bytes) -> None:
        check_size(sealed)
        with self._rows.lock:
            self._demand_attached()
            self._sealed[place] = sealed

    def forget(self, place: str) -> bool:
        with self._rows.lock:
            self._demand_attached()
            return self._sealed.pop(place, None) is not None
