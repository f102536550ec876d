"""Checks within a budget, what is kept of every check, and what others do meanwhile."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cas.catalog.checking import CheckState, PackCheck, Walked
from cas.check import CheckLevel, CheckReport, check_repository
from cas.check_turns import BATCH_PACKS, Budget, packs_in_turn, versions_in_turn
from cas.damage import DamageKind
from cas.engine.write_session import WriteSession
from cas.errors import CasError, ConnectionFailed, InvalidInput, NotFound
from cas.format.journal import encode_journal, parse_journal
from cas.format.names import journal_key, pack_key, pack_of_key, version_key
from cas.format.pack import FOOTER_BYTES
from cas.ids import PackName
from cas.pinning import pinned
from tests.engine.recording import Gate, GatedCatalog, GatedStore
from tests.engine.scenes import PRODUCTS, World, changed, expected, product, rows_of, shop
from tests.engine.small_packs import small_packs
from tests.lifecycle.checked import (
    BYTES,
    Acting,
    Ticking,
    checked,
    collected,
    damage,
    edition,
    gone,
    grown,
    known,
    states,
    turn,
    turn_of,
)
from tests.lifecycle.dying import Failing, Process
from tests.store.faulty import Killed

VALID, DAMAGED, UNCHECKED = CheckState
LEVELS = list(CheckLevel)
EVERYTHING = 10_000.0


@pytest.fixture(autouse=True)
def tiny_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many packs a version, so that each version has some that others do not need."""
    small_packs(monkeypatch)


@pytest.fixture
def world() -> World:
    return grown()


def needs(world: World, number: int) -> set[PackName]:
    return {name for name in world.packs() if number in world.catalog.checking.needing([name])}


def readable(world: World, number: int) -> bool:
    try:
        return world.records(number) == expected(edition(number))
    except CasError:
        return False


# What is kept.


def test_a_whole_check_says_of_every_version_that_it_is_valid(world: World) -> None:
    assert set(states(world).values()) == {UNCHECKED}
    before = world.catalog.now()
    report = checked(world)
    assert report.is_clean
    assert report.not_kept == ""
    for check in known(world).values():
        assert check.state is VALID
        assert check.structure_at is not None
        assert before < check.structure_at == check.bytes_at
        assert check.packs == check.packs_read


def test_a_check_that_reads_no_bytes_claims_none(world: World) -> None:
    for level in (CheckLevel.STRUCTURE, CheckLevel.PACKS):
        checked(world, level)
        for check in known(world).values():
            assert (check.state, check.packs_read) == (UNCHECKED, 0)
            assert check.structure_at is not None
            assert check.packs


def test_one_version_is_kept_by_itself(world: World) -> None:
    assert checked(world, version=2).is_clean
    assert states(world) == {1: UNCHECKED, 2: VALID, 3: UNCHECKED, 4: UNCHECKED}


def test_what_a_version_is_said_to_need_it_needs_and_nothing_else(world: World) -> None:
    checked(world, CheckLevel.STRUCTURE)
    for number in range(1, 5):
        needed = needs(world, number)
        others = {name: world.store.get(pack_key(name)) for name in world.packs() - needed}
        assert others, "each version has packs of its own"
        for name in others:
            world.store.delete(pack_key(name))
        assert readable(world, number)
        for name in needed:
            whole = world.store.get(pack_key(name))
            world.store.delete(pack_key(name))
            assert not readable(world, number), "each of them is needed"
            world.store.put(pack_key(name), whole)
        for name, whole in others.items():
            world.store.put(pack_key(name), whole)


def test_a_version_needs_what_its_changed_nodes_stand_upon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what the second version has added, the third has changed all: only bases of its nodes lie there."""
    monkeypatch.undo()
    world, packs, rows = World(), [set[PackName]()], {each: product(each) for each in range(400)}
    for number in range(3):
        rows |= {each: product(each, number) for each in range(0, 400, 10)}
        world.take({PRODUCTS: rows})
        packs.append(world.packs())
    checked(world, CheckLevel.STRUCTURE)
    assert needs(world, 3) & (packs[2] - packs[1]), "some of its nodes are deltas"
    for name in world.packs() - needs(world, 3):
        world.store.delete(pack_key(name))
    assert world.records(3) == expected({PRODUCTS: rows})


def test_too_much_to_remember_is_said_to_be_not_known(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cas.closure.needs.MAX_NEEDS_BYTES", 0)
    assert checked(world).is_clean
    assert {check.packs for check in known(world).values()} == {None}
    assert set(states(world).values()) == {UNCHECKED}


def test_damage_shows_at_once_on_all_that_are_known_to_need_it(world: World) -> None:
    checked(world)
    name = min(needs(world, 2) - needs(world, 4))
    whole = damage(world, name)
    users = set(world.catalog.checking.needing([name]))
    assert checked(world, version=2).lost_versions == (2,)
    assert {number for number, state in states(world).items() if state is DAMAGED} == users
    assert all(name in known(world)[number].damage for number in users)
    world.store.put(pack_key(name), whole)
    checked(world)
    assert set(states(world).values()) == {VALID}


def test_a_catalog_that_goes_away_costs_what_is_kept_and_not_the_check(world: World) -> None:
    class Away(Gate):
        def before(self, call: str, what: str = "") -> None:
            if call.startswith("keep_"):
                raise ConnectionFailed("planned")

    report = check_repository(world.open(), catalog=GatedCatalog(world.catalog, Away()), level=BYTES)
    assert report.is_clean
    assert "planned" in report.not_kept
    with pytest.raises(ConnectionFailed):
        turn(world, gate=Away())


# Within a budget.


def test_run_after_run_everything_is_covered_however_small_the_budget(world: World) -> None:
    packs, runs = world.packs(), 0
    while set(states(world).values()) != {VALID}:
        report = turn(world)
        runs += 1
        assert report.is_clean
        assert report.versions[-1] == 4, "the newest one is walked in every run"
        done = turn_of(report)
        assert (done.versions, done.packs) == (2, 1)
        assert done.coverage.read == min(runs, len(packs))
        assert runs <= len(packs)
    assert turn_of(report).coverage.read_bytes == turn_of(report).coverage.pack_bytes
    assert runs == len(packs)
    rounds = turn_of(report).runs_per_round
    assert rounds is not None
    assert rounds > 1
    oldest = turn_of(report).coverage.least_recent_read
    following = turn_of(turn(world)).coverage.least_recent_read
    assert oldest is not None
    assert following is not None
    assert following > oldest, "and then from the start"


def test_a_budget_that_is_large_enough_covers_everything_at_once(world: World) -> None:
    done = turn_of(turn(world, EVERYTHING))
    assert (done.versions, done.packs) == (4, len(world.packs()))
    assert done.runs_per_round == 1
    assert set(states(world).values()) == {VALID}


@pytest.mark.parametrize("level", LEVELS)
def test_levels(world: World, level: CheckLevel) -> None:
    report = turn(world, EVERYTHING, level)
    done = turn_of(report)
    assert report.is_clean
    assert done.versions == 4
    assert done.packs == (0 if level is CheckLevel.STRUCTURE else len(world.packs()))
    assert (set(states(world).values()) == {VALID}) == (level is BYTES)
    assert done.coverage.read == (done.packs if level is not CheckLevel.STRUCTURE else 0)


def test_what_is_new_waits_for_its_turn_and_nothing_waits_for_ever(world: World) -> None:
    """More is added than is checked: what was there before is still looked at."""
    old = world.packs()
    for number in range(5, 25):
        world.take(edition(number))
        turn(world)
    read = {check.name for check in world.catalog.checking.packs() if check.bytes_at}
    assert len(read) == 20
    assert len(read & old) == min(20, len(old))
    walked = world.catalog.checking.walked()
    assert all(walked[number].structure_at for number in range(1, 5))


def test_damage_is_found_within_a_round_and_said_of_whom_it_touches(world: World) -> None:
    turn(world, EVERYTHING)
    name = sorted(needs(world, 2))[-1]
    users = tuple(world.catalog.checking.needing([name]))
    whole = damage(world, name)
    for _ in range(len(world.packs())):
        report = turn(world)
        if not report.is_clean:
            break
    (finding,) = report.findings
    assert finding.object == pack_key(name)
    assert finding.lost_versions == users
    assert {number for number, state in states(world).items() if state is DAMAGED} == set(users)
    assert not turn(world).is_clean, "what is damaged is looked at first"
    world.store.put(pack_key(name), whole)
    assert turn(world).is_clean
    assert set(states(world).values()) == {VALID}, "and so it is noticed when it was brought back"


def test_damage_that_a_copy_makes_good_is_no_damage_of_a_version(world: World) -> None:
    """A session that died had stored the same records."""
    platform = edition(5)
    session = world.session(world.open())
    session.put_records(list(rows_of(platform, PRODUCTS).values()))
    session.close_packs()
    session.abandon(RuntimeError("enough"))
    number = world.take(platform).number
    checked(world)
    held = [name for name in sorted(needs(world, number)) if is_stood(world, number, name)]
    assert held
    damage(world, held[0])
    report = turn(world, EVERYTHING)
    assert [one.object for one in report.findings] == [pack_key(held[0])]
    assert number in report.findings[0].versions
    assert number not in report.lost_versions
    assert states(world)[number] is VALID
    turn(world, level=CheckLevel.STRUCTURE)
    assert states(world)[number] is VALID


def is_stood(world: World, number: int, name: PackName) -> bool:
    """Whether the version can be read while this pack is damaged."""
    whole = damage(world, name)
    try:
        return world.records(number) == expected(edition(5))
    except CasError:
        return False
    finally:
        world.store.put(pack_key(name), whole)


def test_a_pack_that_is_lost_is_found_in_the_next_run(world: World) -> None:
    turn(world, EVERYTHING)
    name = min(needs(world, 1) - needs(world, 4))
    world.store.delete(pack_key(name))
    report = turn(world, level=CheckLevel.STRUCTURE)
    assert [(one.object, one.kind) for one in report.findings] == [(pack_key(name), DamageKind.MISSING)]
    assert 1 in report.lost_versions
    assert states(world)[1] is DAMAGED
    assert states(world)[4] is VALID


def test_a_run_that_dies_anywhere_loses_one_batch_at_most(world: World) -> None:
    at = 0
    while True:
        at += 1
        world = grown(2)
        gate = Failing(at, after=False, dies=True)
        process = Process(world, gate)
        gate.is_armed = True
        try:
            check_repository(
                process.repository, catalog=process.catalog, level=BYTES, budget=Budget(EVERYTHING, Ticking())
            )
        except Killed:
            assert gate.failed_at
        else:
            break
        read = sum(check.bytes_at is not None for check in world.catalog.checking.packs())
        asked = sum(call == "get" and what.startswith("packs/") for call, what in gate.events)
        assert asked - read <= BATCH_PACKS + 2
        assert turn(world, EVERYTHING).is_clean
        assert set(states(world).values()) == {VALID}
    assert at > 20


def test_batches_are_kept_as_they_are_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cas.check_turns.BATCH_PACKS", 2)
    for mode in ("bytes", "budget"):
        gate = Gate()
        MODES[mode](world, gate)
        calls = [call for call, _ in gate.events]
        begin = calls.index("keep_packs")
        assert calls[begin:].count("keep_packs") >= len(world.packs()) / 2
        assert "get" in calls[begin:], "there is more to be read after the first batch was kept"


@pytest.mark.parametrize("version", [None, 1])
def test_a_budget_wants_a_catalog_and_all_versions(world: World, version: int | None) -> None:
    catalog = None if version is None else world.catalog
    with pytest.raises(InvalidInput):
        check_repository(world.open(), catalog=catalog, version=version, budget=Budget(1, Ticking()))


# What others do meanwhile.


MODES: dict[str, Callable[[World, Gate], CheckReport]] = {
    "structure": lambda world, gate: gated(world, gate, CheckLevel.STRUCTURE),
    "packs": lambda world, gate: gated(world, gate, CheckLevel.PACKS),
    "bytes": lambda world, gate: gated(world, gate, BYTES),
    "budget": lambda world, gate: turn(world, EVERYTHING, gate=gate),
    "without a catalog": lambda world, gate: check_repository(
        world.open(GatedStore(world.store, gate)), level=BYTES
    ),
}


def gated(world: World, gate: Gate, level: CheckLevel) -> CheckReport:
    store, catalog = GatedStore(world.store, gate), GatedCatalog(world.catalog, gate)
    return check_repository(world.open(store), catalog=catalog, level=level)


@pytest.mark.parametrize("already", [False, True], ids=["condemned meanwhile", "condemned before"])
@pytest.mark.parametrize("mode", MODES)
def test_versions_that_are_forgotten_and_packs_that_are_collected_at_any_call_are_no_damage(
    mode: str, already: bool
) -> None:
    """What is condemned while a check holds it stays; what was condemned before has its copies elsewhere."""
    seen, at, deleted = set(), 0, 0
    while True:
        at += 1
        world = grown(3)
        session = world.session(world.open())
        if already:
            gone(world, 1, 2)
            assert collected(world).waiting
        else:
            session.abandon(RuntimeError("enough"))

        def act(world: World = world, session: WriteSession = session) -> None:
            nonlocal deleted
            session.abandon(RuntimeError("enough"))
            gone(world, 1, 2)
            deleted += collected(world).deleted

        gate = Acting(at, act)
        report = MODES[mode](world, gate)
        if not gate.acted_at:
            break
        seen.add(gate.acted_at)
        assert report.is_clean, (at, gate.acted_at, report.findings)
        assert known(world).keys() == {3}
        assert DAMAGED not in states(world).values()
        collected(world)
        assert {check.name for check in world.catalog.checking.packs()} == world.packs()
    assert deleted
    assert {"get", "objects"} <= seen
    assert mode == "without a catalog" or {"now", "keep_versions"} <= seen


@pytest.mark.parametrize("mode", MODES)
def test_versions_that_are_taken_at_any_call_are_no_damage(mode: str) -> None:
    at = 0
    while True:
        at += 1
        world = grown(2)
        gate = Acting(at, lambda world=world: world.take(edition(3)))  # type: ignore[misc]
        report = MODES[mode](world, gate)
        if not gate.acted_at:
            break
        assert report.is_clean, (at, gate.acted_at, report.findings)
        assert DAMAGED not in states(world).values()


def test_runs_that_overlap_at_any_call_do_each_their_work() -> None:
    at = 0
    while True:
        at += 1
        world = grown(2)
        gate = Acting(at, lambda world=world: turn(world, EVERYTHING))  # type: ignore[misc]
        report = turn(world, EVERYTHING, gate=gate)
        if not gate.acted_at:
            break
        assert report.is_clean
        assert set(states(world).values()) == {VALID}


@pytest.mark.parametrize("mode", MODES)
def test_a_document_that_is_lost_at_any_call_is_not_taken_for_a_forgotten_one(mode: str) -> None:
    """Whenever it is noticed, it is damage; the catalog still has the version."""
    if mode == "without a catalog":
        return
    at, noticed = 0, 0
    while True:
        at += 1
        world = grown(2)
        gate = Acting(at, lambda world=world: world.store.delete(version_key(1)))  # type: ignore[misc]
        report = MODES[mode](world, gate)
        if not gate.acted_at:
            break
        noticed += not report.is_clean
        assert {one.object for one in report.findings} <= {version_key(1)}
        assert report.is_clean == (states(world)[1] is not DAMAGED)
    assert noticed


def test_one_version_that_is_pinned_stays_while_it_is_checked(world: World) -> None:
    at = 0
    while True:
        at += 1
        world = grown(3)

        def act(world: World = world) -> None:
            gone(world, 1, 2)
            collected(world)

        gate = Acting(at, act)
        store, catalog = GatedStore(world.store, gate), GatedCatalog(world.catalog, gate)
        with pinned(world.environment, world.catalog, 1, "a check"):
            report = check_repository(world.open(store), catalog=catalog, version=1, level=BYTES)
        if not gate.acted_at:
            break
        assert report.is_clean, (at, gate.acted_at, report.findings)
        assert report.versions == (1,)
        assert readable(world, 1)


def test_one_version_that_goes_while_it_is_checked_is_not_called_damaged(world: World) -> None:
    """Nobody has pinned it: either it is not there any more, or nothing is wrong with it."""
    at = not_found = 0
    while True:
        at += 1
        world = grown(3)

        def act(world: World = world) -> None:
            gone(world, 1, 2)
            assert collected(world).deleted

        gate = Acting(at, act)
        store, catalog = GatedStore(world.store, gate), GatedCatalog(world.catalog, gate)
        try:
            report = check_repository(world.open(store), catalog=catalog, version=1, level=BYTES)
        except NotFound:
            not_found += 1
            continue
        if not gate.acted_at:
            break
        assert report.is_clean, (at, gate.acted_at, report.findings)
        assert known(world).keys() == {3}
    assert not_found


def test_a_round_within_budgets_finds_every_flipped_byte_and_whom_it_touches_as_a_whole_check_does(
    world: World,
) -> None:
    for info in list(world.store.objects()):
        whole = world.store.get(info.key)
        for position in range(0, len(whole), 101):
            bad = bytearray(whole)
            bad[position] ^= 1 << position % 8
            opened, other = world.open(), world.open()
            opened.reader()
            world.store.put(info.key, bytes(bad))
            report = check_repository(
                opened, catalog=world.catalog, level=BYTES, budget=Budget(EVERYTHING, Ticking())
            )
            assert {finding.object for finding in report.findings} == {info.key}, position
            assert report.lost_versions == check_repository(other, level=BYTES).lost_versions
            kept = {check.name for check in world.catalog.checking.packs() if check.damage}
            assert kept <= {pack_of_key(info.key)}, "no other pack is blamed"
            world.store.put(info.key, whole)
            if position % 5 == 0:
                assert turn(world, EVERYTHING).is_clean
                assert set(states(world).values()) == {VALID}


def test_whose_turn_it_is() -> None:
    def at(hour: int) -> datetime:
        return datetime(2026, 3, 1, hour, tzinfo=UTC)

    a, b, c, d = (PackName(letter * 64) for letter in "abcd")
    checks = [
        PackCheck(a, at(1), at(6), at(3)),
        PackCheck(b, at(4)),
        PackCheck(c, at(2)),
        PackCheck(d, at(1), at(5), at(5)),
    ]
    assert packs_in_turn(checks, dict.fromkeys((a, b, c, d), 1), BYTES) == [c, a, b, d]
    assert packs_in_turn(checks, dict.fromkeys((a, b, d), 1), CheckLevel.PACKS) == [b, d, a]
    walked = {
        1: Walked(at(1), at(3)),
        2: Walked(at(2), None),
        3: Walked(at(4), None),
        4: Walked(at(5), at(9), is_damaged=True),
        5: Walked(at(6), at(8)),
    }
    assert versions_in_turn(walked) == [4, 5, 2, 1, 3]


def test_what_stands_upon_damage_is_lost_though_nobody_has_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pack in whose frames others have their bases is read, and these others are not."""
    monkeypatch.undo()
    world, platform = World(), shop(200, 20, 10)
    for number in range(3):
        world.take(platform)
        platform = changed(platform, number + 1)
    turn(world, EVERYTHING)
    for name in sorted(world.packs()):
        whole = damage(world, name)
        lost = check_repository(world.open(), level=BYTES).lost_versions
        for _ in range(len(world.packs())):
            report = turn(world)
            if not report.is_clean:
                break
        assert report.lost_versions == lost, name
        assert {number for number, state in states(world).items() if state is DAMAGED} == set(lost)
        world.store.put(pack_key(name), whole)
        assert turn(world).is_clean
        assert set(states(world).values()) == {VALID}


def test_what_only_the_local_cache_still_has_is_lost(world: World, tmp_path: Path) -> None:
    """A trailer: whoever comes with another cache cannot read what is in its pack."""
    name = min(world.packs())
    cached = world.open(cache=tmp_path)
    cached.reader()
    whole = world.store.get(pack_key(name))
    world.store.put(
        pack_key(name), whole[:-FOOTER_BYTES] + bytes([whole[-FOOTER_BYTES] ^ 1]) + whole[1 - FOOTER_BYTES :]
    )
    report = check_repository(
        cached, catalog=world.catalog, level=BYTES, budget=Budget(EVERYTHING, Ticking())
    )
    assert report.lost_versions
    assert report.lost_versions == checked(world).lost_versions


# Journals.


def test_journals_are_looked_at(world: World) -> None:
    gone(world, 1, 2)
    assert collected(world).deleted
    key = journal_key(1)
    whole = world.store.get(key)
    assert checked(world, CheckLevel.STRUCTURE).is_clean
    journal = parse_journal(whole)
    others = {
        "flipped": whole[:40] + bytes([whole[40] ^ 1]) + whole[41:],
        "another one's": encode_journal(type(journal)("00" * 16, 1, journal.token, journal.packs)),
        "of another number": encode_journal(
            type(journal)(journal.repository_id, 2, journal.token, journal.packs)
        ),
    }
    for data in others.values():
        world.store.put(key, data)
        report = checked(world, CheckLevel.STRUCTURE)
        assert [one.object for one in report.findings] == [key]
        assert not report.lost_versions
        assert not report.findings[0].is_loss, "no version needs it"
