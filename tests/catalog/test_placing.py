"""Where versions are meant to be and where they are, which of them are partial, and only copies."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID

import pytest

from cas.catalog.model import VersionFilter
from cas.catalog.replica_model import NewReplica, Placement, RunOutcome, RunResult
from cas.errors import CasError, Conflict, InvalidInput, NotFound
from tests.catalog.stages import PostgresStage, Stage
from tests.catalog.test_replicating import DONE, forget, replica
from tests.catalog.values import new_version, result

FORGET = """
    UPDATE cas.versions
    SET protected = false, state = 'forgotten', forgotten_from = state,
        forgotten_at = clock_timestamp(), forgotten_why = 'so'
    WHERE number = %s
"""


@pytest.fixture
def two(stage: Stage) -> Stage:
    """A mirror, and a replica that is none."""
    stage.replicating.add(replica("mirror", mirror=True))
    stage.replicating.add(replica("other"))
    return stage


def commit(stage: Stage, destinations: tuple[str, ...] | None = None) -> int:
    session = stage.catalog.begin(new_version(destinations=destinations))
    return stage.catalog.commit(session.id, result(), journal=0).number


def copy(stage: Stage, name: str, *numbers: int) -> None:
    run = stage.replicating.begin(name)
    assert stage.replicating.copied(run, numbers) == sorted(numbers)
    stage.replicating.end(run, DONE)


def partial(stage: Stage) -> list[int]:
    return [version.number for version in stage.catalog.versions(VersionFilter(partial=True))]


def placement(stage: Stage, number: int) -> Placement:
    return stage.replicating.placements([number])[number]


def test_what_a_replica_is_told_stays(two: Stage) -> None:
    known = two.replicating
    assert [(one.new.mirror, one.new.enabled) for one in known.replicas()] == [(True, True), (False, True)]
    before = known.replica("other")
    changed = known.change("other", enabled=False)
    assert changed == known.replica("other") == replace(before, new=replace(before.new, enabled=False))
    assert known.change("other", mirror=True).new == replace(before.new, mirror=True, enabled=False)
    assert known.change("other") == known.replica("other")
    assert known.change("other", mirror=False, enabled=True) == before
    assert known.replica("mirror").new.mirror, "nobody else changed"
    with pytest.raises(NotFound):
        known.change("nobody", mirror=True)
    known.add(replica("third", enabled=False))
    assert not known.replica("third").new.enabled


def test_no_replica_has_the_name_that_stands_for_none(stage: Stage) -> None:
    with pytest.raises(InvalidInput, match="no replica at all"):
        stage.replicating.add(replica("none"))


def test_a_version_is_partial_until_its_mirrors_hold_it(two: Stage) -> None:
    number = commit(two)
    assert placement(two, number) == Placement(True, (), ("mirror",), ("mirror",))
    assert placement(two, number).is_partial
    assert partial(two) == [number]
    assert two.replicating.owed() == {"mirror": [number]}
    copy(two, "other", number)
    assert placement(two, number) == Placement(True, ("other",), ("mirror",), ("mirror",))
    copy(two, "mirror", number)
    assert placement(two, number) == Placement(True, ("mirror", "other"), ("mirror",), ())
    assert not placement(two, number).is_partial
    assert (partial(two), two.replicating.owed()) == ([], {})


def test_a_version_says_itself_where_it_is_meant_to_be(two: Stage) -> None:
    one, nowhere = commit(two, ("other", "mirror", "other")), commit(two, ())
    assert placement(two, one) == Placement(True, (), ("mirror", "other"), ("mirror", "other"))
    assert placement(two, nowhere) == Placement(True)
    copy(two, "mirror", one, nowhere)
    assert placement(two, nowhere) == Placement(True, ("mirror",))
    assert two.replicating.owed() == {"other": [one]}
    assert two.replicating.placements([one, 77, nowhere]).keys() == {one, nowhere}
    with pytest.raises(NotFound, match="no replica 'nobody'"):
        commit(two, ("other", "nobody"))
    assert len(two.catalog.known_numbers()) == 2, "nothing was begun"


def test_mirrors_of_the_moment_when_it_begins(two: Stage) -> None:
    first = two.catalog.begin(new_version(destinations=None))
    two.replicating.change("mirror", mirror=False)
    two.replicating.change("other", mirror=True, enabled=False)
    second = commit(two)
    two.catalog.commit(first.id, result(), journal=0)
    assert placement(two, first.number).destinations == ("mirror",)
    assert placement(two, second) == Placement(True), "one that is switched off is no destination"


def test_what_is_no_version_is_not_partial(two: Stage) -> None:
    running = two.catalog.begin(new_version(destinations=("mirror",)))
    assert placement(two, running.number) == Placement(False, (), ("mirror",), ())
    assert (partial(two), two.replicating.owed()) == ([], {})
    two.catalog.fail(running.id, "X", "so")
    assert (partial(two), two.replicating.owed()) == ([], {})
    first, _ = commit(two), commit(two)
    forget(two, first)
    assert first not in partial(two)
    assert placement(two, first) == Placement(False, (), ("mirror",), ())
    assert first not in two.replicating.owed()["mirror"]


def test_what_a_destination_has_let_go_is_not_lacking(two: Stage) -> None:
    number = commit(two, ("other",))
    copy(two, "other", number)
    run = two.replicating.begin("other")
    two.replicating.forgotten(run, [number])
    assert placement(two, number) == Placement(True, (), ("other",), ())
    assert partial(two) == []


def test_what_a_destination_does_not_want_by_its_rules_is_not_lacking(two: Stage) -> None:
    first, second = commit(two, ("mirror", "other")), commit(two, ("other",))
    run = two.replicating.begin("other")
    two.replicating.waive(run, [first, 77])
    assert placement(two, first).lacks == ("mirror",)
    assert two.replicating.owed() == {"mirror": [first], "other": [second]}
    with pytest.raises(CasError):
        two.replicating.waive(UUID(int=5), [second])


def test_a_replica_that_is_removed_is_no_destination(two: Stage) -> None:
    number = commit(two, ("mirror", "other"))
    running = two.catalog.begin(new_version(destinations=("mirror", "other")))
    assert two.replicating.remove("mirror") == []
    two.catalog.commit(running.id, result(), journal=0)
    assert placement(two, number).destinations == placement(two, running.number).destinations == ("other",)
    two.replicating.add(replica("mirror", mirror=True))
    assert placement(two, number).lacks == ("other",)


def test_the_only_copy_is_not_removed(two: Stage) -> None:
    numbers = [commit(two) for _ in range(13)]
    copy(two, "other", *numbers)
    assert two.replicating.only_copies("other") == []
    for number in numbers[:12]:
        forget(two, number)
    assert two.replicating.only_copies("other") == numbers[:12]
    with pytest.raises(Conflict, match="the only copy of 12 versions") as caught:
        two.replicating.remove("other")
    assert ", ".join(map(str, numbers[:10])) + " ..." in caught.value.what
    assert "--lost" in caught.value.hint
    assert two.replicating.replica("other")
    assert two.replicating.remove("other", lost=True) == numbers[:12]
    with pytest.raises(NotFound):
        two.replicating.only_copies("other")


def test_of_two_with_the_last_copies_either_may_go_and_not_both(two: Stage) -> None:
    first, _ = commit(two), commit(two)
    copy(two, "other", first)
    copy(two, "mirror", first)
    forget(two, first)
    assert two.replicating.only_copies("other") == []
    two.replicating.change("mirror", enabled=False)
    with pytest.raises(Conflict, match="only copy of version 1"):
        two.replicating.remove("other")
    two.replicating.change("mirror", enabled=True)
    two.replicating.remove("other")
    with pytest.raises(Conflict, match="only copy of version 1"):
        two.replicating.remove("mirror")
    run = two.replicating.begin("mirror")
    two.replicating.forgotten(run, [first])
    two.replicating.end(run, RunResult(RunOutcome.COMPLETE))
    two.replicating.remove("mirror")


def test_a_replica_is_not_removed_while_a_run_is_at_work_though_it_is_lost(two: Stage) -> None:
    two.replicating.begin("other")
    with pytest.raises(Conflict, match="somebody replicates"):
        two.replicating.remove("other", lost=True)


def test_of_two_that_remove_the_last_copies_at_once_one_is_refused(postgres_stage: PostgresStage) -> None:
    stage = postgres_stage
    for _ in range(6):
        for name in ("a", "b"):
            stage.replicating.add(replica(name))
        number, _ = commit(stage, ()), commit(stage, ())
        copy(stage, "a", number)
        copy(stage, "b", number)
        forget(stage, number)
        start = threading.Barrier(2)

        def remove(name: str, start: threading.Barrier = start) -> bool:
            start.wait()
            try:
                stage.replicating.remove(name)
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(remove, ("a", "b"))) == [False, True]
        for left in stage.replicating.replicas():
            stage.replicating.remove(left.name, lost=True)


def test_a_version_is_forgotten_before_its_copy_is_removed_or_after(postgres_stage: PostgresStage) -> None:
    """Where it was forgotten first, the copy stays; and where the copy went first, the version was there."""
    stage = postgres_stage
    number, _ = commit(stage, ()), commit(stage, ())
    stage.replicating.add(replica("a"))
    copy(stage, "a", number)
    stage.other.execute("BEGIN")
    stage.other.execute("SELECT FROM cas.epoch FOR SHARE")
    stage.other.execute(FORGET, [number])
    with ThreadPoolExecutor(1) as pool:
        removing = pool.submit(stage.replicating.remove, "a")
        with pytest.raises(TimeoutError):
            removing.result(0.5)
        stage.other.execute("COMMIT")
        with pytest.raises(Conflict, match="only copy of version 1"):
            removing.result(10)


def test_who_begins_while_a_mirror_is_removed(postgres_stage: PostgresStage) -> None:
    """It has the mirror as its destination, or not; it never fails of it."""
    stage = postgres_stage
    for _ in range(6):
        stage.replicating.add(NewReplica("a", "s3://bucket/a", mirror=True))
        start = threading.Barrier(2)

        def begin(start: threading.Barrier = start) -> int:
            start.wait()
            return commit(stage)

        with ThreadPoolExecutor(1) as pool:
            beginning = pool.submit(begin)
            start.wait()
            stage.replicating.remove("a")
            assert placement(stage, beginning.result()).destinations == ()
