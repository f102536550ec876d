"""Changes of the demo platform: exactly the share that was asked for, scattered, and repeatable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cas.demo.platform import _changes, build, busy_day, mutate
from cas.demo.products import COLUMNS
from cas.errors import InvalidInput, NotFound
from tests.demo.reading import everything, lines, value
from tests.servers.postgres import Cluster, Databases

RECORDS = 4000
CHANGEABLE = {"price", "stock", "attributes", "updated_at"}


def columns_changed(before: bytes, after: bytes) -> set[str]:
    pairs = zip(COLUMNS, before.split(b"\t"), after.split(b"\t"), strict=True)
    return {name for name, old, new in pairs if old != new}


@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.1, 1.0])
def test_exactly_the_share_changes_and_only_where_it_may(database: Databases, fraction: float) -> None:
    url = database()
    build(url, records=RECORDS)
    before = everything(url)
    assert mutate(url, fraction=fraction, seed=5) == RECORDS * fraction
    after = everything(url)
    pairs = list(zip(before.pop("products"), after.pop("products"), strict=True))
    changed = [columns_changed(old, new) for old, new in pairs if old != new]
    assert len(changed) == RECORDS * fraction
    assert all("updated_at" in columns and columns <= CHANGEABLE for columns in changed)
    assert after == before


def test_every_kind_of_change_occurs_and_all_tenths_are_hit_alike(database: Databases) -> None:
    url = database()
    build(url, records=RECORDS)
    before = lines(url, "products")
    mutate(url, fraction=0.1, seed=6)
    hits = [0] * 10
    kinds: set[str] = set()
    for place, (old, new) in enumerate(zip(before, lines(url, "products"), strict=True)):
        if old != new:
            hits[place * 10 // RECORDS] += 1
            kinds |= columns_changed(old, new)
    assert kinds == CHANGEABLE
    assert 15 < min(hits) <= max(hits) < 70  # 40 expected; five standard deviations either way


def test_the_same_changes_of_the_same_rows_give_the_same_rows(
    each_cluster: Cluster, database: Databases
) -> None:
    first, again = database(), database(each_cluster)
    for url in (first, again):
        build(url, records=RECORDS)
        mutate(url, fraction=0.05, seed=1)
        busy_day(url, seed=2)
        mutate(url, fraction=0.05, seed=3)
    assert everything(first) == everything(again)


def test_a_row_that_changes_twice_differs_each_time(database: Databases) -> None:
    url = database()
    build(url, records=200)
    states = [lines(url, "products")]
    for _ in range(3):
        mutate(url, fraction=1.0, seed=9)
        states.append(lines(url, "products"))
    for position in range(200):
        assert len({state[position] for state in states}) == 4


def test_the_summary_follows_the_changes(database: Databases) -> None:
    url = database()
    build(url, records=RECORDS)
    for change in (lambda: mutate(url, fraction=0.2, seed=1), lambda: busy_day(url, seed=1)):
        change()
        stock = value(url, "SELECT sum(stock) FROM products")
        assert value(url, "SELECT sum(stock) FROM category_summary") == stock


def test_a_busy_day_does_what_its_receipt_says(database: Databases) -> None:
    url = database()
    build(url, records=RECORDS)
    before = everything(url)
    receipt = busy_day(url, seed=11)
    after = everything(url)
    keys = [{line.split(b"\t")[0] for line in rows} for rows in (before["products"], after["products"])]
    assert len(keys[0] - keys[1]) == receipt.products_deleted == 20
    assert len(keys[1] - keys[0]) == receipt.products_added == 150
    moved = len(set(after["tree_nodes"]) - set(before["tree_nodes"]))
    assert moved == receipt.paths_changed > 1
    renamed = f"SELECT count(*) FROM tree_nodes WHERE name = '{receipt.renamed_to}'"
    assert value(url, renamed) == 1
    astray = """SELECT count(*) FROM tree_nodes n JOIN tree_nodes p ON p.id = n.parent_id
                WHERE n.path <> p.path || '/' || n.slug"""
    assert value(url, astray) == 0


def test_two_busy_days_follow_each_other(database: Databases) -> None:
    url = database()
    build(url, records=RECORDS)
    busy_day(url, seed=11)
    busy_day(url, seed=11)
    assert value(url, "SELECT count(*) FROM products") == RECORDS + 2 * (150 - 20)


def test_a_busy_day_of_a_platform_with_fewer_products_than_it_deletes(database: Databases) -> None:
    url = database()
    build(url, records=5)
    assert busy_day(url, seed=1).products_deleted == 5


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_a_share_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(InvalidInput):
        mutate("postgresql://nobody@127.0.0.1:1/none", fraction=fraction, seed=1)


def test_a_database_without_the_platform_is_named(database: Databases) -> None:
    with pytest.raises(NotFound, match="no demo platform"):
        mutate(database(), fraction=0.1, seed=1)


@given(st.integers(0, 400), st.floats(0, 1), st.integers())
def test_any_share_of_any_count_is_met_exactly(count: int, fraction: float, seed: int) -> None:
    wanted = round(fraction * count)
    positions = [int(line.split(b"\t")[0]) for line in _changes(count, wanted, seed)]
    assert len(positions) == wanted
    assert positions == sorted(set(positions))
    assert all(1 <= position <= count for position in positions)
