"""How a restore stands, and what may happen to it next: alike in every implementation of the port.

Decisions look at a `Standing`, which was read with the row locked; they change nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from cas.catalog.restore_model import Restore, RestoreResult, RestoreState
from cas.catalog.rules import COMMITTED, MAX_WORD, clean
from cas.errors import Cancelled, Conflict, Fenced, NotFound

HELD = (RestoreState.PENDING, RestoreState.SAFETY, RestoreState.RESTORING, RestoreState.VERIFYING)
"""Somebody has the lease."""
EXECUTING = HELD[1:]
DONE = (RestoreState.COMPLETED, RestoreState.UNDONE)
"""The platform was changed."""

BEFORE: Mapping[RestoreState, tuple[RestoreState, ...]] = {
    RestoreState.PENDING: (),
    RestoreState.PLANNED: (RestoreState.PENDING,),
    RestoreState.SAFETY: (RestoreState.PLANNED,),
    RestoreState.RESTORING: (RestoreState.SAFETY,),
    RestoreState.VERIFYING: (RestoreState.RESTORING,),
    RestoreState.COMPLETED: (RestoreState.VERIFYING,),
    RestoreState.FAILED: HELD,
    RestoreState.CANCELLED: (*HELD, RestoreState.PLANNED),
    RestoreState.UNDONE: (RestoreState.COMPLETED,),
}
"""From which states each may be reached."""

RESOLVED: Mapping[bool, str] = {
    True: "the platform says that its transaction was committed",
    False: "the platform says that its transaction was rolled back",
}
PUT_ASIDE = "the plan was put aside before anybody started it"


@dataclass(frozen=True, slots=True)
class Standing:
    """A restore's row while it is locked, as far as what may happen next depends on it."""

    number: int
    state: RestoreState
    """As it is stored."""
    silent_since: datetime | None
    """The last sign of life of a holder whose lease has lapsed."""
    cancel_requested: bool
    transaction_id: int | None
    plan_hash: str
    undoes: int | None

    @property
    def is_abandoned(self) -> bool:
        """Whether it counts as failed though nobody said so."""
        return self.silent_since is not None and self.transaction_id is None

    @property
    def counts_as(self) -> RestoreState:
        return RestoreState.FAILED if self.is_abandoned else self.state


def demand_move(standing: Standing, to: RestoreState) -> None:
    """Fenced where a lapsed lease stands in the way, Conflict where its state does."""
    if standing.state not in BEFORE[to]:
        raise refused(standing, to)
    if standing.is_abandoned:
        raise fenced(standing)


def demand_entering(standing: Standing, to: RestoreState) -> None:
    if to not in (RestoreState.RESTORING, RestoreState.VERIFYING):
        raise refused(standing, to)
    demand_move(standing, to)


def demand_held(standing: Standing, states: tuple[RestoreState, ...], what: str) -> None:
    """The holder's lease is good and the state one of these. `what` it takes: "steps"."""
    if standing.is_abandoned:
        raise fenced(standing)
    if standing.state not in states:
        wanted = " or ".join(states)
        raise Conflict(
            f"a restore that is {standing.state} takes no {what}, only one that is {wanted}",
            where=_place(standing.number),
        )


def demand_uncommitted(standing: Standing, to: RestoreState) -> None:
    """Conflict where the platform may have committed it."""
    if standing.transaction_id is not None:
        raise Conflict(
            f"a restore that is {standing.state} and commits its transaction {standing.transaction_id} "
            f"cannot become {to}",
            where=_place(standing.number),
            hint="Ask the platform what became of the transaction",
        )


def demand_wanted(standing: Standing) -> None:
    """Cancelled where somebody has requested that."""
    if standing.cancel_requested:
        raise Cancelled("somebody asked for the restore to be stopped", where=_place(standing.number))


def demand_plan(standing: Standing, plan_hash: str, undone: RestoreState | None) -> None:
    """Conflict where another plan is meant than the one there is. `undone`: the state of what it undoes."""
    if plan_hash != standing.plan_hash:
        raise Conflict(
            "the plan that was agreed to is not the one of this restore",
            where=_place(standing.number),
            hint="Show the plan again and start it with the hash that it has now",
        )
    if standing.undoes is not None and undone is not None:
        demand_undoable(standing.undoes, undone)


def demand_version(number: int, state: str | None) -> None:
    """A version that is restored, or that is a restore's safety. None: there is none."""
    if state is None:
        raise NotFound("there is no such version", where=f"version {number}")
    if state not in COMMITTED:
        raise Conflict(f"a version that is {state} cannot be restored", where=f"version {number}")


def demand_undoable(number: int, state: RestoreState | None) -> None:
    if state is None:
        raise missing(number)
    if state is not RestoreState.COMPLETED:
        raise Conflict(f"a restore that is {state} cannot become {RestoreState.UNDONE}", where=_place(number))


def is_committing(standing: Standing, transaction_id: int) -> bool:
    """Whether just this was recorded already. Fenced, Conflict or Cancelled where it may not be recorded."""
    if standing.state is RestoreState.VERIFYING and standing.transaction_id is not None:
        if standing.transaction_id == transaction_id:
            return True
        raise Conflict(
            f"the restore commits another transaction, {standing.transaction_id}",
            where=_place(standing.number),
        )
    demand_held(standing, (RestoreState.VERIFYING,), "commit")
    demand_wanted(standing)
    return False


def is_resolved(standing: Standing, committed: bool) -> bool:
    """Whether this outcome is known already. Conflict where there is nothing to resolve."""
    to = RestoreState.COMPLETED if committed else RestoreState.FAILED
    if standing.transaction_id is not None:
        if standing.state in (DONE if committed else (RestoreState.FAILED,)):
            return True
        if standing.state is RestoreState.VERIFYING:
            return False
    elif standing.counts_as is RestoreState.VERIFYING:
        raise Conflict("no transaction was recorded that could be resolved", where=_place(standing.number))
    raise refused(standing, to)


def demand_failing(standing: Standing, *, rolled_back: bool) -> None:
    """Also where its lease has lapsed: then the reason becomes known, and nothing else changes."""
    if standing.state not in BEFORE[RestoreState.FAILED]:
        raise refused(standing, RestoreState.FAILED)
    if not rolled_back:
        demand_uncommitted(standing, RestoreState.FAILED)


def demand_stopping(standing: Standing) -> None:
    """For whoever holds it, or where nobody does."""
    demand_move(standing, RestoreState.CANCELLED)
    demand_uncommitted(standing, RestoreState.CANCELLED)


def demand_stoppable(standing: Standing) -> None:
    """For anybody."""
    if standing.counts_as not in BEFORE[RestoreState.CANCELLED]:
        raise refused(standing, RestoreState.CANCELLED)
    demand_uncommitted(standing, RestoreState.CANCELLED)


def completing(standing: Standing) -> int:
    """The transaction that was committed, once it may be said so."""
    demand_move(standing, RestoreState.COMPLETED)
    if standing.transaction_id is None:
        raise Conflict(
            f"a restore that is {standing.state} without a recorded transaction cannot become "
            f"{RestoreState.COMPLETED}",
            where=_place(standing.number),
        )
    return standing.transaction_id


def has_completed(restore: Restore, result: RestoreResult) -> bool:
    """Whether the restore has completed with just these counts."""
    return restore.state in DONE and (
        restore.records_inserted,
        restore.records_updated,
        restore.records_deleted,
        restore.data_bytes,
    ) == (result.records_inserted, result.records_updated, result.records_deleted, result.data_bytes)


def demand_renewable(standing: Standing) -> None:
    if standing.is_abandoned or standing.state not in HELD:
        raise fenced(standing)
    demand_wanted(standing)


def refused(standing: Standing, to: RestoreState) -> Conflict:
    return Conflict(
        f"a restore that is {standing.counts_as} cannot become {to}", where=_place(standing.number)
    )


def missing(number: int) -> NotFound:
    return NotFound("there is no such restore", where=_place(number))


def missing_entity(number: int, label: str) -> NotFound:
    return NotFound(f"the plan knows no table {clean(label)[:MAX_WORD]}", where=_place(number))


def fenced(standing: Standing) -> Fenced:
    if standing.silent_since is None:
        return Fenced(f"nobody may work on a restore that is {standing.state}", where=_place(standing.number))
    return Fenced(
        f"the restore may not go on: {lapsed(standing.silent_since)}",
        where=_place(standing.number),
        hint="Nothing was changed in the platform; make a new plan",
    )


def lost(told: str) -> tuple[str, str, str]:
    """Code, step and text of a restore whose executor fell silent and whose transaction came to nothing."""
    return Fenced.code, RestoreState.VERIFYING.value, told


def lapsed(renewed_at: datetime) -> str:
    """Why a restore counts as failed; the time is the last sign of life of who worked on it."""
    return f"nobody renewed its lease after {renewed_at:%Y-%m-%d %H:%M:%S} UTC"


def abandoned(restore: Restore) -> Restore:
    """As it is listed once its lease has lapsed before anything could be committed."""
    silent_since = restore.renewed_at
    assert silent_since is not None
    seconds = (silent_since - (restore.started_at or silent_since)).total_seconds()
    return replace(
        restore,
        state=RestoreState.FAILED,
        error_code=Fenced.code,
        error_step=restore.state.value,
        error_text=lapsed(silent_since),
        renewed_at=None,
        lease_until=None,
        finished_at=silent_since,
        duration_seconds=None if restore.started_at is None else max(0.0, seconds),
    )


def _place(number: int) -> str:
    return f"restore {number}"
