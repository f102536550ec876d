"""What long work tells whoever watches. Counters are real: records and bytes that were handled."""

from typing import Protocol


class Progress(Protocol):
    """Calls may come from several threads; they return at once and raise nothing."""

    def phase(self, name: str) -> None:
        """A new step begins: 'connect', 'read', 'schema', 'store', 'commit', ..."""

    def entity(self, label: str, records: int, payload_bytes: int) -> None:
        """An entity begins; the expected records and bytes (estimates; 0 is unknown)."""

    def advance(self, label: str, records: int, payload_bytes: int) -> None:
        """So many more records of this entity were handled."""

    def stored(self, stored_bytes: int) -> None:
        """So many more bytes are durable in the store."""


class Silent:
    """Watches nothing."""

    def phase(self, name: str) -> None:
        """Nothing."""

    def entity(self, label: str, records: int, payload_bytes: int) -> None:
        """Nothing."""

    def advance(self, label: str, records: int, payload_bytes: int) -> None:
        """Nothing."""

    def stored(self, stored_bytes: int) -> None:
        """Nothing."""
