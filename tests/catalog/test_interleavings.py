"""Two at once, stopped at the worst moments: writers, the collector, adoption.

The other party's transaction is held open by the test; the catalog's method runs in a thread
until it waits for a lock, which pg_stat_activity shows; then the other party goes on.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from cas.catalog import connecting
from cas.catalog.model import VersionState
from cas.catalog.postgres import PostgresCatalog
from cas.errors import ConnectionFailed, Fenced
from tests.catalog.stages import CONDEMN, FENCE, PostgresStage
from tests.catalog.values import REPOSITORY, STORE, adopted, new_version, pack, result


@contextmanager
def other_transaction(stage: PostgresStage) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with psycopg.connect(stage.url) as connection:
        yield connection


def wait_for_waiters(stage: PostgresStage, count: int = 1) -> None:
    query = """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'
    """
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = stage.other.execute(query).fetchone()
        if found is not None and found[0] >= count:
            return
        time.sleep(0.01)
    raise AssertionError("nobody waits for a lock")


@pytest.fixture
def start() -> Iterator[Callable[..., Future[Any]]]:
    """Runs a method in a thread of its own."""
    with ThreadPoolExecutor(8) as threads:
        yield threads.submit


def test_a_fence_that_comes_first_wins_over_the_commit(
    postgres_stage: PostgresStage, start: Callable[..., Future[Any]]
) -> None:
    catalog = postgres_stage.catalog
    session = catalog.begin(new_version())
    catalog.register_pack(session.id, pack(1))
    with other_transaction(postgres_stage) as collector:
        collector.execute(FENCE, [session.id, Fenced.code, "expired"])
        committing = start(catalog.commit, session.id, result(), journal=0)
        wait_for_waiters(postgres_stage)
        collector.commit()
    with pytest.raises(Fenced):
        committing.result(10)
    assert catalog.version(session.number).state is VersionState.FAILED
    assert catalog.version(session.number).entities == ()
    assert catalog.live_packs() == frozenset()


def test_a_commit_that_comes_first_wins_over_the_fence(
    postgres_stage: PostgresStage, start: Callable[..., Future[Any]]
) -> None:
    catalog = postgres_stage.catalog
    session = catalog.begin(new_version())
    catalog.register_pack(session.id, pack(1))
    with other_transaction(postgres_stage) as holder:
        # The commit gets as far as the packs, holding epoch and session, and waits there.
        holder.execute("SELECT FROM cas.packs FOR UPDATE")
        committing = start(catalog.commit, session.id, result(), journal=0)
        wait_for_waiters(postgres_stage)
        fencing = start(postgres_stage.fence, session.id)
        with pytest.raises(TimeoutError):
            fencing.result(0.3)
        holder.rollback()
    version = committing.result(10)
    fencing.result(10)
    assert catalog.version(session.number) == version
    assert version.state is VersionState.COMPLETE
    assert catalog.live_packs() == {pack(1).name}


def test_a_pack_is_not_announced_while_the_session_is_being_fenced(
    postgres_stage: PostgresStage, start: Callable[..., Future[Any]]
) -> None:
    catalog = postgres_stage.catalog
    session = catalog.begin(new_version())
    with other_transaction(postgres_stage) as collector:
        collector.execute(FENCE, [session.id, Fenced.code, "expired"])
        registering = start(catalog.register_pack, session.id, pack(1))
        renewing = start(catalog.renew, session.id)
        wait_for_waiters(postgres_stage, 2)
        collector.commit()
    for refused in (registering, renewing):
        with pytest.raises(Fenced):
            refused.result(10)
    assert postgres_stage.other.execute("SELECT count(*) FROM cas.packs").fetchone() == (0,)


@pytest.mark.parametrize("call", ["register_pack", "prepare", "commit"])
def test_a_lease_that_lapses_during_the_wait_for_the_row_counts_as_lapsed(
    postgres_stage: PostgresStage, start: Callable[..., Future[Any]], call: str
) -> None:
    catalog = postgres_stage.catalog
    session = catalog.begin(new_version())
    with other_transaction(postgres_stage) as holder:
        holder.execute("UPDATE cas.sessions SET lease_until = clock_timestamp() + interval '0.4 s'")
        holder.commit()
        holder.execute("SELECT FROM cas.sessions FOR UPDATE")
        if call == "register_pack":
            calling = start(catalog.register_pack, session.id, pack(1))
        elif call == "prepare":
            calling = start(catalog.prepare, session.id)
        else:
            calling = start(catalog.commit, session.id, result(), journal=0)
        wait_for_waiters(postgres_stage)
        time.sleep(0.5)
        holder.rollback()
    with pytest.raises(Fenced):
        calling.result(10)
    assert catalog.version(session.number).state is VersionState.FAILED


def test_a_session_that_waited_for_the_collector_does_not_see_what_it_condemned(
    postgres_stage: PostgresStage, start: Callable[..., Future[Any]]
) -> None:
    catalog = postgres_stage.catalog
    first = catalog.begin(new_version())
    for seed in (1, 2):
        catalog.register_pack(first.id, pack(seed))
    catalog.commit(first.id, result(), journal=0)
    with other_transaction(postgres_stage) as collector:
        collector.execute("SELECT FROM cas.epoch FOR UPDATE")
        beginning = start(catalog.begin, new_version())
        wait_for_waiters(postgres_stage)
        collector.execute(CONDEMN, [[pack(1).name]])
        collector.commit()
    session = beginning.result(10)
    assert session.view == {pack(2).name}
    assert session.epoch == first.epoch + 1


def test_the_collector_waits_for_a_session_that_is_reading_its_view(
    postgres_stage: PostgresStage, start: Callable[..., Future[Any]]
) -> None:
    catalog = postgres_stage.catalog
    first = catalog.begin(new_version())
    catalog.register_pack(first.id, pack(1))
    catalog.commit(first.id, result(), journal=0)
    with other_transaction(postgres_stage) as holder:
        # The next session stops after its view was read, before it is there.
        holder.execute("SELECT FROM cas.next_version FOR UPDATE")
        beginning = start(catalog.begin, new_version())
        wait_for_waiters(postgres_stage)
        condemning = start(postgres_stage.condemn, [pack(1).name])
        with pytest.raises(TimeoutError):
            condemning.result(0.3)
        holder.rollback()
    session = beginning.result(10)
    condemning.result(10)
    assert session.view == {pack(1).name}
    older = postgres_stage.other.execute(
        "SELECT s.epoch < e.number FROM cas.sessions s, cas.epoch e WHERE s.id = %s", [session.id]
    ).fetchone()
    assert older == (True,)


@pytest.mark.parametrize("call", ["begin", "prepare", "commit"])
def test_begin_prepare_and_commit_wait_for_the_collector(
    postgres_stage: PostgresStage, start: Callable[..., Future[Any]], call: str
) -> None:
    catalog = postgres_stage.catalog
    session = catalog.begin(new_version())
    with other_transaction(postgres_stage) as collector:
        collector.execute("SELECT FROM cas.epoch FOR UPDATE")
        calls: dict[str, Callable[[], object]] = {
            "begin": lambda: catalog.begin(new_version()),
            "prepare": lambda: catalog.prepare(session.id),
            "commit": lambda: catalog.commit(session.id, result(), journal=0),
        }
        waiting = start(calls[call])
        wait_for_waiters(postgres_stage)
        collector.rollback()
    waiting.result(10)


def test_adoption_waits_for_a_commit_and_then_leaves_it_alone(
    postgres_stage: PostgresStage, start: Callable[..., Future[Any]]
) -> None:
    catalog = postgres_stage.catalog
    session = catalog.begin(new_version())
    catalog.register_pack(session.id, pack(1))
    with other_transaction(postgres_stage) as holder:
        holder.execute("SELECT FROM cas.packs FOR UPDATE")
        committing = start(catalog.commit, session.id, result(), journal=0)
        wait_for_waiters(postgres_stage)
        adopting = start(catalog.adopt, [adopted(1, 2), adopted(2, 3)], journal=0)
        wait_for_waiters(postgres_stage, 2)
        holder.rollback()
    version = committing.result(10)
    assert adopting.result(10) == 1
    assert catalog.version(session.number) == version


def test_a_commit_that_waited_for_adoption_is_fenced(
    postgres_stage: PostgresStage, start: Callable[..., Future[Any]]
) -> None:
    catalog = postgres_stage.catalog
    session = catalog.begin(new_version())
    with other_transaction(postgres_stage) as holder:
        # The adoption ends the session, and waits before it raises the next number.
        holder.execute("SELECT FROM cas.next_version FOR UPDATE")
        adopting = start(catalog.adopt, [adopted(5, 2)], journal=0)
        wait_for_waiters(postgres_stage)
        committing = start(catalog.commit, session.id, result(), journal=0)
        wait_for_waiters(postgres_stage, 2)
        holder.rollback()
    assert adopting.result(10) == 1
    with pytest.raises(Fenced):
        committing.result(10)
    assert catalog.version(session.number).state is VersionState.FAILED


def test_numbers_are_unique_and_without_gaps_among_many_beginners(
    postgres_stage: PostgresStage, start: Callable[..., Future[Any]]
) -> None:
    second = PostgresCatalog(postgres_stage.url)
    second.attach(REPOSITORY, STORE)
    try:
        catalogs = (postgres_stage.catalog, second)
        begun = [start(catalogs[turn % 2].begin, new_version()) for turn in range(40)]
        sessions = [waiting.result(30) for waiting in begun]
    finally:
        second.close()
    assert sorted(session.number for session in sessions) == list(range(1, 41))
    in_order = sorted(sessions, key=lambda session: session.number)
    assert [one.created_at for one in in_order] == sorted(one.created_at for one in in_order)


def test_threads_of_one_writer_announce_packs_at_once(
    postgres_stage: PostgresStage, start: Callable[..., Future[Any]]
) -> None:
    catalog = postgres_stage.catalog
    session = catalog.begin(new_version())
    announced = [start(catalog.register_pack, session.id, pack(seed)) for seed in range(1, 41)]
    renewed = [start(catalog.renew, session.id) for _ in range(5)]
    for done in (*announced, *renewed):
        done.result(30)
    catalog.commit(session.id, result(), journal=0)
    assert catalog.live_packs() == {pack(seed).name for seed in range(1, 41)}


def test_a_connection_lost_in_the_commit_is_taken_up_again(
    postgres_stage: PostgresStage, start: Callable[..., Future[Any]]
) -> None:
    catalog = postgres_stage.catalog
    session = catalog.begin(new_version())
    catalog.register_pack(session.id, pack(1))
    with other_transaction(postgres_stage) as holder:
        holder.execute("SELECT FROM cas.packs FOR UPDATE")
        committing = start(catalog.commit, session.id, result(), journal=0)
        wait_for_waiters(postgres_stage)
        postgres_stage.other.execute(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'
            """
        )
        holder.rollback()
    assert committing.result(10).state is VersionState.COMPLETE
    assert catalog.live_packs() == {pack(1).name}


def test_a_process_that_was_stopped_in_a_transaction_holds_the_epoch_only_for_a_while(
    postgres_stage: PostgresStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "IDLE_SECONDS", 1)
    stopped = connecting.Connections(postgres_stage.url)

    def stop_in_a_transaction() -> None:
        with stopped.transaction() as connection:
            connection.execute("SELECT FROM cas.epoch FOR SHARE")
            with other_transaction(postgres_stage) as collector:
                collector.execute("SET lock_timeout = '10s'")
                collector.execute("UPDATE cas.epoch SET number = number + 1")
            connection.execute("SELECT 1")

    try:
        with pytest.raises(ConnectionFailed):
            stop_in_a_transaction()
    finally:
        stopped.close()
