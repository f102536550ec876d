"""The six guarantees of the port, on every store, bare and with retries."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from cas.errors import CorruptData
from cas.store.interface import MAX_OBJECT_BYTES, ObjectExists, ObjectMissing, Store, StoreFault
from tests.store.conftest import Place

# Keys whose byte order differs from the order of a directory walk.
ORDERED = [
    "a",
    "b-c/x",
    "b-c/y",
    "b.c",
    "b.d/e/f",
    "b/-",
    "b/.x",
    "b/0/0",
    "b/0/1",
    "b/00",
    "b/c",
    "b0",
    "b_/x",
    "bb/x",
    "versions/000001",
    "versions/000010",
    "versions/000011.sig",
]

BAD_KEYS = [
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "a/../b",
    "a/./b",
    "A",
    "ä",
    "a b",
    "a\0",
    "a\n",
    "+incoming/a",
    "a\\b",
    "x" * 256,
    "/".join(["abc"] * 129),
]


# 1. put is atomic: a reader sees the whole object or none.


def test_a_reader_never_sees_a_part_of_an_object_that_is_being_replaced(place: Place, store: Store) -> None:
    size = 300_000
    store.put("key", b"0" * size)
    stop = threading.Event()
    seen: set[bytes] = set()

    def read() -> None:
        reader = place.open()
        while not stop.is_set():
            data = reader.get("key")
            seen.add(data[:1] + b"*" if data == data[:1] * size else b"torn")
        reader.close()

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            for number in range(20):
                store.put("key", str(number % 10).encode() * size)
        finally:
            stop.set()
        for reader in readers:
            reader.result()
    assert b"torn" not in seen


def test_a_reader_sees_a_new_object_whole_or_not_at_all(place: Place, store: Store) -> None:
    data = bytes(range(256)) * 2000
    sizes: set[int] = set()
    reader = place.open()

    def read(key: str, done: Callable[[], bool]) -> None:
        while not done():
            try:
                sizes.add(len(reader.get(key)))
            except ObjectMissing:
                sizes.add(-1)
            sizes.update(info.size for info in reader.objects(key))

    with ThreadPoolExecutor(1) as pool:
        for number in range(8):
            put = pool.submit(store.put, f"new/{number}", data, create_only=True)
            read(f"new/{number}", put.done)
            put.result()
    reader.close()
    assert sizes <= {-1, len(data)}


# 2. When put has returned, every process sees the object.


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 6 * 2**20, 6 * 2**20 + 1, 10 * 2**20])
def test_what_was_put_is_seen_by_all_reads_of_another_process(place: Place, store: Store, size: int) -> None:
    data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    store.put("packs/ab/object", data, create_only=True)
    other = place.open()
    assert other.get("packs/ab/object") == data
    assert other.size("packs/ab/object") == size
    assert [(info.key, info.size) for info in other.objects()] == [("packs/ab/object", size)]
    assert other.get_tail("packs/ab/object", 100) == data[-100:]
    if size:
        assert other.get_range("packs/ab/object", size - 1, 1) == data[-1:]
    other.close()


def test_a_memoryview_is_stored_like_bytes(store: Store) -> None:
    data = bytes(range(256)) * 30_000
    store.put("small", memoryview(data)[3:99])
    store.put("large", memoryview(data)[1:])
    assert store.get("small") == data[3:99]
    assert store.get("large") == data[1:]


def test_put_replaces_an_object(store: Store) -> None:
    store.put("key", b"a long first value")
    store.put("key", b"second")
    assert store.get("key") == b"second"
    assert [info.size for info in store.objects()] == [6]


def test_the_time_of_an_object_is_about_now(store: Store) -> None:
    before = time.time()
    store.put("key", b"x")
    (info,) = store.objects()
    assert before - 3 < info.modified < time.time() + 3


# 3. A create-only put has one winner, and never touches what exists.


@pytest.mark.parametrize("size", [100, 6 * 2**20 + 1])
def test_create_only_leaves_an_existing_object_alone(store: Store, size: int) -> None:
    store.put("key", b"first", create_only=True)
    with pytest.raises(ObjectExists):
        store.put("key", b"x" * size, create_only=True)
    assert store.get("key") == b"first"


def test_create_only_with_equal_bytes_is_still_a_conflict(store: Store) -> None:
    store.put("key", b"same", create_only=True)
    with pytest.raises(ObjectExists):
        store.put("key", b"same", create_only=True)


def test_one_of_many_racers_wins_a_create_only_put(place: Place) -> None:
    racers, size = 8, 50_000
    stores = [place.open() for _ in range(racers)]
    for number in range(5):
        key, start = f"race/{number}", threading.Barrier(racers)
        with ThreadPoolExecutor(racers) as pool:
            races = [
                pool.submit(_race, opened, key, bytes([n]) * size, start) for n, opened in enumerate(stores)
            ]
            won = [race.result() for race in races]
        assert won.count(True) == 1
        assert stores[0].get(key) == bytes([won.index(True)]) * size
    for opened in stores:
        opened.close()


def _race(store: Store, key: str, data: bytes, start: threading.Barrier) -> bool:
    """Whether this racer won."""
    start.wait()
    try:
        store.put(key, data, create_only=True)
    except ObjectExists:
        return False
    return True


def test_a_key_is_free_again_after_delete(store: Store) -> None:
    store.put("key", b"first", create_only=True)
    store.delete("key")
    store.put("key", b"second", create_only=True)
    assert store.get("key") == b"second"


# 4. get returns all of the object or raises. (Short bodies: test_s3_faults.)


@pytest.mark.parametrize("key", ["absent", "directory", "directory/object/below", "directory/absent"])
def test_reading_what_is_not_there_says_so(store: Store, key: str) -> None:
    store.put("directory/object", b"x")
    for read in (
        lambda: store.get(key),
        lambda: store.get_range(key, 0, 1),
        lambda: store.get_tail(key, 1),
        lambda: store.size(key),
    ):
        with pytest.raises(ObjectMissing) as raised:
            read()
        assert key in raised.value.where


def test_an_object_above_the_limit_is_not_written(store: Store) -> None:
    with pytest.raises(ValueError, match="at most"):
        store.put("key", bytes(MAX_OBJECT_BYTES + 1))
    assert list(store.objects()) == []


# 5. get_range returns exactly what was asked for, or raises.


@pytest.mark.parametrize(("start", "length"), [(0, 1), (0, 10), (3, 4), (9, 1)])
def test_a_range_is_exact(store: Store, start: int, length: int) -> None:
    store.put("key", b"0123456789")
    assert store.get_range("key", start, length) == b"0123456789"[start : start + length]


@pytest.mark.parametrize(("start", "length"), [(0, 11), (9, 2), (10, 1), (10_000, 1), (0, 10**15)])
def test_a_range_past_the_end_is_truncation(store: Store, start: int, length: int) -> None:
    store.put("key", b"0123456789")
    with pytest.raises(CorruptData) as raised:
        store.get_range("key", start, length)
    assert raised.value.kind == "truncated"


def test_a_range_of_an_empty_object_is_truncation(store: Store) -> None:
    store.put("key", b"")
    with pytest.raises(CorruptData):
        store.get_range("key", 0, 1)
    assert store.get_tail("key", 5) == b""


@pytest.mark.parametrize("length", [1, 9, 10, 11, 10**12])
def test_the_tail_is_the_end_or_the_whole(store: Store, length: int) -> None:
    store.put("key", b"0123456789")
    assert store.get_tail("key", length) == b"0123456789"[-length:]


def test_ranges_that_make_no_sense_are_our_mistake(store: Store) -> None:
    store.put("key", b"0123456789")
    for start, length in ((-1, 1), (0, 0), (0, -1)):
        with pytest.raises(ValueError, match="range"):
            store.get_range("key", start, length)
    with pytest.raises(ValueError, match="range"):
        store.get_tail("key", 0)


# 6. delete of an absent object succeeds; objects lists ascending.


def test_delete_removes_and_may_be_repeated(store: Store) -> None:
    store.put("packs/a", b"x")
    store.put("packs/b", b"x")
    store.delete("packs/a")
    store.delete("packs/a")
    store.delete("never/there")
    store.delete("packs/b/below")
    assert [info.key for info in store.objects()] == ["packs/b"]


def fill(store: Store, keys: list[str]) -> None:
    for number, key in enumerate(keys):
        store.put(key, b"x" * number)


def test_objects_are_listed_in_byte_order_with_their_sizes(store: Store) -> None:
    fill(store, ORDERED[::-1])
    listed = [(info.key, info.size) for info in store.objects()]
    assert listed == [(key, len(ORDERED) - 1 - number) for number, key in enumerate(ORDERED)]


@pytest.mark.parametrize("prefix", ["", "b", "b/", "b/0", "b.", "b-c/", "versions/00001", "none", "none/"])
def test_a_prefix_selects_and_after_continues(store: Store, prefix: str) -> None:
    fill(store, ORDERED)
    selected = [key for key in ORDERED if key.startswith(prefix)]
    assert [info.key for info in store.objects(prefix)] == selected
    for after in (*ORDERED, "b/", "b0/zzz", "versions/", "zzz"):
        rest = [key for key in selected if key > after]
        assert [info.key for info in store.objects(prefix, after=after)] == rest


def test_an_empty_store_lists_nothing(store: Store) -> None:
    assert list(store.objects()) == []
    assert list(store.objects("packs/")) == []


def test_a_listing_of_several_pages_is_whole_and_in_order(place: Place, store: Store) -> None:
    keys = sorted([f"p/{number % 3}/{number:04}" for number in range(1000)] + [f"p/{n}-x" for n in range(30)])
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.put(key, b"x"), keys))
    assert [info.key for info in store.objects()] == keys
    assert [info.key for info in store.objects("p/1/")] == [key for key in keys if key.startswith("p/1/")]
    assert [info.key for info in store.objects("p/", after=keys[400])] == keys[401:]


def test_objects_deleted_during_a_listing_do_not_stop_it(store: Store) -> None:
    fill(store, ORDERED)
    listed = []
    for info in store.objects():
        listed.append(info.key)
        store.delete(info.key)
    assert listed == ORDERED
    assert list(store.objects()) == []


# And what holds for all of them.


@pytest.mark.parametrize("key", BAD_KEYS)
def test_bad_keys_are_our_mistake_and_reach_no_store(store: Store, key: str) -> None:
    for call in (
        lambda: store.put(key, b"x"),
        lambda: store.get(key),
        lambda: store.get_range(key, 0, 1),
        lambda: store.get_tail(key, 1),
        lambda: store.size(key),
        lambda: store.delete(key),
    ):
        with pytest.raises(ValueError, match="not a key"):
            call()


@pytest.mark.parametrize("prefix", ["/", "../", "a/../", "A", "a//", "./x", "a b", "x" * 256])
def test_bad_prefixes_are_our_mistake(store: Store, prefix: str) -> None:
    with pytest.raises(ValueError, match="no key starts with"):
        list(store.objects(prefix))


def test_the_longest_key_works(store: Store) -> None:
    key = "/".join(["k" * 255, "k" * 255])
    assert len(key) == 511
    store.put(key, b"x", create_only=True)
    assert store.get(key) == b"x"
    assert [info.key for info in store.objects()] == [key]


def test_many_threads_share_a_store(store: Store) -> None:
    def work(number: int) -> None:
        key = f"t/{number % 7}/{number}"
        store.put(key, key.encode() * 1000, create_only=True)
        assert store.get(key) == key.encode() * 1000
        assert store.get_tail(key, 3) == (key.encode() * 1000)[-3:]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(80)))
    assert len(list(store.objects())) == 80


def test_a_key_that_is_a_directory_of_another_is_refused_or_stored_but_never_harmful(store: Store) -> None:
    store.put("a/b", b"deep")
    try:
        store.put("a", b"high", create_only=True)
    except (StoreFault, ObjectExists):
        pass
    else:
        assert store.get("a") == b"high"
    assert store.get("a/b") == b"deep"


def test_the_url_is_for_people_and_opens_the_same_place(place: Place, store: Store) -> None:
    store.put("key", b"x")
    again = replace(place, url=store.url).open()
    assert again.get("key") == b"x"
    again.close()


def test_free_bytes_is_a_number_or_unknown(place: Place, store: Store) -> None:
    room = store.free_bytes()
    assert (room is not None and room > 0) if place.kind == "local" else room is None
