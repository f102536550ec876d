"""What people say of versions, readers that pin them, and versions that go."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cas.catalog.keeping import Heard, NotesMoved
from cas.catalog.model import Trigger, VersionFilter, VersionKind, VersionState
from cas.errors import CasError, Conflict, Fenced, InvalidInput, NotFound
from cas.format.notes import Note, NoteField, Notes, Setting
from tests.catalog.restore_values import new_restore, planned
from tests.catalog.stages import PostgresStage, Stage, let_go
from tests.catalog.values import REPOSITORY, adopted, new_version, pack, result

WHY = "no rule wants it"


def take(stage: Stage, *, parent: int | None = None, kind: VersionKind = VersionKind.FULL) -> int:
    """A version that nobody protects."""
    session = stage.catalog.begin(replace(new_version(parent=parent, kind=kind), protected=False))
    return stage.catalog.commit(session.id, result(session.number), journal=0).number


def notes(number: int, *said: Note | Setting) -> Notes:
    return Notes(REPOSITORY, number, "2026-01-01T00:00:00.000000+00:00", "ada", said)


def say(stage: Stage, *said: Note | Setting) -> Notes:
    """As somebody does whose store takes everything."""
    return stage.keeping.note(said, lambda number: notes(number, *said))


def protected(version: int, value: bool = True) -> Note:
    return Note(version, NoteField.PROTECTED, value)


def hold(version: int, reason: str) -> Note:
    return Note(version, NoteField.HOLD, reason)


def forget(stage: Stage, number: int, why: str) -> bool:
    """By somebody who has heard everything."""
    return stage.keeping.forget(number, why, heard=stage.keeping.heard())


def gone(version: int, why: str = WHY) -> Note:
    return Note(version, NoteField.FORGOTTEN, why)


def state(stage: Stage, number: int) -> VersionState:
    return stage.catalog.version(number).state


# what people say


def test_what_is_said_holds_and_is_counted(stage: Stage) -> None:
    first, second = take(stage), take(stage)
    assert stage.keeping.heard().number == 0
    until = "2027-01-31T00:00:00.000000+00:00"
    say(stage, protected(first), hold(second, "case 4711"), Note(second, NoteField.EXPIRES_AT, until))
    assert stage.keeping.heard().number == 1
    told = stage.catalog.version(first), stage.catalog.version(second)
    assert [(one.protected, one.hold, one.expires_at) for one in told] == [
        (True, "", None),
        (False, "case 4711", datetime(2027, 1, 31, tzinfo=UTC)),
    ]
    say(stage, protected(first, False), hold(second, ""), Note(second, NoteField.EXPIRES_AT, None))
    told = stage.catalog.version(first), stage.catalog.version(second)
    assert [(one.protected, one.hold, one.expires_at) for one in told] == [(False, "", None)] * 2
    assert stage.keeping.heard().number == 2


def test_nothing_is_said_where_the_store_refuses(stage: Stage) -> None:
    number = take(stage)

    def refused(_: int) -> Notes:
        raise Conflict("somebody else was faster")

    with pytest.raises(Conflict, match="faster"):
        stage.keeping.note([protected(number)], refused)
    assert stage.keeping.heard().number == 0
    assert not stage.catalog.version(number).protected


def test_of_what_is_not_there_nothing_can_be_said(stage: Stage) -> None:
    asked: list[int] = []

    def put(number: int) -> Notes:
        asked.append(number)
        return notes(number, protected(1))

    with pytest.raises(NotFound):
        stage.keeping.note([protected(1)], put)
    running = stage.catalog.begin(new_version())
    with pytest.raises(Conflict):
        stage.keeping.note([protected(running.number)], put)
    assert not asked, "nothing was put into the store"


def test_notes_of_the_store_are_taken_in_one_after_the_other(stage: Stage) -> None:
    number = take(stage)
    with pytest.raises(Conflict, match="missing"):
        stage.keeping.take_notes(notes(2, protected(number)))
    stage.keeping.take_notes(notes(1, protected(number), protected(99), hold(98, "never heard of")))
    stage.keeping.take_notes(notes(2, protected(number, False)))
    stage.keeping.take_notes(notes(1, protected(number)))
    assert stage.keeping.heard().number == 2
    assert not stage.catalog.version(number).protected, "the later word counts, and no word twice"


def test_when_versions_are_taken_in_everything_is_heard_again(stage: Stage) -> None:
    """What was said of a version is known before it is: then it must hold when the version comes. Until all
    was heard, nothing is forgotten."""
    number = take(stage)
    take(stage)
    said = [notes(1, protected(number, False), hold(7, "a case")), notes(2, protected(number))]
    for one in said:
        stage.keeping.take_notes(one)
    stage.catalog.adopt([adopted(7)], journal=0)
    assert stage.keeping.heard().number == 0
    stage.keeping.take_notes(said[0])
    with pytest.raises(NotesMoved):
        stage.keeping.forget(number, WHY, heard=Heard(1, 2))
    stage.keeping.take_notes(said[1])
    assert stage.catalog.version(7).hold == "a case"
    with pytest.raises(Conflict, match="protected"):
        stage.keeping.forget(number, WHY, heard=Heard(1, 2))


def test_who_has_heard_less_forgets_nothing_while_all_is_heard_again(stage: Stage) -> None:
    """The number of the notes comes by again at which it was free to go."""
    number = take(stage)
    take(stage)
    said = [say(stage, protected(number)), say(stage, protected(number, False))]
    heard = stage.keeping.heard()
    said.append(say(stage, protected(number)))
    stage.catalog.adopt([], journal=0)
    for one in said[:2]:
        stage.keeping.take_notes(one)
    assert stage.keeping.heard().number == heard.number
    with pytest.raises(NotesMoved):
        stage.keeping.forget(number, WHY, heard=heard)


def test_what_a_restore_relies_on_stays(stage: Stage) -> None:
    version = take(stage)
    made = stage.catalog.begin(replace(new_version(kind=VersionKind.SELECTED), protected=False))
    safety = stage.catalog.commit(made.id, result(made.number), journal=0).number
    restore = stage.restores.begin(new_restore(version)).number
    stage.restores.planned(restore, planned())
    stage.restores.start(restore, planned().plan_hash)
    stage.restores.safety(restore, safety)
    with pytest.raises(Conflict, match="a restore relies on it"):
        forget(stage, safety, WHY)
    stage.restores.fail(restore, "X", "safety", "enough")
    assert forget(stage, safety, WHY)


def test_a_safety_version_that_was_just_made_stays(stage: Stage) -> None:
    take(stage)
    system = new_version(kind=VersionKind.SELECTED, trigger=Trigger.SYSTEM)
    made = stage.catalog.begin(replace(system, protected=False))
    stage.catalog.commit(made.id, result(made.number), journal=0)
    with pytest.raises(Conflict, match="or may"):
        forget(stage, made.number, WHY)


def test_settings(stage: Stage) -> None:
    assert stage.keeping.setting("retention.rules") is None
    say(stage, Setting("retention.rules", ("last 5", "daily 7")), Setting("other", ()))
    assert stage.keeping.setting("retention.rules") == ("last 5", "daily 7")
    assert stage.keeping.setting("other") == ()
    say(stage, Setting("retention.rules", None))
    assert stage.keeping.setting("retention.rules") is None


@pytest.mark.parametrize(
    "said", [hold(1, "nul \x00"), Setting("s", ("half \ud800",)), Setting("s" * 401, ())]
)
def test_what_the_catalog_cannot_hold(stage: Stage, said: Note | Setting) -> None:
    take(stage)
    for act in (
        lambda: stage.keeping.take_notes(notes(1, said)),
        lambda: stage.keeping.note([said], lambda _: pytest.fail("it was put into the store")),
    ):
        with pytest.raises(InvalidInput):
            act()
    assert stage.keeping.heard().number == 0


# versions that go


def test_what_goes_is_said(stage: Stage) -> None:
    """In notes of their own, those that can go and no others."""
    first, second, third = take(stage), take(stage), take(stage)
    take(stage)
    stage.keeping.pin(second, "a restore")
    for number in (first, second, third):
        forget(stage, number, f"rule {number}")
    told: list[tuple[int, tuple[Note, ...]]] = []

    def put(number: int, said: Sequence[Note]) -> Notes:
        told.append((number, tuple(said)))
        return notes(number, *said)

    assert list(stage.keeping.let_go([third, second, first, first], put)) == [first, third]
    assert told == [(1, (gone(first, "rule 1"), gone(third, "rule 3")))]
    assert stage.keeping.heard().number == 1
    assert list(stage.keeping.let_go([second, first], put)) == []
    assert len(told) == 1
    assert stage.keeping.forgotten() == [second]


def test_nobody_is_gone_where_the_store_refuses(stage: Stage) -> None:
    first = take(stage)
    take(stage)
    forget(stage, first, WHY)

    def refused(_: int, __: Sequence[Note]) -> Notes:
        raise Conflict("somebody else was faster")

    with pytest.raises(Conflict):
        stage.keeping.let_go([first], refused)
    assert state(stage, first) is VersionState.FORGOTTEN
    assert stage.keeping.heard().number == 0


def test_what_was_protected_before_it_goes_is_a_version_again(stage: Stage) -> None:
    """Somebody with another catalog said so; here it was marked without knowing it."""
    first, second = take(stage), take(stage)
    take(stage)
    before = stage.catalog.version(first)
    forget(stage, first, WHY)
    forget(stage, second, WHY)
    stage.keeping.take_notes(notes(1, protected(first), protected(second, False)))
    assert stage.catalog.version(first) == replace(before, protected=True)
    assert stage.keeping.forgotten() == [second]
    assert let_go(stage.keeping, first, second) == [second]
    stage.keeping.pin(first, "a restore")


def test_what_others_let_go_is_gone_here(stage: Stage) -> None:
    first, second, third = take(stage), take(stage), take(stage)
    take(stage)
    forget(stage, second, "a rule of this catalog")
    say(stage, hold(third, "case 4711"))
    stage.keeping.take_notes(notes(2, gone(first), gone(second), gone(third), gone(99)))
    assert state(stage, first) is VersionState.GONE
    assert stage.catalog.version(first).forgotten_why == WHY
    assert stage.catalog.version(second).forgotten_why == "a rule of this catalog"
    assert stage.keeping.gone() == {first, second}
    assert state(stage, third) is VersionState.COMPLETE, "it stays by what was said before"
    assert first not in [base.version for base in stage.catalog.bases()]
    stage.keeping.take_notes(notes(3, protected(first)))
    assert state(stage, first) is VersionState.GONE, "nothing counts that is said later"


def test_a_version_is_marked_let_go_and_history(stage: Stage) -> None:
    first, last = take(stage), take(stage)
    assert forget(stage, first, WHY)
    assert not forget(stage, first, "again")
    found = stage.catalog.version(first)
    assert (found.state, found.forgotten_why, found.records) == (VersionState.FORGOTTEN, WHY, 30)
    assert found.forgotten_at is not None
    assert stage.keeping.forgotten() == [first]
    assert stage.keeping.gone() == frozenset()
    assert let_go(stage.keeping, first)
    assert not let_go(stage.keeping, first)
    assert stage.keeping.gone() == {first}
    assert stage.keeping.forgotten() == []
    assert [one.number for one in stage.catalog.versions(VersionFilter())] == [last]
    history = stage.catalog.versions(VersionFilter(states=(VersionState.GONE,)))
    assert [(one.number, one.reason, one.entities) for one in history] == [(first, "nightly", ())]
    assert stage.catalog.known_numbers() == {first, last}


def test_what_is_forgotten_is_nothing_to_build_upon(stage: Stage) -> None:
    first, last = take(stage), take(stage)
    forget(stage, first, WHY)
    with pytest.raises(Conflict):
        stage.catalog.begin(new_version(parent=first))
    with pytest.raises(Conflict):
        stage.keeping.pin(first, "a restore")
    with pytest.raises(Conflict, match="it was forgotten"):
        say(stage, protected(first))
    assert [roots.number for roots in stage.catalog.entity_roots("products")] == [last]
    assert stage.catalog.latest() == stage.catalog.version(last)


@pytest.mark.parametrize(
    ("said", "word"),
    [(protected(1), "protected"), (hold(1, "case 4711"), "case 4711")],
)
def test_what_must_stay(stage: Stage, said: Note, word: str) -> None:
    first, _ = take(stage), take(stage)
    say(stage, said)
    with pytest.raises(Conflict, match=word) as caught:
        forget(stage, first, WHY)
    assert caught.value.hint
    assert state(stage, first) is VersionState.COMPLETE
    say(stage, replace(said, value=False if said.field is NoteField.PROTECTED else ""))
    assert forget(stage, first, WHY)


def test_the_last_good_version_of_a_platform_stays(stage: Stage) -> None:
    good = take(stage)
    take(stage, kind=VersionKind.SELECTED)
    bad = stage.catalog.begin(new_version())
    stage.catalog.commit(bad.id, result(3, state=VersionState.INCOMPLETE), journal=0)
    other = stage.catalog.begin(replace(new_version(), protected=False))
    stage.catalog.describe_source(other.id, "another", "18", "7002")
    stage.catalog.commit(other.id, result(4), journal=0)
    for number in (good, other.number):
        with pytest.raises(Conflict, match="last good"):
            forget(stage, number, WHY)
    newer = take(stage)
    assert forget(stage, good, WHY)
    with pytest.raises(Conflict, match="last good"):
        forget(stage, newer, WHY)


def test_what_is_no_version_to_forget(stage: Stage) -> None:
    for number in (0, 7, 1 << 70):
        with pytest.raises(NotFound):
            forget(stage, number, WHY)
    running = stage.catalog.begin(new_version())
    with pytest.raises(Conflict):
        forget(stage, running.number, WHY)
    stage.catalog.fail(running.id, "X", "failed")
    with pytest.raises(Conflict):
        forget(stage, running.number, WHY)
    with pytest.raises(InvalidInput):
        forget(stage, running.number, "")


# readers and writers that have it


def test_a_reader_keeps_it_until_it_is_done(stage: Stage) -> None:
    first, _ = take(stage), take(stage)
    pins = [stage.keeping.pin(first, "a restore") for _ in range(2)]
    forget(stage, first, WHY)
    assert not let_go(stage.keeping, first)
    stage.keeping.unpin(pins[0])
    assert not let_go(stage.keeping, first)
    stage.keeping.renew_pin(pins[1])
    stage.keeping.unpin(pins[1])
    stage.keeping.unpin(pins[1])
    assert let_go(stage.keeping, first)


def test_a_reader_that_died_keeps_nothing(stage: Stage) -> None:
    first, _ = take(stage), take(stage)
    pin = stage.keeping.pin(first, "a restore")
    forget(stage, first, WHY)
    stage.lapse()
    stage.keeping.renew_pin(pin)
    assert not let_go(stage.keeping, first), "it was only slow"
    stage.lapse()
    assert let_go(stage.keeping, first)
    with pytest.raises(Fenced):
        stage.keeping.renew_pin(pin)


def test_a_writer_that_builds_on_it_keeps_it(stage: Stage) -> None:
    first, _ = take(stage), take(stage)
    session = stage.catalog.begin(new_version(parent=first))
    forget(stage, first, WHY)
    assert not let_go(stage.keeping, first)
    stage.catalog.commit(session.id, result(5), journal=0)
    assert let_go(stage.keeping, first)


def test_a_writer_that_died_is_fenced_and_keeps_nothing(stage: Stage) -> None:
    first, _ = take(stage), take(stage)
    session = stage.catalog.begin(new_version(parent=first))
    stage.catalog.register_pack(session.id, pack(1))
    forget(stage, first, WHY)
    stage.lapse()
    assert let_go(stage.keeping, first)
    for act in (
        lambda: stage.catalog.renew(session.id),
        lambda: stage.catalog.prepare(session.id),
        lambda: stage.catalog.commit(session.id, result(5), journal=0),
    ):
        with pytest.raises(Fenced):
            act()
    assert state(stage, session.number) is VersionState.FAILED


def test_a_rebuild_brings_nothing_back_that_was_forgotten(stage: Stage) -> None:
    """Its document may still be there, since deleting comes last."""
    first, second, _ = take(stage), take(stage), take(stage)
    for number in (first, second):
        forget(stage, number, WHY)
    let_go(stage.keeping, first)
    assert stage.catalog.adopt([adopted(first), adopted(second), adopted(9)], journal=0) == 1
    assert [state(stage, number) for number in (first, second, 9)] == [
        VersionState.GONE,
        VersionState.FORGOTTEN,
        VersionState.COMPLETE,
    ]


# two at once, in a database


def _meanwhile(act: Callable[[], object]) -> Callable[[], object]:
    """Starts something in a thread, which waits for a lock that we hold; gives what waits for its end."""
    pool = ThreadPoolExecutor(1)
    running = pool.submit(act)
    time.sleep(0.3)
    assert not running.done()

    def result_of() -> object:
        try:
            return running.result(timeout=20)
        finally:
            pool.shutdown()

    return result_of


def test_who_forgets_waits_for_who_protects(postgres_stage: PostgresStage) -> None:
    """The version is protected by a note that is on its way to the store: nobody forgets it meanwhile."""
    stage = postgres_stage
    first, _ = take(stage), take(stage)
    waiting: list[Callable[[], object]] = []

    def put(number: int) -> Notes:
        waiting.append(_meanwhile(lambda: stage.keeping.forget(first, WHY, heard=Heard(0, 0))))
        return notes(number, protected(first))

    stage.keeping.note([protected(first)], put)
    with pytest.raises(NotesMoved):
        waiting[0]()
    assert state(stage, first) is VersionState.COMPLETE


def test_who_says_something_gets_a_number_of_its_own(postgres_stage: PostgresStage) -> None:
    stage = postgres_stage
    number = take(stage)
    start = threading.Barrier(4)

    def act(one: int) -> int:
        start.wait()
        return say(stage, hold(number, f"case {one}")).number

    with ThreadPoolExecutor(4) as pool:
        given = list(pool.map(act, range(4)))
    assert sorted(given) == [1, 2, 3, 4]
    assert stage.keeping.heard().number == 4


def test_of_a_writer_and_who_forgets_its_parent_one_is_first(postgres_stage: PostgresStage) -> None:
    """The writer's pin and the mark are one after the other: never is a version gone that is built upon."""
    stage = postgres_stage
    for _ in range(10):
        parent, _ = take(stage), take(stage)
        start = threading.Barrier(2)

        def begin(parent: int = parent, start: threading.Barrier = start) -> bool:
            start.wait()
            try:
                stage.catalog.begin(new_version(parent=parent))
            except CasError:
                return False
            return True

        def go(parent: int = parent, start: threading.Barrier = start) -> bool:
            start.wait()
            forget(stage, parent, WHY)
            return bool(let_go(stage.keeping, parent))

        with ThreadPoolExecutor(2) as pool:
            began, went = pool.submit(begin), pool.submit(go)
            assert not (began.result() and went.result())
