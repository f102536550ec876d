"""A restore believes nothing that it has not read again: what a table holds is what the version holds."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from cas.errors import CorruptData, VerificationFailed
from cas.restore import RestoreReceipt, restore_into
from tests.engine.scenes import NOTES, PRODUCTS, SUPPLIERS, World, expected, product, shop
from tests.operations.memory_target import MemoryTarget, Tables, WrittenSource


def restored(target: MemoryTarget) -> tuple[RestoreReceipt, WrittenSource]:
    """A version of the shop, brought into the target."""
    world = World()
    world.take(shop())
    written = WrittenSource(target)
    return restore_into(world.open(), 1, target, written), written


def test_tables_that_lie_as_they_were_sent_are_read_once_and_without_their_keys() -> None:
    target = MemoryTarget()
    receipt, written = restored(target)
    assert receipt.verified
    assert target.finished
    assert written.reads == []
    assert len(target.tables[PRODUCTS]) == 400


def shuffle(tables: Tables) -> None:
    for rows in tables.values():
        random.Random(1).shuffle(rows)


def test_rows_that_moved_are_the_same_records() -> None:
    target = MemoryTarget(shuffle)
    receipt, written = restored(target)
    assert receipt.verified
    assert sorted(written.reads) == sorted(entity.label for entity in (NOTES, PRODUCTS, SUPPLIERS))


def change_one(tables: Tables) -> None:
    tables[PRODUCTS][7] = product(7, edition=1)


def lose_one(tables: Tables) -> None:
    del tables[PRODUCTS][200]


def lose_the_last(tables: Tables) -> None:
    tables[SUPPLIERS].pop()


def add_one(tables: Tables) -> None:
    tables[PRODUCTS].append(product(9999))


def swap_two_values(tables: Tables) -> None:
    first, second = (row.split(b"\t") for row in tables[SUPPLIERS][:2])
    tables[SUPPLIERS][:2] = [b"\t".join((first[0], second[1])), b"\t".join((second[0], first[1]))]


def repeat_a_note(tables: Tables) -> None:
    tables[NOTES].append(tables[NOTES][0])


def exchange_a_note(tables: Tables) -> None:
    tables[NOTES][0] = tables[NOTES][-1]


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize(
    "spoil",
    [change_one, lose_one, lose_the_last, add_one, swap_two_values, repeat_a_note, exchange_a_note],
)
def test_what_is_not_the_version_is_refused(spoil: Callable[[Tables], None], shuffled: bool) -> None:
    def spoiled(tables: Tables) -> None:
        spoil(tables)
        if shuffled:
            shuffle(tables)

    target = MemoryTarget(spoiled)
    with pytest.raises(VerificationFailed):
        restored(target)
    assert not target.finished, "it stays marked as incomplete"


def test_a_table_that_vanished_is_refused() -> None:
    def drop(tables: Tables) -> None:
        del tables[SUPPLIERS]

    target = MemoryTarget(drop)
    with pytest.raises(VerificationFailed, match="suppliers"):
        restored(target)


def test_the_records_are_those_of_the_version() -> None:
    target = MemoryTarget()
    restored(target)
    held = {entity.label: rows for entity, rows in target.tables.items()}
    for label, rows in expected(shop()).items():
        assert sorted(held[label]) == sorted(rows.elements() if hasattr(rows, "elements") else rows.values())


def test_tables_are_told_apart_by_more_than_their_label() -> None:
    """Both are called a.b.c when nothing is quoted; each is proven against its own records."""
    first, second = replace(SUPPLIERS, schema="a.b", name="c"), replace(SUPPLIERS, schema="a", name="b.c")
    world = World()
    world.take({first: {1: b"1\tone"}, second: {2: b"2\ttwo"}})
    target = MemoryTarget()
    assert restore_into(world.open(), 1, target, WrittenSource(target)).verified
    assert target.tables == {first: [b"1\tone"], second: [b"2\ttwo"]}


def test_a_record_with_more_fields_than_columns_is_damage() -> None:
    """Somebody made the version by hand: its bytes are what was stored."""
    world, target = World(), MemoryTarget()
    world.take({SUPPLIERS: {1: b"1\tsupplier", 2: b"2\tsupplier\tand more"}})
    with pytest.raises(CorruptData, match="more fields"):
        restore_into(world.open(), 1, target, WrittenSource(target))
    assert not target.finished
