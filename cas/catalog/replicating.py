"""The port to replication: which replicas there are, who copies to them, and which versions they hold.

    (none) ─ copied ─► copied ─ forgotten ─► forgotten

Guarantees that an implementation gives:

1. Each method is one transaction. One run at a time works on a replica; all that it changes demands its
   lease, by the catalog's clock: Fenced where it has lapsed, or another run has begun.
2. `copied` takes only versions that are committed at that moment, and not forgotten on the replica. So what
   they need was in packs that could live when the caller last asked for `packs`.
3. What was forgotten on a replica is never copied there again. So a run that was silent for too long, and
   deletes a document late, deletes none that anybody believes in.
4. `packs` has every pack that any committed version may need: live ones, and condemned ones, since a session
   that began before the condemnation may have used them. `may_live` has also those on their way. A pack that
   is in neither is being deleted or is gone, and never lives again.
5. Where a version is, and whether it is partial, is never stored: it follows from its destinations, which
   are known before it is committed, and from what counts as copied.
6. `remove` decides about only copies with all others kept out who forget, remove or switch off: of two stores
   with the last copies of a version one stays.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from cas.catalog.replica_model import NewReplica, Placement, Replica, RunResult
from cas.ids import PackName


class Replicating(Protocol):
    """Of one catalog. Methods may be called from several threads at once."""

    def add(self, new: NewReplica) -> None:
        """Conflict where the name or the URL is taken; InvalidInput for what cannot be kept."""

    def change(self, name: str, *, mirror: bool | None = None, enabled: bool | None = None) -> Replica:
        """Those that are given; the replica as it is then. NotFound."""

    def only_copies(self, name: str) -> Sequence[int]:
        """Versions that this replica holds, and neither the primary nor another enabled one, ascending.
        NotFound."""

    def remove(self, name: str, *, lost: bool = False) -> Sequence[int]:
        """Know it no more, nor that it is a destination. Returns its only copies, which go with it. NotFound;
        Conflict while a run is at work, and where it has only copies, unless it is `lost` with them."""

    def replicas(self) -> Sequence[Replica]:
        """By name."""

    def replica(self, name: str) -> Replica:
        """NotFound."""

    def begin(self, name: str) -> UUID:
        """A run on this replica. NotFound; Conflict where another one is at work; who has fallen silent is
        replaced."""

    def renew(self, run: UUID) -> None: ...

    def end(self, run: UUID, result: RunResult) -> None: ...

    def abandon(self, run: UUID, text: str) -> None:
        """The run was broken off, in words why. No effect where it is over, or another one has begun."""

    def held(self, name: str) -> Mapping[int, datetime | None]:
        """Versions that were copied, and since when they are forgotten there: None where not. NotFound."""

    def copied(self, run: UUID, numbers: Sequence[int]) -> Sequence[int]:
        """Their documents, and all that they need, are on the replica. Returns those that count as copied
        now, ascending: the others are no longer committed, or forgotten there."""

    def forgotten(self, run: UUID, numbers: Sequence[int]) -> None:
        """The replica wants them no more: from now on their documents may be deleted there. Those that are
        not copied are passed over."""

    def waive(self, run: UUID, numbers: Sequence[int]) -> None:
        """By its rules the replica does not want these: it is a destination of theirs no more."""

    def placements(self, numbers: Sequence[int]) -> Mapping[int, Placement]:
        """Where these versions are; those that are not known are passed over."""

    def owed(self) -> Mapping[str, Sequence[int]]:
        """What each replica lacks though it is a destination, ascending. Those that lack nothing are passed
        over."""

    def packs(self) -> Mapping[PackName, int]:
        """Live and condemned packs, with their stored bytes; 0 or 1: not known."""

    def may_live(self) -> frozenset[PackName]:
        """Packs that live, or may yet."""

    def locked(self, run: UUID, at: datetime) -> None:
        """All that lives on the replica is locked for the whole time from `at` on."""

    def verified(self, name: str, level: str, *, is_clean: bool) -> None:
        """Somebody has verified it just now. NotFound."""
