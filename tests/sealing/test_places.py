"""What a catalog remembers of keys, against a store that somebody has changed."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cas.catalog.memory import MemoryCatalog
from cas.engine.repository import create_repository
from cas.errors import Conflict, PermissionDenied
from cas.format.names import CONFIG, keys_key
from cas.format.sealing import Keys, encode_keys, parse_keys
from cas.sealed_places import recognise, restore_keys
from cas.sealing.held_keys import HeldKeys
from cas.sealing.key_ring import Chance, Labelled, Unlocked, rotated, sealed_keys, unlock, with_slot
from cas.sealing.opening import unsealed
from cas.sealing.store import SealedStore
from cas.sealing.stored_keys import numbers, put_keys
from cas.store.memory import MemoryStore
from tests.sealing.scenes import KEY_FILE, KEYS, OTHER_FILE, PASSPHRASE, Given, new_sealed


@pytest.fixture
def below() -> MemoryStore:
    return MemoryStore()


def attached(store: SealedStore) -> MemoryCatalog:
    catalog = MemoryCatalog(lambda: datetime(2026, 1, 31, tzinfo=UTC))
    catalog.attach(store.keys.config.repository_id, store.url, create=True)
    recognise(store, catalog)
    return catalog


def opened(store: MemoryStore, *secrets: object) -> SealedStore:
    found = unsealed(store, Given(*(secrets or (KEY_FILE,))))  # type: ignore[arg-type]
    assert isinstance(found, SealedStore)
    return found


def forged(old: Unlocked, number: int) -> Keys:
    """What somebody makes who had the keys before a rotation: its slots, and a data key of his own."""
    data_keys = (*old.contents.data_keys, bytes(32))
    head = replace(old.head, number=number)
    return sealed_keys(replace(old, head=head, contents=replace(old.contents, data_keys=data_keys)), Chance())


@pytest.mark.parametrize("ahead", [0, 1], ids=["in their place", "as newer ones"])
def test_keys_of_somebody_who_lost_his_with_a_rotation_are_refused(below: MemoryStore, ahead: int) -> None:
    store = new_sealed(below, KEY_FILE, PASSPHRASE)
    create_repository(store)
    old = store.keys.unlocked
    store.keys.change(lambda now: rotated(now, [KEY_FILE], (2,), Chance()))
    catalog = attached(store)
    at_work = opened(below)
    number = store.keys.number + ahead
    below.put(keys_key(number), encode_keys(forged(old, number)))
    with pytest.raises(Conflict, match="not those that were seen last, nor made of them"):
        recognise(opened(below), catalog)
    assert not at_work.keys.look_again()
    if ahead:
        with pytest.raises(Conflict, match="somebody else changed the keys"):
            at_work.keys.change(lambda now: with_slot(now, Labelled(OTHER_FILE, ""), Chance()))
    at_work.put("notes/0000000001", b"x")
    assert unlock(parse_keys(catalog.sealing.seen("").object), [KEY_FILE]).contents.data_keys[1] != bytes(32)  # type: ignore[union-attr]


def test_keys_that_others_have_changed_are_taken_whoever_opens_them(below: MemoryStore) -> None:
    """Also where the catalog has missed changes, and nothing at hand opens what it knows."""
    store = new_sealed(below)
    create_repository(store)
    catalog = attached(store)
    store.keys.change(lambda now: with_slot(now, Labelled(PASSPHRASE, ""), Chance()))
    store.keys.change(lambda now: rotated(now, [PASSPHRASE], (1,), Chance()))
    recognise(opened(below, PASSPHRASE), catalog)
    seen = catalog.sealing.seen("")
    assert seen is not None
    assert seen.number == 3


def test_what_runs_for_long_seals_with_the_newest_keys(below: MemoryStore) -> None:
    store = new_sealed(below)
    create_repository(store)
    catalog = attached(store)
    at_work = opened(below)
    store.keys.change(lambda now: rotated(now, [KEY_FILE], (), Chance()))
    recognise(store, catalog)
    recognise(at_work, catalog)
    at_work.put("notes/0000000001", b"x")
    assert below.get("notes/0000000001")[2] == 2, "number of the data key"


def test_keys_can_be_changed_after_a_lost_race_of_two_inits(below: MemoryStore) -> None:
    one, two = new_sealed(below), new_sealed(below, OTHER_FILE)
    config = create_repository(one)
    lost = HeldKeys(below, Given(OTHER_FILE), None, new=[Labelled(OTHER_FILE, "")])
    lost.begin(replace(config, repository_id="0f" * 16))
    far = 9_999_999_999
    put_keys(below, parse_keys(encode_keys(replace(KEYS, head=replace(KEYS.head, number=far)))))
    assert numbers(below) == [1, 2, far]
    one.keys.change(lambda now: with_slot(now, Labelled(PASSPHRASE, ""), Chance()))
    assert numbers(below) == [3, far], "what was left over is gone, too"
    assert opened(below, PASSPHRASE).keys.config == config
    assert two.url == one.url


# Putting back.


def sealed_otherwise(store: SealedStore) -> MemoryStore:
    """A copy of the repository that is sealed with keys of its own."""
    below = MemoryStore()
    new_sealed(below).put(CONFIG, store.get(CONFIG), create_only=True)
    return below


@pytest.mark.parametrize("changes", [0, 1])
def test_keys_of_another_copy_are_not_put_over_its_own(below: MemoryStore, changes: int) -> None:
    """The primary is lost, and its replica goes on in its place, with the same catalog."""
    store = new_sealed(below)
    create_repository(store)
    for _ in range(changes):
        store.keys.change(lambda now: with_slot(now, Labelled(PASSPHRASE, ""), Chance()))
    catalog = attached(store)
    replica = sealed_otherwise(store)
    whole = replica.get(keys_key(1))
    with pytest.raises(Conflict) as told:
        recognise(opened(replica), catalog)
    assert "another place" in told.value.hint
    with pytest.raises(Conflict, match="keys 1 lie there, whole"):
        restore_keys(replica, catalog, Given(KEY_FILE))
    assert (numbers(replica), replica.get(keys_key(1))) == ([1], whole)


def test_what_no_secret_opens_is_not_overwritten(below: MemoryStore) -> None:
    store = new_sealed(below)
    create_repository(store)
    catalog = attached(store)
    replica = sealed_otherwise(store)
    with pytest.raises(Conflict, match="lie there, whole"):
        restore_keys(replica, catalog, Given())


@pytest.mark.parametrize("secrets", [(), (KEY_FILE,)])
def test_older_and_broken_keys_give_way(below: MemoryStore, secrets: tuple[()]) -> None:
    store = new_sealed(below)
    create_repository(store)
    old = below.get(keys_key(1))
    store.keys.change(lambda now: with_slot(now, Labelled(PASSPHRASE, ""), Chance()))
    catalog = attached(store)
    whole = below.get(keys_key(2))
    below.delete(keys_key(2))
    put_keys(below, parse_keys(old))
    assert restore_keys(below, catalog, Given(*secrets)) == 2
    below.put(keys_key(2), whole[:-1])
    restore_keys(below, catalog, Given(*secrets))
    assert below.get(keys_key(2)) == whole
    with pytest.raises(PermissionDenied):
        opened(below, OTHER_FILE)
