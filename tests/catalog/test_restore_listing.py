"""Which restores are listed, in which order, and what they took."""

from dataclasses import replace
from datetime import datetime

import pytest

from cas.catalog.restore_model import RestoreFilter, RestoreKind, RestoreMode, RestoreState
from cas.errors import InvalidInput
from tests.catalog.restore_values import (
    HASH,
    brought,
    committed_version,
    committing,
    done,
    new_restore,
    planned,
)
from tests.catalog.stages import Stage


def numbers(stage: Stage, where: RestoreFilter) -> list[int]:
    return [restore.number for restore in stage.restores.restores(where)]


@pytest.fixture
def listed(stage: Stage) -> Stage:
    """1 completed, 2 planned MERGE, 3 failed, 4 lapsed, 5 unresolved, 6 pending, 7 a full one."""
    brought(stage, RestoreState.COMPLETED)
    brought(stage, RestoreState.PLANNED, mode=RestoreMode.MERGE)
    brought(stage, RestoreState.FAILED)
    brought(stage, RestoreState.SAFETY)
    committing(stage)
    stage.lapse()
    brought(stage, RestoreState.PENDING)
    new = replace(new_restore(1), kind=RestoreKind.FULL, name="50% off_", created_by="Ünal", description="")
    stage.restores.begin(new)
    return stage


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (RestoreFilter(), [7, 6, 5, 4, 3, 2, 1]),
        (RestoreFilter(states=(RestoreState.COMPLETED,)), [1]),
        (RestoreFilter(states=(RestoreState.FAILED,)), [4, 3]),
        (RestoreFilter(states=(RestoreState.SAFETY,)), []),
        (RestoreFilter(states=(RestoreState.VERIFYING, RestoreState.PLANNED)), [5, 2]),
        (RestoreFilter(kinds=(RestoreKind.FULL, RestoreKind.DATA_ONLY)), [7]),
        (RestoreFilter(mode=RestoreMode.MERGE), [2]),
        (RestoreFilter(mode=RestoreMode.MISSING), []),
        (RestoreFilter(version=1), [7, 1]),
        (RestoreFilter(version=1 << 70), []),
        (RestoreFilter(text="GRÖSSE"), [6, 5, 4, 3, 2, 1]),
        (RestoreFilter(text="AFTER the"), [6, 5, 4, 3, 2, 1]),
        (RestoreFilter(text="ünal"), [7]),
        (RestoreFilter(text="%"), [7]),
        (RestoreFilter(text="_"), [7]),
        (RestoreFilter(text="3"), [3]),
        (RestoreFilter(text="' OR true --"), []),
        (RestoreFilter(limit=2), [7, 6]),
        (RestoreFilter(limit=2, before=4), [3, 2]),
        (RestoreFilter(before=1), []),
        (RestoreFilter(before=1 << 70, limit=1), [7]),
        (RestoreFilter(states=(RestoreState.FAILED,), text="tester", before=4), [3]),
    ],
    ids=str,
)
def test_every_given_field_must_match(listed: Stage, where: RestoreFilter, expected: list[int]) -> None:
    assert numbers(listed, where) == expected


def test_from_a_moment_on_and_until_before_another(listed: Stage) -> None:
    second = listed.restores.restore(2).created_at
    third = listed.restores.restore(3).created_at
    assert numbers(listed, RestoreFilter(since=second, before=4)) == [3, 2]
    assert numbers(listed, RestoreFilter(until=second)) == [1]
    assert numbers(listed, RestoreFilter(since=second, until=third)) == [2]


def test_listings_are_without_plans_entities_and_steps(listed: Stage) -> None:
    for short in listed.restores.restores(RestoreFilter()):
        whole = listed.restores.restore(short.number)
        assert short == replace(whole, plan={}, entities=(), steps=())
    assert listed.restores.restore(1).entities


@pytest.mark.parametrize(
    "where",
    [
        RestoreFilter(limit=0),
        RestoreFilter(limit=10_001),
        RestoreFilter(before=0),
        RestoreFilter(version=0),
        RestoreFilter(since=datetime(2026, 1, 1)),  # noqa: DTZ001 - the case
        RestoreFilter(until=datetime(2026, 1, 1)),  # noqa: DTZ001 - the case
        RestoreFilter(text="\x00"),
        RestoreFilter(text="\ud800"),
    ],
    ids=str,
)
def test_a_filter_that_makes_no_sense_is_refused(stage: Stage, where: RestoreFilter) -> None:
    with pytest.raises(InvalidInput):
        stage.restores.restores(where)


def test_what_restores_took_is_known_of_those_that_told_it(listed: Stage) -> None:
    undo = brought(listed, RestoreState.COMPLETED, undoes=1)
    listed.restores.resolve(5, True)
    (second, first) = listed.restores.measured()
    assert (second.number, first.number) == (undo, 1)
    assert [one.number for one in listed.restores.measured(1)] == [undo]
    assert (first.mode, first.changed_records) == (RestoreMode.EXACT, 1 + 2 + 3)
    assert (first.live_records, first.version_records) == (11 + 101, 10 + 100)
    assert (first.data_bytes, first.wal_bytes, first.lock_seconds) == (1000, 5000, 0.25)
    assert first.duration_seconds == listed.restores.restore(1).duration_seconds
    assert first.steps == ()
    for limit in (0, 10_001):
        with pytest.raises(InvalidInput):
            listed.restores.measured(limit)


def test_every_step_that_was_measured_is_told_in_order(stage: Stage) -> None:
    restores, version = stage.restores, committed_version(stage)
    number = restores.begin(new_restore(version)).number
    restores.step(number, "compare")
    restores.planned(number, replace(planned(), entities=()))
    restores.start(number, HASH)
    for name in ("apply", "apply", "verify"):
        restores.step(number, name)
    restores.enter(number, RestoreState.RESTORING)
    restores.enter(number, RestoreState.VERIFYING)
    restores.committing(number, 7, done())
    found = restores.complete(number, replace(done(), wal_bytes=None, lock_seconds=None))
    (measured,) = restores.measured()
    assert [name for name, _ in measured.steps] == ["compare", "apply", "apply", "verify"]
    for (_, seconds), step in zip(measured.steps, found.steps, strict=True):
        assert step.finished_at is not None
        assert seconds == pytest.approx((step.finished_at - step.started_at).total_seconds())
    assert (measured.live_records, measured.wal_bytes, measured.lock_seconds) == (0, None, None)
