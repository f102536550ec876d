"""Restores, plans and results for tests of the catalog, and restores brought to any state."""

from dataclasses import replace
from datetime import UTC, datetime

from cas.catalog.restore_model import (
    NewRestore,
    Restore,
    RestoreEntity,
    RestoreKind,
    RestoreMode,
    RestorePlanned,
    RestoreResult,
    RestoreState,
)
from tests.catalog.stages import Stage
from tests.catalog.values import new_version, result

TRANSACTION = (1 << 63) + 5
"""An xid8 is unsigned."""
HASH = "5a" * 32


def new_restore(
    version: int, *, undoes: int | None = None, mode: RestoreMode = RestoreMode.EXACT
) -> NewRestore:
    return NewRestore(
        kind=RestoreKind.SELECTED,
        mode=mode,
        version=version,
        name="Back to Größe",
        description="after the import",
        created_by="tester",
        target_url="postgresql://app@db/shop",
        request={"tables": ["public.products"], "safety": True, "limit": None},
        metadata={"ticket": "7"},
        undoes=undoes,
    )


def planned(seed: int = 1) -> RestorePlanned:
    return RestorePlanned(
        plan={"entities": [{"label": "public.products", "inserted": seed}], "risk": "low", "seconds": 1.5},
        plan_hash=HASH,
        entities=(
            RestoreEntity("public.suppliers", 0, seed, 1, 0, 10 * seed, 11 * seed, 10 * seed),
            RestoreEntity("public.products", seed, 2, 3, 4, 100 * seed, 101 * seed, 100 * seed),
        ),
        warnings=("a trigger will not fire", "version 1 is incomplete"),
        target_database="shop",
        target_system_identifier="7449",
    )


def done(seed: int = 1) -> RestoreResult:
    return RestoreResult(
        records_inserted=seed,
        records_updated=2 * seed,
        records_deleted=3,
        data_bytes=1000 * seed,
        wal_bytes=5000,
        lock_seconds=0.25 * seed,
        undo_until=datetime(2026, 3, 1, tzinfo=UTC),
        undo_note="until the safety version expires",
    )


def committed_version(stage: Stage) -> int:
    session = stage.catalog.begin(new_version())
    return stage.catalog.commit(session.id, result(), journal=0).number


def brought(
    stage: Stage, state: RestoreState, *, undoes: int | None = None, mode: RestoreMode = RestoreMode.EXACT
) -> int:
    """A new restore that has come to this state in the ordinary way."""
    restores, version = stage.restores, committed_version(stage)
    number = restores.begin(new_restore(version, undoes=undoes, mode=mode)).number
    if state is RestoreState.PENDING:
        return number
    restores.planned(number, planned())
    if state is RestoreState.CANCELLED:
        restores.request_cancel(number)
    elif state is not RestoreState.PLANNED:
        _execute(stage, number, version, state)
    return number


def _execute(stage: Stage, number: int, safety: int, state: RestoreState) -> None:
    restores = stage.restores
    restores.start(number, HASH)
    if state is RestoreState.SAFETY:
        return
    restores.safety(number, safety)
    restores.enter(number, RestoreState.RESTORING)
    if state is RestoreState.FAILED:
        restores.fail(number, "TIMEOUT", "apply", "a lock was not had")
    if state in (RestoreState.RESTORING, RestoreState.FAILED):
        return
    restores.enter(number, RestoreState.VERIFYING)
    if state is RestoreState.VERIFYING:
        return
    restores.committing(number, TRANSACTION, done())
    restores.complete(number, done())
    if state is RestoreState.UNDONE:
        brought(stage, RestoreState.COMPLETED, undoes=number)


def committing(stage: Stage, *, undoes: int | None = None) -> int:
    """A restore of which nobody knows yet whether it is committed."""
    number = brought(stage, RestoreState.VERIFYING, undoes=undoes)
    stage.restores.committing(number, TRANSACTION, done())
    return number


def untimed(found: Restore) -> Restore:
    """Without what changes while nothing is done: the lease."""
    return replace(found, renewed_at=None, lease_until=None)
