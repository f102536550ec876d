"""Second copies of dictionaries go when they stand in for nothing, and not before."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cas.check import CheckLevel, check_repository
from cas.engine.places import View
from cas.forgetting import forget
from cas.format.names import DICTIONARIES, dictionary_key, version_key
from cas.garbage.collecting import collect_garbage
from cas.garbage.dictionaries import YOUNG_SECONDS, idle_copies
from cas.garbage.marking import mark
from cas.ids import CHUNK_ID_BYTES, ChunkId
from cas.noting import catch_up
from cas.progress import Silent
from tests.engine.memory_source import table
from tests.engine.scenes import Platform, World, expected, product


@pytest.fixture(autouse=True)
def learning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dictionaries of 1 KB, for entities of a few."""
    monkeypatch.setattr("cas.engine.compression.DICTIONARY_MIN_SAMPLES_BYTES", 1000)
    monkeypatch.setattr("cas.engine.compression.DICTIONARY_BYTES", 1000)


def platform(edition: int) -> Platform:
    """Every edition has another table, and so a dictionary of its own."""
    return {table(f"table {edition}"): {number: product(number, edition) for number in range(1000)}}


@pytest.fixture
def world() -> World:
    """Three versions that share nothing, not even a dictionary; long after."""
    made = World()
    for edition in range(3):
        made.take(platform(edition))
    assert len(copies(made)) == 3
    made.clock.moment += timedelta(days=1000)
    return made


def copies(world: World) -> list[str]:
    return [info.key for info in world.store.objects(DICTIONARIES)]


def gone(world: World, *numbers: int) -> None:
    heard = catch_up(world.open(), world.catalog)
    forget(world.open(), world.catalog, dict.fromkeys(numbers, "a rule"), heard)


def collected(world: World) -> int:
    return collect_garbage(world.open(), world.catalog, max_share=1.0).dictionaries


def test_a_copy_goes_after_the_last_pack_that_holds_the_dictionary(world: World) -> None:
    before = copies(world)
    assert collected(world) == 0
    gone(world, 1)
    assert collected(world) == 0, "its packs were there when the collection began"
    assert collected(world) == 1
    assert len(copies(world)) == 2
    assert set(copies(world)) < set(before)
    for number in (2, 3):
        assert world.records(number) == expected(platform(number - 1))
    assert check_repository(world.open(), level=CheckLevel.BYTES, expected=(2, 3)).is_clean


def test_a_copy_that_stands_in_for_a_lost_dictionary_stays(world: World) -> None:
    """No version names it and the pack that held it is gone; what was compressed with it is not."""
    copy = [ChunkId(bytes.fromhex(key.removeprefix(DICTIONARIES))) for key in copies(world)]
    packs = world.packs()
    marked = mark(world.open(), (1, 2, 3), (1, 2, 3), packs, packs, Silent())
    assert marked.dictionaries == set(copy)
    found = marked.packs.index.locate(copy, marked.packs.view)
    left = View(packs - {found.packs[number] for number in found.pack.tolist()})
    unnamed = replace(marked, dictionaries=frozenset(), packs=replace(marked.packs, view=left))
    assert idle_copies(unnamed, copy) == []
    stranger = ChunkId(bytes(CHUNK_ID_BYTES))
    assert idle_copies(unnamed, [*copy, stranger]) == [stranger]
    assert idle_copies(replace(unnamed, dictionaries=frozenset([stranger])), [stranger]) == []
    assert idle_copies(replace(unnamed, unreadable=frozenset(packs)), [stranger]) == []


@pytest.mark.parametrize("age", [YOUNG_SECONDS - 60, YOUNG_SECONDS + 60])
def test_what_may_belong_to_a_session_at_work_stays(age: float) -> None:
    world = World()
    world.take(platform(0))
    key = dictionary_key(ChunkId(bytes(CHUNK_ID_BYTES)))
    world.store.put(key, b"put before its pack", create_only=True)
    (put,) = (info.modified for info in world.store.objects(key))
    world.clock.moment += timedelta(seconds=put + age - world.clock.moment.timestamp())
    assert collected(world) == (age > YOUNG_SECONDS)
    assert (key in copies(world)) == (age < YOUNG_SECONDS)


def test_where_a_document_cannot_be_read_all_copies_stay(world: World) -> None:
    gone(world, 1)
    collected(world)
    session = world.session(world.open())
    session.abandon(RuntimeError("it died"))
    document = version_key(session.handle.number)
    world.store.put(document, b"half of a document", create_only=True)
    assert collected(world) == 0
    world.store.delete(document)
    assert collected(world) == 1
