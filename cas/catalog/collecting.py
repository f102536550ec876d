"""The port to garbage collection: one collector at a time, and the steps of a pack from live to gone.

    live ─ condemn ─► condemned ─ announce ─► condemned, announced ─ doom ─► deleting ─ deleted ─► no row
                          └─ spare ─► live          └─ spare ─► live

    no row ─ upload ─► uploading ─ replace ─► live, and in the same moment others condemned

Guarantees that an implementation gives:

1. Each method is one transaction. All that a collector changes demands its lease, by the catalog's clock:
   Fenced where it has lapsed, or somebody else collects.
2. `condemn` raises the epoch, with the epoch's row locked: a session begins before, and has the older number,
   or after, and has none of these packs in its view.
3. Nothing is ripe, and nothing is announced, while a session of an epoch before its condemnation is open, or
   a reader has a pin from before it; one whose lease is over is fenced by its row, not by the clock alone.
4. What is announced is in one journal, the next one. Writers know its number from then on.
5. Whoever takes in versions from the store ends the collector, in the same transaction, and what it had
   announced is announced no more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from cas.catalog.model import NewPack
from cas.ids import PackName


@dataclass(frozen=True, slots=True)
class Announced:
    """The journal that is about to be put, or was: its number, the packs that it names, ascending, and a
    token by which it is known from one that another catalog has put under the same number."""

    journal: int
    packs: tuple[PackName, ...]
    token: str


@dataclass(frozen=True, slots=True)
class Awaited:
    """Open sessions, and readers, that began before a pack was condemned which is not announced yet: such
    packs are deleted when they are over."""

    writers: int = 0
    readers: int = 0


class Collecting(Protocol):
    """Of one catalog. Methods may be called from several threads at once."""

    def begin(self) -> UUID:
        """Collect from now on. Conflict where somebody else does; who has fallen silent is replaced."""

    def renew(self, collector: UUID) -> None: ...

    def end(self, collector: UUID) -> None:
        """No effect where somebody else collects."""

    def condemn(self, collector: UUID, dead: Sequence[PackName], strangers: Mapping[PackName, int]) -> int:
        """In one new epoch: live packs that nothing needs, uploads of sessions and collectors that are over,
        and objects that no row knows, with their bytes. Those that have become something else meanwhile are
        left alone. Returns how many were condemned; the epoch is not raised for none."""

    def upload(self, collector: UUID, pack: NewPack) -> None:
        """A pack that is written in place of others is on its way. Conflict for a known name."""

    def replace(self, collector: UUID, fresh: Sequence[PackName], old: Sequence[PackName]) -> int:
        """These uploads of this collector are live, and those of `old` that are live are condemned in a new
        epoch. Conflict where one of `fresh` is no such upload. Returns how many were condemned."""

    def at_work(self) -> frozenset[PackName]:
        """Packs that open sessions, or who collects now, have announced, on their way or there already."""

    def condemned(self) -> Sequence[PackName]:
        """Those that are condemned and not announced, ascending."""

    def awaited(self) -> Awaited:
        """Whom condemned packs wait for now."""

    def spare(self, collector: UUID, packs: Sequence[PackName]) -> None:
        """Condemned packs live again, also those that were announced."""

    def ripe(self, collector: UUID) -> Sequence[PackName]:
        """Those that are condemned, not announced, and in the view of no open session, ascending. Whoever
        looks at the store from now on sees all that sessions have put which may know them."""

    def announce(self, collector: UUID, packs: Sequence[PackName], token: str) -> Announced | None:
        """Choose, of these, the condemned ones that no open session may know, for the next journal. None
        where there is none such. Conflict where something is announced already."""

    def announced(self) -> Announced | None:
        """What is announced, by whomever: who collects next goes on with it."""

    def doom(self, collector: UUID, journal: int) -> Sequence[PackName]:
        """The journal is in the store: what it names and was not spared is being deleted from now on, and the
        catalog knows the journal. Ascending. Conflict where another journal, or none, is announced."""

    def doomed(self) -> Sequence[PackName]:
        """Packs whose objects are to be deleted, ascending."""

    def deleted(self, collector: UUID, packs: Sequence[PackName]) -> None:
        """Their objects are gone."""
