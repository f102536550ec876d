"""What another store has comes back, proven, whatever is missing or damaged and whoever else is at work."""

from datetime import timedelta

import pytest
from blake3 import blake3

from cas.catalog.checking import CheckLevel, CheckState
from cas.catalog.memory import MemoryCatalog
from cas.errors import Conflict, NotFound
from cas.forgetting import forget
from cas.format.names import CONFIG, NOTES, PACKS, VERSIONS, notes_key, pack_key, version_key
from cas.format.notes import Note, NoteField, encode_notes, parse_notes
from cas.garbage.collecting import collect_garbage
from cas.noting import catch_up, say
from cas.progress import Silent
from cas.rebuild import rebuild_catalog
from cas.repair.bringing import Bringer
from cas.repair.model import Holder
from cas.repair.running import plan_repair, repair
from cas.repair.surveying import damaged_packs
from cas.store.memory import MemoryStore
from tests.engine.recording import GatedStore
from tests.engine.scenes import World, expected
from tests.lifecycle.checked import Acting
from tests.lifecycle.dying import Failing, Process, at_any_call
from tests.repair.conftest import copied
from tests.repair.mending import (
    all_is_well,
    checked_states,
    flip,
    holders,
    mended,
    nothing_is_wrong,
)
from tests.replicas.offsite import EDITIONS, Offsite
from tests.store.faulty import Killed


def said(world: Offsite) -> None:
    """Somebody protects a version, and the replica knows it."""
    say(world.open(), world.catalog, "a person", [Note(2, NoteField.PROTECTED, True)])
    world.copy()


def test_where_nothing_is_wrong_nothing_is_done(world: Offsite) -> None:
    before = {info.key: world.store.get(info.key) for info in world.store.objects()}
    report = mended(world)
    assert report.is_whole
    assert (report.plan.wanted, report.brought, report.fresh, report.whole) == ((), (), 0, ())
    assert {info.key: world.store.get(info.key) for info in world.store.objects()} == before


@pytest.mark.parametrize("how", ["missing", "flipped", "cut", "empty"])
def test_every_object_comes_back(how: str) -> None:
    for at in range(100):
        world = copied()
        said(world)
        keys = [info.key for info in world.store.objects() if info.key != CONFIG]
        if at == len(keys):
            return
        key, whole = keys[at], world.store.get(keys[at])
        if how == "missing":
            world.store.delete(key)
        elif how == "flipped":
            flip(world.store, key)
        else:
            world.store.put(key, whole[: len(whole) // 2] if how == "cut" else b"")
        report = mended(world)
        assert [one.object for one in report.plan.wanted] == [key]
        assert report.plan.wanted[0].holders == ("offsite",)
        assert [(one.object, one.holder) for one in report.brought] == [(key, "offsite")]
        assert report.is_whole, report
        assert world.store.get(key) == whole
        all_is_well(world, 1, 2, 3)


def test_all_of_it_at_once(world: Offsite) -> None:
    said(world)
    wanted = [info.key for info in world.store.objects() if info.key != CONFIG]
    for key in wanted:
        world.store.delete(key)
    report = mended(world)
    assert sorted(one.object for one in report.brought) == sorted(wanted)
    assert report.whole == (1, 2, 3)
    all_is_well(world, 1, 2, 3)


def test_a_plan_brings_nothing(world: Offsite) -> None:
    name = min(world.packs())
    world.store.delete(pack_key(name))
    found = plan_repair(world.open(), world.catalog, holders(world))
    assert [(one.object, one.holders) for one in found.plan.wanted] == [(pack_key(name), ("offsite",))]
    assert found.plan.versions
    assert name not in world.packs()


def test_what_a_check_has_found_needs_no_second_one_of_all_bytes(world: Offsite) -> None:
    name = min(world.packs())
    flip(world.store, pack_key(name))
    assert CheckState.DAMAGED in checked_states(world).values()
    report = mended(world, level=CheckLevel.STRUCTURE)
    assert [one.object for one in report.brought] == [pack_key(name)]
    all_is_well(world, 1, 2, 3)


def test_a_poisoned_holder_is_passed_over(world: Offsite) -> None:
    said(world)
    poisoned = MemoryStore("poisoned")
    for info in world.replica.objects():
        poisoned.put(info.key, world.replica.get(info.key))
        if info.key != CONFIG:
            flip(poisoned, info.key)
    wanted = [info.key for info in world.store.objects() if info.key != CONFIG]
    for key in wanted:
        world.store.delete(key)
    report = mended(world, [Holder("poisoned", poisoned), *holders(world)])
    assert {one.holder for one in report.brought} == {"offsite"}
    assert report.is_whole, report.problems
    all_is_well(world, 1, 2, 3)


def test_other_objects_under_right_names_are_not_believed(world: Offsite) -> None:
    """Each is sound in itself, and not what was lost."""
    packs = sorted(world.packs())
    world.replica.put(pack_key(packs[0]), world.store.get(pack_key(packs[1])))
    world.replica.put(version_key(2), world.store.get(version_key(1)))
    world.store.delete(version_key(2))
    report = mended(world)
    assert [one.object for one in report.problems] == [version_key(2)]
    assert not report.brought
    with pytest.raises(NotFound, match="not in the store"):
        world.open().document(2)


def test_notes_of_which_two_say_different_things_are_left_to_a_person(world: Offsite) -> None:
    said(world)
    key = notes_key(1)
    notes = parse_notes(world.store.get(key))
    other = MemoryStore("other")
    forged = encode_notes(type(notes)(notes.repository_id, 1, notes.at, "x", notes.notes))
    other.put(key, forged)
    world.store.delete(key)
    both = [Holder("other", other), *holders(world)]
    report = mended(world, both)
    assert any("hold different ones" in one.what for one in report.problems)
    assert not report.is_whole
    assert not list(world.store.objects(NOTES))
    assert mended(world).is_whole, "one who is trusted was named"


def test_another_repository_gives_nothing(world: Offsite) -> None:
    other = World(seed=9)
    other.take(EDITIONS[1])
    world.store.delete(version_key(1))
    report = mended(world, [Holder("wrong", other.store)])
    assert not report.brought
    assert {one.object for one in report.problems} >= {version_key(1)}


def test_a_forgotten_version_does_not_come_back(world: Offsite) -> None:
    world.drop(1)
    assert not [info for info in world.store.objects(VERSIONS) if info.key == version_key(1)]
    report = mended(world)
    assert report.plan.wanted == ()
    assert 1 not in world.open().numbers()


@pytest.mark.parametrize("asks_first", [True, False])
def test_a_version_that_goes_meanwhile_stays_gone(asks_first: bool) -> None:
    """Between the look and the put somebody forgets it; the pin tells that, too."""
    world = copied()
    whole = world.store.get(version_key(1))
    world.store.delete(version_key(1))
    found = plan_repair(world.open(), world.catalog, holders(world))
    assert [one.object for one in found.plan.wanted] == [version_key(1)]
    heard = catch_up(world.open(), world.catalog)
    forget(world.open(), world.catalog, {1: "a rule"}, heard)
    if asks_first:
        report = repair(world.open(), world.catalog, holders(world), found)
        assert report.is_whole
    else:
        bringer = Bringer(world.open(), world.catalog, holders(world), Silent())
        assert not bringer.bring(version_key(1), blake3(whole).digest())
    assert 1 not in world.open().numbers()


def test_a_pack_that_is_being_deleted_is_left(world: Offsite) -> None:
    """A collector died between doom and delete; some of its packs are gone already."""
    heard = catch_up(world.open(), world.catalog)
    forget(world.open(), world.catalog, {1: "a rule", 2: "a rule"}, heard)

    class AtDelete(Failing):
        def before(self, call: str, what: str = "") -> None:
            if call == "delete" and what.startswith(PACKS):
                raise Killed
            super().before(call, what)

    gate = AtDelete(10_000, after=False, dies=True)
    with pytest.raises(Killed):
        collect_garbage(world.open(GatedStore(world.store, gate)), world.catalog, max_share=1.0)
    doomed = world.catalog.collecting.doomed()
    assert doomed
    world.store.delete(pack_key(doomed[0]))
    report = mended(world)
    assert report.plan.wanted == ()
    assert doomed[0] not in world.packs()
    assert damaged_packs(world.open(), world.catalog, doomed, Silent()) == {}


def test_a_document_that_no_catalog_knows_is_proven_by_its_child(world: Offsite) -> None:
    """The catalog was lost after the document, and rebuilt from what was there."""
    whole = world.store.get(version_key(2))
    world.store.delete(version_key(2))
    world.catalog = MemoryCatalog(world.clock)
    assert rebuild_catalog(world.open(), world.catalog).adopted == (1, 3)
    report = mended(world)
    assert [one.object for one in report.brought] == [version_key(2)]
    assert world.store.get(version_key(2)) == whole
    assert rebuild_catalog(world.open(), world.catalog).adopted == (2,)
    assert world.records(2) == expected(EDITIONS[2])


def broken() -> Offsite:
    """A pack is damaged, another one and a document are lost."""
    world = copied(versions=2)
    one, other, *_ = sorted(world.packs())
    flip(world.store, pack_key(one))
    world.store.delete(pack_key(other))
    world.store.delete(version_key(2))
    return world


def mend(process: Process) -> object:
    world = process.world
    assert isinstance(world, Offsite)
    return mended(world, repository=process.repository, catalog=process.catalog)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("dies", [True, False])
def test_dying_anywhere_leaves_nothing_worse_and_the_next_run_ends_it(after: bool, dies: bool) -> None:
    calls = 0
    for world, _ in at_any_call(broken, mend, after=after, dies=dies):
        calls += 1
        world.clock.moment += timedelta(minutes=10)  # a lease of which nobody knows lapses
        assert isinstance(world, Offsite)
        assert mended(world).is_whole
        nothing_is_wrong(world, 1, 2)
    assert calls > 20


def test_two_at_once_both_succeed_or_one_says_why() -> None:
    refused = 0
    for at in range(1, 400):
        world = broken()
        other: list[object] = []
        gate = Acting(at, lambda: other.append(_mended_or_refused(world)))  # noqa: B023 - called at once
        process = Process(world, gate)
        try:
            mend(process)
        except Conflict:
            refused += 1
        if not gate.acted_at:
            break
        refused += "refused" in other
        assert mended(world).is_whole
        nothing_is_wrong(world, 1, 2)
    assert refused


def _mended_or_refused(world: Offsite) -> object:
    try:
        return mended(world)
    except Conflict:
        return "refused"


def test_states_are_valid_again_after_it(world: Offsite) -> None:
    mended(world)
    name = min(world.packs())
    flip(world.store, pack_key(name))
    assert CheckState.DAMAGED in checked_states(world).values()
    report = mended(world)
    assert report.whole
    assert {number: state for number, state in checked_states(world).items() if number in report.whole} == (
        dict.fromkeys(report.whole, CheckState.VALID)
    )
