"""A bundle as a store: the reading half of the contract, on objects of all the usual sizes."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cas.errors import CorruptData, InvalidInput, NotFound
from cas.format.names import pack_key
from cas.ids import PackName
from cas.store.bundle import BundleStore
from cas.store.interface import FaultKind, ObjectMissing, Store, StoreFault
from tests.bundles.scenes import archive, kept
from tests.store.test_contract import BAD_KEYS

PACKS = {pack_key(PackName(f"{at:02x}" * 32)): bytes([at]) * (at * 300) for at in range(5)}
OBJECTS = {"bundle": b"0123456789", "config": b"", **PACKS, "versions/0000000003": b"x" * 513}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BundleStore]:
    opened = BundleStore(kept(tmp_path, archive(list(OBJECTS.items()))))
    yield opened
    opened.close()


def test_all_objects_are_read_whole_in_parts_and_from_behind(store: BundleStore) -> None:
    for key, data in OBJECTS.items():
        assert store.get(key) == data
        assert store.size(key) == len(data)
        for length in (1, 10, 600, 10_000):
            assert store.get_tail(key, length) == data[-length:]
        for start, length in ((0, 1), (3, 4), (511, 2), (0, len(data))):
            if length and start + length <= len(data):
                assert store.get_range(key, start, length) == data[start : start + length]
            elif length:
                with pytest.raises(CorruptData, match="ends before"):
                    store.get_range(key, start, length)


def test_a_listing_is_in_order_and_goes_on_where_it_was_asked_to(store: BundleStore) -> None:
    keys = sorted(OBJECTS)
    assert [(info.key, info.size) for info in store.objects()] == [(key, len(OBJECTS[key])) for key in keys]
    for prefix in ("", "packs/", "packs/03", "versions/", "v", "none"):
        for after in ("", keys[2], keys[-1], "packs/04"):
            found = [info.key for info in store.objects(prefix, after=after)]
            assert found == [key for key in keys if key.startswith(prefix) and key > after]


@pytest.mark.parametrize("key", ["absent", "packs", "packs/03", "versions/0000000003/x"])
def test_what_is_not_there(store: BundleStore, key: str) -> None:
    reads: list[Callable[[], object]] = [
        lambda: store.get(key),
        lambda: store.size(key),
        lambda: store.get_range(key, 0, 1),
        lambda: store.get_tail(key, 1),
    ]
    for read in reads:
        with pytest.raises(ObjectMissing):
            read()


@pytest.mark.parametrize("key", BAD_KEYS)
def test_bad_keys_are_our_mistake(store: BundleStore, key: str) -> None:
    reads: list[Callable[[], object]] = [
        lambda: store.get(key),
        lambda: store.size(key),
        lambda: store.get_range(key, 0, 1),
        lambda: store.get_tail(key, 1),
        lambda: store.delete(key),
        lambda: store.put(key, b""),
    ]
    for read in reads:
        with pytest.raises(ValueError, match="not a key"):
            read()


def test_nothing_is_put_or_deleted(store: BundleStore, tmp_path: Path) -> None:
    before = (tmp_path / "shop.casb").read_bytes()
    changes: list[Callable[[], None]] = [
        lambda: store.put("config", b"x"),
        lambda: store.put("new", b"x", create_only=True),
        lambda: store.delete("config"),
    ]
    for change in changes:
        with pytest.raises(StoreFault) as caught:
            change()
        assert caught.value.fault is FaultKind.REFUSED
    assert (tmp_path / "shop.casb").read_bytes() == before


def test_ranges_that_make_no_sense_are_our_mistake(store: BundleStore) -> None:
    as_store: Store = store
    for start, length in ((-1, 1), (0, 0), (0, -1)):
        with pytest.raises(ValueError, match="not a range"):
            as_store.get_range("bundle", start, length)
    for prefix in ("/", "../", "A", "a//"):
        with pytest.raises(ValueError, match="no key starts with"):
            list(as_store.objects(prefix))


def test_many_threads_share_it(store: BundleStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(store.get, list(OBJECTS) * 50))
    assert found == list(OBJECTS.values()) * 50


def test_a_file_that_shrinks_meanwhile_is_truncation(store: BundleStore, tmp_path: Path) -> None:
    os.truncate(tmp_path / "shop.casb", 600)
    with pytest.raises(CorruptData) as caught:
        store.get("versions/0000000003")
    assert caught.value.kind == "truncated"


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        BundleStore(tmp_path / "absent")
    with pytest.raises(InvalidInput):
        BundleStore(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput):
        BundleStore(tmp_path / "pipe")
