"""The sealed side of a store: what lies below, beside the contract of stores, and who changes it."""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from cas.engine.repository import Repository, create_repository
from cas.errors import Conflict, CorruptData, NotFound, PermissionDenied, Unsupported
from cas.format.config import parse_config
from cas.format.names import CONFIG, KEYS, keys_key, pack_key
from cas.format.sealing import encode_sealed_config, parse_keys, parse_sealed_config
from cas.ids import PackName
from cas.limits import MAX_PACK_BYTES, SEALED_BLOCK_BYTES
from cas.sealing.blocks import PLAIN_BLOCK_BYTES, plain_size, sealed_size
from cas.sealing.key_ring import Chance, Labelled, Unlocked, rotated, sealed_keys, with_slot, without_slot
from cas.sealing.opening import newly_sealed, readable_id, unsealed
from cas.sealing.store import SealedStore
from cas.sealing.stored_keys import numbers, put_keys
from cas.store.interface import ObjectExists, ObjectMissing
from cas.store.memory import MemoryStore
from tests.sealing.scenes import KEY_FILE, OTHER_FILE, PASSPHRASE, Given, bare_sealed, new_sealed

KEY = "packs/5f/object"
SIZES = (0, 1, PLAIN_BLOCK_BYTES - 1, PLAIN_BLOCK_BYTES, PLAIN_BLOCK_BYTES + 1, 3 * PLAIN_BLOCK_BYTES + 77)


def content(size: int) -> bytes:
    return random.Random(size).randbytes(size)


class Counting(MemoryStore):
    """Counts what is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def size(self, key: str) -> int:
        self.asked.append("size")
        return super().size(key)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        self.asked.append("get_range")
        return super().get_range(key, start, length)


@pytest.fixture
def below() -> Counting:
    return Counting()


@pytest.fixture
def store(below: Counting) -> SealedStore:
    return bare_sealed(below)


@pytest.mark.parametrize("size", SIZES)
def test_parts_of_an_object_are_read_from_few_blocks(size: int) -> None:
    below = Counting()
    store, data = bare_sealed(below), content(size)
    store.put(KEY, data)
    assert below.size(KEY) == sealed_size(size)
    assert plain_size(sealed_size(size)) == size == store.size(KEY)
    rng = random.Random(size)
    for _ in range(50 if size else 0):
        start = rng.randrange(size)
        length = rng.randint(1, size - start)
        assert store.get_range(KEY, start, length) == data[start : start + length]
        assert store.get_tail(KEY, length) == data[-length:]
        assert bare_sealed(below).get_tail(KEY, length) == data[-length:], "of whose size nothing is known"
        assert bare_sealed(below).get_range(KEY, start, length) == data[start : start + length]


def test_the_size_is_asked_for_once_at_most(store: SealedStore, below: Counting) -> None:
    store.put(KEY, content(100_000))
    other = bare_sealed(below)
    for _ in range(3):
        other.get_range(KEY, 5, 10)
    assert below.asked == ["size", "get_range", "get_range", "get_range"]
    below.asked.clear()
    third = bare_sealed(below)
    assert [info.size for info in third.objects()] == [100_000]
    third.get_tail(KEY, 64)
    assert below.asked == ["get_range"], "a listing tells it, too"


def test_an_object_that_another_process_has_replaced(store: SealedStore, below: Counting) -> None:
    """Longer, shorter, and as long as before."""
    for before, after in ((10, 100_000), (100_000, 10), (100_000, 40_000), (50_000, 50_001), (500, 500)):
        store.put(KEY, content(before))
        data = content(after)[::-1]
        bare_sealed(below).put(KEY, data)
        assert store.get_tail(KEY, 7) == data[-7:]
        store.put(KEY, content(before))
        bare_sealed(below).put(KEY, data)
        assert store.get_range(KEY, 1, after - 1) == data[1:]


def test_equal_objects_are_not_equal_below(store: SealedStore, below: Counting) -> None:
    store.put("versions/0000000001", content(500))
    store.put("versions/0000000002", content(500))
    first, second = below.get("versions/0000000001"), below.get("versions/0000000002")
    store.put("versions/0000000002", content(500))
    third = below.get("versions/0000000002")
    common = [left == right for left, right in zip(second[16:], third[16:], strict=True)]
    assert first[16:] != second[16:]
    assert sum(common) < 20, "each time with another nonce"


def test_a_larger_object_than_a_pack_may_be_is_our_mistake(store: SealedStore) -> None:
    with pytest.raises(ValueError, match="at most"):
        store.put(KEY, bytes(MAX_PACK_BYTES + 1))


# Damage: what opens is proven; what does not reads as zeros, and never as anything else.


def regions() -> Iterator[tuple[str, int]]:
    block = SEALED_BLOCK_BYTES
    for number in (0, 1, 2):
        for name, at in (("version", 0), ("last", 1), ("key", 2), ("nonce", 4), ("text", 16), ("tag", -1)):
            end = (number + 1) * block if number < 2 else None
            yield f"{name} of {number}", number * block + at if at >= 0 else (end or 0) - 1


@pytest.mark.parametrize(("name", "position"), list(regions()), ids=lambda value: str(value))
def test_a_flipped_bit_costs_the_block_in_which_it_lies(name: str, position: int) -> None:
    below = MemoryStore()
    data = content(2 * PLAIN_BLOCK_BYTES + 1000)
    bare_sealed(below).put(KEY, data)
    sealed = bytearray(below.get(KEY))
    sealed[position] ^= 0x40
    below.put(KEY, bytes(sealed))
    hit = (position % len(sealed)) // SEALED_BLOCK_BYTES
    begin, end = hit * PLAIN_BLOCK_BYTES, min((hit + 1) * PLAIN_BLOCK_BYTES, len(data))
    expected = data[:begin] + bytes(end - begin) + data[end:]
    store = bare_sealed(below)
    assert store.get(KEY) == expected
    assert store.get_range(KEY, 10, len(data) - 10) == expected[10:]
    assert store.get_tail(KEY, 1500) == expected[-1500:]


@pytest.mark.parametrize(
    "what", ["exchanged", "cut", "cut in a block", "appended", "another name", "another repository"]
)
def test_blocks_stand_where_they_were_put(what: str) -> None:
    below = MemoryStore()
    store = bare_sealed(below)
    data = content(3 * PLAIN_BLOCK_BYTES)
    store.put(KEY, data)
    sealed, block = below.get(KEY), SEALED_BLOCK_BYTES
    blocks = [sealed[at : at + block] for at in range(0, len(sealed), block)]
    zeros = bytes(PLAIN_BLOCK_BYTES)
    changed, expected = {
        "exchanged": ([blocks[1], blocks[0], blocks[2]], zeros * 2 + data[2 * PLAIN_BLOCK_BYTES :]),
        "cut": (blocks[:2], data[:PLAIN_BLOCK_BYTES] + zeros),
        "cut in a block": (
            [*blocks[:2], blocks[2][:1000]],
            data[: 2 * PLAIN_BLOCK_BYTES] + bytes(1000 - 32),
        ),
        "appended": ([*blocks, blocks[2]], data[: 2 * PLAIN_BLOCK_BYTES] + zeros * 2),
        "another name": (blocks, zeros * 3),
        "another repository": (blocks, zeros * 3),
    }[what]
    if what == "another name":
        below.put("packs/5f/other", b"".join(changed))
        assert store.get("packs/5f/other") == expected
        return
    below.put(KEY, b"".join(changed))
    reader = new_sealed() if what == "another repository" else bare_sealed(below)
    if what == "another repository":
        create_repository(reader)
        reader = SealedStore(below, reader.keys)
    assert reader.get(KEY) == expected


# Config and keys.


def test_config_and_keys_lie_below_and_only_the_config_is_seen(below: Counting) -> None:
    store = new_sealed(below)
    config = create_repository(store)
    assert [info.key for info in below.objects()] == [CONFIG, keys_key(1)]
    assert [info.key for info in store.objects()] == [CONFIG]
    assert parse_config(store.get(CONFIG)) == config
    assert store.get_tail(CONFIG, 5) == store.get(CONFIG)[-5:]
    assert store.get_range(CONFIG, 3, 10) == store.get(CONFIG)[3:13]
    assert store.size(CONFIG) == len(store.get(CONFIG)) == next(store.objects()).size
    assert parse_sealed_config(below.get(CONFIG)) == config.repository_id == readable_id(below)
    with pytest.raises(ValueError, match="keys"):
        store.put(keys_key(2), b"x")
    assert config.id_key.material.hex().encode() not in below.get(CONFIG) + below.get(keys_key(1))


def test_who_does_not_know_of_sealing_says_so(below: Counting) -> None:
    create_repository(new_sealed(below))
    with pytest.raises(Unsupported):
        Repository(below, None)


def test_a_store_in_clear_is_given_as_it_is(below: Counting) -> None:
    assert unsealed(below, Given()) is below
    create_repository(below)
    assert unsealed(below, Given()) is below
    with pytest.raises(Conflict, match="not sealed"):
        newly_sealed(below, Given(KEY_FILE), [Labelled(KEY_FILE, "")])


def test_who_has_a_secret_opens_it(below: Counting) -> None:
    config = create_repository(new_sealed(below, KEY_FILE, PASSPHRASE))
    for secret in (KEY_FILE, PASSPHRASE):
        given = Given(OTHER_FILE, secret)
        opened = unsealed(below, given)
        assert parse_config(opened.get(CONFIG)) == config
        assert given.asked == [frozenset((KEY_FILE.kind, PASSPHRASE.kind))]
    with pytest.raises(PermissionDenied):
        unsealed(below, Given(OTHER_FILE))


def test_a_second_repository_is_not_made_over_a_sealed_one(below: Counting) -> None:
    create_repository(new_sealed(below))
    with pytest.raises(Conflict, match="already"):
        create_repository(new_sealed(below))
    with pytest.raises(PermissionDenied):
        new_sealed(below, OTHER_FILE)


def test_of_two_who_make_it_at_once_one_wins(below: Counting) -> None:
    one, two = new_sealed(below), new_sealed(below, OTHER_FILE)
    config = create_repository(one)
    with pytest.raises(Conflict):
        create_repository(two)
    assert parse_config(unsealed(below, Given(KEY_FILE)).get(CONFIG)) == config
    with pytest.raises(PermissionDenied):
        unsealed(below, Given(OTHER_FILE))


def test_nothing_is_put_before_the_config(below: Counting) -> None:
    with pytest.raises(Conflict, match="no config yet"):
        new_sealed(below).put(KEY, b"x")
    assert list(below.objects()) == []


def test_an_interrupted_beginning_is_gone_on_with(below: Counting) -> None:
    """It died between the keys and the config."""
    create_repository(new_sealed(below))
    below.delete(CONFIG)
    again = new_sealed(below)
    config = create_repository(again)
    assert numbers(below) == [1, 2]
    opened = unsealed(below, Given(KEY_FILE))
    assert parse_config(opened.get(CONFIG)) == config


def test_a_config_that_was_lost_is_put_again_by_who_has_the_keys(below: Counting) -> None:
    store = new_sealed(below)
    create_repository(store)
    plain, lying = store.get(CONFIG), below.get(CONFIG)
    for damaged in (None, b"x"):
        below.delete(CONFIG)
        if damaged:
            below.put(CONFIG, damaged)
        opened = unsealed(below, Given(KEY_FILE))
        with pytest.raises((ObjectMissing, CorruptData)):
            opened.get(CONFIG)
        opened.put(CONFIG, plain)
        assert below.get(CONFIG) == lying
    other = MemoryStore()
    create_repository(other)
    with pytest.raises(Conflict, match="another repository"):
        opened.put(CONFIG, other.get(CONFIG))


def test_a_config_of_another_sealed_store_is_noticed(below: Counting) -> None:
    store = new_sealed(below)
    create_repository(store)
    below.put(CONFIG, encode_sealed_config("00" * 16))
    with pytest.raises(CorruptData, match="exchanged"):
        store.get(CONFIG)
    with pytest.raises(CorruptData, match="keys of the sealed store are gone"):
        unsealed(below, Given(KEY_FILE))


def test_keys_that_are_gone_or_damaged_are_told(below: Counting) -> None:
    create_repository(new_sealed(below))
    whole = below.get(keys_key(1))
    for at in range(0, len(whole), 7):
        below.put(keys_key(1), whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(CorruptData):
            unsealed(below, Given(KEY_FILE))
    below.delete(keys_key(1))
    with pytest.raises(CorruptData, match="gone"):
        unsealed(below, Given(KEY_FILE))
    with pytest.raises(NotFound):
        readable_id(MemoryStore())


# Changes of keys, beside others who are at work.


def test_new_keys_count_and_older_ones_go(below: Counting) -> None:
    store = new_sealed(below)
    create_repository(store)
    store.keys.change(lambda now: with_slot(now, Labelled(PASSPHRASE, ""), Chance()))
    assert numbers(below) == [2]
    assert isinstance(unsealed(below, Given(PASSPHRASE)), SealedStore)
    store.keys.change(lambda now: without_slot(now, 1, Chance()))
    assert numbers(below) == [3]
    with pytest.raises(PermissionDenied):
        unsealed(below, Given(KEY_FILE))
    assert parse_keys(below.get(keys_key(3))).head.last_slot == 2


def test_who_is_at_work_during_a_rotation_reads_and_writes_on(below: Counting) -> None:
    first = new_sealed(below)
    create_repository(first)
    first.put("notes/0000000001", b"before")
    second = unsealed(below, Given(KEY_FILE))
    first.keys.change(lambda now: rotated(now, [KEY_FILE], (), Chance()))
    first.put("notes/0000000002", b"after")
    second.put("notes/0000000003", b"with the older key")
    for store in (second, first, unsealed(below, Given(KEY_FILE))):
        assert [store.get(f"notes/000000000{n}") for n in (1, 2, 3)] == [
            b"before",
            b"after",
            b"with the older key",
        ]
    second.put("notes/0000000004", b"y")
    assert [below.get(f"notes/000000000{n}")[2] for n in (1, 2, 3, 4)] == [1, 2, 1, 2], "keys of the blocks"


def test_who_may_not_read_any_more_is_told_so_and_finds_no_damage(below: Counting) -> None:
    first = new_sealed(below, KEY_FILE, PASSPHRASE)
    create_repository(first)
    second = unsealed(below, Given(PASSPHRASE))
    first.keys.change(lambda now: rotated(now, [KEY_FILE], (2,), Chance()))
    first.put("notes/0000000001", b"secret")
    with pytest.raises(PermissionDenied):
        second.get("notes/0000000001")


def test_two_changes_of_others_meanwhile_are_noticed(below: Counting) -> None:
    """The number that comes next is free again then."""
    one = new_sealed(below)
    create_repository(one)
    two = unsealed(below, Given(KEY_FILE))
    assert isinstance(two, SealedStore)

    def while_another_one_changes_twice(now: Unlocked) -> Unlocked:
        one.keys.change(lambda now: with_slot(now, Labelled(PASSPHRASE, ""), Chance()))
        one.keys.change(lambda now: with_slot(now, Labelled(PASSPHRASE, "again"), Chance()))
        return with_slot(now, Labelled(OTHER_FILE, ""), Chance())

    with pytest.raises(Conflict, match="somebody else changed the keys"):
        two.keys.change(while_another_one_changes_twice)
    assert numbers(below) == [3]
    with pytest.raises(PermissionDenied):
        unsealed(below, Given(OTHER_FILE))


def test_a_number_that_is_free_again_is_not_taken(below: Counting) -> None:
    """Others change the keys twice between the look and the putting."""
    one = new_sealed(below)
    create_repository(one)
    older = sealed_keys(with_slot(one.keys.unlocked, Labelled(OTHER_FILE, ""), Chance()), Chance())
    for _ in range(2):
        one.keys.change(lambda now: with_slot(now, Labelled(PASSPHRASE, ""), Chance()))
    with pytest.raises(Conflict, match="somebody else changed the keys"):
        put_keys(below, older)
    assert numbers(below) == [3]


def test_of_two_changes_at_once_one_is_told(below: Counting) -> None:
    one = new_sealed(below)
    create_repository(one)
    two = unsealed(below, Given(KEY_FILE))
    assert isinstance(two, SealedStore)

    def while_another_one_is_faster(now: Unlocked) -> Unlocked:
        one.keys.change(lambda now: with_slot(now, Labelled(PASSPHRASE, ""), Chance()))
        return with_slot(now, Labelled(OTHER_FILE, ""), Chance())

    with pytest.raises(Conflict, match="somebody else changed the keys"):
        two.keys.change(while_another_one_is_faster)
    with pytest.raises(PermissionDenied):
        unsealed(below, Given(OTHER_FILE))
    two.keys.change(lambda now: with_slot(now, Labelled(OTHER_FILE, ""), Chance()))
    for secret in (KEY_FILE, PASSPHRASE, OTHER_FILE):
        assert isinstance(unsealed(below, Given(secret)), SealedStore)


def test_wherever_a_change_dies_either_the_old_or_the_new_keys_count(below: Counting) -> None:
    for dies_at in range(4):
        place = Dying()
        store = new_sealed(place)
        create_repository(store)
        place.calls_left = dies_at
        with suppress(InterruptedError):
            store.keys.change(lambda now: rotated(now, [KEY_FILE], (), Chance()))
        place.calls_left = 1000
        opened = unsealed(place, Given(KEY_FILE))
        assert isinstance(opened, SealedStore)
        opened.keys.change(lambda now: with_slot(now, Labelled(PASSPHRASE, ""), Chance()))
        assert len(numbers(place)) == 1, "what was left over is gone with the next change"
    assert dies_at == 3


class Dying(MemoryStore):
    """Whose process dies after so many puts and deletes, before the next one."""

    def __init__(self) -> None:
        super().__init__()
        self.calls_left = 1000

    def _count(self) -> None:
        if not self.calls_left:
            raise InterruptedError
        self.calls_left -= 1

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        self._count()
        super().put(key, data, create_only=create_only)

    def delete(self, key: str) -> None:
        self._count()
        super().delete(key)


def test_keys_that_go_while_they_are_looked_for() -> None:
    """Somebody changes them between the listing and the reading."""
    place = Moving()
    store = new_sealed(place)
    create_repository(store)
    place.before_get = lambda: store.keys.change(
        lambda now: with_slot(now, Labelled(PASSPHRASE, ""), Chance())
    )
    opened = unsealed(place, Given(PASSPHRASE))
    assert isinstance(opened, SealedStore)
    assert opened.keys.number == 2


class Moving(MemoryStore):
    """In which something happens once, between the listing of keys and their reading."""

    before_get: Callable[[], object] | None = None

    def get(self, key: str) -> bytes:
        if key.startswith(KEYS) and self.before_get is not None:
            happens, self.before_get = self.before_get, None
            happens()
        return super().get(key)


def test_create_only_finds_what_is_there(store: SealedStore) -> None:
    name = PackName("ab" * 32)
    store.put(pack_key(name), b"x", create_only=True)
    with pytest.raises(ObjectExists):
        store.put(pack_key(name), b"x", create_only=True)
