"""What changed in each entity is known of every version, and unusual counts are marked."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from cas.anomalies import AnomalyRules
from cas.catalog.model import CountKind, EntityPast, Trigger, Version
from cas.engine.nodes_at_hand import NodesAtHand
from cas.errors import CorruptData, TimedOut
from cas.format.names import pack_key
from cas.records.model import Entity, EntityKind
from cas.records.source import Selection
from cas.snapshot import SnapshotReceipt, SnapshotRequest, take_version
from tests.engine.memory_source import MemorySource, table
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

SCAN = SnapshotRequest(scan=True)

Counts = tuple[int | None, int | None, int | None, int | None]


def counts(version: Version) -> dict[str, Counts]:
    """By label: inserted, updated, deleted, and the version that they are counted against."""
    return {
        one.label: (one.inserted, one.updated, one.deleted, one.compared_with) for one in version.entities
    }


def receipt(world: World, platform: Platform, request: SnapshotRequest = SCAN) -> SnapshotReceipt:
    repository = world.open()
    try:
        source = MemorySource(platform, history=world.history)
        return take_version(repository, world.catalog, source, request)
    finally:
        repository.close()


def naive(old: Mapping[int, bytes] | Sequence[bytes], new: Mapping[int, bytes] | Sequence[bytes]) -> Any:
    """Inserted, updated, deleted, looked at record by record."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        both = old.keys() & new.keys()
        return len(new) - len(both), sum(old[key] != new[key] for key in both), len(old) - len(both)
    left, right = Counter(old), Counter(new)
    return (right - left).total(), 0, (left - right).total()


def edited(platform: Platform, rng: random.Random) -> Platform:
    """Some of everything, in all tables."""
    after: Platform = {}
    for entity, rows in platform.items():
        if isinstance(rows, dict):
            kept = {number: row for number, row in rows.items() if rng.random() > 0.1}
            for number in rng.sample(sorted(kept), min(len(kept), rng.choice((0, 3, 60)))):
                kept[number] = product(number, rng.randrange(1, 9))
            for number in range(rng.choice((0, 5))):
                kept[rng.randrange(2000)] = b"%d\tnew" % number
            after[entity] = kept
        else:
            after[entity] = [row for row in rows if rng.random() > 0.2] + [b"note %d" % rng.randrange(30)] * 3
    return after


@pytest.mark.parametrize("seed", range(5))
def test_whatever_happens_is_counted_alike_by_both_ways_of_reading(seed: int) -> None:
    rng = random.Random(seed)
    world, platform = World(), shop()
    world.take(platform)
    for _ in range(6):
        before, platform = platform, edited(platform, rng)
        base = len(world.catalog.known_numbers())
        version = world.take(platform, request=SnapshotRequest(scan=rng.random() < 0.5))
        for entity, rows in platform.items():
            assert counts(version)[entity.label] == (*naive(before[entity], rows), base)
        assert world.records(version.number) == expected(platform)


def test_what_is_seen_for_the_first_time_is_new() -> None:
    world, platform = World(), shop()
    assert counts(world.take(platform)) == {
        "public.products": (400, 0, 0, None),
        "public.suppliers": (40, 0, 0, None),
        "public.notes": (60, 0, 0, None),
    }
    brands = table("brands")
    found = counts(world.take({**platform, brands: {1: b"1\tone"}}, request=SCAN))
    assert found["public.brands"] == (1, 0, 0, None)
    assert found["public.products"] == (0, 0, 0, 1)


def test_an_entity_without_records_is_seen_too() -> None:
    world, platform = World(), shop()
    world.take({**platform, SUPPLIERS: {}, NOTES: []})
    found = counts(world.take(platform, request=SCAN))
    assert found["public.suppliers"] == (40, 0, 0, 1)
    assert found["public.notes"] == (60, 0, 0, 1)
    found = counts(world.take({**platform, SUPPLIERS: {}, NOTES: []}, request=SCAN))
    assert found["public.suppliers"] == (0, 0, 40, 2)
    assert found["public.notes"] == (0, 0, 60, 2)


def test_each_entity_is_compared_with_the_newest_version_that_holds_it() -> None:
    world, platform = World(), shop()
    world.take(platform)
    part = SnapshotRequest(scan=True, selection=Selection(tables=("public.suppliers",)))
    suppliers = rows_of(platform, SUPPLIERS)
    del suppliers[3]
    world.take({**platform, SUPPLIERS: suppliers}, request=part)
    found = counts(world.take(changed(platform, 1), request=SCAN))
    assert found["public.suppliers"] == (1, 0, 0, 2)
    assert found["public.products"] == (1, 3, 1, 1)


def test_a_version_without_records_counts_nothing_and_is_passed_over() -> None:
    world, platform = World(), shop()
    world.take(platform)
    schema = world.take(platform, request=SnapshotRequest(with_data=False))
    assert set(counts(schema).values()) == {(None, None, None, None)}
    assert counts(world.take(platform, request=SCAN))["public.products"] == (0, 0, 0, 1)


WIDER = table("products", ("id", "name", "more"))
KEYLESS = table("products", is_bag=True)


@pytest.mark.parametrize(("every", "updated"), [(0, 0), (2, 199)])
def test_another_column_counts_what_really_differs(every: int, updated: int) -> None:
    """One that is NULL everywhere changes no record; one with values changes those that have one."""
    world, platform = World(), shop()
    world.take(platform)
    rest = {entity: rows for entity, rows in platform.items() if entity != PRODUCTS}
    wider = {
        number: row + b"\tx" * (number % every if every else 0)
        for number, row in rows_of(platform, PRODUCTS).items()
        if number != 7
    }
    found = world.take({**rest, WIDER: wider})
    assert counts(found)["public.products"] == (0, updated, 1, 1)
    (products,) = [one for one in found.entities if one.label == "public.products"]
    assert products.read_reason == "its definition is another one than in version 1"


def test_unusual_counts_of_another_definition_say_so() -> None:
    world, platform = World(), shop()
    for _ in range(9):
        world.take(platform)
    rest = {entity: rows for entity, rows in platform.items() if entity != PRODUCTS}
    wider = {number: row + b"\tx" for number, row in rows_of(platform, PRODUCTS).items()}
    (anomaly,) = world.take({**rest, WIDER: wider}).anomalies
    assert anomaly.why == (
        "400 of 400 public.products updated; usually none; its columns are not those of version 9"
    )


def test_a_table_that_lost_its_key_is_all_other_records() -> None:
    world, platform = World(), shop()
    world.take(platform)
    rows = list(rows_of(platform, PRODUCTS).values())
    rest = {entity: rows for entity, rows in platform.items() if entity != PRODUCTS}
    assert counts(world.take({**rest, KEYLESS: rows}))["public.products"] == (400, 0, 400, 1)


class Damaged:
    """Nodes of earlier trees cannot be read any more, from some moment on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
        self.left = after
        real = NodesAtHand.nodes

        def nodes(recent: NodesAtHand, ids: Sequence[Any]) -> Any:
            self.left -= 1
            if self.left < 0:
                raise CorruptData("node chunk is damaged", kind="hash-mismatch", where="a pack")
            return real(recent, ids)

        monkeypatch.setattr(NodesAtHand, "nodes", nodes)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_damaged_earlier_tree_costs_the_counts_and_not_the_version(
    monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    world, first = World(), shop()
    world.take(first)
    second = {**changed(first, 1), SUPPLIERS: {}}
    with monkeypatch.context() as patch:
        Damaged(patch, after)
        made = receipt(world, second)
    assert None in {inserted for inserted, *_ in counts(made.version).values()}
    assert any(
        "since version 1 is not known" in one and "node chunk is damaged" in one for one in made.warnings
    )
    assert world.records(made.version.number) == expected(second)
    assert counts(receipt(world, first).version)["public.products"] == (1, 3, 1, 2), "and the next knows them"


def test_lost_packs_cost_the_counts_and_not_the_version() -> None:
    world, platform = World(), shop()
    world.take(platform)
    for name in sorted(world.packs()):
        world.store.delete(pack_key(name))
    after = changed(platform, 1)
    made = receipt(world, after, SnapshotRequest())
    assert counts(made.version) == {
        "public.notes": (None, None, None, None),
        "public.products": (None, None, None, None),
        "public.suppliers": (0, 0, 0, 1),
    }, "equal roots are equal records"
    assert sum("is not known" in one for one in made.warnings) == 2
    assert made.version.anomalies == ()
    assert world.records(made.version.number) == expected(after)


def test_a_tree_that_does_not_have_the_records_that_are_told_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world, platform = World(), shop()
    world.take(platform)
    real = world.catalog.entity_pasts

    def wrong(version: int, entities: Sequence[tuple[str, str]], limit: int) -> list[list[EntityPast]]:
        found = real(version, entities, limit)
        return [[replace(past, records=past.records + 1) for past in one] for one in found]

    monkeypatch.setattr(world.catalog, "entity_pasts", wrong)
    made = receipt(world, changed(platform, 1))
    assert counts(made.version)["public.products"] == (None, None, None, None)
    assert counts(made.version)["public.suppliers"] == (0, 0, 0, 1)
    assert any("400 records are there, 401 were expected" in one for one in made.warnings)


def life(world: World, versions: int = 12, **options: Any) -> Platform:
    """So many calm versions."""
    platform = shop()
    for edition in range(1, versions + 1):
        platform = changed(platform, edition)
        assert world.take(platform, request=SnapshotRequest(**options)).anomalies == ()
    return platform


def without_products(platform: Platform, count: int) -> Platform:
    products = rows_of(platform, PRODUCTS)
    return {**platform, PRODUCTS: dict(list(products.items())[count:])}


@pytest.mark.parametrize("scan", [False, True])
def test_a_mass_deletion_is_marked_and_a_calm_day_is_not(scan: bool) -> None:
    world = World()
    platform = life(world, scan=scan)
    after = without_products(platform, 150)
    version = world.take(after, request=SnapshotRequest(scan=scan))
    (found,) = version.anomalies
    assert (found.label, found.kind, found.count, found.of) == (
        "public.products",
        CountKind.DELETED,
        150,
        len(platform[PRODUCTS]),
    )
    assert found.why == f"150 of {found.of} public.products deleted; usually at most 1"
    assert world.catalog.version(version.number) == version
    assert world.take(after, request=SnapshotRequest(scan=scan)).anomalies == ()


def test_limits_and_silence_are_asked_for() -> None:
    world, platform = World(), shop()
    world.take(platform)
    limited = SnapshotRequest(unusual=AnomalyRules(records=2))
    (found,) = world.take(changed(platform, 1), request=limited).anomalies
    assert (found.kind, found.count, found.usual) == (CountKind.UPDATED, 3, None)
    assert world.take({**platform, PRODUCTS: {}}, request=SnapshotRequest(unusual=None)).anomalies == ()
    (found,) = world.take(shop(), request=limited).anomalies
    assert (found.kind, found.count, found.of) == (CountKind.INSERTED, 400, 0)


def test_an_entity_that_is_gone_is_marked_once() -> None:
    world = World()
    platform = life(world)
    rest = {entity: rows for entity, rows in platform.items() if entity != PRODUCTS}
    (found,) = world.take(rest).anomalies
    assert found.why == (
        f"public.products is gone with its {len(platform[PRODUCTS])} records; at least 11 versions had it"
    )
    assert world.take(rest).anomalies == ()
    again = world.take(platform)
    assert again.anomalies == ()
    assert counts(again)["public.products"][3] == 12


def test_a_table_that_was_partitioned_is_not_gone() -> None:
    world = World()
    platform = life(world)
    parted = replace(PRODUCTS, kind=EntityKind.PARTITIONED)
    rest = {entity: rows for entity, rows in platform.items() if entity != PRODUCTS}
    version = world.take({**rest, parted: platform[PRODUCTS]})
    assert version.anomalies == ()
    assert counts(version)["public.products"] == (len(platform[PRODUCTS]), 0, 0, None)


def test_what_a_version_of_a_part_does_not_hold_is_not_gone() -> None:
    world = World()
    platform = life(world)
    part = SnapshotRequest(selection=Selection(tables=("public.notes",)))
    assert world.take(platform, request=part).anomalies == ()
    assert world.take(platform, request=SnapshotRequest(with_data=False)).anomalies == ()
    assert world.take(platform).anomalies == ()


def test_an_empty_entity_that_is_gone_is_nothing() -> None:
    world, platform = World(), shop()
    empty = table("empty")
    for _ in range(9):
        world.take({**platform, empty: {}})
    assert world.take(platform).anomalies == ()


def test_safety_versions_do_not_tell_what_is_usual() -> None:
    world = World()
    platform = life(world)
    for _ in range(3):
        for one in (without_products(platform, 150), platform):
            request = SnapshotRequest(trigger=Trigger.SYSTEM)
            assert len(world.take(one, request=request).anomalies) == 1
    (found,) = world.take(without_products(platform, 150)).anomalies
    assert found.usual == 1


def test_where_it_cannot_be_told_the_version_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    platform = life(world)
    real = world.catalog.entity_pasts

    def slow(version: int, entities: Sequence[tuple[str, str]], limit: int) -> Any:
        if limit > 1:
            raise TimedOut("the catalog took too long")
        return real(version, entities, limit)

    monkeypatch.setattr(world.catalog, "entity_pasts", slow)
    made = receipt(world, without_products(platform, 150))
    assert made.version.anomalies == ()
    assert counts(made.version)["public.products"][2] == 150
    assert any("unusual is not known: the catalog took too long" in one for one in made.warnings)


def test_two_entities_of_one_label_are_not_compared() -> None:
    """`a.b` in schema public, and `b` in schema public.a."""
    world = World()
    one = table("a.b")
    other = Entity(one.kind, "public.a", "b", one.columns, one.key)
    platform: Platform = {one: {1: b"1\tx"}, other: {1: b"1\ty", 2: b"2\tz"}}
    world.take(platform)
    version = world.take(platform, request=SCAN)
    assert [entity.inserted for entity in version.entities] == [None, None]
