"""One collector, and packs on their way from live to gone."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID

import pytest

from cas.catalog.collecting import Announced, Awaited
from cas.catalog.model import SessionHandle, VersionState
from cas.errors import Conflict, Fenced
from cas.ids import PackName
from tests.catalog.stages import PostgresStage, Stage
from tests.catalog.values import adopted, new_version, pack, result

A, B, C, D = (pack(seed).name for seed in (1, 2, 3, 4))
NOTHING: dict[PackName, int] = {}
TOKEN = "a token"


def take(stage: Stage, *seeds: int) -> int:
    session = stage.catalog.begin(new_version())
    for seed in seeds:
        stage.catalog.register_pack(session.id, pack(seed))
    return stage.catalog.commit(session.id, result(session.number), journal=0).number


def begun(stage: Stage, *seeds: int) -> SessionHandle:
    session = stage.catalog.begin(new_version())
    for seed in seeds:
        stage.catalog.register_pack(session.id, pack(seed))
    return session


def condemned(stage: Stage, *names: PackName) -> UUID:
    collector = stage.collecting.begin()
    stage.collecting.condemn(collector, names, NOTHING)
    return collector


def test_from_live_to_gone(stage: Stage) -> None:
    take(stage, 1, 2)
    collector = stage.collecting.begin()
    assert stage.collecting.condemn(collector, [A], NOTHING) == 1
    assert stage.catalog.live_packs() == {B}
    assert stage.collecting.condemned() == [A]
    assert stage.collecting.announced() is None
    assert stage.collecting.announce(collector, [A], TOKEN) == Announced(1, (A,), TOKEN)
    assert stage.collecting.condemned() == []
    assert stage.catalog.journal() == 1, "writers may find it in the store from now on"
    assert stage.collecting.doom(collector, 1) == (A,)
    assert stage.collecting.announced() is None
    assert stage.collecting.doomed() == [A]
    stage.collecting.deleted(collector, [A, B])
    assert stage.collecting.doomed() == []
    assert stage.catalog.live_packs() == {B}
    assert stage.catalog.journal() == 1
    stage.collecting.end(collector)


def test_only_one_collects(stage: Stage) -> None:
    first = stage.collecting.begin()
    with pytest.raises(Conflict, match="somebody else"):
        stage.collecting.begin()
    stage.collecting.renew(first)
    stage.collecting.end(first)
    second = stage.collecting.begin()
    stage.collecting.end(first)
    stage.collecting.renew(second)


def test_who_fell_silent_is_replaced_and_can_do_nothing_more(stage: Stage) -> None:
    take(stage, 1, 2)
    first = condemned(stage, A)
    stage.lapse()
    for act in (
        lambda: stage.collecting.renew(first),
        lambda: stage.collecting.condemn(first, [B], NOTHING),
        lambda: stage.collecting.spare(first, [A]),
        lambda: stage.collecting.announce(first, [A], TOKEN),
        lambda: stage.collecting.doom(first, 1),
        lambda: stage.collecting.deleted(first, [A]),
    ):
        with pytest.raises(Fenced):
            act()
    second = stage.collecting.begin()
    with pytest.raises(Fenced):
        stage.collecting.announce(first, [A], TOKEN)
    assert stage.collecting.announce(second, [A], TOKEN) == Announced(1, (A,), TOKEN)


def test_what_one_has_announced_the_next_one_goes_on_with(stage: Stage) -> None:
    take(stage, 1, 2)
    first = condemned(stage, A, B)
    stage.collecting.announce(first, [A], TOKEN)
    stage.lapse()
    second = stage.collecting.begin()
    with pytest.raises(Conflict, match="announced already"):
        stage.collecting.announce(second, [B], TOKEN)
    assert stage.collecting.announced() == Announced(1, (A,), TOKEN)
    with pytest.raises(Conflict, match="not announced"):
        stage.collecting.doom(second, 2)
    stage.collecting.doom(second, 1)
    assert stage.collecting.announce(second, [B], TOKEN) == Announced(2, (B,), TOKEN)


def test_what_is_condemned_is_in_no_view(stage: Stage) -> None:
    take(stage, 1, 2)
    before = begun(stage)
    condemned(stage, A)
    after = begun(stage)
    assert before.view == {A, B}
    assert after.view == {B}
    assert (before.epoch, after.epoch) == (0, 1)


def test_who_may_know_it_is_waited_for(stage: Stage) -> None:
    take(stage, 1, 2)
    before = begun(stage)
    collector = condemned(stage, A)
    begun(stage)
    assert stage.collecting.ripe(collector) == []
    assert stage.collecting.announce(collector, [A], TOKEN) is None
    assert stage.catalog.journal() == 0
    stage.catalog.commit(before.id, result(4), journal=0)
    assert stage.collecting.ripe(collector) == [A]
    assert stage.collecting.announce(collector, [A], TOKEN) == Announced(1, (A,), TOKEN), (
        "the younger one knows it not"
    )


def test_of_several_epochs_the_older_ones_go_first(stage: Stage) -> None:
    take(stage, 1, 2)
    collector = condemned(stage, A)
    between = begun(stage)
    stage.collecting.condemn(collector, [B], NOTHING)
    assert stage.collecting.announce(collector, [A, B], TOKEN) == Announced(1, (A,), TOKEN)
    stage.catalog.fail(between.id, "X", "enough")
    stage.collecting.doom(collector, 1)
    assert stage.collecting.announce(collector, [A, B], TOKEN) == Announced(2, (B,), TOKEN)


def test_who_is_silent_is_fenced_by_its_row(stage: Stage) -> None:
    """Its lease is over; it may come back as long as nobody has ended it, and then it is too late."""
    take(stage, 1)
    session = begun(stage, 3)
    collector = condemned(stage, A)
    stage.lapse()
    stage.catalog.renew(session.id)
    collector = stage.collecting.begin()
    assert stage.collecting.announce(collector, [A], TOKEN) is None, "it came back in time"
    stage.lapse()
    collector = stage.collecting.begin()
    assert stage.collecting.announce(collector, [A], TOKEN) == Announced(1, (A,), TOKEN)
    for act in (
        lambda: stage.catalog.renew(session.id),
        lambda: stage.catalog.commit(session.id, result(4), journal=1),
    ):
        with pytest.raises(Fenced):
            act()
    assert stage.catalog.version(session.number).state is VersionState.FAILED


def test_uploads_of_sessions_that_are_over(stage: Stage) -> None:
    over, at_work = begun(stage, 1), begun(stage, 2)
    stage.catalog.fail(over.id, "X", "killed")
    collector = stage.collecting.begin()
    assert stage.collecting.condemn(collector, [B], NOTHING) == 1, "what is on its way is left alone"
    assert stage.collecting.condemned() == [A]
    stage.catalog.commit(at_work.id, result(2), journal=0)
    assert stage.catalog.live_packs() == {B}


def test_objects_that_no_row_knows(stage: Stage) -> None:
    take(stage, 1)
    at_work = begun(stage, 2)
    collector = stage.collecting.begin()
    assert stage.collecting.condemn(collector, [], {A: 10, B: 10, C: 0, D: 7}) == 2
    assert stage.collecting.condemned() == [C, D]
    with pytest.raises(Conflict):
        stage.catalog.register_pack(at_work.id, pack(3))


def test_what_is_written_in_place_of_others(stage: Stage) -> None:
    """Made and condemned in one moment; who began before knows the old ones, and is waited for."""
    take(stage, 1, 2)
    before = begun(stage)
    collector = stage.collecting.begin()
    stage.collecting.upload(collector, pack(3))
    assert stage.collecting.at_work() == {C}
    assert stage.collecting.condemn(collector, [], {C: 7}) == 0, "it is on its way"
    assert stage.collecting.replace(collector, [C], [A, B, D]) == 2
    assert stage.catalog.live_packs() == {C}
    assert stage.collecting.condemned() == [A, B]
    after = begun(stage)
    assert before.view == {A, B}
    assert (after.view, after.epoch) == (frozenset((C,)), 1)
    assert stage.collecting.ripe(collector) == []
    stage.catalog.fail(before.id, "X", "enough")
    assert stage.collecting.ripe(collector) == [A, B]


def test_only_own_uploads_take_the_place_of_others(stage: Stage) -> None:
    take(stage, 1)
    at_work = begun(stage, 2)
    first = stage.collecting.begin()
    stage.collecting.upload(first, pack(3))
    with pytest.raises(Conflict):
        stage.collecting.upload(first, pack(1))
    for not_ours in (A, B, D):
        with pytest.raises(Conflict):
            stage.collecting.replace(first, [C, not_ours], [A])
    stage.lapse()
    second = stage.collecting.begin()
    with pytest.raises(Fenced):
        stage.collecting.replace(first, [C], [A])
    with pytest.raises(Fenced):
        stage.collecting.upload(first, pack(4))
    with pytest.raises(Conflict):
        stage.collecting.replace(second, [C], [A])
    assert stage.catalog.live_packs() == {A}, "nothing of it was done"
    assert stage.collecting.at_work() == {B}
    stage.catalog.renew(at_work.id)
    assert stage.collecting.condemn(second, [], NOTHING) == 1, "what the one before has left"
    assert stage.collecting.condemned() == [C]


def test_readers_from_before_are_waited_for(stage: Stage) -> None:
    number = take(stage, 1, 2)
    early = stage.keeping.pin(number, "a reader")
    collector = condemned(stage, A)
    stage.keeping.pin(number, "a later reader")
    assert stage.collecting.ripe(collector) == []
    assert stage.collecting.announce(collector, [A], TOKEN) is None
    stage.keeping.unpin(early)
    assert stage.collecting.ripe(collector) == [A]


def test_whom_it_waits_for(stage: Stage) -> None:
    number = take(stage, 1, 2)
    begun(stage)
    reader = stage.keeping.pin(number, "a reader")
    assert stage.collecting.awaited() == Awaited(), "nothing is condemned"
    collector = condemned(stage, A)
    begun(stage)
    stage.keeping.pin(number, "a later reader")
    assert stage.collecting.awaited() == Awaited(writers=1, readers=1)
    stage.keeping.unpin(reader)
    assert stage.collecting.awaited() == Awaited(writers=1)
    stage.collecting.spare(collector, [A])
    assert stage.collecting.awaited() == Awaited()


def test_readers_that_are_silent_are_waited_for_no_longer(stage: Stage) -> None:
    number = take(stage, 1, 2)
    silent = stage.keeping.pin(number, "a reader")
    condemned(stage, A)
    stage.lapse()
    stage.keeping.renew_pin(silent)
    collector = stage.collecting.begin()
    assert stage.collecting.ripe(collector) == [], "it came back in time"
    stage.lapse()
    collector = stage.collecting.begin()
    assert stage.collecting.ripe(collector) == [A]
    with pytest.raises(Fenced):
        stage.keeping.renew_pin(silent)


def test_nothing_to_condemn_is_no_new_epoch(stage: Stage) -> None:
    take(stage, 1)
    collector = stage.collecting.begin()
    assert stage.collecting.condemn(collector, [B], {A: 1}) == 0
    assert begun(stage).epoch == 0


def test_what_is_spared_lives_again(stage: Stage) -> None:
    take(stage, 1, 2, 3)
    collector = condemned(stage, A, B)
    stage.collecting.spare(collector, [A, C])
    assert stage.catalog.live_packs() == {A, C}
    assert stage.collecting.announce(collector, [A, B], TOKEN) == Announced(1, (B,), TOKEN)
    stage.collecting.spare(collector, [B])
    assert stage.collecting.announced() == Announced(1, (), TOKEN)
    assert stage.collecting.doom(collector, 1) == ()
    assert stage.catalog.live_packs() == {A, B, C}
    assert stage.catalog.journal() == 1, "the journal is in the store all the same"


def test_what_is_being_deleted_comes_back_for_nobody(stage: Stage) -> None:
    take(stage, 1)
    collector = condemned(stage, A)
    stage.collecting.announce(collector, [A], TOKEN)
    stage.collecting.doom(collector, 1)
    stage.collecting.spare(collector, [A])
    assert stage.collecting.doomed() == [A]
    with pytest.raises(Conflict, match="deleted"):
        stage.catalog.adopt([adopted(9, 1)], journal=1)


def test_writers_may_find_the_journal_that_is_announced(stage: Stage) -> None:
    take(stage, 1)
    collector = condemned(stage, A)
    session = begun(stage)
    with pytest.raises(Conflict, match="older than the bucket"):
        stage.catalog.commit(session.id, result(2), journal=1)
    stage.collecting.announce(collector, [A], TOKEN)
    assert stage.catalog.commit(session.id, result(2), journal=1).number == session.number
    with pytest.raises(Conflict, match="older than the bucket"):
        stage.catalog.commit(begun(stage).id, result(3), journal=2)


def test_taking_in_versions_ends_the_collector(stage: Stage) -> None:
    """What it has announced may be needed by one of them."""
    take(stage, 1, 2)
    collector = condemned(stage, A, B)
    stage.collecting.announce(collector, [A], TOKEN)
    stage.catalog.adopt([adopted(9, 1)], journal=1)
    assert stage.catalog.live_packs() == {A}
    assert stage.collecting.announced() is None
    with pytest.raises(Fenced):
        stage.collecting.doom(collector, 1)
    again = stage.collecting.begin()
    assert stage.collecting.condemned() == [B]
    assert stage.collecting.announce(again, [A, B], TOKEN) == Announced(2, (B,), TOKEN)


def test_the_number_of_a_journal_that_was_announced_is_spent(stage: Stage) -> None:
    """Its collector may put it still, after the store was listed for an adoption."""
    take(stage, 1, 2)
    collector = condemned(stage, A)
    assert stage.collecting.announce(collector, [A], TOKEN) == Announced(1, (A,), TOKEN)
    stage.catalog.adopt([], journal=0)
    assert stage.catalog.journal() == 1
    again = stage.collecting.begin()
    assert stage.collecting.announce(again, [A], "another") == Announced(2, (A,), "another")


def test_a_session_begins_before_a_condemnation_or_after(postgres_stage: PostgresStage) -> None:
    """Never with the new epoch and the old view: then it would use what is being deleted."""
    stage = postgres_stage
    for seed in range(1, 13):
        take(stage, seed)
        name, start = pack(seed).name, threading.Barrier(2)
        collector = stage.collecting.begin()

        def condemn(
            name: PackName = name, start: threading.Barrier = start, collector: UUID = collector
        ) -> None:
            start.wait()
            time.sleep(0.001)
            stage.collecting.condemn(collector, [name], NOTHING)

        def begin(start: threading.Barrier = start) -> SessionHandle:
            start.wait()
            return stage.catalog.begin(new_version())

        with ThreadPoolExecutor(2) as pool:
            pool.submit(condemn)
            session = pool.submit(begin).result()
        assert (session.epoch == seed) == (name not in session.view)
        stage.catalog.fail(session.id, "X", "enough")
        stage.collecting.end(collector)


def test_of_many_that_begin_one_collects(postgres_stage: PostgresStage) -> None:
    start = threading.Barrier(4)

    def begin(_: int) -> bool:
        start.wait()
        try:
            postgres_stage.collecting.begin()
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(begin, range(4))) == [False, False, False, True]


def test_a_pack_that_was_announced_is_shown_to_no_session(stage: Stage) -> None:
    take(stage, 1, 2)
    collector = condemned(stage, A)
    stage.collecting.announce(collector, [A], TOKEN)
    assert begun(stage).view == {B}
    stage.collecting.doom(collector, 1)
    assert begun(stage).view == {B}


def test_versions_may_be_adopted_with_a_journal_of_others(stage: Stage) -> None:
    stage.catalog.adopt([replace(adopted(9, 1), packs=(pack(1),))], journal=4)
    collector = condemned(stage, A)
    assert stage.collecting.announce(collector, [A], TOKEN) == Announced(5, (A,), TOKEN)
