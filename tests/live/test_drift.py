"""Columns that are other ones now: by name, with defaults, retyped as the server writes it, or refused."""

from collections.abc import Callable

import pytest

from cas.errors import Conflict, InvalidInput, NotFound, Unsupported
from cas.live.executing import LiveRestoreReceipt, execute_plan
from cas.live.request import LiveRequest
from cas.live.restoring import plan_restore
from cas.progress import Silent
from tests.live.shop import Shop

SCHEMA = """
CREATE TABLE items (id int PRIMARY KEY, name text, price int, note text);
INSERT INTO items SELECT n, 'item ' || n, n * 10, NULL FROM generate_series(1, 20) AS n;
"""


@pytest.fixture(autouse=True)
def items(shop: Shop) -> None:
    shop.run(SCHEMA)
    shop.take()


def test_an_added_column_keeps_its_values_and_gives_its_default(shop: Shop) -> None:
    shop.run("ALTER TABLE items ADD stock int NOT NULL DEFAULT 7; UPDATE items SET stock = id")
    shop.run("UPDATE items SET price = 0 WHERE id = 3; DELETE FROM items WHERE id = 4")
    plan = shop.plan(LiveRequest())
    assert not plan.is_blocked
    assert plan.entities[0].drift.added == ("stock",)
    before = shop.rows()
    receipt = shop.restore(LiveRequest())
    assert (receipt.inserted, receipt.updated, receipt.deleted) == (1, 1, 0)
    assert shop.rows("SELECT id, price, stock FROM items WHERE id IN (3, 4, 5) ORDER BY id") == [
        (3, 30, 3),
        (4, 40, 7),
        (5, 50, 5),
    ]
    shop.undo(receipt.restore.number)
    assert shop.rows() == before


def test_a_dropped_column_is_refused_and_can_be_accepted(shop: Shop) -> None:
    shop.run("ALTER TABLE items DROP COLUMN note; ALTER TABLE items DROP COLUMN name")
    shop.run("UPDATE items SET price = 0 WHERE id = 3")
    plan = shop.plan(LiveRequest())
    assert plan.is_blocked
    assert set(plan.entities[0].drift.dropped) == {"note", "name"}
    before = shop.rows()
    with pytest.raises(Conflict, match="name is gone"):
        shop.restore(LiveRequest())
    assert shop.rows() == before
    receipt = shop.restore(LiveRequest(accept_drift=True))
    assert (receipt.inserted, receipt.updated, receipt.deleted) == (0, 1, 0)
    assert shop.rows("SELECT price FROM items WHERE id = 3") == [(30,)]


def test_another_type_gets_the_values_as_it_writes_them(shop: Shop) -> None:
    shop.run("ALTER TABLE items ALTER price TYPE numeric(10,2)")
    shop.run("UPDATE items SET price = 1.5 WHERE id = 3; DELETE FROM items WHERE id = 9")
    assert shop.plan(LiveRequest()).is_blocked
    receipt = shop.restore(LiveRequest(accept_drift=True))
    assert (receipt.inserted, receipt.updated, receipt.deleted) == (1, 1, 0), "equal values are no change"
    assert [str(row[0]) for row in shop.rows("SELECT price FROM items WHERE id IN (3, 9)")] == [
        "30.00",
        "90.00",
    ]


def test_values_that_another_type_does_not_take_change_nothing(shop: Shop) -> None:
    shop.run("UPDATE items SET name = '5' ; ALTER TABLE items ALTER name TYPE int USING name::int")
    before = shop.rows()
    with pytest.raises(Conflict, match="item"):
        shop.restore(LiveRequest(accept_drift=True))
    assert shop.rows() == before


def test_renamed_tables_and_columns_are_followed(shop: Shop) -> None:
    shop.run("ALTER TABLE items RENAME TO goods; ALTER TABLE goods RENAME price TO cost")
    shop.run("UPDATE goods SET cost = 0 WHERE id < 4")
    with pytest.raises(NotFound, match=r"public\.items"):
        shop.plan(LiveRequest())
    half = LiveRequest(renamed=(("items", "public.goods"),))
    assert shop.plan(half).is_blocked
    request = LiveRequest(renamed=(("items", "public.goods"), ("items.price", "goods.cost")))
    receipt = shop.restore(request)
    assert receipt.updated == 3
    assert shop.rows("SELECT sum(cost) FROM goods") == [(2100,)]
    shop.undo(receipt.restore.number)
    assert shop.rows("SELECT cost FROM goods WHERE id < 4") == [(0,), (0,), (0,)]


@pytest.mark.parametrize("old", ["nothing", "items.nothing"])
def test_what_is_renamed_must_be_in_the_version(shop: Shop, old: str) -> None:
    with pytest.raises(InvalidInput, match="nothing"):
        shop.plan(LiveRequest(renamed=((old, "x"),)))


def test_another_key_cannot_be_matched(shop: Shop) -> None:
    shop.run("ALTER TABLE items DROP CONSTRAINT items_pkey; ALTER TABLE items ADD PRIMARY KEY (name)")
    with pytest.raises(Unsupported, match="primary key"):
        shop.plan(LiveRequest())


def test_other_places_of_columns_change_nothing(shop: Shop) -> None:
    shop.run("CREATE TABLE other AS SELECT note, price, id, name FROM items; DROP TABLE items")
    shop.run("ALTER TABLE other RENAME TO items; ALTER TABLE items ADD PRIMARY KEY (id)")
    assert shop.plan(LiveRequest()).changes == 0
    shop.run("UPDATE items SET price = 0 WHERE id = 3")
    receipt = shop.restore(LiveRequest())
    assert receipt.updated == 1
    assert shop.rows("SELECT note, price, id, name FROM items WHERE id = 3") == [(None, 30, 3, "item 3")]
    shop.undo(receipt.restore.number)
    assert shop.rows("SELECT price FROM items WHERE id = 3") == [(0,)]


ALTERED = ["ALTER TABLE items ADD later int", "ALTER TABLE items ALTER name TYPE varchar(50)"]


@pytest.mark.parametrize("sql", ALTERED)
def test_a_table_that_is_altered_after_the_plan_is_left_alone(shop: Shop, sql: str) -> None:
    shop.run("UPDATE items SET price = 0")
    catalog = shop.world.catalog
    run: Callable[[], LiveRestoreReceipt]
    with plan_restore(
        shop.repository, catalog, catalog.restores, shop.platform, 1, LiveRequest(), Silent()
    ) as prepared:
        shop.run(sql)
        before = shop.rows()

        def run() -> LiveRestoreReceipt:
            return execute_plan(shop.repository, catalog, catalog.restores, shop.platform, prepared, Silent())

        with pytest.raises(Exception, match="altered"):
            run()
    assert shop.rows() == before
    assert catalog.restores.restore(prepared.plan.number).error_code == "SOURCE_CHANGED"
