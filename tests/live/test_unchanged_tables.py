"""A plan says of a table that it stays as it is: then that must be so when it is executed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from cas.errors import Conflict
from cas.live.executing import execute_plan
from cas.live.request import LiveRequest
from cas.live.restoring import plan_restore
from cas.postgres.live.platform import PostgresPlatform
from cas.progress import Silent
from tests.live.shop import Rows, Shop

SCHEMA = """
CREATE TABLE items (id int PRIMARY KEY, price int);
CREATE TABLE sellers (id int PRIMARY KEY, name text);
CREATE TABLE log (what text);
CREATE TABLE apart (id int PRIMARY KEY);
INSERT INTO items SELECT n, n FROM generate_series(1, 9) AS n;
INSERT INTO sellers SELECT n, 'seller ' || n FROM generate_series(1, 9) AS n;
INSERT INTO log SELECT 'line ' || n FROM generate_series(1, 9) AS n;
"""
EVERYTHING = """
SELECT 'i', i::text FROM items i UNION ALL SELECT 's', s::text FROM sellers s
UNION ALL SELECT 'l', l::text FROM log l ORDER BY 1, 2
"""
ALL = LiveRequest()


@pytest.fixture(autouse=True)
def platform(shop: Shop) -> None:
    shop.run(SCHEMA)
    shop.take()
    shop.run("UPDATE items SET price = 0 WHERE id = 1")


class Looking(PostgresPlatform):
    """Counts the tables that a transaction reads whole."""

    whole: list[str]

    @contextmanager
    def change(
        self, tables: Sequence[tuple[str, str]], beside: Sequence[tuple[str, str]] = ()
    ) -> Iterator[Any]:
        self.whole = []
        with super().change(tables, beside) as transaction:
            batches = transaction.batches

            def told(entity: Any) -> Any:
                self.whole.append(entity.label)
                return batches(entity)

            transaction.batches = told  # type: ignore[method-assign]
            yield transaction


def restored(shop: Shop, request: LiveRequest, between: str) -> Looking:
    """Planned, then `between`, then executed."""
    catalog, looking = shop.world.catalog, Looking(shop.url)
    restores = catalog.restores
    with plan_restore(shop.repository, catalog, restores, looking, 1, request, Silent()) as prepared:
        if between:
            shop.run(between)
        execute_plan(shop.repository, catalog, restores, looking, prepared, Silent())
    return looking


def everything(shop: Shop) -> Rows:
    return shop.rows(EVERYTHING)


@pytest.mark.parametrize(
    "between",
    [
        "UPDATE sellers SET name = 'other' WHERE id = 3",
        "DELETE FROM sellers WHERE id = 3",
        "INSERT INTO sellers VALUES (99, 'new')",
        "DELETE FROM log WHERE what = 'line 3'",
        "UPDATE log SET what = 'other' WHERE what = 'line 3'",
        "DELETE FROM log WHERE what = 'line 3'; INSERT INTO log VALUES ('line 4')",
        "TRUNCATE log",
    ],
)
def test_it_moved_and_nothing_is_restored(shop: Shop, between: str) -> None:
    with pytest.raises(Conflict, match="changed since"):
        restored(shop, ALL, between + "; INSERT INTO apart VALUES (1)")
    assert shop.rows("SELECT price FROM items WHERE id = 1") == [(0,)]
    assert shop.rows("SELECT count(*) FROM apart") == [(1,)]


@pytest.mark.parametrize(
    "between",
    [
        "",
        "UPDATE sellers SET name = name",
        "UPDATE log SET what = what WHERE what = 'line 3'",
        "DELETE FROM log WHERE what = 'line 3'; INSERT INTO log VALUES ('line 3')",
    ],
)
def test_it_was_written_and_is_the_same(shop: Shop, between: str) -> None:
    restored(shop, ALL, between)
    assert shop.take() == 3  # the second is the safety version
    checksums = [shop.world.catalog.version(number).checksum for number in (1, 3)]
    assert checksums[0] == checksums[1]


def test_nothing_is_read_whole_while_writers_wait_where_nothing_moved(shop: Shop) -> None:
    shop.run("DELETE FROM log WHERE what = 'line 9'")
    assert restored(shop, ALL, "").whole == []
    assert shop.rows("SELECT count(*) FROM log") == [(9,)]


def test_what_is_out_of_scope_may_move(shop: Shop) -> None:
    restored(shop, LiveRequest(tables=("items",)), "DELETE FROM sellers; DELETE FROM log")
    assert shop.rows("SELECT price FROM items WHERE id = 1") == [(1,)]
    assert shop.rows("SELECT count(*) FROM sellers") == [(0,)]


def test_writers_of_tables_that_stay_go_on(shop: Shop) -> None:
    with PostgresPlatform(shop.url).change([("public", "items")], [("public", "sellers")]):
        shop.run("SET lock_timeout = 500; INSERT INTO sellers VALUES (50, 'meanwhile')")
        with pytest.raises(Exception, match="lock timeout"):
            shop.run("SET lock_timeout = 200; INSERT INTO items VALUES (50, 1)")
