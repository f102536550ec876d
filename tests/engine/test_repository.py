"""Making and opening repositories, and what stands in the way."""

from pathlib import Path
from threading import Barrier

import pytest

from cas.engine.fetching import FETCH_THREADS
from cas.engine.places import View
from cas.engine.repository import Repository, create_repository
from cas.errors import Conflict, CorruptData, NotFound, Unsupported
from cas.format.canonical import encode_json, open_envelope, parse_json, seal_envelope
from cas.format.names import journal_key, pack_key, version_key
from cas.ids import ChunkKind
from cas.store.memory import MemoryStore
from tests.engine.handmade import rewrite
from tests.engine.packs import ids_of, pack_of, payloads
from tests.engine.recording import Gate, GatedStore
from tests.engine.scenes import World, changed, expected, shop
from tests.store.faulty import FaultyStore


def test_a_repository_is_made_once() -> None:
    store = MemoryStore()
    config = create_repository(store)
    with pytest.raises(Conflict):
        create_repository(store)
    assert Repository(store, None).config == config
    assert create_repository(MemoryStore()).id_key != config.id_key


def test_versions_without_a_config_are_not_built_over() -> None:
    store = MemoryStore()
    store.put(version_key(1), b"somebody's version")
    with pytest.raises(Conflict, match="no config"):
        create_repository(store)
    assert [info.key for info in store.objects()] == [version_key(1)]


def test_what_is_no_repository_is_not_found() -> None:
    with pytest.raises(NotFound, match="not a repository"):
        Repository(MemoryStore(), None)


def test_a_damaged_config_is_refused(world: World) -> None:
    FaultyStore(world.store).flip("config", 40)
    with pytest.raises(CorruptData):
        world.open()


def test_a_newer_format_is_named(world: World) -> None:
    fields = parse_json(open_envelope(world.store.get("config")))
    assert isinstance(fields, dict)
    world.store.put("config", seal_envelope(encode_json({**fields, "format": 2})))
    with pytest.raises(Unsupported, match="format 2"):
        world.open()


def test_documents_are_asked_for_by_number(world: World) -> None:
    world.take(shop())
    world.take(shop())
    repository = world.open()
    assert repository.numbers() == [1, 2]
    assert [document.number for document in repository.documents()] == [1, 2]
    for number in (3, 0, -1, 10**10):
        with pytest.raises(NotFound):
            repository.document(number)
    rewrite(world, 2, lambda document: document, at=3)
    with pytest.raises(CorruptData, match="version 2 under the name of 3"):
        repository.document(3)
    world.store.put("versions/readme", b"no number")
    world.store.put("versions/12", b"no ten digits")
    assert repository.numbers() == [1, 2, 3]


def test_the_highest_journal_counts(world: World) -> None:
    assert world.open().journal() == 0
    for number in (3, 11, 7):
        world.store.put(journal_key(number), b"a journal")
    assert world.open().journal() == 11


def test_only_packs_are_listed_as_packs(world: World) -> None:
    pack = pack_of(payloads(3), store=world.store)
    world.store.put("packs/aa/short", b"")
    world.store.put(f"packs/zz/{pack.name}", b"in the wrong place")
    assert world.open().packs() == {pack.name: len(pack.stored)}


def test_a_second_process_fetches_no_trailer_that_lies_in_the_cache(world: World, tmp_path: Path) -> None:
    world.take(shop())
    world.open(cache=tmp_path).reader()
    gate = Gate()
    repository = world.open(GatedStore(world.store, gate), cache=tmp_path)
    reader = repository.reader()
    document = repository.document(1)
    repository.entities(document, reader)
    assert "get_tail" not in {call for call, _ in gate.events}


def test_a_place_without_room_for_a_cache_is_no_obstacle(world: World, tmp_path: Path) -> None:
    blocked = tmp_path / "a file"
    blocked.write_bytes(b"and no directory")
    for platform in (shop(), changed(shop(), 1)):
        version = world.take(platform, repository=world.open(cache=blocked))
        repository = world.open(cache=blocked)
        assert world.records(version.number) == expected(platform)
        assert repository.index.packs == frozenset()


def test_packs_with_damaged_trailers_are_left_out_so_that_copies_are_found(world: World) -> None:
    key = world.open().config.id_key
    plains = payloads(50)
    first = pack_of(plains, key=key, store=world.store)
    pack_of(plains, key=key, store=world.store, salt=5)
    FaultyStore(world.store).flip(pack_key(first.name), len(first.stored) - 70)
    reader = world.open().reader()
    assert reader.read(ChunkKind.RECORD, ids_of(plains, key=key)) == plains


def test_two_repositories_share_a_cache_directory(world: World, tmp_path: Path) -> None:
    other = MemoryStore()
    create_repository(other)
    world.take(shop(), repository=world.open(cache=tmp_path))
    Repository(other, tmp_path).reader()
    assert len(list(tmp_path.iterdir())) == 2
    assert world.open(cache=tmp_path).index.packs == world.packs()
    assert Repository(other, tmp_path).index.packs == frozenset()


def test_trailers_are_fetched_side_by_side_and_each_comes_under_its_name(world: World) -> None:
    """Requests that wait for each other: one after another, they would wait for ever."""
    key = world.open().config.id_key
    packs = [pack_of(payloads(5, start=100 * at), key=key, store=world.store) for at in range(12)]
    together = Barrier(FETCH_THREADS)

    class Slow(GatedStore):
        def get_tail(self, key: str, length: int) -> bytes:
            together.wait(timeout=20)
            return super().get_tail(key, length)

    repository = world.open(Slow(world.store, Gate()))
    assert repository.learn({pack.name for pack in packs}) == set()
    for pack in packs:
        places = repository.index.locate([pack.trailer.short_ids[:16]], View({pack.name}))
        assert places.pack[0] >= 0
    repository.close()
