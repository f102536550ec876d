"""Parents and children: brought along, set to NULL, skipped, or refused; never left dangling."""

import pytest

from cas.errors import Conflict
from cas.live.request import LiveRequest, MissingParents
from tests.live.shop import Shop

SCHEMA = """
CREATE TABLE sellers (id int PRIMARY KEY, name text);
CREATE TABLE goods (id int PRIMARY KEY, seller int REFERENCES sellers, name text);
CREATE TABLE prices (good int REFERENCES goods ON DELETE CASCADE, day int, price int,
                     PRIMARY KEY (good, day));
INSERT INTO sellers SELECT n, 'seller ' || n FROM generate_series(1, 4) AS n;
INSERT INTO goods SELECT n, 1 + n % 4, 'good ' || n FROM generate_series(1, 20) AS n;
INSERT INTO prices SELECT n, d, n * d FROM generate_series(1, 20) AS n, generate_series(1, 3) AS d;
"""
EVERYTHING = """
SELECT 'seller', s::text FROM sellers s UNION ALL SELECT 'good', g::text FROM goods g
UNION ALL SELECT 'price', p::text FROM prices p ORDER BY 1, 2
"""
GONE = "DELETE FROM goods WHERE seller = 2; DELETE FROM sellers WHERE id = 2"


@pytest.fixture(autouse=True)
def platform(shop: Shop) -> None:
    shop.run(SCHEMA)
    shop.take()


def test_a_record_whose_parent_is_gone_is_refused_by_name(shop: Shop) -> None:
    shop.run(GONE)
    plan = shop.plan(LiveRequest(tables=("goods",)))
    assert plan.is_blocked
    (reference,) = plan.references
    assert (reference.child, reference.parent, reference.records) == ("public.goods", "public.sellers", 5)
    with pytest.raises(Conflict, match="goods_seller_fkey"):
        shop.restore(LiveRequest(tables=("goods",)))


@pytest.mark.parametrize(
    "request_",
    [
        LiveRequest(tables=("goods", "prices"), with_parents=True),
        LiveRequest(tables=("goods", "prices"), missing_parents=MissingParents.CREATE),
        LiveRequest(keys=(("sellers", ("2",)),), with_children=True),
        LiveRequest(),
    ],
)
def test_a_seller_comes_back_with_all_that_hung_on_it(shop: Shop, request_: LiveRequest) -> None:
    before = shop.rows(EVERYTHING)
    shop.run(GONE)
    damaged = shop.rows(EVERYTHING)
    receipt = shop.restore(request_)
    assert (receipt.inserted, receipt.updated, receipt.deleted) == (1 + 5 + 15, 0, 0)
    assert shop.rows(EVERYTHING) == before
    shop.undo(receipt.restore.number)
    assert shop.rows(EVERYTHING) == damaged


def test_only_the_parent_that_is_needed_comes_back(shop: Shop) -> None:
    shop.run("DELETE FROM goods WHERE seller < 4; DELETE FROM sellers WHERE id < 4")
    shop.restore(LiveRequest(keys=(("goods", ("5",)),), with_parents=True))
    assert shop.rows("SELECT id FROM sellers ORDER BY 1") == [(2,), (4,)]
    assert shop.rows("SELECT id, seller FROM goods WHERE seller < 4") == [(5, 2)]


def test_a_reference_to_nothing_becomes_null_where_that_is_asked(shop: Shop) -> None:
    shop.run(GONE)
    receipt = shop.restore(LiveRequest(tables=("goods",), missing_parents=MissingParents.NULL))
    assert receipt.inserted == 5
    assert shop.rows("SELECT count(*) FROM goods WHERE seller IS NULL") == [(5,)]


def test_a_record_without_its_parent_stays_away_where_that_is_asked(shop: Shop) -> None:
    shop.run(GONE + "; DELETE FROM goods WHERE id = 2")
    receipt = shop.restore(LiveRequest(tables=("goods",), missing_parents=MissingParents.SKIP))
    assert receipt.inserted == 1
    assert shop.rows("SELECT count(*) FROM goods") == [(15,)]


def test_a_parent_that_would_go_while_others_refer_to_it_is_refused(shop: Shop) -> None:
    """Even where the server would cascade: a restore deletes what its plan says."""
    shop.run("INSERT INTO goods VALUES (99, 1, 'new'); INSERT INTO prices VALUES (99, 1, 5)")
    plan = shop.plan(LiveRequest(tables=("goods",)))
    (reference,) = plan.references
    assert (reference.child, reference.on_delete, reference.records) == ("public.prices", "cascade", 1)
    before = shop.rows(EVERYTHING)
    with pytest.raises(Conflict, match="prices"):
        shop.restore(LiveRequest(tables=("goods",)))
    assert shop.rows(EVERYTHING) == before


def test_children_of_what_goes_go_where_that_is_asked(shop: Shop) -> None:
    before = shop.rows(EVERYTHING)
    shop.run("INSERT INTO goods VALUES (99, 1, 'new'); INSERT INTO prices VALUES (99, 1, 5)")
    receipt = shop.restore(LiveRequest(keys=(("goods", ("99",)),), with_children=True))
    assert receipt.deleted == 2
    assert shop.rows(EVERYTHING) == before


def test_children_of_a_parent_that_is_as_it_was_come_back_too(shop: Shop) -> None:
    before = shop.rows(EVERYTHING)
    shop.run(
        "DELETE FROM prices WHERE good IN (5, 6); UPDATE prices SET price = 0 WHERE good = 7 AND day = 1"
    )
    request = LiveRequest(keys=(("goods", ("5",)), ("goods", ("7",))), with_children=True)
    receipt = shop.restore(request)
    assert (receipt.inserted, receipt.updated, receipt.deleted) == (3, 1, 0)
    shop.restore(LiveRequest(keys=(("goods", ("6",)),), with_children=True))
    assert shop.rows(EVERYTHING) == before


def test_children_by_another_column_than_the_key(shop: Shop) -> None:
    shop.run(
        """
        CREATE TABLE tags (id int PRIMARY KEY, word text UNIQUE);
        CREATE TABLE tagged (id int PRIMARY KEY, word text REFERENCES tags (word));
        INSERT INTO tags VALUES (1, 'red'), (2, 'blue');
        INSERT INTO tagged VALUES (1, 'red'), (2, 'blue'), (3, 'red'), (4, NULL);
        """
    )
    shop.take()
    shop.run("DELETE FROM tagged WHERE id < 5; INSERT INTO tagged VALUES (9, 'red'), (8, 'blue')")
    receipt = shop.restore(LiveRequest(keys=(("tags", ("1",)),), with_children=True), 2)
    assert (receipt.inserted, receipt.updated, receipt.deleted) == (2, 0, 1)
    assert shop.rows("SELECT id FROM tagged ORDER BY 1") == [(1,), (3,), (8,)]
