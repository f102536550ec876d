"""The port to the history of restores into the running platform.

Guarantees that an implementation gives:

1. The catalog's clock is the only one. Each method is one transaction with the restore's row
   locked; the lease is compared with the clock after the lock was had.
2. States only move as `restore_standing.BEFORE` says. Whatever else is asked is `Conflict`, which
   names both states, and changes nothing.
3. Of all who start one plan, one succeeds.
4. A lapsed lease ends a restore whose platform transaction was not yet recorded: it is listed as
   failed from that moment on, whoever held it gets `Fenced`, and it never comes back. So what is
   listed as failed has changed nothing in the platform, and will not.
5. `committing` makes the platform's transaction and the counts durable before the platform's
   COMMIT. From there on nobody guesses: the restore stays open until its executor tells the
   outcome or somebody has asked the platform for it.
6. A cancellation that was accepted is kept: `committing` and the others refuse from then on.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from cas.catalog.restore_model import (
    MeasuredRestore,
    NewRestore,
    Restore,
    RestoreFilter,
    RestorePlanned,
    RestoreResult,
    RestoreState,
)


class Restores(Protocol):
    """The restores of one catalog. Methods may be called from several threads at once.

    NotFound for a number that is not there. All that says "holder" demands the lease: Fenced where
    it has lapsed, Conflict in a state in which nobody has one.
    """

    def begin(self, new: NewRestore) -> Restore:
        """PENDING, with the lease for the caller. InvalidInput for what cannot be kept, NotFound or
        Conflict for a version that is not committed and for a restore to undo that is not COMPLETED."""

    def planned(self, number: int, found: RestorePlanned) -> Restore:
        """The holder's plan: PENDING to PLANNED, and the lease is given back. Cancelled where that was
        requested."""

    def start(self, number: int, plan_hash: str, *, approved_by: str = "") -> Restore:
        """PLANNED to SAFETY, with the lease for the caller. Conflict in any other state, also where
        somebody was faster; where the plan's hash is another one; where what it undoes is undone."""

    def renew(self, number: int) -> None:
        """Extend the holder's lease. Fenced where it has lapsed or was ended, Cancelled where that was
        requested. Once `committing` was recorded, a lapsed lease may be renewed too."""

    def step(self, number: int, name: str, text: str = "") -> None:
        """The holder's next step begins, and the one before it ends."""

    def enter(self, number: int, state: RestoreState) -> None:
        """The holder goes on: SAFETY to RESTORING to VERIFYING. Cancelled where that was requested."""

    def progress(self, number: int, label: str, done: int) -> None:
        """Rows that the holder has applied to one entity so far. NotFound for one that the plan lacks."""

    def safety(self, number: int, version: int) -> None:
        """The holder's safety version is done, in SAFETY. NotFound or Conflict where it is not committed."""

    def committing(self, number: int, transaction_id: int, result: RestoreResult) -> None:
        """The holder, VERIFYING, is about to commit this transaction (xid8) of the platform, and what the
        restore will have done then. The platform's COMMIT must not be sent before this returned. Cancelled
        where that was requested. Again with the same id: no effect, Conflict with another one."""

    def complete(self, number: int, result: RestoreResult) -> Restore:
        """The platform has committed: VERIFYING to COMPLETED, and what it undoes becomes UNDONE, together.
        Needs no lease, since it is a fact, but a transaction that was recorded. Again for one that
        completed with these counts: the same answer."""

    def fail(self, number: int, code: str, step: str, text: str, *, rolled_back: bool = False) -> None:
        """Nothing was changed: PENDING or executing to FAILED, with or without lease. Conflict once
        `committing` was recorded, unless `rolled_back`: the caller saw the platform say so. A lost
        connection says nothing: see `resolve`."""

    def cancelled(self, number: int, text: str) -> None:
        """The holder stopped and rolled back, on request or by itself; or a plan is put aside. Conflict
        once `committing` was recorded."""

    def request_cancel(self, number: int) -> Restore:
        """From anybody. A plan that nobody executes is CANCELLED at once; who holds the lease learns it by
        Cancelled. Conflict where it is over, also by a lapsed lease, or committing already."""

    def unresolved(self) -> Sequence[Restore]:
        """Restores whose executor fell silent after `committing`, oldest first: their outcome must be asked
        from the platform. As in listings."""

    def resolve(self, number: int, committed: bool, text: str = "") -> Restore:
        """The platform was asked, and told what became of the recorded transaction: COMPLETED (and UNDONE
        for what it undoes) or FAILED. `text`: how it was learnt. Again with the same outcome: no effect."""

    def keep_keys(self, number: int, label: str, parts: Iterable[bytes]) -> None:
        """The holder keeps which records of an entity it is about to write, for an undo. Parts are the
        caller's own form, each stored by itself."""

    def kept_keys(self, number: int) -> Iterator[tuple[str, bytes]]:
        """What was kept, as (label, part), in the order of keeping; read a part at a time."""

    def restore(self, number: int) -> Restore:
        """With plan, entities and steps, all of one moment."""

    def restores(self, where: RestoreFilter) -> Sequence[Restore]:
        """Newest first. InvalidInput for a filter that makes no sense."""

    def measured(self, limit: int = 20) -> Sequence[MeasuredRestore]:
        """The newest that completed, undone ones too, whose executor told the end itself; newest first."""
