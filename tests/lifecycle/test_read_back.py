"""What a version added is read back right after its commit: whatever is wrong with it is said and kept."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from cas.catalog.checking import CheckState
from cas.check import CheckLevel
from cas.errors import NotFound
from cas.format.document import encode_document
from cas.format.names import dictionary_key, pack_key, version_key
from cas.ids import PackName
from cas.read_back import ReadBack, read_back
from tests.engine.recording import Gate, GatedStore
from tests.engine.scenes import PRODUCTS, Platform, World, product, rows_of
from tests.lifecycle.checked import checked, edition, grown, known, states
from tests.store.faulty import Killed

LARGE: Platform = {PRODUCTS: {number: product(number) for number in range(3000)}}


@pytest.fixture
def world() -> World:
    return grown(2)


def looked(world: World, number: int) -> ReadBack:
    return read_back(world.open(), world.catalog, number)


def added(world: World, number: int) -> list[PackName]:
    return [pack.name for pack in world.open().document(number).packs]


def test_what_it_added_is_read_whole_and_nothing_else(world: World) -> None:
    gate = Gate()
    before = world.catalog.now()
    report = read_back(world.open(GatedStore(world.store, gate)), world.catalog, 2)
    assert report.is_good
    names = added(world, 2)
    assert report.packs == len(names)
    assert report.pack_bytes == sum(len(world.store.get(pack_key(name))) for name in names)
    whole = {what for call, what in gate.events if call == "get" and what.startswith("packs/")}
    assert whole == {pack_key(name) for name in names}
    assert not [what for call, what in gate.events if call == "objects"], "the store is not listed"
    check = known(world)[2]
    assert check.read_back_at is not None
    assert check.read_back_at > before
    assert check.state is CheckState.UNCHECKED, "the rest was not looked at"
    read = {check.name for check in world.catalog.checking.packs() if check.bytes_at is not None}
    assert read == set(names)


def test_every_byte_that_it_added_counts(world: World) -> None:
    for key in [version_key(2), *(pack_key(name) for name in added(world, 2))]:
        whole = world.store.get(key)
        for position in range(0, len(whole), 5):
            bad = bytearray(whole)
            bad[position] ^= 1 << position % 8
            world.store.put(key, bytes(bad))
            report = looked(world, 2)
            assert key in {finding.object for finding in report.findings}, position
            assert all(finding.lost_versions == (2,) for finding in report.findings)
            assert states(world)[2] is CheckState.DAMAGED
        world.store.put(key, whole)
    assert looked(world, 2).is_good
    assert states(world)[2] is CheckState.DAMAGED, "a version that was damaged wants to be checked"
    checked(world)
    assert states(world)[2] is CheckState.VALID


@pytest.mark.parametrize("what", ["a pack", "the document", "another document", "another one's"])
def test_what_is_not_there(world: World, what: str) -> None:
    key = pack_key(added(world, 2)[0]) if what == "a pack" else version_key(2)
    if what == "another document":
        document = world.open().document(2)
        world.store.put(key, encode_document(replace(document, reason="another")))
    elif what == "another one's":
        other = grown(1)
        other.take(edition(9))
        world.store.put(key, other.store.get(key))
    else:
        world.store.delete(key)
    report = looked(world, 2)
    assert key in {finding.object for finding in report.findings}
    assert states(world) == {1: CheckState.UNCHECKED, 2: CheckState.DAMAGED}
    assert known(world)[2].damage
    with pytest.raises(NotFound):
        looked(world, 7)


@pytest.mark.parametrize("harm", [lambda whole: whole[:-1] + b"?", lambda whole: None])
def test_second_copies_of_its_dictionaries(
    monkeypatch: pytest.MonkeyPatch, harm: Callable[[bytes], bytes | None]
) -> None:
    monkeypatch.setattr("cas.engine.compression.DICTIONARY_MIN_SAMPLES_BYTES", 1000)
    monkeypatch.setattr("cas.engine.compression.DICTIONARY_BYTES", 1000)
    world = World()
    world.take(LARGE)
    repository = world.open()
    entries = repository.entities(repository.document(1), repository.reader())
    dictionary = entries[0].dictionary
    assert dictionary is not None
    report = looked(world, 1)
    assert (report.is_good, report.dictionaries) == (True, 1)
    key = dictionary_key(dictionary)
    bad = harm(world.store.get(key))
    world.store.delete(key)
    if bad is not None:
        world.store.put(key, bad)
    (finding,) = looked(world, 1).findings
    assert (finding.object, finding.is_loss) == (key, False)
    assert states(world)[1] is CheckState.UNCHECKED, "the one in its pack serves"
    world.take({PRODUCTS: {**rows_of(LARGE, PRODUCTS), 1: b"1\tanother"}})
    assert looked(world, 2).dictionaries == 0, "the second version added none"


def test_who_dies_there_has_a_version_that_was_not_read_back(world: World) -> None:
    class Dying(Gate):
        def before(self, call: str, what: str = "") -> None:
            if call == "get" and what.startswith("packs/"):
                raise Killed

    with pytest.raises(Killed):
        read_back(world.open(GatedStore(world.store, Dying())), world.catalog, 2)
    assert known(world)[2].read_back_at is None
    assert checked(world, CheckLevel.BYTES).is_clean
