"""What checks have found is kept, in whatever order it arrives, and says what is known of each version."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cas.catalog.checking import CheckLevel, CheckState, PackFound, VersionCheck, VersionFound
from cas.ids import PackName
from tests.catalog.stages import PostgresStage, Stage, let_go
from tests.catalog.values import adopted, new_version, pack, result

A, B, C = (pack(seed).name for seed in (1, 2, 3))
STRUCTURE, PACKS, BYTES = CheckLevel
BOTH = frozenset((A, B))


def at(hour: int) -> datetime:
    return datetime(2026, 3, 1, hour, tzinfo=UTC)


def take(stage: Stage, *seeds: int) -> int:
    session = stage.catalog.begin(replace(new_version(), protected=False))
    for seed in seeds:
        stage.catalog.register_pack(session.id, pack(seed))
    return stage.catalog.commit(session.id, result(session.number), journal=0).number


def read(stage: Stage, hour: int, *names: PackName, damage: str = "", level: CheckLevel = BYTES) -> None:
    stage.checking.keep_packs(at(hour), [PackFound(name, level, damage) for name in names])


def walked(
    stage: Stage,
    hour: int,
    number: int = 1,
    damage: str = "",
    *,
    level: CheckLevel = STRUCTURE,
    packs: frozenset[PackName] | None = BOTH,
    stands: frozenset[PackName] | None = None,
) -> None:
    found = VersionFound(number, level, damage, packs, stands)
    stage.checking.keep_versions(at(hour), [found])


def known(stage: Stage, number: int = 1) -> VersionCheck:
    return stage.checking.versions([number])[number]


def times(stage: Stage) -> dict[PackName, tuple[datetime | None, datetime | None, str]]:
    return {one.name: (one.trailer_at, one.bytes_at, one.damage) for one in stage.checking.packs()}


def test_of_what_nobody_looked_at_nothing_is_known(stage: Stage) -> None:
    number = take(stage, 1)
    nothing = VersionCheck(number, CheckState.UNCHECKED, None, None, None, None, None, "")
    assert stage.checking.versions([number, 7, 0, 1 << 70]) == {number: nothing}
    assert times(stage) == {A: (None, None, "")}
    assert [when.structure_at for when in stage.checking.walked().values()] == [None]
    assert stage.checking.needing([A]) == []


def test_a_pack_is_written_off_while_it_is_condemned_and_damaged(stage: Stage) -> None:
    take(stage, 1, 2)
    read(stage, 5, A, damage="a bit is another one")
    assert stage.checking.written_off() == frozenset()
    collector = stage.collecting.begin()
    stage.collecting.condemn(collector, [A, B], {})
    assert stage.checking.written_off() == {A}
    read(stage, 6, A)
    assert stage.checking.written_off() == frozenset()


def test_a_damaged_pack_is_damaged_in_whatever_state_until_it_is_read_whole(stage: Stage) -> None:
    """While it is put, live, condemned, announced and about to be deleted."""
    session = stage.catalog.begin(replace(new_version(), protected=False))
    stage.catalog.register_pack(session.id, pack(1))
    stage.catalog.register_pack(session.id, pack(2))
    read(stage, 5, A, damage="a bit is another one")
    read(stage, 5, B)
    assert stage.checking.damaged() == {A}
    stage.catalog.commit(session.id, result(session.number), journal=0)
    assert stage.checking.damaged() == {A}
    collector = stage.collecting.begin()
    stage.collecting.condemn(collector, [A, B], {})
    assert stage.checking.damaged() == {A}
    read(stage, 6, B, damage="a bit is another one")
    read(stage, 6, A)
    assert stage.checking.damaged() == {B}
    announced = stage.collecting.announce(collector, [A, B], "ab" * 16)
    assert announced is not None
    stage.collecting.doom(collector, announced.journal)
    assert stage.checking.damaged() == {B}
    stage.collecting.deleted(collector, [A, B])
    assert stage.checking.damaged() == frozenset()


def test_a_version_is_valid_once_its_trees_and_all_its_packs_were_looked_at(stage: Stage) -> None:
    take(stage, 1, 2, 3)
    walked(stage, 2)
    assert known(stage) == VersionCheck(1, CheckState.UNCHECKED, at(2), None, None, 2, 0, "")
    read(stage, 5, A, C)
    assert (known(stage).state, known(stage).packs_read) == (CheckState.UNCHECKED, 1)
    read(stage, 4, B)
    assert known(stage) == VersionCheck(1, CheckState.VALID, at(2), at(4), None, 2, 2, "")
    read(stage, 3, B)
    assert known(stage).bytes_at == at(4), "what began earlier and arrives later does not count"
    assert stage.checking.walked()[1].structure_at == at(2)
    assert stage.checking.walked()[1].made_at == stage.catalog.version(1).created_at


def test_levels_of_packs(stage: Stage) -> None:
    take(stage, 1, 2)
    read(stage, 1, A, level=PACKS)
    read(stage, 2, A, damage="met on the way", level=STRUCTURE)
    assert times(stage)[A] == (at(1), None, "met on the way")
    read(stage, 3, A, level=PACKS)
    assert times(stage)[A] == (at(3), None, "met on the way"), "a good trailer does not say that all is well"
    read(stage, 4, A)
    assert times(stage)[A] == (at(4), at(4), "")


def test_damage_of_a_pack_shows_at_once_on_all_versions_known_to_need_it(stage: Stage) -> None:
    take(stage, 1, 2)
    take(stage, 3)
    take(stage)
    walked(stage, 1)
    walked(stage, 1, 2, packs=frozenset((B, C)))
    walked(stage, 1, 3, packs=None)
    read(stage, 2, A, B, C)
    read(stage, 3, A, damage="a flipped bit")
    assert known(stage).state is CheckState.DAMAGED
    assert known(stage).damage == f"it needs pack {A}: a flipped bit"
    assert known(stage, 2).state is CheckState.VALID
    assert known(stage, 3).state is CheckState.UNCHECKED
    assert stage.checking.needing([A]) == [1]
    assert stage.checking.needing([B, A]) == [1, 2]
    read(stage, 4, A)
    assert known(stage).state is CheckState.VALID, "it was brought back"


def test_who_stands_the_damage_of_a_pack_is_not_called_damaged_for_it(stage: Stage) -> None:
    """A copy elsewhere, or what is damaged there is not needed."""
    take(stage, 1, 2)
    walked(stage, 1)
    read(stage, 3, A, B)
    read(stage, 4, A, damage="a flipped bit")
    walked(stage, 4, stands=frozenset((A, C)))
    assert known(stage).state is CheckState.VALID
    walked(stage, 5)
    assert known(stage).state is CheckState.VALID, "who looks without knowing it takes nothing back"
    read(stage, 5, B, damage="another one")
    assert known(stage).damage == f"it needs pack {B}: another one"
    read(stage, 6, B)
    assert known(stage).state is CheckState.VALID
    read(stage, 7, A, damage="a flipped bit")
    assert known(stage).state is CheckState.DAMAGED, "it may be worse than it was"
    walked(stage, 8, stands=frozenset())
    assert known(stage).state is CheckState.DAMAGED, "this look did not know of it"


def test_damage_that_somebody_else_found_meanwhile_is_not_lost(stage: Stage) -> None:
    """It was looked for earlier than the version was found whole, and arrives later."""
    take(stage, 1, 2)
    read(stage, 1, A, B)
    walked(stage, 4, stands=frozenset((A,)))
    read(stage, 3, B, damage="bad")
    assert known(stage).state is CheckState.DAMAGED


def test_of_two_that_looked_at_once_the_bad_news_counts(stage: Stage) -> None:
    take(stage, 1, 2)
    for hour, order in ((2, ("", "bad")), (3, ("bad", ""))):
        for damage in order:
            read(stage, hour, A, damage=damage)
            walked(stage, hour, damage=damage)
        assert times(stage)[A] == (at(hour), at(hour), "bad")
        assert known(stage).damage == "bad"


def test_what_began_later_counts_whatever_arrives_first(stage: Stage) -> None:
    take(stage, 1, 2)
    read(stage, 5, A)
    read(stage, 4, A, damage="bad")
    assert times(stage)[A] == (at(5), at(5), ""), "it was mended by then"
    read(stage, 7, A, damage="bad again")
    read(stage, 6, A)
    assert times(stage)[A] == (at(7), at(7), "bad again")
    read(stage, 6, A, damage="older")
    assert times(stage)[A][2] == "bad again"
    walked(stage, 5, level=BYTES, stands=frozenset())
    walked(stage, 4, damage="older")
    assert known(stage).damage != "older"


@pytest.mark.parametrize("level", CheckLevel)
def test_damage_of_a_version_ends_by_a_look_as_deep(stage: Stage, level: CheckLevel) -> None:
    take(stage, 1, 2)
    walked(stage, 1)
    read(stage, 2, A, B)
    assert not stage.checking.walked()[1].is_damaged
    walked(stage, 3, damage="a node is missing", level=level)
    assert stage.checking.walked()[1].is_damaged
    assert known(stage).state is CheckState.DAMAGED
    assert (known(stage).packs, known(stage).packs_read) == (2, 2), "a damaged one shows only a part of it"
    walked(stage, 4)
    is_over = level is STRUCTURE
    assert (known(stage).state is CheckState.VALID) == is_over
    walked(stage, 5, level=BYTES)
    assert known(stage).state is CheckState.VALID


def test_damage_of_a_version_ends_when_all_of_it_was_looked_at_later(stage: Stage) -> None:
    take(stage, 1, 2)
    walked(stage, 1)
    read(stage, 1, A, B)
    walked(stage, 2, damage="a flipped record", level=BYTES)
    walked(stage, 4)
    read(stage, 3, A)
    assert known(stage).state is CheckState.DAMAGED
    read(stage, 3, B)
    assert known(stage).state is CheckState.VALID


def test_what_was_read_back_after_the_commit(stage: Stage) -> None:
    take(stage, 1, 2)
    good = VersionFound(1, BYTES, is_read_back=True)
    stage.checking.keep_versions(at(1), [good])
    assert known(stage) == VersionCheck(1, CheckState.UNCHECKED, None, None, at(1), None, None, "")
    stage.checking.keep_versions(at(2), [VersionFound(1, BYTES, "it is not what was put", is_read_back=True)])
    assert (known(stage).state, known(stage).read_back_at) == (CheckState.DAMAGED, at(1))
    stage.checking.keep_versions(at(3), [good])
    assert known(stage).state is CheckState.DAMAGED, "it says nothing of the rest"
    walked(stage, 4, level=BYTES)
    assert known(stage).state is CheckState.UNCHECKED


def test_what_is_not_known_or_goes_is_passed_over(stage: Stage) -> None:
    take(stage, 1)
    running = stage.catalog.begin(new_version())
    read(stage, 1, A, B, damage="bad")
    walked(stage, 1, running.number)
    walked(stage, 1, 99)
    walked(stage, 1, packs=frozenset((A, B)))
    assert list(times(stage)) == [A]
    assert stage.checking.versions([running.number, 99]) == {}
    assert known(stage).packs is None, "a pack that the catalog does not know"
    assert set(stage.checking.walked()) == {1}


def test_a_pack_that_is_deleted_loses_its_row(stage: Stage) -> None:
    take(stage, 1, 2)
    walked(stage, 1)
    read(stage, 1, A, B)
    stage.condemn([A])
    assert list(times(stage)) == [A, B], "it may be spared"
    stage.delete([A])
    read(stage, 2, A, damage="missing")
    assert list(times(stage)) == [B]
    assert known(stage).state is CheckState.VALID
    collector = stage.collecting.begin()
    stage.collecting.deleted(collector, [A])
    assert known(stage) == VersionCheck(1, CheckState.UNCHECKED, at(1), None, None, None, None, "")
    assert stage.checking.needing([A]) == []
    stage.catalog.adopt([adopted(9, 1)], journal=0)
    assert times(stage)[A] == (None, None, ""), "another one, though of the same name"


def test_a_version_that_is_forgotten_is_not_spoken_of(stage: Stage) -> None:
    take(stage, 1, 2)
    take(stage, 3)
    walked(stage, 1)
    stage.keeping.forget(1, "a rule", heard=stage.keeping.heard())
    walked(stage, 2)
    assert stage.checking.versions([1, 2]).keys() == {2}
    assert stage.checking.needing([A]) == []
    assert let_go(stage.keeping, 1) == [1]
    walked(stage, 3)
    assert set(stage.checking.walked()) == {2}


def test_nothing_is_left_of_a_version_that_is_gone(postgres_stage: PostgresStage) -> None:
    take(postgres_stage, 1, 2)
    take(postgres_stage, 3)
    walked(postgres_stage, 1)
    keeping = postgres_stage.keeping
    keeping.forget(1, "a rule", heard=keeping.heard())
    assert let_go(keeping, 1) == [1]
    rows = postgres_stage.other.execute("SELECT count(*) FROM cas.version_checks").fetchone()
    assert rows == (0,)


def test_damage_in_any_words_can_be_kept(stage: Stage) -> None:
    take(stage, 1, 2)
    read(stage, 1, A, damage="nul \x00 and half a sign \ud800" + "x" * 20_000)
    walked(stage, 1, damage="\x00")
    assert len(times(stage)[A][2]) == 10_000
    assert known(stage).state is CheckState.DAMAGED


def test_runs_that_overlap_with_a_collector_never_wait_for_each_other(postgres_stage: PostgresStage) -> None:
    """Each in another order of packs and versions, while packs go from live to gone and versions too."""
    seeds = range(1, 25)
    for seed in seeds:
        take(postgres_stage, seed)
    names = [pack(seed).name for seed in seeds]
    start = threading.Barrier(4)

    def check(turn: int) -> None:
        start.wait()
        for again in range(15):
            order = names if (turn + again) % 2 else names[::-1]
            moment = at(1) + timedelta(seconds=again)
            postgres_stage.checking.keep_packs(moment, [PackFound(name, BYTES) for name in order])
            numbers = seeds if (turn + again) % 2 else seeds[::-1]
            found = [VersionFound(number, BYTES, packs=frozenset(names[:2])) for number in numbers]
            postgres_stage.checking.keep_versions(moment, found)

    def collect() -> None:
        start.wait()
        collecting, keeping = postgres_stage.collecting, postgres_stage.keeping
        collector = collecting.begin()
        for seed in range(1, 12):
            keeping.forget(seed, "a rule", heard=keeping.heard())
            let_go(keeping, seed)
            some = [pack(seed + 11).name, pack(seed).name]
            collecting.condemn(collector, some, {})
            announced = collecting.announce(collector, some, "a token")
            assert announced is not None
            collecting.deleted(collector, collecting.doom(collector, announced.journal))

    with ThreadPoolExecutor(4) as pool:
        for done in [*(pool.submit(check, turn) for turn in range(3)), pool.submit(collect)]:
            done.result()
    assert [one.name for one in postgres_stage.checking.packs()] == sorted(names[22:])
    assert set(postgres_stage.checking.walked()) == set(range(12, 25))
