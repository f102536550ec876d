"""How a restore ends when things go wrong: silence, cancellation, an unknown COMMIT; and how it is undone."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from cas.catalog.restore_model import RestoreFilter, RestoreState
from cas.errors import Cancelled, Conflict, Fenced
from tests.catalog.restore_values import (
    HASH,
    TRANSACTION,
    brought,
    committed_version,
    committing,
    done,
    new_restore,
    planned,
)
from tests.catalog.stages import Stage

HELD = (RestoreState.PENDING, RestoreState.SAFETY, RestoreState.RESTORING, RestoreState.VERIFYING)


def by_the_holder(stage: Stage, number: int, state: RestoreState) -> list[Callable[[], object]]:
    """What the holder of a restore in this state may do."""
    restores = stage.restores
    calls: dict[RestoreState, list[Callable[[], object]]] = {
        RestoreState.PENDING: [lambda: restores.planned(number, planned())],
        RestoreState.SAFETY: [
            lambda: restores.safety(number, 1),
            lambda: restores.enter(number, RestoreState.RESTORING),
        ],
        RestoreState.RESTORING: [
            lambda: restores.progress(number, "public.products", 1),
            lambda: restores.enter(number, RestoreState.VERIFYING),
        ],
        RestoreState.VERIFYING: [lambda: restores.committing(number, TRANSACTION, done())],
    }
    always: list[Callable[[], object]] = [
        lambda: restores.renew(number),
        lambda: restores.step(number, "on"),
        lambda: restores.cancelled(number, "by Ctrl-C"),
    ]
    return calls[state] + always


@pytest.mark.parametrize("state", HELD)
def test_who_falls_silent_before_the_commit_has_failed_for_good(stage: Stage, state: RestoreState) -> None:
    number = brought(stage, state)
    restores, running = stage.restores, stage.restores.restore(number)
    stage.lapse()
    found = restores.restore(number)
    assert (found.state, found.error_code) == (RestoreState.FAILED, Fenced.code)
    assert found.error_step == state
    assert "renewed" in found.error_text
    assert found.finished_at is not None
    assert (found.duration_seconds is None) == (running.started_at is None)
    assert (found.lease_until, found.records_inserted) == (None, None)
    failed = restores.restores(RestoreFilter(states=(RestoreState.FAILED,)))
    assert [one.number for one in failed] == [number]
    assert not restores.restores(RestoreFilter(states=(state,)))
    assert not restores.unresolved()
    for call in by_the_holder(stage, number, state):
        with pytest.raises(Fenced):
            call()
    with pytest.raises(Conflict):
        restores.request_cancel(number)
    with pytest.raises(Conflict):
        restores.resolve(number, True)
    assert restores.restore(number) == found
    # Only its reason may still become known.
    restores.fail(number, "TIMEOUT", "apply", "a lock was not had")
    assert restores.restore(number).error_text == "a lock was not had"


@pytest.mark.parametrize("state", HELD)
def test_a_lease_that_is_renewed_does_not_lapse(stage: Stage, state: RestoreState) -> None:
    number = brought(stage, state)
    before = stage.restores.restore(number)
    stage.restores.renew(number)
    after = stage.restores.restore(number)
    assert before.lease_until is not None
    assert after.lease_until is not None
    assert after.lease_until > before.lease_until
    assert after.state is state


@pytest.mark.parametrize("state", [state for state in RestoreState if state not in HELD])
def test_nothing_is_renewed_that_nobody_holds(stage: Stage, state: RestoreState) -> None:
    number = brought(stage, state)
    with pytest.raises(Fenced):
        stage.restores.renew(number)


@pytest.mark.parametrize("state", HELD)
def test_who_holds_the_lease_learns_of_a_request_to_stop(stage: Stage, state: RestoreState) -> None:
    number, restores = brought(stage, state), stage.restores
    assert restores.request_cancel(number).cancel_requested
    assert restores.request_cancel(number).state is state
    moves: dict[RestoreState, Callable[[], object]] = {
        RestoreState.PENDING: lambda: restores.planned(number, planned()),
        RestoreState.SAFETY: lambda: restores.enter(number, RestoreState.RESTORING),
        RestoreState.RESTORING: lambda: restores.enter(number, RestoreState.VERIFYING),
        RestoreState.VERIFYING: lambda: restores.committing(number, TRANSACTION, done()),
    }
    with pytest.raises(Cancelled):
        moves[state]()
    with pytest.raises(Cancelled):
        restores.renew(number)
    restores.step(number, "roll back")
    restores.cancelled(number, "on request")
    found = restores.restore(number)
    assert (found.state, found.error_code, found.error_text) == (RestoreState.CANCELLED, "", "on request")
    assert found.steps[-1].finished_at is not None
    assert found.transaction_id is None


def test_a_plan_that_nobody_executes_is_cancelled_at_once(stage: Stage) -> None:
    number = brought(stage, RestoreState.PLANNED)
    found = stage.restores.request_cancel(number)
    assert (found.state, found.duration_seconds) == (RestoreState.CANCELLED, None)
    assert found.error_text
    with pytest.raises(Conflict):
        stage.restores.start(number, HASH)


def test_from_the_record_of_the_transaction_on_nobody_guesses(stage: Stage) -> None:
    number, restores = committing(stage), stage.restores
    before = restores.restore(number)
    assert (before.transaction_id, before.records_inserted, before.lock_seconds) == (TRANSACTION, 1, 0.25)
    calls: list[Callable[[], object]] = [
        lambda: restores.fail(number, "CONNECTION_FAILED", "commit", "the connection was lost"),
        lambda: restores.cancelled(number, "by Ctrl-C"),
        lambda: restores.request_cancel(number),
        lambda: restores.committing(number, 7, done()),
        lambda: restores.enter(number, RestoreState.VERIFYING),
    ]
    for call in calls:
        with pytest.raises(Conflict):
            call()
    assert restores.restore(number) == before
    assert not restores.unresolved()
    stage.lapse()
    for call in calls:
        with pytest.raises(Conflict):
            call()
    found = restores.restore(number)
    assert (found.state, found.error_code) == (RestoreState.VERIFYING, "")
    (silent,) = restores.unresolved()
    assert silent == replace(found, plan={}, entities=(), steps=())
    # Its executor may be alive after all.
    restores.renew(number)
    restores.step(number, "commit")
    assert not restores.unresolved()
    assert restores.complete(number, done()).state is RestoreState.COMPLETED


def test_the_same_transaction_is_recorded_once(stage: Stage) -> None:
    number = committing(stage)
    stage.restores.committing(number, TRANSACTION, done(5))
    stage.lapse()
    stage.restores.committing(number, TRANSACTION, done(5))
    assert stage.restores.restore(number).records_inserted == 1


def test_a_rollback_that_the_executor_saw_needs_no_asking(stage: Stage) -> None:
    number = committing(stage)
    stage.restores.fail(number, "CONFLICT", "commit", "a deferred key was violated", rolled_back=True)
    found = stage.restores.restore(number)
    assert (found.state, found.error_code, found.transaction_id) == (
        RestoreState.FAILED,
        "CONFLICT",
        TRANSACTION,
    )
    assert (found.records_inserted, found.records_updated, found.records_deleted) == (None, None, None)
    assert (found.data_bytes, found.wal_bytes, found.lock_seconds) == (None, None, None)
    assert (found.undo_until, found.undo_note, found.resolution) == (None, "", "")
    with pytest.raises(Conflict):
        stage.restores.complete(number, done())
    with pytest.raises(Conflict):
        stage.restores.resolve(number, True)


@pytest.mark.parametrize("is_silent", [True, False])
@pytest.mark.parametrize("text", ["pg_xact_status says so \x00", ""])
def test_an_outcome_that_was_asked_from_the_platform(stage: Stage, is_silent: bool, text: str) -> None:
    first, second = committing(stage), committing(stage)
    stage.restores.step(first, "commit")
    if is_silent:
        stage.lapse()
        assert [one.number for one in stage.restores.unresolved()] == [first, second]
    completed = stage.restores.resolve(first, True, text)
    assert completed == stage.restores.restore(first)
    assert (completed.state, completed.records_inserted) == (RestoreState.COMPLETED, 1)
    assert completed.resolution.startswith("pg_xact" if text else "the platform says")
    assert completed.steps[-1].finished_at is not None
    failed = stage.restores.resolve(second, False, text)
    assert (failed.state, failed.error_code) == (RestoreState.FAILED, Fenced.code)
    assert (failed.error_step, failed.error_text) == ("verifying", failed.resolution)
    assert (failed.records_inserted, failed.transaction_id) == (None, TRANSACTION)
    assert not stage.restores.unresolved()
    # Whoever asks too, and the executor that was only slow, find it so; nobody changes it.
    assert stage.restores.resolve(first, True, "again") == completed
    assert stage.restores.resolve(second, False) == failed
    assert stage.restores.complete(first, done()) == completed
    for number, committed in ((first, False), (second, True)):
        with pytest.raises(Conflict):
            stage.restores.resolve(number, committed)
    with pytest.raises(Conflict):
        stage.restores.complete(second, done())


@pytest.mark.parametrize("state", [state for state in RestoreState if state is not RestoreState.UNDONE])
def test_there_is_nothing_to_resolve_without_a_transaction(stage: Stage, state: RestoreState) -> None:
    number = brought(stage, state)
    for committed in (True, False):
        if state is RestoreState.COMPLETED and committed:
            continue
        with pytest.raises(Conflict):
            stage.restores.resolve(number, committed)
    assert stage.restores.restore(number).state is state


def test_completing_again_gives_the_same_answer(stage: Stage) -> None:
    number = committing(stage)
    completed = stage.restores.complete(number, done())
    assert stage.restores.complete(number, done()) == completed
    with pytest.raises(Conflict):
        stage.restores.complete(number, done(2))


@pytest.mark.parametrize("how", ["told", "asked"])
def test_an_undo_marks_what_it_undoes_together_with_its_own_end(stage: Stage, how: str) -> None:
    first = brought(stage, RestoreState.COMPLETED)
    before = stage.restores.restore(first)
    undo = committing(stage, undoes=first)
    assert stage.restores.restore(first) == before
    if how == "told":
        stage.restores.complete(undo, done())
    else:
        stage.restores.resolve(undo, True)
    assert stage.restores.restore(first) == replace(before, state=RestoreState.UNDONE, undone_by=undo)
    assert stage.restores.restore(undo).undoes == first
    # What was told before is still so.
    assert stage.restores.complete(first, done()).state is RestoreState.UNDONE
    # And an undo can be undone.
    redo = brought(stage, RestoreState.COMPLETED, undoes=undo)
    assert stage.restores.restore(undo).undone_by == redo


def test_an_undo_that_failed_leaves_what_it_would_have_undone(stage: Stage) -> None:
    first = brought(stage, RestoreState.COMPLETED)
    before = stage.restores.restore(first)
    stage.restores.resolve(committing(stage, undoes=first), False)
    brought(stage, RestoreState.FAILED, undoes=first)
    brought(stage, RestoreState.CANCELLED, undoes=first)
    assert stage.restores.restore(first) == before


def test_a_restore_is_undone_once(stage: Stage) -> None:
    first = brought(stage, RestoreState.COMPLETED)
    plan = brought(stage, RestoreState.PLANNED, undoes=first)
    slow = committing(stage, undoes=first)
    undo = brought(stage, RestoreState.COMPLETED, undoes=first)
    with pytest.raises(Conflict) as caught:
        stage.restores.start(plan, HASH)
    assert "undone" in caught.value.what
    with pytest.raises(Conflict):
        stage.restores.begin(new_restore(committed_version(stage), undoes=first))
    # Two that ran at once both happened; the first one counts.
    assert stage.restores.complete(slow, done()).state is RestoreState.COMPLETED
    assert stage.restores.restore(first).undone_by == undo
