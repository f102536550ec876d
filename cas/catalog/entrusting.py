"""The port to credentials of stores that were entrusted to the catalog, sealed.

Guarantees that an implementation gives:

1. Each method is one transaction: of two who entrust at once the later ones stay, whole.
2. Nothing is opened here: what is kept says nothing to whoever reads it, or a copy of the catalog.
3. What is too large to be any is CorruptData, and is not read.

Who can write to the catalog can take them away, or put earlier ones of the same store back; what he moves to
another store does not open (cas/sealing/store_credentials.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cas.errors import CorruptData, InvalidInput
from cas.format.malformed import over_limit

MAX_SEALED_BYTES = 1 << 18
"""Credentials have some thousand bytes, and slots some hundred. There is room for seven commands that make
the longest keys."""


@dataclass(frozen=True, slots=True)
class EntrustedPrimary:
    """What must be known before the repository's own store is open. `repository_id`: whose catalog it is,
    true or not."""

    repository_id: str
    sealed: bytes


class Entrusting(Protocol):
    """Of one catalog. A place is empty for the repository itself, else the name of a replica. Methods may be
    called from several threads at once."""

    def primary(self) -> EntrustedPrimary | None:
        """Of the repository's own store. Before `attach`, too: None in a catalog that is empty or older."""

    def places(self) -> Sequence[str]:
        """Of which stores there are some, ascending. Before `attach`, too."""

    def entrusted(self, place: str) -> bytes | None:
        """The sealed credentials of a place; None where there are none."""

    def entrust(self, place: str, sealed: bytes) -> None:
        """Instead of earlier ones. InvalidInput where they are too large."""

    def forget(self, place: str) -> bool:
        """Whether there were any."""


def check_size(sealed: bytes) -> None:
    if not 0 < len(sealed) <= MAX_SEALED_BYTES:
        raise InvalidInput(
            f"{len(sealed):,} bytes of sealed credentials are too many", hint="Seal them with fewer keys"
        )


def too_large(place: str, size: int) -> CorruptData:
    return over_limit(f"sealed credentials of {size:,} bytes", place or "of the repository itself")
