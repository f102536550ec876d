"""Taking versions: equal data gives equal checksums, and every failure is listed with its reason."""

import random
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cas.catalog.model import VersionFilter, VersionKind, VersionState
from cas.check import CheckLevel, check_repository
from cas.errors import InsufficientSpace, InvalidInput, PermissionDenied, SourceChanged
from cas.format.names import dictionary_key
from cas.ids import CHUNK_ID_BYTES
from cas.limits import LARGE_VALUE_BYTES, MIB
from cas.records.model import Column, Entity, EntityKind, KeyPart
from cas.records.source import Omission, Selection
from cas.snapshot import ATTEMPTS, SnapshotRequest, take_version
from cas.store.memory import MemoryStore
from tests.engine.memory_source import MemorySnapshot, MemorySource, table
from tests.engine.recording import Gate, GatedStore
from tests.engine.scenes import (
    NOTES,
    PRODUCTS,
    SUPPLIERS,
    Platform,
    World,
    changed,
    expected,
    product,
    shop,
)


def is_clean(world: World) -> bool:
    return check_repository(world.open(), level=CheckLevel.BYTES).is_clean


def test_a_version_holds_what_the_platform_held(world: World) -> None:
    version = world.take(shop())
    assert world.records(1) == expected(shop())
    assert (version.state, version.kind) == (VersionState.COMPLETE, VersionKind.FULL)
    assert version.records == 500
    assert version.original_bytes == sum(
        len(payload)
        for rows in shop().values()
        for payload in (rows.values() if isinstance(rows, dict) else rows)
    )
    assert version.added_bytes == sum(info.size for info in world.store.objects() if info.key != "config")
    assert version.objects_written == len(list(world.store.objects())) - 1
    assert version.stored_bytes == version.added_bytes
    assert [(entity.label, entity.records) for entity in version.entities] == [
        ("public.notes", 60),
        ("public.products", 400),
        ("public.suppliers", 40),
    ]
    assert is_clean(world)


def test_equal_data_gives_an_equal_checksum_whatever_happened_in_between(world: World) -> None:
    first = world.take(shop())
    world.take(changed(shop(), 1, numbers=range(0, 400, 7)))
    world.take({PRODUCTS: {}})
    again = world.take(shop())
    assert again.checksum == first.checksum
    assert again.added_bytes is not None
    assert again.added_bytes < 3000, "everything was there already"
    assert World().take(shop()).checksum == first.checksum, "keys are the same here"


@pytest.mark.parametrize(
    "between",
    [SnapshotRequest(with_data=False), SnapshotRequest(selection=Selection(tables=("public.suppliers",)))],
)
def test_a_version_of_a_part_is_no_obstacle_for_the_next_whole_one(
    world: World, between: SnapshotRequest
) -> None:
    one, edited = shop(4000), changed(shop(4000), 1)
    expected_bytes = _added(World(), one, None, edited)
    added = _added(world, one, between, edited)
    assert added < 1.2 * expected_bytes + 300, "nodes are still deltas on those of the whole version"
    assert world.records(world.catalog.versions(VersionFilter(limit=1))[0].number) == expected(edited)


def _added(world: World, first: Platform, between: SnapshotRequest | None, last: Platform) -> int:
    """What the last of these versions adds."""
    world.take(first)
    if between is not None:
        world.take(first, request=between)
    return world.take(last).added_bytes or 0


def test_nothing_changed_costs_one_object(world: World) -> None:
    world.take(shop())
    gate = Gate()
    version = world.take(shop(), store=GatedStore(world.store, gate))
    assert [key for call, key in gate.events if call == "put"] == ["versions/0000000002"]
    assert version.objects_written == 1
    assert version.entities[1].new_chunks == 0


@pytest.mark.parametrize("batch", [1, 7, 64, 1000])
def test_how_records_arrive_does_not_matter(world: World, batch: int) -> None:
    expected_checksum = world.take(shop()).checksum
    rows = shop()
    notes = rows[NOTES]
    assert isinstance(notes, list)
    random.Random(batch).shuffle(notes)
    version = take_version(
        world.open(), world.catalog, MemorySource(rows, batch=batch), SnapshotRequest()
    ).version
    assert version.checksum == expected_checksum


@pytest.mark.parametrize(
    "other",
    [
        {**shop(), SUPPLIERS: {}},
        {**shop(), PRODUCTS: {number: product(number) for number in range(399)}},
        {**shop(), NOTES: [b"note %d" % (number % 17) for number in range(61)]},
        {table("goods"): shop()[PRODUCTS], SUPPLIERS: shop()[SUPPLIERS], NOTES: shop()[NOTES]},
        {
            table("products", ("id", "title")): shop()[PRODUCTS],
            SUPPLIERS: shop()[SUPPLIERS],
            NOTES: shop()[NOTES],
        },
    ],
)
def test_other_data_gives_another_checksum(world: World, other: Platform) -> None:
    assert world.take(shop()).checksum != world.take(other).checksum


keyed_rows = st.dictionaries(st.integers(-50, 50), st.binary(max_size=40), max_size=60)
bag_rows = st.lists(st.sampled_from([b"", b"a", b"b", b"c" * 50]), max_size=30)


@given(st.lists(st.tuples(keyed_rows, bag_rows), min_size=1, max_size=5))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_version_of_a_random_history_reads_as_it_was(
    history: list[tuple[dict[int, bytes], list[bytes]]],
) -> None:
    world = World()
    checksums: dict[bytes, Platform] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cas.engine.packer.FRAME_TARGET_BYTES", 200)
        patch.setattr("cas.engine.packer.PACK_TARGET_BYTES", 600)
        patch.setattr("cas.engine.packer.JOB_BYTES", 300)
        for rows, notes in history:
            platform: Platform = {PRODUCTS: rows, NOTES: notes}
            version = world.take(platform)
            assert version.checksum is not None
            known = checksums.setdefault(version.checksum, platform)
            assert expected(known) == expected(platform), "equal checksum, equal data"
    different = {(frozenset(rows.items()), tuple(sorted(notes))) for rows, notes in history}
    assert len(checksums) == len(different), "equal data, equal checksum"
    for number, (rows, notes) in enumerate(history, 1):
        assert world.records(number) == expected({PRODUCTS: rows, NOTES: notes})
    assert is_clean(world)


def test_large_values_and_empty_ones_go_round(world: World) -> None:
    noise = random.Random(5).randbytes
    platform: Platform = {
        PRODUCTS: {
            1: b"",
            2: b"x" * LARGE_VALUE_BYTES,
            3: b"y" * (LARGE_VALUE_BYTES + 1),
            4: noise(3 * LARGE_VALUE_BYTES + 17),
            5: b"5\tsmall",
        },
        NOTES: [b"", b"", noise(2 * LARGE_VALUE_BYTES), b"n"],
        SUPPLIERS: {},
    }
    world.take(platform)
    assert world.records(1) == expected(platform)
    assert is_clean(world)
    assert world.take(platform).objects_written == 1


def test_a_definition_of_two_megabytes_can_be_read_back(world: World) -> None:
    wide = Entity(
        EntityKind.TABLE,
        "public",
        "wide",
        (
            Column("id", "bigint", not_null=True),
            Column("text", "text", not_null=False, default="'" + "d" * (2 * MIB) + "'::text"),
        ),
        (("id", KeyPart.INTEGER),),
    )
    world.take({wide: {1: b"1\tone"}})
    assert world.records(1) == {"public.wide": {(1 + (1 << 63)).to_bytes(8, "big"): b"1\tone"}}
    assert is_clean(world)


def test_a_version_of_the_schema_alone_holds_no_data(world: World) -> None:
    version = world.take(shop(), request=SnapshotRequest(with_data=False))
    assert (version.kind, version.records) == (VersionKind.SCHEMA_ONLY, 0)
    assert {entity.root for entity in version.entities} == {bytes(CHUNK_ID_BYTES)}
    assert {label: len(rows) for label, rows in world.records(1).items()} == {
        "public.notes": 0,
        "public.products": 0,
        "public.suppliers": 0,
    }
    assert is_clean(world)
    full = world.take(shop())
    assert world.records(2) == expected(shop())
    assert full.checksum != version.checksum
    assert is_clean(world)


def test_data_alone_and_selected_tables(world: World) -> None:
    alone = world.take(shop(), request=SnapshotRequest(with_schema=False))
    assert alone.kind is VersionKind.DATA_ONLY
    assert world.open().document(1).schema is None
    some = world.take(shop(), request=SnapshotRequest(Selection(tables=("public.products",))))
    assert (some.kind, some.included) == (VersionKind.SELECTED, ("public.products",))
    assert set(world.records(2)) == {"public.products"}
    with pytest.raises(InvalidInput):
        world.take(shop(), request=SnapshotRequest(with_schema=False, with_data=False))
    assert is_clean(world)


def test_the_document_says_what_the_catalog_says(world: World) -> None:
    request = SnapshotRequest(
        reason="before the import",
        name="monday",
        description="two lines\nof it",
        tags=("a", "b"),
        metadata={"ticket": "7"},
        created_by="ann",
        protected=True,
    )
    version = world.take(shop(), request=request)
    document = world.open().document(1)
    for field in ("reason", "name", "description", "tags", "metadata", "created_by", "protected", "checksum"):
        assert getattr(document, field) == getattr(version, field)
    assert document.created_at == version.created_at.isoformat(timespec="microseconds")
    assert (document.parent, document.previous) == (None, None)
    world.take(shop())
    second = world.open().document(2)
    assert (second.parent, second.previous) == (1, version.document_hash)


# Dictionaries.


@pytest.fixture
def learning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dictionaries of 1 KB, for entities of a few."""
    monkeypatch.setattr("cas.engine.compression.DICTIONARY_MIN_SAMPLES_BYTES", 1000)
    monkeypatch.setattr("cas.engine.compression.DICTIONARY_BYTES", 1000)


def many(count: int, edition: int = 0) -> Platform:
    return {PRODUCTS: {number: product(number, edition) for number in range(count)}}


def test_a_dictionary_is_trained_once_and_used_again(world: World, learning: None) -> None:
    world.take(many(2000))
    copies = [info.key for info in world.store.objects("dictionaries/")]
    assert len(copies) == 1
    version = world.take(many(2000, edition=1))
    assert [info.key for info in world.store.objects("dictionaries/")] == copies
    repository = world.open()
    entries = [repository.entities(repository.document(number), repository.reader()) for number in (1, 2)]
    first, second = (entry.dictionary for (entry,) in entries)
    assert first == second
    assert first is not None
    assert copies == [dictionary_key(first)]
    assert world.records(2) == expected(many(2000, edition=1))
    assert version.objects_written == 3
    assert is_clean(world)


def test_a_lost_dictionary_is_trained_anew(world: World, learning: None) -> None:
    world.take(many(2000))
    for info in [*world.store.objects("dictionaries/"), *world.store.objects("packs/")]:
        world.store.delete(info.key)
    version = world.take(many(2000))
    assert world.records(2) == expected(many(2000))
    assert version.checksum == world.catalog.version(1).checksum


def test_what_is_too_small_gets_no_dictionary(world: World) -> None:
    world.take(many(2000))
    assert not list(world.store.objects("dictionaries/"))


# Failures.


class Moody(MemorySource):
    """Changes under the read as often as told, leaves something out, or refuses."""

    def __init__(self, platform: Platform, changes: int = 0, omissions: Sequence[Omission] = ()) -> None:
        super().__init__(platform)
        self.changes = changes
        self.omissions = omissions
        self.refusal: BaseException | None = None

    def snapshot(
        self, selection: Selection, *, allow_incomplete: bool = False
    ) -> AbstractContextManager[MemorySnapshot]:
        return self._moody(selection)

    @contextmanager
    def _moody(self, selection: Selection) -> Iterator[MemorySnapshot]:
        if self.refusal is not None:
            raise self.refusal
        yield MoodySnapshot(self, selection)


class MoodySnapshot(MemorySnapshot):
    def __init__(self, source: Moody, selection: Selection) -> None:
        super().__init__(source, selection)
        self._moody = source

    @property
    def omissions(self) -> Sequence[Omission]:
        return self._moody.omissions

    def finish(self) -> None:
        if self._moody.changes:
            self._moody.changes -= 1
            raise SourceChanged("a column was added to public.products")


def take(world: World, source: MemorySource) -> object:
    return take_version(world.open(), world.catalog, source, SnapshotRequest()).version


def test_a_platform_that_changes_once_is_read_again(world: World) -> None:
    take(world, Moody(shop(), changes=ATTEMPTS - 1))
    assert world.catalog.version(1).retries == ATTEMPTS - 1
    assert world.records(1) == expected(shop())
    assert is_clean(world)


def test_a_platform_that_changes_all_the_time_is_a_failed_version(world: World) -> None:
    with pytest.raises(SourceChanged):
        take(world, Moody(shop(), changes=ATTEMPTS))
    failed = world.catalog.version(1)
    assert (failed.state, failed.error_code) == (VersionState.FAILED, SourceChanged.code)
    assert "public.products" in failed.error_text
    assert not world.open().numbers()


def test_what_could_not_be_read_makes_the_version_incomplete(world: World) -> None:
    omissions = (
        Omission("public.secret", "no privilege", is_failure=True),
        Omission("public.remote", "a foreign table", is_failure=False),
    )
    take(world, Moody(shop(), omissions=omissions))
    version = world.catalog.version(1)
    assert version.state is VersionState.INCOMPLETE
    assert version.omissions == tuple((omission.name, omission.reason) for omission in omissions)
    assert world.open().document(1).state == "incomplete"
    assert world.catalog.latest() is None, "it is no good base"
    take(world, Moody(shop(), omissions=omissions[1:]))
    assert world.catalog.version(2).state is VersionState.COMPLETE


@pytest.mark.parametrize("after", [0, 150, 499])
def test_a_connection_that_breaks_is_a_failed_version(world: World, after: int) -> None:
    world.take(shop())
    source = MemorySource(changed(shop(), 1))
    source.fail_after = after
    with pytest.raises(OSError, match="connection lost"):
        take(world, source)
    failed = world.catalog.version(2)
    assert (failed.state, failed.error_code, failed.error_text) == (
        VersionState.FAILED,
        "INTERRUPTED",
        "connection lost",
    )
    assert is_clean(world)
    assert world.take(changed(shop(), 1)).number == 3
    assert world.records(3) == expected(changed(shop(), 1))


def test_a_platform_that_refuses_is_a_failed_version(world: World) -> None:
    source = Moody(shop())
    source.refusal = PermissionDenied("no right to read public.products", hint="GRANT SELECT")
    with pytest.raises(PermissionDenied):
        take(world, source)
    assert world.catalog.version(1).error_code == PermissionDenied.code
    assert "GRANT SELECT" in world.catalog.version(1).error_text


def test_a_person_who_interrupts_is_a_failed_version_too(world: World) -> None:
    source = Moody(shop())
    source.refusal = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        take(world, source)
    assert world.catalog.version(1).error_code == "INTERRUPTED"
    assert world.catalog.version(1).error_text == "KeyboardInterrupt"


class Tight(MemoryStore):
    """A store with a megabyte left."""

    def free_bytes(self) -> int | None:
        return MIB


def test_too_little_space_is_said_before_anything_is_written() -> None:
    world = World(Tight())
    with pytest.raises(InsufficientSpace):
        world.take(shop())
    assert [info.key for info in world.store.objects()] == ["config"]
    assert world.catalog.version(1).error_code == InsufficientSpace.code


def test_a_damaged_parent_costs_compression_and_not_the_version(world: World) -> None:
    world.take(shop())
    world.store.put("versions/0000000001", b"damaged")
    receipt = take_version(world.open(), world.catalog, MemorySource(shop()), SnapshotRequest())
    assert any("version 1" in warning for warning in receipt.warnings)
    assert world.open().document(2).previous is None
    assert world.records(2) == expected(shop())
