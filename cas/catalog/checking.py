"""The port to what checks have found: of each pack and of each version, when, how deep, and what is wrong.

Guarantees that an implementation gives:

1. Each method is one transaction. Runs may overlap each other, writers, forgetting and collecting: whatever
   the order in which results arrive, what began later counts, and of two that began at once the bad news.
2. Times are given by who looks, from the catalog's clock before it began: so what is called good at a moment
   was good then or later, and never only before.
3. What is said of packs that the catalog does not know or that are being deleted, and of versions that are
   not complete or incomplete, is passed over. Deleted packs and versions that are gone leave nothing.
4. Damage of a pack ends when it was read whole later and found good. Damage of a version ends when a later
   look at least as deep found it whole, or when its trees were walked and its packs were all read later.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from cas.ids import PackName


class CheckLevel(StrEnum):
    """How deep a check goes; each includes the ones before."""

    STRUCTURE = "structure"
    PACKS = "packs"
    BYTES = "bytes"


class CheckState(StrEnum):
    """What is known of a version. Valid: all its trees were walked and all its packs read whole, each at some
    time, and nothing is known to be wrong. Only a look at everything at once says it of one moment."""

    VALID = "valid"
    DAMAGED = "damaged"
    UNCHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class PackFound:
    """What a look at a pack has found. `level`: structure where the pack itself was not looked at, and damage
    was met on the way; packs: its trailer; bytes: all of it. `damage` is empty where nothing is wrong."""

    name: PackName
    level: CheckLevel
    damage: str = ""


@dataclass(frozen=True, slots=True)
class VersionFound:
    """What a look at a version has found. `damage` is empty where it is whole, be it by copies elsewhere.

    packs: those that it needs, None where that was not found out. stands: packs that were known to be damaged
    when it was found whole, all the same; None where nothing was known of packs. is_read_back: only what it
    added was looked at.
    """

    number: int
    level: CheckLevel
    damage: str = ""
    packs: frozenset[PackName] | None = None
    stands: frozenset[PackName] | None = None
    is_read_back: bool = False


@dataclass(frozen=True, slots=True)
class PackCheck:
    """What is known of a pack. `made_at`: when it was registered or taken in; its writer had decoded it
    then. `trailer_at`, `bytes_at`: when its trailer, or all of it, was last read; None for never."""

    name: PackName
    made_at: datetime
    trailer_at: datetime | None = None
    bytes_at: datetime | None = None
    damage: str = ""
    damage_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class VersionCheck:
    """What is known of a complete or incomplete version.

    structure_at: when its trees were last walked. bytes_at: when the pack was read that, of those that it
    needs, was read whole the longest ago; None where one never was, or where nobody knows which they are.
    read_back_at: when what it added was read again after its commit. packs, packs_read: how many it needs,
    and how many of these were ever read whole; None where not known. damage: empty where none is known.
    """

    number: int
    state: CheckState
    structure_at: datetime | None
    bytes_at: datetime | None
    read_back_at: datetime | None
    packs: int | None
    packs_read: int | None
    damage: str


class Walked(NamedTuple):
    """When a version was taken, and when its trees were last walked; None for never. `is_damaged`: something
    was found wrong with it, not counting what is wrong with its packs."""

    made_at: datetime
    structure_at: datetime | None
    is_damaged: bool = False


class Checking(Protocol):
    """Of one catalog. Methods may be called from several threads at once."""

    def keep_packs(self, at: datetime, found: Sequence[PackFound]) -> None:
        """Looks that began at this moment; one for each pack."""

    def keep_versions(self, at: datetime, found: Sequence[VersionFound]) -> None:
        """The same of versions. Packs that a version needs are kept where the catalog knows them all."""

    def packs(self) -> Sequence[PackCheck]:
        """Of all packs but those that are being deleted, ascending."""

    def walked(self) -> Mapping[int, Walked]:
        """Of all complete and incomplete versions."""

    def versions(self, numbers: Collection[int]) -> Mapping[int, VersionCheck]:
        """Of those among these that are complete or incomplete."""

    def written_off(self) -> frozenset[PackName]:
        """Packs that are condemned and known to be damaged: others stand in for what was left of them, and
        what only they would hold is lost. Whatever their trailers say, they hold nothing."""

    def damaged(self) -> frozenset[PackName]:
        """Packs that are known to be damaged, in whatever state."""

    def needing(self, packs: Collection[PackName]) -> Sequence[int]:
        """Complete and incomplete versions that are known to need one of these packs, ascending."""
