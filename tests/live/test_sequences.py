"""Sequences of restored tables: exactly as they were with whole tables, never lower with parts of them."""

import pytest

from cas.catalog.restore_model import RestoreMode
from cas.live.request import LiveRequest
from tests.live.shop import Rows, Shop

SCHEMA = """
CREATE TABLE sellers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
CREATE TABLE goods (id serial PRIMARY KEY, seller int REFERENCES sellers, name text);
INSERT INTO sellers (name) SELECT 'seller ' || n FROM generate_series(1, 5) AS n;
INSERT INTO goods (seller, name) SELECT n, 'good ' || n FROM generate_series(1, 5) AS n;
"""
LATER = "INSERT INTO goods (seller, name) SELECT 1, 'later ' || n FROM generate_series(6, 9) AS n"


@pytest.fixture(autouse=True)
def goods(shop: Shop) -> None:
    shop.run(SCHEMA)
    shop.take()


def reached(shop: Shop) -> Rows:
    return shop.rows("SELECT last_value, is_called FROM goods_id_seq")


def test_a_whole_table_gets_its_sequence_back_and_the_undo_takes_it_away(shop: Shop) -> None:
    shop.run(LATER)
    assert reached(shop) == [(9, True)]
    receipt = shop.restore(LiveRequest())
    assert receipt.deleted == 4
    assert reached(shop) == [(5, True)]
    shop.undo(receipt.restore.number)
    assert reached(shop) == [(9, True)]


@pytest.mark.parametrize(
    "request_",
    [
        LiveRequest(keys=(("goods", ("7",)),)),
        LiveRequest(mode=RestoreMode.CHANGED),
        LiveRequest(columns=("name",)),
    ],
)
def test_a_part_of_a_table_leaves_it(shop: Shop, request_: LiveRequest) -> None:
    shop.run(LATER)
    shop.run("UPDATE goods SET name = 'other' WHERE id < 3")
    shop.restore(request_)
    assert reached(shop) == [(9, True)]


def test_a_parent_that_comes_back_alone_does_not_lower_its_sequence(shop: Shop) -> None:
    """The goods are whole, of their sellers only one comes back: others were numbered since."""
    shop.run("DELETE FROM goods WHERE seller = 2; DELETE FROM sellers WHERE id = 2")
    shop.run("INSERT INTO sellers (name) SELECT 'new ' || n FROM generate_series(1, 30) AS n")
    shop.restore(LiveRequest(tables=("goods",), with_parents=True))
    assert shop.rows("SELECT id FROM sellers WHERE id <= 5 ORDER BY 1") == [(1,), (2,), (3,), (4,), (5,)]
    assert shop.rows("SELECT last_value FROM sellers_id_seq") == [(35,)]
    shop.run("INSERT INTO sellers (name) VALUES ('one more')")


def test_a_sequence_that_is_behind_what_comes_back_is_raised(shop: Shop) -> None:
    """Somebody emptied the table and began anew."""
    shop.run("TRUNCATE goods RESTART IDENTITY")
    shop.restore(LiveRequest(keys=(("goods", ("4",)),)))
    assert reached(shop) == [(4, True)]
    shop.run("INSERT INTO goods (seller, name) VALUES (1, 'the next')")
    assert shop.rows("SELECT id, name FROM goods ORDER BY id") == [(4, "good 4"), (5, "the next")]


def test_values_drawn_after_a_restore_are_not_taken_back_by_its_undo(shop: Shop) -> None:
    shop.run(LATER)
    receipt = shop.restore(LiveRequest())
    shop.run("INSERT INTO goods (seller, name) VALUES (1, 'after')")
    shop.undo(receipt.restore.number)
    assert reached(shop) == [(6, True)], "nobody may get a number twice"
