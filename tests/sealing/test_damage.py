"""What a damaged sealed object costs: what lies in the block, which the deepest check finds, and no more."""

from collections.abc import Iterator

import pytest

from cas.check import CheckLevel, check_repository
from cas.errors import CasError
from cas.format.names import CONFIG, KEYS, PACKS, VERSIONS, journal_key
from cas.format.notes import Note, NoteField
from cas.garbage.collecting import collect_garbage
from cas.limits import SEALED_BLOCK_BYTES
from cas.noting import say
from cas.sealing.store import SealedStore
from cas.store.memory import MemoryStore
from tests.engine.scenes import PRODUCTS, Platform, World, expected, product
from tests.engine.test_flips import read
from tests.sealing.scenes import bare_sealed, new_sealed

ROWS = {number: product(number) + product(-number) * 3 for number in range(3000)}
FIRST: Platform = {PRODUCTS: ROWS}
SECOND: Platform = {PRODUCTS: {**ROWS, 4: b"4\tanother product"}}
RIGHT = {1: expected(FIRST), 2: expected(SECOND)}


class Sealed(World):
    """A world whose store is sealed. `below`: what lies in the bucket."""

    def __init__(self) -> None:
        self.below = MemoryStore()
        super().__init__(new_sealed(self.below))

    def flip(self, key: str, position: int) -> bytes:
        """One bit of what lies in the bucket; what lay there before."""
        whole = self.below.get(key)
        position %= len(whole)
        flipped = bytes([whole[position] ^ 0x10])
        self.below.put(key, whole[:position] + flipped + whole[position + 1 :])
        return whole


@pytest.fixture
def sealed() -> Sealed:
    world = Sealed()
    world.take(FIRST)
    world.take(SECOND)
    say(world.open(), world.catalog, "ada", [Note(1, NoteField.PROTECTED, value=True)])
    return world


def largest_pack(world: Sealed) -> str:
    return max(world.below.objects(PACKS), key=lambda info: info.size).key


def positions(size: int) -> Iterator[int]:
    """In each part of the first, a middle and the last block."""
    blocks = -(-size // SEALED_BLOCK_BYTES)
    for number in sorted({0, blocks // 2, blocks - 1}):
        begin, end = number * SEALED_BLOCK_BYTES, min((number + 1) * SEALED_BLOCK_BYTES, size)
        yield from (begin, begin + 1, begin + 2, begin + 7, (begin + end) // 2, end - 1)


def test_every_kind_of_object_and_every_part_of_a_block(sealed: Sealed) -> None:
    objects = [info for info in sealed.below.objects() if not info.key.startswith(KEYS)]
    assert {info.key.partition("/")[0] for info in objects} >= {"config", "versions", "packs", "notes"}
    opened = sealed.open()
    for info in objects:
        for position in positions(info.size) if info.key != CONFIG else range(0, info.size, 9):
            whole = sealed.flip(info.key, position)
            try:
                repository = sealed.open()
            except CasError:
                repository = opened
            report = check_repository(repository, level=CheckLevel.BYTES)
            assert info.key in {finding.object for finding in report.findings}, (info.key, position)
            found = read(sealed)
            for number, records in found.items():
                assert records in (None, RIGHT[number]), (info.key, position)
                if info.key != CONFIG:
                    assert (records is None) <= (number in report.lost_versions)
            sealed.below.put(info.key, whole)
    assert read(sealed) == RIGHT
    assert check_repository(sealed.open(), level=CheckLevel.BYTES).is_clean


def test_a_damaged_block_costs_what_lies_in_it_and_not_its_neighbours(sealed: Sealed) -> None:
    key = largest_pack(sealed)
    assert sealed.below.size(key) > 4 * SEALED_BLOCK_BYTES, "frames, and from the third on the trailer"
    sealed.flip(key, SEALED_BLOCK_BYTES + 1000)
    report = check_repository(sealed.open(), level=CheckLevel.BYTES)
    (finding,) = report.findings
    assert finding.object == key
    assert 50 < finding.chunk_count < len(ROWS) * 0.6, "the records of two blocks out of three are there"


def test_objects_that_were_exchanged_or_put_back_are_found(sealed: Sealed) -> None:
    """By somebody who can write to the bucket, and has no key."""
    packs = [info.key for info in sealed.below.objects(PACKS)]
    one, two = packs[0], packs[1]
    first, second = sealed.below.get(one), sealed.below.get(two)
    sealed.below.put(one, second)
    sealed.below.put(two, first)
    found = {finding.object for finding in check_repository(sealed.open(), level=CheckLevel.BYTES).findings}
    assert {one, two} <= found
    sealed.below.put(one, first)
    sealed.below.put(two, second)
    versions = [info.key for info in sealed.below.objects(VERSIONS)]
    sealed.below.put(versions[1], sealed.below.get(versions[0]))
    report = check_repository(sealed.open(), level=CheckLevel.STRUCTURE)
    assert versions[1] in {finding.object for finding in report.findings}


def test_what_somebody_puts_there_in_clear_is_not_taken(sealed: Sealed) -> None:
    """Valid bytes of the format, which a store in clear would believe: nobody with the key sealed them."""
    plain = World()
    plain.take(FIRST)
    forged = plain.store.get("versions/0000000001")
    sealed.below.put("versions/0000000003", forged)
    sealed.below.put("notes/0000000002", forged)
    report = check_repository(sealed.open(), level=CheckLevel.STRUCTURE)
    assert {"versions/0000000003", "notes/0000000002"} <= {finding.object for finding in report.findings}
    assert read(sealed) == RIGHT


def test_garbage_is_collected_with_keys_only(sealed: Sealed) -> None:
    stranger = bare_sealed(sealed.below)
    assert isinstance(sealed.store, SealedStore)
    before = {info.key for info in sealed.below.objects()}
    stranger.put(f"{PACKS}ab/{'ab' * 32}", b"of somebody with another key")
    assert collect_garbage(sealed.open(), sealed.catalog).deleted == 1, "an object that nobody knows"
    assert {info.key for info in sealed.below.objects()} - {journal_key(1)} == before
    assert read(sealed) == RIGHT
