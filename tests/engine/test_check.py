"""What check finds, what it says of it, and what it does not mind."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cas.check import CheckLevel, CheckReport, check_repository
from cas.damage import MAX_NAMED_CHUNKS, DamageKind, Finding
from cas.engine.repository import Repository
from cas.errors import CasError, NotFound
from cas.format.document import VersionDocument
from cas.format.names import dictionary_key, pack_key, version_key
from cas.format.node import encode_node
from cas.format.pack import HEADER_BYTES, Trailer, parse_end
from cas.ids import ChunkId, ChunkKind, PackName
from cas.limits import LARGE_VALUE_BYTES
from cas.progress import Progress
from cas.store.interface import FaultKind, StoreFault
from cas.tree.reading import lookup
from tests.engine.handmade import commit, entry_of, rewrite
from tests.engine.memory_source import integer_key
from tests.engine.scenes import (
    NOTES,
    PRODUCTS,
    SUPPLIERS,
    Platform,
    World,
    changed,
    expected,
    product,
    rows_of,
    shop,
)
from tests.store.faulty import FaultyStore

LEVELS = list(CheckLevel)


def check(
    world: World, level: CheckLevel = CheckLevel.BYTES, version: int | None = None, cache: Path | None = None
) -> CheckReport:
    """As a new process would check, without a cache unless one is given."""
    repository = world.open(cache=cache)
    try:
        return check_repository(repository, version=version, level=level)
    finally:
        repository.close()


def only(report: CheckReport) -> Finding:
    (finding,) = report.findings
    return finding


def flip(world: World, key: str, position: int) -> None:
    FaultyStore(world.store).flip(key, position)


def wipe(world: World, chunk_id: ChunkId) -> PackName:
    """Zeros in the place of the frame in which a chunk lies. Gives its pack."""
    name, offset, length = place(world, chunk_id)
    data = bytearray(world.store.get(pack_key(name)))
    data[offset : offset + length] = bytes(length)
    world.store.put(pack_key(name), bytes(data))
    return name


def trailer(world: World, name: PackName) -> Trailer:
    return parse_end(world.store.get(pack_key(name)))


def place(world: World, chunk_id: ChunkId) -> tuple[PackName, int, int]:
    """The pack of a chunk, and where its frame begins and how long it is there."""
    for name in sorted(world.packs()):
        tables, offset, first = trailer(world, name), HEADER_BYTES, 0
        for frame in tables.frames:
            ids = tables.short_ids[first * 16 : (first + frame.chunks) * 16]
            if chunk_id[:16] in [ids[at : at + 16] for at in range(0, len(ids), 16)]:
                return name, offset, frame.stored_length
            offset += frame.stored_length
            first += frame.chunks
    raise AssertionError("not stored")


def record_id(world: World, payload: bytes) -> ChunkId:
    return world.open().config.id_key.hasher(ChunkKind.RECORD)(payload)


def root(world: World, number: int, label: str) -> ChunkId:
    repository = world.open()
    document = repository.document(number)
    entries = repository.entities(document, repository.reader())
    found = next(entry.root for entry in entries if entry.entity.label == label)
    assert found is not None
    return found


@pytest.fixture
def three(world: World, small_packs: None) -> tuple[World, list[Platform]]:
    """Three versions: product 77 is as it was in the first two only."""
    first = shop()
    second = changed(first, 1, numbers=(3,))
    third = changed(second, 2, numbers=(77, 250))
    for platform in (first, second, third):
        world.take(platform)
    return world, [first, second, third]


Three = tuple[World, list[Platform]]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("version", [None, 2])
def test_a_whole_repository_is_clean(three: Three, level: CheckLevel, version: int | None) -> None:
    world, platforms = three
    report = check(world, level, version)
    assert report.is_clean, report.findings
    assert report.versions == ((1, 2, 3) if version is None else (2,))
    assert report.entities == 3 * len(report.versions)
    if version:
        rows = platforms[1].values()
        assert report.records == sum(len(set(some)) if isinstance(some, list) else len(some) for some in rows)
    if level is CheckLevel.BYTES and version is None:
        assert report.pack_bytes == sum(world.open().packs().values())
        assert report.chunks == sum(trailer(world, name).chunks for name in world.packs())
    assert report.orphans is None or report.orphans.packs == 0


@pytest.mark.parametrize("level", LEVELS)
def test_an_empty_repository_and_empty_tables_are_clean(world: World, level: CheckLevel) -> None:
    assert check(world, level).is_clean
    world.take({PRODUCTS: {}, NOTES: []})
    report = check(world, level)
    assert report.is_clean, report.findings
    assert report.versions == (1,)


def test_a_version_that_is_not_there_is_not_found(three: Three) -> None:
    for level in LEVELS:
        for number in (9, 0, -1):
            with pytest.raises(NotFound):
                check(three[0], level, number)


def test_a_lost_document_is_found_where_the_catalog_says_what_there_must_be(three: Three) -> None:
    world, _ = three
    world.store.delete(version_key(2))
    assert check(world).is_clean, "it was perhaps forgotten"
    report = check_repository(world.open(), expected=[1, 2, 3])
    finding = only(report)
    assert (finding.object, finding.kind) == (version_key(2), DamageKind.MISSING)
    assert report.lost_versions == (2,)
    assert check_repository(world.open(), expected=[1, 3]).is_clean


class Watching:
    """Adds up what progress says."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.records = 0
        self.packs: list[int] = []

    def phase(self, name: str) -> None:
        self.phases.append(name)

    def entity(self, label: str, records: int, payload_bytes: int) -> None:
        assert records >= 0
        assert payload_bytes >= 0

    def advance(self, label: str, records: int, payload_bytes: int) -> None:
        if label == "packs":
            self.packs.append(payload_bytes)
        else:
            self.records += records

    def stored(self, stored_bytes: int) -> None:
        raise AssertionError("a check stores nothing")


def test_progress_counts_what_was_done(three: Three) -> None:
    world, _ = three
    watching = Watching()
    progress: Progress = watching
    report = check_repository(world.open(), level=CheckLevel.BYTES, progress=progress)
    assert watching.phases == ["list", "packs", "bytes", "trees"]
    assert sum(watching.packs) == report.pack_bytes
    assert len([size for size in watching.packs if size]) == report.packs
    assert watching.records >= report.records


def test_a_damaged_record_names_itself_and_whom_it_touches(three: Three) -> None:
    world, platforms = three
    victim = record_id(world, product(77))
    name, offset, length = place(world, victim)
    flip(world, pack_key(name), offset + length // 2)
    finding = only(check(world))
    assert (finding.object, finding.kind) == (pack_key(name), DamageKind.HASH_MISMATCH)
    assert finding.is_loss
    assert "public.products" in finding.entities
    assert set(finding.versions) >= {1, 2}
    assert finding.hint
    named = {chunk.id for chunk in finding.chunks}
    assert {chunk.kind for chunk in finding.chunks} == {"record"}
    assert len(named) == min(finding.chunk_count, MAX_NAMED_CHUNKS)
    stored = {payload for platform in platforms for payload in rows_of(platform, PRODUCTS).values()}
    assert named <= {record_id(world, payload).hex() for payload in stored}


def test_a_version_in_which_the_damaged_record_was_changed_is_not_touched(world: World) -> None:
    first = shop()
    second = changed(first, 1, numbers=(77,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cas.engine.packer.FRAME_TARGET_BYTES", 30)
        world.take(first)
        world.take(second)
        world.take(changed(second, 2, numbers=(3,)))
    victim = record_id(world, product(77))
    name, offset, _ = place(world, victim)
    flip(world, pack_key(name), offset + 5)
    finding = only(check(world))
    assert [(chunk.kind, chunk.id) for chunk in finding.chunks] == [("record", victim.hex())]
    assert finding.versions == (1,)
    for version in (2, 3):
        report = check(world, version=version)
        assert (report.lost_versions, only(report).versions) == ((), ()), "they need others of the pack"
    assert only(check(world, version=1)).versions == (1,)
    assert check(world, CheckLevel.PACKS).is_clean, "bytes are not read at this level"


@pytest.mark.parametrize("level", LEVELS)
def test_a_damaged_node_is_found_at_every_level(three: Three, level: CheckLevel) -> None:
    world, _ = three
    victim = root(world, 1, "public.suppliers")
    name = wipe(world, victim)
    report = check(world, level)
    finding = only(report)
    assert (finding.object, finding.kind) == (pack_key(name), DamageKind.HASH_MISMATCH)
    assert finding.is_loss
    assert "public.suppliers" in finding.entities
    assert finding.versions == (1, 2, 3), "they share the tree"
    assert report.lost_versions == (1, 2, 3)
    assert victim.hex() in {chunk.id for chunk in finding.chunks}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("is_warm", [True, False])
def test_a_lost_pack_names_whom_it_touches(
    three: Three, tmp_path: Path, level: CheckLevel, is_warm: bool
) -> None:
    """Warm: the local index remembers what was in it."""
    world, _ = three
    cache = tmp_path if is_warm else None
    if cache:
        world.open(cache=cache).reader()
    name, _, _ = place(world, record_id(world, product(77)))
    world.store.delete(pack_key(name))
    report = check(world, level, cache=cache)
    finding = only(report)
    assert (finding.object, finding.kind) == (pack_key(name), DamageKind.MISSING)
    assert finding.is_loss
    assert "public.products" in finding.entities
    assert set(finding.versions) >= {1, 2}
    assert record_id(world, product(77)).hex() in {chunk.id for chunk in finding.chunks} or (
        finding.chunk_count > MAX_NAMED_CHUNKS
    )


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("is_warm", [True, False])
@pytest.mark.parametrize("keep", [0, 40, -1, -70])
def test_a_pack_cut_short_is_found(
    three: Three, tmp_path: Path, level: CheckLevel, is_warm: bool, keep: int
) -> None:
    world, _ = three
    cache = tmp_path if is_warm else None
    if cache:
        world.open(cache=cache).reader()
    name, _, _ = place(world, record_id(world, product(77)))
    data = world.store.get(pack_key(name))
    world.store.put(pack_key(name), data[:keep])
    report = check(world, level, cache=cache)
    assert {finding.object for finding in report.findings} == {pack_key(name)}
    assert report.findings[0].kind is DamageKind.TRUNCATED
    assert report.findings[0].is_loss
    assert "public.products" in report.findings[0].entities


@pytest.mark.parametrize("level", LEVELS)
def test_bytes_after_the_end_of_a_pack_are_found(three: Three, level: CheckLevel) -> None:
    world, _ = three
    name = sorted(world.packs())[0]
    world.store.put(pack_key(name), world.store.get(pack_key(name)) + b"more")
    report = check(world, level)
    assert report.findings[0].object == pack_key(name)


def test_a_damaged_trailer_loses_what_is_in_its_pack(three: Three) -> None:
    world, _ = three
    name, _, _ = place(world, record_id(world, product(77)))
    size = len(world.store.get(pack_key(name)))
    for position in (size - 70, size - 40, size - 56):
        flip(world, pack_key(name), position)
        for level in LEVELS:
            report = check(world, level)
            assert report.findings[0].object == pack_key(name)
            assert report.findings[0].is_loss
            assert "public.products" in report.findings[0].entities
        flip(world, pack_key(name), position)
    assert check(world).is_clean


def test_a_damaged_header_is_found_and_loses_nothing(three: Three) -> None:
    world, _ = three
    name, _, _ = place(world, record_id(world, product(77)))
    flip(world, pack_key(name), 20)
    report = check(world)
    finding = only(report)
    assert (finding.object, finding.kind) == (pack_key(name), DamageKind.HASH_MISMATCH)
    assert not finding.is_loss
    assert finding.chunk_count == 0
    assert finding.versions == (1,), "it added the pack"
    assert report.lost_versions == ()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", [ChunkKind.ENTITIES, ChunkKind.DEFINITION])
def test_a_lost_list_or_schema_touches_the_whole_version(
    three: Three, level: CheckLevel, kind: ChunkKind
) -> None:
    world, _ = three
    document = world.open().document(2)
    assert document.schema is not None
    victim = document.entities.id if kind is ChunkKind.ENTITIES else document.schema.id
    name = wipe(world, victim)
    finding = check(world, level).findings[0]
    assert finding.object == pack_key(name)
    assert finding.is_loss
    assert 2 in finding.versions
    assert kind.name.lower() in {chunk.kind for chunk in finding.chunks}


@pytest.mark.parametrize("level", LEVELS)
def test_a_damaged_document_names_its_version(three: Three, level: CheckLevel) -> None:
    world, _ = three
    flip(world, version_key(2), 300)
    report = check(world, level)
    finding = next(one for one in report.findings if one.object == version_key(2) and one.is_loss)
    assert finding.kind is DamageKind.HASH_MISMATCH
    assert report.lost_versions == (2,)
    assert report.versions == (1, 3)
    assert check(world, level, 3).lost_versions == ()


Alter = Callable[[VersionDocument], VersionDocument]
ALTERED: dict[str, Alter] = {
    "records": lambda document: replace(document, records=document.records + 1),
    "bytes": lambda document: replace(document, original_bytes=document.original_bytes + 1),
    "checksum": lambda document: replace(document, checksum=bytes(32)),
    "receipts": lambda document: replace(document, read=document.read[1:]),
    "repository": lambda document: replace(document, repository_id="0" * 32),
    "a reason only": lambda document: replace(document, reason="something else"),
}


@pytest.mark.parametrize("altered", list(ALTERED))
def test_a_document_that_was_exchanged_is_found(three: Three, altered: str) -> None:
    """Whoever can write into the store can make a document that fits its own hash."""
    world, _ = three
    rewrite(world, 2, ALTERED[altered])
    for level in LEVELS:
        report = check(world, level)
        assert version_key(2) in {finding.object for finding in report.findings}
        assert (report.lost_versions == (2,)) == (altered != "a reason only")


def test_a_document_under_another_number_is_found(three: Three) -> None:
    world, _ = three
    rewrite(world, 2, lambda document: document, at=7)
    finding = only(check(world))
    assert (finding.object, finding.kind) == (version_key(7), DamageKind.MALFORMED)


def test_a_config_that_is_damaged_meanwhile_is_found(three: Three) -> None:
    world, _ = three
    repository = world.open()
    flip(world, "config", 50)
    finding = only(check_repository(repository))
    assert (finding.object, finding.kind, finding.is_loss) == ("config", DamageKind.HASH_MISMATCH, True)
    world.store.delete("config")
    assert only(check_repository(repository)).kind is DamageKind.MISSING


@pytest.fixture
def trained(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[World, ChunkId]:
    """A version whose products were compressed with a dictionary."""
    monkeypatch.setattr("cas.engine.compression.DICTIONARY_MIN_SAMPLES_BYTES", 1000)
    monkeypatch.setattr("cas.engine.compression.DICTIONARY_BYTES", 1000)
    world.take({PRODUCTS: {number: product(number) for number in range(3000)}})
    repository = world.open()
    (entry,) = repository.entities(repository.document(1), repository.reader())
    assert entry.dictionary is not None
    return world, entry.dictionary


def test_the_second_copy_of_a_dictionary_is_looked_at(trained: tuple[World, ChunkId]) -> None:
    world, dictionary = trained
    for level in LEVELS:
        assert check(world, level).is_clean
    flip(world, dictionary_key(dictionary), 100)
    finding = only(check(world))
    assert (finding.object, finding.kind) == (dictionary_key(dictionary), DamageKind.HASH_MISMATCH)
    assert (finding.is_loss, finding.entities, finding.versions) == (False, ("public.products",), (1,))
    world.store.delete(dictionary_key(dictionary))
    for level in LEVELS:
        finding = only(check(world, level))
        assert (finding.object, finding.kind) == (dictionary_key(dictionary), DamageKind.MISSING)
        assert not finding.is_loss


def test_a_dictionary_damaged_in_its_pack_loses_nothing_while_its_copy_is_whole(
    trained: tuple[World, ChunkId],
) -> None:
    world, dictionary = trained
    name = wipe(world, dictionary)
    report = check(world)
    finding = only(report)
    assert (finding.object, finding.is_loss) == (pack_key(name), False)
    assert (finding.entities, finding.versions) == (("public.products",), (1,))
    assert [(chunk.kind, chunk.id) for chunk in finding.chunks] == [("dictionary", dictionary.hex())]
    world.store.delete(dictionary_key(dictionary))
    for level in LEVELS:
        report = check(world, level)
        assert report.lost_versions == (1,)
        lost = next(finding for finding in report.findings if finding.is_loss)
        assert lost.entities == ("public.products",)
        assert lost.object == pack_key(name)


@pytest.fixture
def twice(world: World, small_packs: None) -> World:
    """Two sessions that did not see each other stored the same platform: every chunk has two copies."""
    world.take(shop())
    taken = world.packs()
    for name in taken:
        world.catalog.condemn([name])
    world.take(shop())
    assert len(world.packs()) > 2 * len(taken) - 2
    return world


def test_damage_that_a_copy_elsewhere_makes_good_loses_nothing(twice: World) -> None:
    victim = record_id(twice, product(77))
    name = wipe(twice, victim)
    report = check(twice)
    finding = only(report)
    assert (finding.object, finding.is_loss) == (pack_key(name), False)
    assert finding.chunk_count > 0
    assert report.lost_versions == ()
    assert twice.records(1) == twice.records(2)


def test_damage_to_both_copies_is_a_loss(twice: World) -> None:
    victim = record_id(twice, product(77))
    damaged = []
    for _ in range(2):
        name = wipe(twice, victim)
        damaged.append((name, twice.store.get(pack_key(name))))
        # Out of sight of `place`, so that it finds the other copy.
        twice.store.delete(pack_key(name))
    for name, stored in damaged:
        twice.store.put(pack_key(name), stored)
    report = check(twice)
    assert {finding.object for finding in report.findings} == {pack_key(name) for name, _ in damaged}
    assert report.lost_versions == (1, 2)


def test_moving_a_damaged_pack_aside_lets_the_platform_heal_what_it_still_has(three: Three) -> None:
    """The advice of the hint. Until then new versions build on what is damaged, since nobody told them."""
    world, platforms = three
    victim = record_id(world, product(7))
    name = wipe(world, victim)
    assert check(world).lost_versions == (1, 2, 3)
    world.take(platforms[0])
    assert check(world).lost_versions == (1, 2, 3, 4)
    aside = world.store.get(pack_key(name))
    world.store.delete(pack_key(name))
    world.take(platforms[0])
    world.store.put(pack_key(name), aside)
    report = check(world)
    assert (report.lost_versions, only(report).object) == ((), pack_key(name))
    for number, platform in enumerate([*platforms, platforms[0], platforms[0]], 1):
        assert world.records(number) == expected(platform)


@pytest.mark.parametrize("level", LEVELS)
def test_a_lost_pack_whose_chunks_are_elsewhere_is_no_loss(twice: World, level: CheckLevel) -> None:
    name, _, _ = place(twice, record_id(twice, product(77)))
    twice.store.delete(pack_key(name))
    report = check(twice, level)
    finding = only(report)
    assert (finding.object, finding.kind, finding.is_loss) == (pack_key(name), DamageKind.MISSING, False)
    assert len(finding.versions) == 1


def test_what_failed_sessions_left_is_counted_and_is_no_damage(three: Three) -> None:
    world, _ = three
    repository = world.open()
    session = world.session(repository)
    session.put_records([b"never committed %d" % number for number in range(300)])
    left = session.close_packs()
    session.abandon(KeyboardInterrupt())
    world.store.put("dictionaries/" + "ab" * 32, b"left over")
    world.store.put("packs/readme", b"what is this?")
    world.store.put("other", b"a stranger")
    for level in (CheckLevel.STRUCTURE, CheckLevel.PACKS):
        report = check(world, level)
        assert report.is_clean, report.findings
        assert report.orphans is not None
        assert report.orphans.packs == len(left) > 0
        assert report.orphans.pack_bytes == sum(pack.stored_bytes for pack in left)
        assert (report.orphans.dictionaries, report.orphans.strangers) == (1, 2)


def test_packs_of_a_forgotten_version_that_others_need_are_no_orphans(three: Three) -> None:
    world, _ = three
    world.store.delete(version_key(1))
    for level in LEVELS:
        report = check(world, level)
        assert report.is_clean, report.findings
        assert report.orphans is not None
        assert report.orphans.packs < len(world.packs()) / 2


def test_large_values_are_followed_to_their_pieces(world: World) -> None:
    large = {1: b"1\t" + b"x" * (2 * LARGE_VALUE_BYTES + 5), 2: b"2\tsmall"}
    world.take({PRODUCTS: large, NOTES: [b"n" * (LARGE_VALUE_BYTES + 1)] * 3})
    for level in LEVELS:
        assert check(world, level).is_clean
    piece = world.open().config.id_key.hasher(ChunkKind.PIECE)(b"n")
    name, offset, _ = place(world, piece)
    flip(world, pack_key(name), offset + 3)
    finding = only(check(world))
    assert finding.entities >= ("public.notes",)
    assert "piece" in {chunk.kind for chunk in finding.chunks}
    world.store.delete(pack_key(name))
    for level in LEVELS:
        report = check(world, level)
        assert report.findings[0].kind is DamageKind.MISSING
        assert "public.notes" in report.findings[0].entities


def test_a_store_that_does_not_answer_is_no_damage(three: Three) -> None:
    world, _ = three
    faulty = FaultyStore(world.store)
    repository = Repository(faulty, None)
    faulty.fail("get_range", fault=FaultKind.DENIED, skip=1)
    with pytest.raises(StoreFault):
        check_repository(repository)


def test_a_version_committed_during_the_check_is_no_damage(three: Three) -> None:
    world, platforms = three
    repository = world.open()

    class Meanwhile(Watching):
        def phase(self, name: str) -> None:
            if name in ("packs", "trees"):
                world.take(changed(platforms[2], 7 + len(self.phases)))
            super().phase(name)

    for level in LEVELS:
        report = check_repository(repository, level=level, progress=Meanwhile())
        assert report.is_clean, report.findings


# Trees that no writer of ours makes.


def hand_made(
    world: World, make: Callable[[Callable[[bytes], ChunkId]], ChunkId], records: int
) -> CheckReport:
    """A version whose products have the tree that `make` puts; returns what check says of it."""
    repository = world.open()
    session = world.session(repository)
    session.put_records([product(number) for number in range(8)])
    root_id = make(lambda plain: session.put_chunk(ChunkKind.NODE, plain))
    commit(world, repository, session, [entry_of(session, PRODUCTS, root_id, records)])
    repository.close()
    return check(world)


def leaf(world: World, *numbers: int) -> bytes:
    return encode_node(
        0,
        [integer_key(number) for number in numbers],
        [record_id(world, product(number)) for number in numbers],
    )


def test_a_tree_with_another_count_than_its_entity_says_is_malformed(world: World) -> None:
    finding = hand_made(world, lambda put: put(leaf(world, 1, 2, 3)), 4).findings[0]
    assert (finding.kind, finding.is_loss) == (DamageKind.MALFORMED, True)
    assert finding.entities == ("public.products",)


UPPER: dict[str, Callable[[World, Callable[[bytes], ChunkId]], bytes]] = {
    "wrong count": lambda world, put: encode_node(
        1,
        [integer_key(2), integer_key(5)],
        [put(leaf(world, 1, 2)), put(leaf(world, 4, 5))],
        [3, 1],
    ),
    "wrong key": lambda world, put: encode_node(
        1,
        [integer_key(3), integer_key(5)],
        [put(leaf(world, 1, 2)), put(leaf(world, 4, 5))],
        [2, 2],
    ),
    "overlapping": lambda world, put: encode_node(
        1,
        [integer_key(4), integer_key(5)],
        [put(leaf(world, 1, 4)), put(leaf(world, 3, 5))],
        [2, 2],
    ),
    "wrong level": lambda world, put: encode_node(
        2,
        [integer_key(2), integer_key(5)],
        [put(leaf(world, 1, 2)), put(leaf(world, 4, 5))],
        [2, 2],
    ),
    "leaf of a bag": lambda world, put: encode_node(
        1,
        [integer_key(2), integer_key(5)],
        [
            put(leaf(world, 1, 2)),
            put(
                encode_node(
                    0,
                    [integer_key(4), integer_key(5)],
                    [record_id(world, product(4)), record_id(world, product(5))],
                    [1, 1],
                )
            ),
        ],
        [2, 2],
    ),
}


@pytest.mark.parametrize("wrong", list(UPPER))
def test_a_tree_that_contradicts_itself_is_malformed(world: World, wrong: str) -> None:
    report = hand_made(world, lambda put: put(UPPER[wrong](world, put)), 4)
    assert DamageKind.MALFORMED in {finding.kind for finding in report.findings}
    assert report.lost_versions == (1,)


def test_a_node_that_ends_in_the_wrong_place_is_said_and_loses_nothing(world: World) -> None:
    def make(put: Callable[[bytes], ChunkId]) -> ChunkId:
        candidates = world.open().boundary.candidates
        a, b, c, d, e = [at for at in range(8) if not candidates(0, [integer_key(at)])][:5]
        ids = [put(leaf(world, a, b, c)), put(leaf(world, d, e))]
        return put(encode_node(1, [integer_key(c), integer_key(e)], ids, [3, 2]))

    report = hand_made(world, make, 5)
    finding = only(report)
    assert (finding.kind, finding.is_loss) == (DamageKind.MALFORMED, False)
    assert "ends in the wrong place" in finding.what


def test_bytes_that_are_no_node_are_malformed(world: World) -> None:
    report = hand_made(world, lambda put: put(b"not a node at all"), 1)
    assert report.findings[0].kind in (DamageKind.MALFORMED, DamageKind.UNSUPPORTED)
    assert report.lost_versions == (1,)


def test_a_record_that_shares_only_the_short_id_is_told_apart(world: World) -> None:
    def make(put: Callable[[bytes], ChunkId]) -> ChunkId:
        almost = ChunkId(record_id(world, product(1))[:16] + bytes(16))
        return put(encode_node(0, [integer_key(1)], [almost]))

    report = hand_made(world, make, 1)
    assert only(report).kind is DamageKind.HASH_MISMATCH
    assert report.lost_versions == (1,)
    assert check(world, CheckLevel.PACKS).is_clean, "this takes reading"


def test_records_that_were_never_stored_are_missing(world: World) -> None:
    report = hand_made(world, lambda put: put(encode_node(0, [integer_key(1)], [ChunkId(b"\7" * 32)])), 1)
    finding = only(report)
    assert (finding.object, finding.kind) == ("packs/", DamageKind.MISSING)
    assert [(chunk.kind, chunk.id) for chunk in finding.chunks] == [("record", "07" * 32)]
    for level in LEVELS:
        assert check(world, level).lost_versions == (1,)


def test_many_damaged_packs_are_told_apart_up_to_a_limit(
    three: Three, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, _ = three
    monkeypatch.setattr("cas.damage.MAX_FINDINGS", 3)
    names = sorted(world.packs())
    for name in names:
        flip(world, pack_key(name), 20)
    report = check(world)
    assert len(names) > 5
    assert len(report.findings) == 4
    assert report.findings_left_off == len(names) - 3


def test_lookups_and_check_agree_on_a_sample(three: Three) -> None:
    world, platforms = three
    reader = world.open().reader()
    found = lookup(reader, root(world, 3, "public.suppliers"), integer_key(7))
    assert found is not None
    assert reader.read(ChunkKind.RECORD, (found.id,)) == [platforms[2][SUPPLIERS][7]]


def test_a_large_repository_is_checked_through_temporary_files(
    three: Three, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world, _ = three
    monkeypatch.setattr("cas.check_packs.IN_MEMORY_BYTES", 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for level in LEVELS:
        assert check(world, level).is_clean
    name = wipe(world, record_id(world, product(77)))
    assert check(world).findings[0].object == pack_key(name)
    assert not list(tmp_path.iterdir()), "nothing is left behind"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "not there"))
    with pytest.raises(CasError, match="TMPDIR"):
        check(world)


@pytest.mark.parametrize("level", LEVELS)
def test_several_lost_packs_are_named_and_so_is_who_misses_what(three: Three, level: CheckLevel) -> None:
    """Nobody remembers which chunk was in which pack."""
    world, _ = three
    added = world.open().document(1).packs
    lost = [pack.name for pack in added if not pack.holds_nodes][:3]
    for name in lost:
        world.store.delete(pack_key(name))
    report = check(world, level)
    found = {finding.object: finding for finding in report.findings}
    assert found.keys() == {"packs/", *(pack_key(name) for name in lost)}
    assert {finding.kind for finding in report.findings} == {DamageKind.MISSING}
    assert found["packs/"].is_loss
    assert "public.products" in found["packs/"].entities
    assert report.lost_versions == (1, 2, 3)
    assert all(found[pack_key(name)].versions == (1,) for name in lost), "it added them"
