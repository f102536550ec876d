"""A restore's life: planned, started by one, executed step by step, ended; and nothing out of order."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from threading import Barrier

import pytest

from cas.catalog.restore_model import NewRestore, RestoreKind, RestoreMode, RestorePlanned, RestoreState
from cas.errors import Conflict, Fenced, InvalidInput, NotFound
from tests.catalog.restore_values import (
    HASH,
    TRANSACTION,
    brought,
    committed_version,
    done,
    new_restore,
    planned,
)
from tests.catalog.stages import Stage
from tests.catalog.values import new_version, result

EVERY = tuple(RestoreState)


def test_a_restore_is_listed_before_anything_else_happens(stage: Stage) -> None:
    before, new = stage.catalog.now(), new_restore(committed_version(stage))
    found = stage.restores.begin(new)
    assert found == stage.restores.restore(found.number)
    assert (found.number, found.state, found.version) == (1, RestoreState.PENDING, 1)
    assert (found.kind, found.mode) == (RestoreKind.SELECTED, RestoreMode.EXACT)
    assert (found.name, found.description, found.created_by) == (new.name, new.description, "tester")
    assert (found.target_url, found.request, found.metadata) == (new.target_url, new.request, new.metadata)
    assert before <= found.created_at <= stage.catalog.now()
    assert found.renewed_at == found.created_at
    assert found.lease_until is not None
    assert found.lease_until > stage.catalog.now()
    assert found.host
    assert found.pid > 0
    assert (found.plan, found.plan_hash, found.planned_at, found.started_at) == ({}, "", None, None)


def test_planning_stores_all_that_it_found_and_gives_the_lease_back(stage: Stage) -> None:
    number = brought(stage, RestoreState.PENDING)
    stage.restores.step(number, "compare", "two tables")
    found = stage.restores.planned(number, planned(7))
    assert found == stage.restores.restore(number)
    assert (found.state, found.plan, found.plan_hash) == (RestoreState.PLANNED, planned(7).plan, HASH)
    assert (found.entities, found.warnings) == (planned(7).entities, planned(7).warnings)
    assert (found.target_database, found.target_system_identifier) == ("shop", "7449")
    assert (found.renewed_at, found.lease_until) == (None, None)
    assert [(step.name, step.text) for step in found.steps] == [("compare", "two tables")]
    assert found.steps[0].finished_at is not None
    assert found.planned_at is not None
    assert found.planned_at >= found.steps[0].finished_at
    # Nobody works on it, so nothing lapses.
    stage.lapse()
    assert stage.restores.restore(number) == found


def test_a_completed_restore_holds_its_whole_story(stage: Stage) -> None:
    restores, version = stage.restores, committed_version(stage)
    number = restores.begin(new_restore(version)).number
    restores.planned(number, planned())
    started = restores.start(number, HASH, approved_by="a second person")
    assert (started.state, started.approved_by) == (RestoreState.SAFETY, "a second person")
    assert (started.plan, started.entities) == (planned().plan, planned().entities)
    assert started.lease_until is not None
    restores.step(number, "safety version")
    safety = committed_version(stage)
    restores.safety(number, safety)
    restores.enter(number, RestoreState.RESTORING)
    restores.step(number, "apply", "2 tables")
    restores.progress(number, "public.products", 3)
    restores.progress(number, "public.suppliers", 1)
    restores.progress(number, "public.products", 5)
    restores.renew(number)
    restores.enter(number, RestoreState.VERIFYING)
    restores.committing(number, TRANSACTION, done())
    assert restores.restore(number).transaction_id == TRANSACTION
    found = restores.complete(number, replace(done(), lock_seconds=9.5))
    assert found == restores.restore(number)
    assert (found.state, found.safety_version) == (RestoreState.COMPLETED, safety)
    assert (found.records_inserted, found.records_updated, found.records_deleted) == (1, 2, 3)
    assert (found.data_bytes, found.wal_bytes, found.lock_seconds) == (1000, 5000, 9.5)
    assert (found.undo_until, found.undo_note) == (done().undo_until, done().undo_note)
    assert (found.error_code, found.resolution, found.lease_until) == ("", "", None)
    assert [entity.done for entity in found.entities] == [1, 5]
    assert [(step.name, step.text) for step in found.steps] == [("safety version", ""), ("apply", "2 tables")]
    moments = [found.created_at, found.planned_at, found.started_at, found.steps[0].started_at]
    moments += [found.safety_at, found.restoring_at, found.steps[0].finished_at, found.steps[1].started_at]
    moments += [found.verifying_at, found.steps[1].finished_at]
    told = [moment for moment in moments if moment is not None]
    assert len(told) == len(moments)
    assert told == sorted(told)
    assert found.started_at is not None
    assert found.finished_at is not None
    assert found.duration_seconds == pytest.approx((found.finished_at - found.started_at).total_seconds())


def test_of_many_who_start_one_plan_one_succeeds(stage: Stage) -> None:
    number, together = brought(stage, RestoreState.PLANNED), Barrier(8)

    def start(person: int) -> str:
        together.wait()
        try:
            return stage.restores.start(number, HASH, approved_by=str(person)).approved_by
        except Conflict as error:
            return f"refused: {error.what}"

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(start, range(8)))
    assert outcomes.count("refused: a restore that is safety cannot become safety") == 7
    assert stage.restores.restore(number).approved_by in outcomes


@pytest.mark.parametrize("plan_hash", ["", "5a" * 31, HASH + " ", "\x00", "half a pair \ud800", "x" * 20_000])
def test_a_plan_is_started_by_its_own_hash_only(stage: Stage, plan_hash: str) -> None:
    number = brought(stage, RestoreState.PLANNED)
    before = stage.restores.restore(number)
    with pytest.raises(Conflict):
        stage.restores.start(number, plan_hash)
    assert stage.restores.restore(number) == before
    assert stage.restores.start(number, HASH).state is RestoreState.SAFETY


MOVES: dict[str, tuple[tuple[RestoreState, ...], RestoreState, Callable[[Stage, int], object]]] = {
    "planned": (
        (RestoreState.PENDING,),
        RestoreState.PLANNED,
        lambda stage, number: stage.restores.planned(number, planned()),
    ),
    "start": (
        (RestoreState.PLANNED,),
        RestoreState.SAFETY,
        lambda stage, number: stage.restores.start(number, HASH),
    ),
    "enter restoring": (
        (RestoreState.SAFETY,),
        RestoreState.RESTORING,
        lambda stage, number: stage.restores.enter(number, RestoreState.RESTORING),
    ),
    "enter verifying": (
        (RestoreState.RESTORING,),
        RestoreState.VERIFYING,
        lambda stage, number: stage.restores.enter(number, RestoreState.VERIFYING),
    ),
    "complete": (
        (),
        RestoreState.COMPLETED,
        lambda stage, number: stage.restores.complete(number, done(2)),
    ),
    "fail": (
        (RestoreState.PENDING, RestoreState.SAFETY, RestoreState.RESTORING, RestoreState.VERIFYING),
        RestoreState.FAILED,
        lambda stage, number: stage.restores.fail(number, "TIMEOUT", "apply", "because"),
    ),
    "cancelled": (
        EVERY[:5],
        RestoreState.CANCELLED,
        lambda stage, number: stage.restores.cancelled(number, "because"),
    ),
    "request_cancel": (
        EVERY[:5],
        RestoreState.CANCELLED,
        lambda stage, number: stage.restores.request_cancel(number),
    ),
    "undo": (
        (RestoreState.COMPLETED,),
        RestoreState.UNDONE,
        lambda stage, number: stage.restores.begin(new_restore(1, undoes=number)),
    ),
}


@pytest.mark.parametrize("move", MOVES)
def test_a_state_is_left_only_as_it_may_be(stage: Stage, move: str) -> None:
    may, to, call = MOVES[move]
    for state in EVERY:
        number = brought(stage, state)
        before = stage.restores.restore(number)
        if state in may:
            call(stage, number)
            continue
        with pytest.raises(Conflict) as caught:
            call(stage, number)
        assert f" {state} " in caught.value.what
        assert caught.value.what.endswith(to)
        assert stage.restores.restore(number) == before


def test_other_states_are_not_entered_in_passing(stage: Stage) -> None:
    for state, to in product(EVERY[:5], EVERY[:3] + EVERY[5:]):
        number = brought(stage, state)
        with pytest.raises(Conflict) as caught:
            stage.restores.enter(number, to)
        assert f" {state} " in caught.value.what
        assert stage.restores.restore(number).state is state


def test_what_only_who_executes_may_do(stage: Stage) -> None:
    calls: list[tuple[tuple[RestoreState, ...], Callable[[int], None]]] = [
        ((RestoreState.PENDING, *EVERY[2:5]), lambda number: stage.restores.step(number, "on")),
        (EVERY[2:5], lambda number: stage.restores.progress(number, "public.products", 1)),
        ((RestoreState.SAFETY,), lambda number: stage.restores.safety(number, 1)),
        ((RestoreState.VERIFYING,), lambda number: stage.restores.committing(number, 7, done())),
    ]
    for state, (may, call) in product(EVERY, calls):
        number = brought(stage, state)
        before = stage.restores.restore(number)
        if state in may:
            call(number)
            continue
        with pytest.raises(Conflict) as caught:
            call(number)
        assert f" {state} " in caught.value.what
        assert stage.restores.restore(number) == before


def test_one_step_runs_at_a_time(stage: Stage) -> None:
    number = brought(stage, RestoreState.SAFETY)
    for name in ("a", "b", "a"):
        stage.restores.step(number, name)
    steps = stage.restores.restore(number).steps
    assert [step.name for step in steps] == ["a", "b", "a"]
    assert [step.finished_at is None for step in steps] == [False, False, True]


def test_progress_of_a_table_that_the_plan_lacks(stage: Stage) -> None:
    number = brought(stage, RestoreState.RESTORING)
    with pytest.raises(NotFound):
        stage.restores.progress(number, "public.nowhere", 1)


def test_versions_must_be_committed(stage: Stage) -> None:
    running = stage.catalog.begin(new_version())
    for version, error in ((7, NotFound), (running.number, Conflict)):
        with pytest.raises(error):
            stage.restores.begin(new_restore(version))
    stage.catalog.commit(running.id, result(), journal=0)
    number = brought(stage, RestoreState.SAFETY)
    assert number == 1
    running = stage.catalog.begin(new_version())
    for version, error in ((0, NotFound), (1 << 70, NotFound), (77, NotFound), (running.number, Conflict)):
        with pytest.raises(error):
            stage.restores.safety(number, version)
    assert stage.restores.restore(number).safety_at is None


@pytest.mark.parametrize("number", [0, -1, 1, 1 << 63, 1 << 70])
def test_a_restore_that_is_not_there(stage: Stage, number: int) -> None:
    restores = stage.restores
    calls: list[Callable[[], object]] = [
        lambda: restores.restore(number),
        lambda: restores.planned(number, planned()),
        lambda: restores.start(number, HASH),
        lambda: restores.renew(number),
        lambda: restores.step(number, "a"),
        lambda: restores.enter(number, RestoreState.RESTORING),
        lambda: restores.progress(number, "a", 1),
        lambda: restores.safety(number, 1),
        lambda: restores.committing(number, 1, done()),
        lambda: restores.complete(number, done()),
        lambda: restores.fail(number, "A", "b", "c"),
        lambda: restores.cancelled(number, "a"),
        lambda: restores.request_cancel(number),
        lambda: restores.resolve(number, True),
    ]
    for call in calls:
        with pytest.raises(NotFound):
            call()


@pytest.mark.parametrize(
    "new",
    [
        replace(new_restore(1), name="nul \x00"),
        replace(new_restore(1), description="half a pair \ud800"),
        replace(new_restore(1), name="x" * 401),
        replace(new_restore(1), target_url="x" * 10_001),
        replace(new_restore(1), metadata={"key": "\x00"}),
        replace(new_restore(1), request={"tables": ["\x00"]}),
        replace(new_restore(1), request={"half a pair \ud800": 1}),
        replace(new_restore(1), version=0),
        replace(new_restore(1), version=1 << 63),
        replace(new_restore(1), undoes=-1),
    ],
    ids=lambda new: repr(new)[-60:],
)
def test_what_cannot_be_kept_is_refused_before_anything_starts(stage: Stage, new: NewRestore) -> None:
    committed_version(stage)
    with pytest.raises(InvalidInput):
        stage.restores.begin(new)
    assert stage.restores.begin(new_restore(1)).number == 1


def test_texts_of_a_plan_that_no_database_can_hold_are_replaced(stage: Stage) -> None:
    odd, replaced = (
        "half a pair \udcff, nul \x00, \\u0000",
        "half a pair ?, nul \N{REPLACEMENT CHARACTER}, \\u0000",
    )
    number = brought(stage, RestoreState.PENDING)
    entity = replace(planned().entities[0], label=odd)
    plan = {odd: [odd, {"deep": odd}], "long": "x" * 20_000, "none": None, "yes": True}
    found = stage.restores.planned(number, replace(planned(), plan=plan, warnings=(odd,), entities=(entity,)))
    assert found.plan == {
        replaced: [replaced, {"deep": replaced}],
        "long": "x" * 20_000,
        "none": None,
        "yes": True,
    }
    assert (found.warnings, found.entities[0].label) == ((replaced,), replaced)
    stage.restores.start(number, HASH)
    stage.restores.step(number, odd, odd)
    stage.restores.progress(number, odd, 4)
    stage.restores.fail(number, odd, odd, odd + "x" * 20_000)
    found = stage.restores.restore(number)
    assert (found.steps[0].name, found.steps[0].text, found.entities[0].done) == (replaced, replaced, 4)
    assert (found.error_code, found.error_step) == (replaced, replaced)
    assert found.error_text.startswith(replaced + "xxx")


def test_counts_of_any_size_and_many_tables_come_back_exactly(stage: Stage) -> None:
    largest, number = (1 << 63) - 1, brought(stage, RestoreState.PENDING)
    entities = [replace(planned().entities[0], label=f"public.t{turn}", inserted=turn) for turn in range(500)]
    entities.append(
        replace(planned().entities[0], label='büro."Straße"', updated=largest, live_records=largest)
    )
    found = stage.restores.planned(number, replace(planned(), entities=tuple(entities), warnings=()))
    assert found.entities == tuple(entities)
    assert found.warnings == ()


@pytest.mark.parametrize(
    "found",
    [
        replace(planned(), plan_hash=""),
        replace(planned(), plan_hash="\x00"),
        replace(planned(), plan={"x": float("nan")}),
        replace(planned(), entities=planned().entities * 2),
        replace(planned(), entities=(replace(planned().entities[0], label="x" * 401),)),
        replace(planned(), entities=(replace(planned().entities[0], inserted=-1),)),
        replace(planned(), entities=(replace(planned().entities[0], done=1 << 63),)),
    ],
    ids=lambda found: repr(found)[:60],
)
def test_a_plan_that_is_none_is_our_mistake(stage: Stage, found: RestorePlanned) -> None:
    number = brought(stage, RestoreState.PENDING)
    with pytest.raises(ValueError, match=r"restore|plan|hash|JSON|kept|zone|transaction"):
        stage.restores.planned(number, found)
    assert stage.restores.restore(number).state is RestoreState.PENDING


def test_a_result_that_is_none_is_our_mistake(stage: Stage) -> None:
    number = brought(stage, RestoreState.VERIFYING)
    for impossible in (
        replace(done(), records_inserted=-1),
        replace(done(), data_bytes=1 << 63),
        replace(done(), wal_bytes=-1),
        replace(done(), lock_seconds=float("nan")),
        replace(done(), undo_until=stage.catalog.now().replace(tzinfo=None)),
    ):
        with pytest.raises(ValueError, match=r"restore|plan|hash|JSON|kept|zone|transaction"):
            stage.restores.committing(number, 7, impossible)
    for transaction_id in (0, -1, 1 << 64):
        with pytest.raises(ValueError, match=r"restore|plan|hash|JSON|kept|zone|transaction"):
            stage.restores.committing(number, transaction_id, done())


def test_keys_are_kept_for_an_undo_in_the_order_of_keeping(stage: Stage) -> None:
    number, other = brought(stage, RestoreState.SAFETY), brought(stage, RestoreState.SAFETY)
    stage.restores.keep_keys(number, "shop.items", iter([b"first", b"\0second\xff"]))
    stage.restores.keep_keys(other, "shop.items", [b"another's"])
    stage.restores.keep_keys(number, "shop.sellers", [b"third"])
    stage.restores.keep_keys(number, "shop.sellers", [])
    assert list(stage.restores.kept_keys(number)) == [
        ("shop.items", b"first"),
        ("shop.items", b"\0second\xff"),
        ("shop.sellers", b"third"),
    ]
    assert list(stage.restores.kept_keys(404)) == []


def test_keys_are_kept_by_who_holds_the_restore_and_by_nobody_else(stage: Stage) -> None:
    number = brought(stage, RestoreState.SAFETY)
    stage.lapse()
    with pytest.raises(Fenced):
        stage.restores.keep_keys(number, "shop.items", [b"late"])
    with pytest.raises(Conflict):
        stage.restores.keep_keys(brought(stage, RestoreState.PLANNED), "shop.items", [b"early"])
