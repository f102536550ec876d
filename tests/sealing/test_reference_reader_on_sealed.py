"""The reference readers read what the product has sealed, by FORMAT.md and one secret alone."""

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from cas.format.names import version_key
from cas.sealing.key_ring import Chance, rotated
from cas.store.memory import MemoryStore
from tests import reference_sealing as reference
from tests.engine.scenes import World
from tests.reference_reader import Objects, Refused
from tests.sealing.scenes import KEY_FILE, OTHER_FILE, new_sealed
from tests.sealing.sealed_life import (
    CODE,
    GOOD,
    WRONG,
    Bucket,
    Life,
    copied,
    life_in,
    require_read,
    require_records,
)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    return life_in(tmp_path_factory.mktemp("sealed"))


@pytest.mark.parametrize("kind", GOOD)
def test_every_record_is_read_with_a_secret_of_each_kind(kind: str, life: Life) -> None:
    require_read(life.before.repository(GOOD[kind]), life.before.states)


@pytest.mark.parametrize("kind", GOOD)
def test_what_was_sealed_before_and_after_a_rotation_is_read(kind: str, life: Life) -> None:
    require_read(life.after.repository(GOOD[kind]), life.after.states)


def numbers_of_data_keys(root: Path) -> set[int]:
    return {struct.unpack_from("<H", path.read_bytes(), 2)[0] for path in root.glob("packs/*/*")}


def test_the_scene_has_objects_of_many_blocks_and_of_both_data_keys(life: Life) -> None:
    assert max(path.stat().st_size for path in life.before.root.glob("packs/*/*")) > 3 * reference.BLOCK
    assert numbers_of_data_keys(life.before.root) == {1}
    assert numbers_of_data_keys(life.after.root) == {1, 2}
    assert [path.name for path in life.after.root.glob("keys/*")] == ["0000000002"]


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_secret_opens_nothing(kind: str, life: Life) -> None:
    for bucket in (life.before, life.after):
        with pytest.raises(Refused) as caught:
            bucket.repository(WRONG[kind])
        assert caught.value.kind == "locked"


def test_a_good_secret_opens_slots_of_its_own_kind_alone(tmp_path: Path) -> None:
    bare = MemoryStore()
    World(store=new_sealed(bare, KEY_FILE))
    bucket = Bucket(copied(bare, tmp_path), [], "")
    bucket.repository(GOOD["file"])
    for kind in ("passphrase", "recovery", "command"):
        with pytest.raises(Refused, match="locked"):
            bucket.repository(GOOD[kind])


@pytest.mark.parametrize(
    "make",
    [
        lambda: reference.by_key_file(bytes(31) + b"\n"),
        lambda: reference.by_key_file(bytes((1 << 20) + 1)),
        lambda: reference.by_recovery_code(CODE.text()[:-1]),
        lambda: reference.by_recovery_code(CODE.text()[:-1] + "*"),
        lambda: reference.by_recovery_code(("1" if CODE.text()[0] == "0" else "0") + CODE.text()[1:]),
    ],
    ids=["short-file", "long-file", "short-code", "no-digit", "slip"],
)
def test_what_cannot_be_a_secret_is_refused(make: Callable[[], reference.Secret]) -> None:
    with pytest.raises(Refused, match="malformed"):
        make()


def test_a_command_that_gives_no_key_is_refused(life: Life) -> None:
    with pytest.raises(Refused, match="malformed"):
        life.before.repository(reference.by_command(lambda kept: kept[:31]))


def test_what_is_opened_are_the_bytes_that_would_lie_there_in_clear(life: Life) -> None:
    objects = reference.SealedObjects(life.after.root, GOOD["file"])
    keys = Objects(life.after.root).keys("*/**/*")
    for key in (key for key in keys if (life.after.root / key).is_file() and not key.startswith("keys/")):
        plain = life.sealed.get(key)
        assert objects.read(key) == plain
        assert objects.opener.whole(key, (life.after.root / key).read_bytes()) == plain
        for start in (0, 1, reference.ROOM - 1, reference.ROOM, 2 * reference.ROOM + 5):
            for length in (1, 40, reference.ROOM, reference.ROOM + 2, len(plain)):
                assert objects.read(key, start, length) == plain[start : start + length]
    assert objects.read("config") == life.sealed.get("config")


def test_older_keys_and_those_of_another_repository_are_passed_over(life: Life, tmp_path: Path) -> None:
    bucket = life.after.own(tmp_path / "own")
    shutil.copy(life.before.root / "keys" / "0000000001", bucket.root / "keys")
    other = MemoryStore()
    stranger = new_sealed(other, OTHER_FILE)
    World(store=stranger, seed=8)
    stranger.keys.change(lambda now: rotated(now, [OTHER_FILE], (), Chance()))
    stranger.keys.change(lambda now: rotated(now, [OTHER_FILE], (), Chance()))
    shutil.copy(copied(other, tmp_path / "other") / "keys" / "0000000003", bucket.root / "keys")
    assert len(list(bucket.root.glob("keys/*"))) == 3
    require_read(bucket.repository(GOOD["file"]), bucket.states)


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "truncated"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b"tests", b"texts")), "hash-mismatch"),
        (lambda path: path.rename(path.with_name("0000000003")), "malformed"),
        (lambda path: path.with_name("0000000004").write_bytes(b""), "truncated"),
        (lambda path: path.unlink(), "missing"),
    ],
    ids=["cut", "changed", "other-number", "newer-unreadable", "gone"],
)
def test_keys_that_are_damaged_are_refused(
    damage: Callable[[Path], object], kind: str, life: Life, tmp_path: Path
) -> None:
    bucket = life.after.own(tmp_path / "own")
    damage(bucket.root / "keys" / "0000000002")
    with pytest.raises(Refused) as caught:
        bucket.repository(GOOD["file"])
    assert caught.value.kind == kind


def test_a_block_that_does_not_open_costs_what_lies_in_it_and_nothing_else(
    life: Life, tmp_path: Path
) -> None:
    bucket = life.before.own(tmp_path / "own")
    largest = max(bucket.root.glob("packs/*/*"), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[reference.BLOCK + 500] ^= 1
    largest.write_bytes(data)
    repository = bucket.repository(GOOD["file"])
    assert [largest.name in damage for damage in repository.damage] == [True]
    whole: list[str] = []
    entities = {entity.name: entity for entity in bucket.states[0]}
    for definition, row in repository.entities(repository.document(1)):
        try:
            found = list(repository.records(definition, row))
        except Refused:
            continue
        require_records(found, bucket.states[0], entities[definition["name"]])
        whole.append(definition["name"])
    assert "products" not in whole
    assert whole, "nothing is left"


def test_documents_that_were_exchanged_are_refused(life: Life, tmp_path: Path) -> None:
    bucket = life.before.own(tmp_path / "own")
    shutil.copy(life.before.root / version_key(1), bucket.root / version_key(2))
    found = dict(bucket.repository(GOOD["file"]).versions())
    assert [isinstance(found[number], Refused) for number in (1, 2, 3)] == [False, True, False]
