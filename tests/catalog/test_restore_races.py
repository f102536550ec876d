"""Restores and two at once, stopped at the worst moments, as test_interleavings does for writers."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from cas.catalog.postgres import PostgresCatalog
from cas.catalog.restore_model import RestoreState
from cas.errors import Cancelled, Conflict, Fenced
from tests.catalog.restore_values import HASH, TRANSACTION, brought, committing, done, new_restore
from tests.catalog.stages import PostgresStage
from tests.catalog.test_interleavings import other_transaction, wait_for_waiters
from tests.catalog.values import REPOSITORY, STORE

LOCK = "SELECT FROM cas.restores FOR UPDATE"


@pytest.fixture
def start() -> Iterator[Callable[..., Future[Any]]]:
    """Runs a method in a thread of its own."""
    with ThreadPoolExecutor(8) as threads:
        yield threads.submit


def test_two_programs_that_start_one_plan_while_its_row_is_locked(
    postgres_stage: PostgresStage, start: Callable[..., Future[Any]]
) -> None:
    number = brought(postgres_stage, RestoreState.PLANNED)
    second = PostgresCatalog(postgres_stage.url)
    second.attach(REPOSITORY, STORE)
    try:
        with other_transaction(postgres_stage) as holder:
            holder.execute(LOCK)
            starting = [start(one.start, number, HASH) for one in (postgres_stage.restores, second.restores)]
            wait_for_waiters(postgres_stage, 2)
            holder.rollback()
        errors = [future.exception(10) for future in starting]
    finally:
        second.close()
    assert sorted(type(error).__name__ for error in errors) == [Conflict.__name__, "NoneType"]


@pytest.mark.parametrize("call", ["step", "enter", "renew", "committing"])
def test_a_lease_that_lapses_during_the_wait_for_the_row_counts_as_lapsed(
    postgres_stage: PostgresStage, start: Callable[..., Future[Any]], call: str
) -> None:
    restores = postgres_stage.restores
    state = RestoreState.RESTORING if call == "enter" else RestoreState.VERIFYING
    number = brought(postgres_stage, state)
    calls: dict[str, Callable[[], object]] = {
        "step": lambda: restores.step(number, "on"),
        "enter": lambda: restores.enter(number, RestoreState.VERIFYING),
        "renew": lambda: restores.renew(number),
        "committing": lambda: restores.committing(number, TRANSACTION, done()),
    }
    with other_transaction(postgres_stage) as holder:
        holder.execute("UPDATE cas.restores SET lease_until = clock_timestamp() + interval '0.4 s'")
        holder.commit()
        holder.execute(LOCK)
        calling = start(calls[call])
        wait_for_waiters(postgres_stage)
        time.sleep(0.5)
        holder.rollback()
    with pytest.raises(Fenced):
        calling.result(10)
    found = restores.restore(number)
    assert (found.state, found.transaction_id) == (RestoreState.FAILED, None)


def test_a_commit_and_a_cancellation_at_once_have_one_winner(
    postgres_stage: PostgresStage, start: Callable[..., Future[Any]]
) -> None:
    restores = postgres_stage.restores
    for _ in range(6):
        number = brought(postgres_stage, RestoreState.VERIFYING)
        with other_transaction(postgres_stage) as holder:
            holder.execute(LOCK)
            committing_it = start(restores.committing, number, TRANSACTION, done())
            cancelling = start(restores.request_cancel, number)
            wait_for_waiters(postgres_stage, 2)
            holder.rollback()
        refused = (committing_it.exception(10), cancelling.exception(10))
        assert refused in ((None, refused[1]), (refused[0], None))
        if refused[0] is None:
            assert isinstance(refused[1], Conflict)
        else:
            assert isinstance(refused[0], Cancelled)
        found = restores.restore(number)
        assert found.cancel_requested == (found.transaction_id is None)


@pytest.mark.parametrize("call", ["committing", "complete"])
def test_a_connection_lost_at_the_end_is_taken_up_again(
    postgres_stage: PostgresStage, start: Callable[..., Future[Any]], call: str
) -> None:
    restores = postgres_stage.restores
    with other_transaction(postgres_stage) as holder:
        if call == "committing":
            number = brought(postgres_stage, RestoreState.VERIFYING)
            holder.execute(LOCK)
            calling = start(restores.committing, number, TRANSACTION, done())
        else:
            number = committing(postgres_stage)
            holder.execute(LOCK)
            calling = start(restores.complete, number, done())
        wait_for_waiters(postgres_stage)
        postgres_stage.other.execute(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'
            """
        )
        holder.rollback()
    calling.result(10)
    assert restores.restore(number).transaction_id == TRANSACTION


def test_a_restore_that_is_read_while_it_is_planned_is_of_one_moment(
    postgres_stage: PostgresStage, start: Callable[..., Future[Any]]
) -> None:
    number = brought(postgres_stage, RestoreState.PENDING)
    with other_transaction(postgres_stage) as planner:
        planner.execute("LOCK TABLE cas.restore_entities")
        reading = start(postgres_stage.restores.restore, number)
        wait_for_waiters(postgres_stage)
        planner.execute(
            """
            INSERT INTO cas.restore_entities (restore, ordinal, label, inserted, updated, deleted, conflicts,
                                              version_records, live_records, after_records)
            VALUES (%s, 1, 'late', 0, 0, 0, 0, 0, 0, 0)
            """,
            [number],
        )
        planner.commit()
    found = reading.result(10)
    assert (found.state, found.entities) == (RestoreState.PENDING, ())


def test_two_undos_that_complete_at_once_both_happened(
    postgres_stage: PostgresStage, start: Callable[..., Future[Any]]
) -> None:
    restores = postgres_stage.restores
    first = brought(postgres_stage, RestoreState.COMPLETED)
    undos = [committing(postgres_stage, undoes=first) for _ in range(2)]
    with other_transaction(postgres_stage) as holder:
        holder.execute("SELECT FROM cas.restores WHERE number = %s FOR UPDATE", [first])
        completing = [start(restores.complete, number, done()) for number in undos]
        beginning = start(restores.begin, new_restore(1, undoes=first))
        wait_for_waiters(postgres_stage, 3)
        holder.rollback()
    assert [future.result(10).state for future in completing] == [RestoreState.COMPLETED] * 2
    assert beginning.exception(10) is None or isinstance(beginning.exception(10), Conflict)
    found = restores.restore(first)
    assert found.state is RestoreState.UNDONE
    assert found.undone_by in undos
