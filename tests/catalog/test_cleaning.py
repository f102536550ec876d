"""The last run of each kind of cleaning up, remembered."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from cas.catalog.cleaning import CleanupKind, CleanupOutcome, CleanupResult
from tests.catalog.stages import PostgresStage, Stage
from tests.catalog.values import adopted, new_version, quarantined

FORGET, GC = CleanupKind.FORGET, CleanupKind.GC
DONE = CleanupResult(CleanupOutcome.COMPLETE, "", 3, 1, 4_000)
REFUSED = CleanupResult(CleanupOutcome.FAILED, "too much would go")


def test_nothing_ran_yet(stage: Stage) -> None:
    assert stage.cleaning.last() == {}


def test_a_run_from_its_beginning_to_its_end(stage: Stage) -> None:
    before = stage.catalog.now()
    run = stage.cleaning.begin(GC)
    begun = stage.cleaning.last()[GC]
    assert before <= begun.started_at <= stage.catalog.now()
    assert (begun.ended_at, begun.succeeded_at, begun.result) == (None, None, None)
    stage.cleaning.end(run, DONE)
    ended = stage.cleaning.last()[GC]
    assert ended.ended_at is not None
    assert ended.started_at == begun.started_at <= ended.ended_at == ended.succeeded_at
    assert ended.result == DONE
    assert list(stage.cleaning.last()) == [GC], "the other kind never ran"


def test_who_dies_leaves_what_the_one_before_has_found(stage: Stage) -> None:
    stage.cleaning.end(stage.cleaning.begin(GC), DONE)
    first = stage.cleaning.last()[GC]
    stage.cleaning.begin(GC)
    died = stage.cleaning.last()[GC]
    assert died.started_at > first.started_at
    assert (died.ended_at, died.succeeded_at, died.result) == (None, first.ended_at, DONE)


def test_a_failure_does_not_count_as_the_last_success(stage: Stage) -> None:
    stage.cleaning.end(stage.cleaning.begin(FORGET), DONE)
    first = stage.cleaning.last()[FORGET]
    stage.cleaning.end(stage.cleaning.begin(FORGET), REFUSED)
    failed = stage.cleaning.last()[FORGET]
    assert failed.result == REFUSED
    assert failed.succeeded_at == first.ended_at
    assert failed.ended_at is not None
    assert failed.ended_at > failed.started_at > first.started_at


def test_of_two_at_once_the_later_one_counts(stage: Stage) -> None:
    first, other = stage.cleaning.begin(FORGET), stage.cleaning.begin(GC)
    second = stage.cleaning.begin(FORGET)
    stage.cleaning.end(first, REFUSED)
    assert stage.cleaning.last()[FORGET].result is None
    stage.cleaning.end(second, DONE)
    stage.cleaning.end(second, REFUSED)
    assert stage.cleaning.last()[FORGET].result == DONE, "it ends once"
    stage.cleaning.end(other, REFUSED)
    assert stage.cleaning.last()[GC].result == REFUSED


def test_any_text_can_be_kept(stage: Stage) -> None:
    run = stage.cleaning.begin(GC)
    stage.cleaning.end(run, CleanupResult(CleanupOutcome.FAILED, "a \x00" + "x" * 20_000, freed_bytes=-5))
    result = stage.cleaning.last()[GC].result
    assert result is not None
    assert len(result.text) == 10_000
    assert "\x00" not in result.text
    assert result.freed_bytes == -5


def test_the_table_refuses_an_end_without_an_outcome(postgres_stage: PostgresStage) -> None:
    postgres_stage.cleaning.begin(GC)
    with pytest.raises(Exception, match="cleanups_ended"):
        postgres_stage.other.execute("UPDATE cas.cleanups SET ended_at = clock_timestamp()")


def test_what_was_never_known_wants_to_be_confirmed(stage: Stage) -> None:
    """Versions, quarantined ones, and journals; what failed here is known."""
    cleaning, catalog = stage.cleaning, stage.catalog
    session = catalog.begin(new_version())
    catalog.fail(session.id, "INTERRUPTED", "it died after its document was put")
    catalog.adopt([adopted(session.number)], journal=0)
    assert cleaning.rebuilt_at() is None
    steps: tuple[Callable[[], int], ...] = (
        lambda: catalog.adopt([adopted(7)], journal=0),
        lambda: catalog.adopt([], journal=0, quarantined=[quarantined(9)]),
        lambda: catalog.adopt([], journal=3),
    )
    for take_in in steps:
        before = catalog.now()
        take_in()
        at = cleaning.rebuilt_at()
        assert at is not None
        assert before <= at <= catalog.now()
        take_in()
        assert cleaning.rebuilt_at() == at, "there was nothing new in it"
        assert not cleaning.confirm(at - timedelta(seconds=1)), "something came since"
        assert cleaning.rebuilt_at() == at
        assert cleaning.confirm(at)
        assert not cleaning.confirm(at)
        assert cleaning.rebuilt_at() is None
        take_in()
        assert cleaning.rebuilt_at() is None
