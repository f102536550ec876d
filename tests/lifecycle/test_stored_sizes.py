"""What entities take: each chunk once, whatever versions and entities share it."""

import numpy as np

from cas.forgetting import forget
from cas.format.names import pack_key
from cas.garbage.marking import mark
from cas.noting import catch_up
from cas.progress import Silent
from cas.stored_sizes import EntitySize, StoredSizes, stored_sizes
from tests.engine.memory_source import table
from tests.engine.scenes import NOTES, PRODUCTS, Platform, World, product

ALIKE, EMPTY = table("copies of products"), table("nobody")


def platform(edition: int = 0) -> Platform:
    products = {number: product(number, edition if number < 5 else 0) for number in range(200)}
    return {PRODUCTS: products, ALIKE: dict(products), EMPTY: {}, NOTES: [b"a note %d" % edition] * 3}


def sizes(world: World) -> tuple[StoredSizes, dict[str, EntitySize]]:
    found = stored_sizes(world.open(), world.catalog)
    return found, {one.label.removeprefix("public."): one for one in found.entities}


def all_that_is_marked(world: World, *numbers: int) -> int:
    packs = world.packs()
    marked = mark(world.open(), numbers, numbers, packs, packs, Silent())
    shares = np.concatenate([segment.rows.share for segment in marked.packs.index.segments])
    return int(shares[marked.rows].sum())


def test_what_a_change_adds_counts_once() -> None:
    world = World()
    world.take(platform())
    before, first = sizes(world)
    assert before.needed_bytes == all_that_is_marked(world, 1)
    assert first["products"].versions == 1
    world.take(platform(1))
    after, second = sizes(world)
    assert after.needed_bytes == all_that_is_marked(world, 1, 2)
    assert second["products"].versions == 2
    grown = second["products"].stored_bytes - first["products"].stored_bytes
    assert 0 < grown < first["products"].stored_bytes / 2, "five records of two hundred, and a path"
    assert after.unreadable == ()


def test_what_two_entities_share_counts_for_both_and_for_neither_alone() -> None:
    world = World()
    world.take(platform())
    found, by_label = sizes(world)
    products, copies, notes = by_label["products"], by_label["copies of products"], by_label["notes"]
    assert products.stored_bytes == copies.stored_bytes > 1000
    assert (products.alone_bytes, copies.alone_bytes) == (0, 0)
    assert notes.alone_bytes == notes.stored_bytes > 0
    known = products.stored_bytes + notes.stored_bytes + found.rest_bytes
    assert found.needed_bytes <= known + by_label["nobody"].stored_bytes


def test_what_nobody_needs_is_not_among_it_and_what_is_missing_is_told() -> None:
    world = World()
    for edition in range(3):
        world.take(platform(edition))
    forget(world.open(), world.catalog, {2: "a rule"}, catch_up(world.open(), world.catalog))
    found, by_label = sizes(world)
    assert by_label["products"].versions == 2
    assert found.needed_bytes == all_that_is_marked(world, 1, 3)
    for name in (pack.name for pack in world.open().document(1).packs):
        data = world.store.get(pack_key(name))
        world.store.delete(pack_key(name))
        needed = sizes(world)[0]
        assert set(needed.unreadable) == {1, 3}, "both need something of it"
        world.store.put(pack_key(name), data)
    assert sizes(world)[0].unreadable == ()


def test_an_entity_that_got_a_key_is_one_entity() -> None:
    world = World()
    rows = {number: product(number) for number in range(300)}
    world.take({table("t", is_bag=True): list(rows.values())})
    world.take({table("t"): {number: product(number, 9) for number in rows}})
    found, by_label = sizes(world)
    assert (by_label["t"].versions, found.unreadable) == (2, ())
    assert found.needed_bytes == all_that_is_marked(world, 1, 2)
