"""A plan that was stored is executed as it was shown, in the database that it was made for, once."""

import pytest

from cas.errors import Conflict
from cas.live.executing import LiveRestoreReceipt, execute_plan
from cas.live.request import LiveRequest
from cas.live.restoring import prepare_again
from cas.postgres.live.platform import PostgresPlatform
from cas.progress import Silent
from tests.live.shop import Shop
from tests.servers.postgres import Databases

SCHEMA = """
CREATE TABLE items (id int PRIMARY KEY, price int);
INSERT INTO items SELECT n, n FROM generate_series(1, 20) AS n;
"""
DAMAGE = "UPDATE items SET price = 0 WHERE id < 4"


@pytest.fixture(autouse=True)
def items(shop: Shop) -> None:
    shop.run(SCHEMA)
    shop.take()
    shop.run(DAMAGE)


def execute(shop: Shop, number: int, url: str = "") -> LiveRestoreReceipt:
    catalog, platform = shop.world.catalog, PostgresPlatform(url or shop.url)
    with prepare_again(shop.repository, catalog, catalog.restores, platform, number, Silent()) as prepared:
        return execute_plan(shop.repository, catalog, catalog.restores, platform, prepared, Silent())


def test_it_is_executed_once(shop: Shop) -> None:
    number = shop.plan(LiveRequest()).number
    stored = shop.world.catalog.restores.restore(number)
    assert (stored.state.value, stored.target_database) == ("planned", shop.url.split("/")[-1].split("?")[0])
    assert stored.target_system_identifier
    assert execute(shop, number).updated == 3
    shop.run(DAMAGE)
    with pytest.raises(Conflict, match="completed"):
        execute(shop, number)


@pytest.mark.parametrize(
    "sql", ["UPDATE items SET price = 1 WHERE id = 1", "UPDATE items SET price = 7 WHERE id = 3"]
)
def test_it_is_refused_where_what_it_speaks_of_is_another_thing_now(shop: Shop, sql: str) -> None:
    number = shop.plan(LiveRequest()).number
    shop.run(sql)
    before = shop.rows("SELECT * FROM items ORDER BY id")
    with pytest.raises(Conflict):
        execute(shop, number)
    assert shop.rows("SELECT * FROM items ORDER BY id") == before
    assert shop.world.catalog.restores.restore(number).state.value == "planned"


def test_it_is_for_one_database(shop: Shop, database: Databases) -> None:
    number = shop.plan(LiveRequest()).number
    twin = Shop(shop.world, shop.repository, database())
    twin.run(SCHEMA)
    twin.run(DAMAGE)
    with pytest.raises(Conflict):
        execute(shop, number, twin.url)
    assert twin.rows("SELECT count(*) FROM items WHERE price = 0") == [(3,)]
