"""Replicas, runs on them, and the versions that they hold."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from cas.catalog.keeping import Heard
from cas.catalog.model import VersionState
from cas.catalog.replica_model import NewReplica, RunOutcome, RunResult
from cas.errors import Conflict, Fenced, InvalidInput, NotFound
from tests.catalog.stages import PostgresStage, Stage, let_go
from tests.catalog.test_collecting import NOTHING, TOKEN, A, B, C, begun, take
from tests.catalog.values import REPOSITORY, STORE, new_version, pack, result

DONE = RunResult(RunOutcome.COMPLETE, "", 2, 700, 9, 4_000, b"seen")
MOMENT = datetime(2026, 5, 1, tzinfo=UTC)


def replica(name: str = "offsite", **more: object) -> NewReplica:
    return replace(NewReplica(name, f"s3://bucket/{name}", added_by="ada"), **more)  # type: ignore[arg-type]


@pytest.fixture
def added(stage: Stage) -> Stage:
    stage.replicating.add(replica())
    return stage


def forget(stage: Stage, number: int) -> None:
    """Version `number`, which the values of the tests protect."""
    if isinstance(stage, PostgresStage):
        stage.other.execute("UPDATE cas.versions SET protected = false WHERE number = %s", [number])
    else:
        rows = stage.catalog._rows.versions  # type: ignore[attr-defined]
        rows[number] = replace(rows[number], protected=False)
    assert stage.keeping.forget(number, "a rule", heard=stage.keeping.heard())


def test_replicas_are_listed_by_name(stage: Stage) -> None:
    assert stage.replicating.replicas() == []
    second = replica("b", rules=("last 1", "daily 3"), lock_days=30)
    stage.replicating.add(second)
    stage.replicating.add(replica("a-1"))
    found = stage.replicating.replicas()
    assert [one.name for one in found] == ["a-1", "b"]
    assert found[1].new == second
    assert stage.replicating.replica("b") == found[1]
    assert (found[1].started_at, found[1].result, found[1].verified, found[1].is_running) == (
        None,
        None,
        None,
        False,
    )
    stage.replicating.remove("b")
    assert [one.name for one in stage.replicating.replicas()] == ["a-1"]


def test_a_name_and_a_place_are_taken_once(added: Stage) -> None:
    with pytest.raises(Conflict, match="there is a replica offsite"):
        added.replicating.add(replica(url="s3://bucket/else"))
    with pytest.raises(Conflict, match="is the replica offsite already"):
        added.replicating.add(replica("other", url="s3://bucket/offsite"))


@pytest.mark.parametrize(
    "wrong",
    [
        replica(""),
        replica("Off site"),
        replica("-x"),
        replica("x" * 64),
        replica(rules=()),
        replica(rules=("x" * 401,)),
        replica(url="s3://b/\x00"),
        replica(lock_days=-1),
        replica(lock_days=3651),
    ],
)
def test_what_cannot_be_kept_is_refused(stage: Stage, wrong: NewReplica) -> None:
    with pytest.raises(InvalidInput):
        stage.replicating.add(wrong)


def test_what_is_not_there(stage: Stage) -> None:
    for act in (
        lambda: stage.replicating.remove("x"),
        lambda: stage.replicating.replica("x"),
        lambda: stage.replicating.begin("x"),
        lambda: stage.replicating.held("x"),
        lambda: stage.replicating.verified("x", "bytes", is_clean=True),
    ):
        with pytest.raises(NotFound):
            act()


def test_a_run_from_begin_to_end(added: Stage) -> None:
    take(added, 1)
    take(added, 2)
    run = added.replicating.begin("offsite")
    assert added.replicating.replica("offsite").is_running
    assert added.replicating.copied(run, [2, 1, 7]) == [1, 2]
    assert added.replicating.copied(run, [2]) == [2]
    assert added.replicating.held("offsite") == {1: None, 2: None}
    added.replicating.locked(run, MOMENT)
    added.replicating.end(run, DONE)
    found = added.replicating.replica("offsite")
    assert found.result == DONE
    assert found.started_at is not None
    assert found.succeeded_at == found.started_at
    assert found.ended_at is not None
    assert found.ended_at >= found.started_at
    assert (found.locked_at, found.is_running) == (MOMENT, False)


def test_a_run_that_was_broken_off_says_why_and_keeps_what_is_known(added: Stage) -> None:
    added.replicating.end(added.replicating.begin("offsite"), DONE)
    before = added.replicating.replica("offsite")
    run = added.replicating.begin("offsite")
    added.replicating.abandon(run, "the network is down")
    found = added.replicating.replica("offsite")
    assert found.result == RunResult(RunOutcome.FAILED, "the network is down", 0, 0, 9, 4_000)
    assert found.succeeded_at == before.succeeded_at
    added.replicating.abandon(run, "twice")
    assert added.replicating.replica("offsite") == found


def test_one_run_at_a_time_on_each(added: Stage) -> None:
    added.replicating.add(replica("other"))
    first = added.replicating.begin("offsite")
    added.replicating.begin("other")
    with pytest.raises(Conflict, match="somebody replicates"):
        added.replicating.begin("offsite")
    with pytest.raises(Conflict, match="somebody replicates"):
        added.replicating.remove("offsite")
    added.replicating.renew(first)
    added.replicating.end(first, DONE)
    added.replicating.begin("offsite")


def test_who_fell_silent_is_replaced_and_can_do_nothing_more(added: Stage) -> None:
    take(added, 1)
    first = added.replicating.begin("offsite")
    added.replicating.copied(first, [1])
    added.lapse()
    assert not added.replicating.replica("offsite").is_running

    def nothing_more() -> None:
        for act in (
            lambda: added.replicating.renew(first),
            lambda: added.replicating.copied(first, [1]),
            lambda: added.replicating.forgotten(first, [1]),
            lambda: added.replicating.locked(first, MOMENT),
            lambda: added.replicating.end(first, DONE),
        ):
            with pytest.raises(Fenced):
                act()

    nothing_more()
    second = added.replicating.begin("offsite")
    nothing_more()
    added.replicating.abandon(first, "late")
    added.replicating.renew(second)
    assert added.replicating.held("offsite") == {1: None}


def test_only_what_is_committed_counts_as_copied(added: Stage) -> None:
    for seed in (1, 2, 3):
        take(added, seed)
    running = added.catalog.begin(new_version())
    forget(added, 1)
    forget(added, 2)
    let_go(added.keeping, 2)
    run = added.replicating.begin("offsite")
    assert added.replicating.copied(run, [1, 2, 3, running.number]) == [3]
    assert added.catalog.version(1).state is VersionState.FORGOTTEN


def test_what_the_primary_forgets_stays_copied_until_the_replica_forgets_it(added: Stage) -> None:
    take(added, 1)
    take(added, 2)
    run = added.replicating.begin("offsite")
    added.replicating.copied(run, [1, 2])
    forget(added, 1)
    let_go(added.keeping, 1)
    assert added.replicating.held("offsite") == {1: None, 2: None}
    added.replicating.forgotten(run, [1, 5])
    held = added.replicating.held("offsite")
    assert held[2] is None
    assert held[1] is not None
    assert set(held) == {1, 2}


def test_what_a_replica_has_forgotten_never_comes_back_there(added: Stage) -> None:
    """Whoever was silent for too long may delete its document at any time."""
    take(added, 1)
    run = added.replicating.begin("offsite")
    added.replicating.copied(run, [1])
    added.replicating.forgotten(run, [1])
    before = added.replicating.held("offsite")
    assert added.replicating.copied(run, [1]) == []
    added.replicating.forgotten(run, [1])
    assert added.replicating.held("offsite") == before


def test_packs_that_versions_may_need(added: Stage) -> None:
    """A condemned pack, too: who began before it was condemned may have used it."""
    take(added, 1, 2)
    begun(added, 3)
    assert added.replicating.packs() == {A: pack(1).stored_bytes, B: pack(2).stored_bytes}
    assert added.replicating.may_live() == {A, B, C}
    collector = added.collecting.begin()
    added.collecting.condemn(collector, [A], NOTHING)
    assert set(added.replicating.packs()) == {A, B}
    assert added.replicating.may_live() == {A, B, C}


def test_a_pack_that_is_being_deleted_lives_no_more(added: Stage) -> None:
    take(added, 1, 2)
    collector = added.collecting.begin()
    added.collecting.condemn(collector, [A], NOTHING)
    added.collecting.announce(collector, [A], TOKEN)
    assert set(added.replicating.packs()) == {A, B}, "it may still be spared"
    added.collecting.doom(collector, 1)
    assert set(added.replicating.packs()) == added.replicating.may_live() == {B}
    added.collecting.deleted(collector, [A])
    assert added.replicating.may_live() == {B}


def test_verified(added: Stage) -> None:
    added.replicating.verified("offsite", "bytes", is_clean=False)
    found = added.replicating.replica("offsite").verified
    assert found is not None
    assert (found.level, found.is_clean) == ("bytes", False)


def test_a_replica_is_not_taken_for_the_primary(added: Stage) -> None:
    with pytest.raises(Conflict, match="is the replica offsite") as caught:
        added.catalog.attach(REPOSITORY, replica().url)
    assert "empty catalog" in caught.value.hint
    added.catalog.attach(REPOSITORY, STORE)
    added.replicating.remove("offsite")
    added.catalog.attach(REPOSITORY, replica().url)


def test_a_run_that_nobody_knows(added: Stage) -> None:
    with pytest.raises(Fenced):
        added.replicating.renew(UUID(int=5))
    added.replicating.abandon(UUID(int=5), "x")
    assert added.replicating.replica("offsite").result is None


def test_versions_that_commit_while_a_run_is_at_work(added: Stage) -> None:
    run = added.replicating.begin("offsite")
    session = begun(added, 1)
    assert added.replicating.copied(run, [session.number]) == []
    added.catalog.commit(session.id, result(1), journal=0)
    assert added.replicating.copied(run, [session.number]) == [session.number]


def test_of_many_that_begin_one_replicates(postgres_stage: PostgresStage) -> None:
    postgres_stage.replicating.add(replica())
    start = threading.Barrier(4)

    def begin(_: int) -> bool:
        start.wait()
        try:
            postgres_stage.replicating.begin("offsite")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(begin, range(4))) == [False, False, False, True]


def test_a_version_is_forgotten_before_it_counts_or_after(postgres_stage: PostgresStage) -> None:
    """Never both at once: what counts was committed when it began to."""
    stage = postgres_stage
    stage.replicating.add(replica())
    run = stage.replicating.begin("offsite")
    for seed in range(1, 9):
        number = take(stage, seed)
        take(stage, seed + 100)
        stage.other.execute("UPDATE cas.versions SET protected = false WHERE number = %s", [number])
        start, heard = threading.Barrier(2), stage.keeping.heard()

        def count(start: threading.Barrier = start, number: int = number) -> bool:
            start.wait()
            return bool(stage.replicating.copied(run, [number]))

        def forgets(start: threading.Barrier = start, number: int = number, heard: Heard = heard) -> None:
            start.wait()
            stage.keeping.forget(number, "a rule", heard=heard)

        with ThreadPoolExecutor(2) as pool:
            forgetting = pool.submit(forgets)
            counts = pool.submit(count).result()
            forgetting.result()
        assert (number in stage.replicating.held("offsite")) == counts
        assert not stage.replicating.copied(run, [number]) or counts
