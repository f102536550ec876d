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
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from cas.catalog.replica_model import NewReplica, Replica, RunResult
from cas.ids import PackName


class Replicating(Protocol):
    """Of one catalog. Methods may be called from several threads at once."""

    def add(self, new: NewReplica) -> None:
        """Conflict where the name or the URL is taken; InvalidInput for what cannot be kept."""

    def remove(self, name: str) -> None:
        """Know it no more. NotFound; Conflict while a run is at work."""

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

    def packs(self) -> Mapping[PackName, int]:
        """Live and condemned packs, with their stored bytes; 0 or 1: not known."""

    def may_live(self) -> frozenset[PackName]:
        """Packs that live, or may yet."""

    def locked(self, run: UUID, at: datetime) -> None:
        """All that lives on the replica is locked for the whole time from `at` on."""

    def verified(self, name: str, level: str, *, is_clean: bool) -> None:
        """Somebody has verified it just now. NotFound."""
