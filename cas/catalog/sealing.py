"""The port to what is remembered of the keys of sealed stores: a copy of the newest ones.

Guarantees that an implementation gives:

1. Each method is one transaction.
2. The number of a place's keys only grows; of two who note at once, the higher number stays.
3. A replica that is removed is forgotten here, too.
"""

from dataclasses import dataclass
from typing import Protocol

PRIMARY = ""
"""The place of the repository itself; replicas have their names."""


@dataclass(frozen=True, slots=True)
class SeenKeys:
    """`object`: as it lies in the store under `keys/<number>`. It opens with one of its secrets only."""

    number: int
    object: bytes


class Sealing(Protocol):
    """Of one catalog. Methods may be called from several threads at once."""

    def seen(self, place: str) -> SeenKeys | None:
        """The newest keys of a place; None where it was never sealed, as far as is known."""

    def note(self, place: str, keys: SeenKeys) -> None:
        """They were seen there. No effect where newer ones were."""

    def forget(self, place: str) -> None:
        """Nothing is known of this place any more."""
