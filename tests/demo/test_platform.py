"""The demo platform: what is built, that it is built again alike, and that nothing half-built stays."""

import math

import psycopg
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from cas.demo.platform import MAX_RECORDS, BuildProgress, build, json_bytes
from cas.demo.products import _SKU_SPACE, _SKU_STEP, COLUMNS, Assortment, product_lines, sku
from cas.demo.side_tables import supplier_ids
from cas.demo.taxonomy import taxonomy
from cas.errors import Conflict, ConnectionFailed, InvalidInput
from tests.demo.reading import KEYS, everything, lines, value
from tests.servers.postgres import Cluster, Databases

RECORDS = 3000


def test_equal_count_and_seed_give_equal_rows_and_another_seed_others(database: Databases) -> None:
    first, again, other = database(), database(), database()
    build(first, records=RECORDS, seed=7)
    build(again, records=RECORDS, seed=7)
    build(other, records=RECORDS, seed=8)
    rows = everything(first)
    assert everything(again) == rows
    shared = set(lines(other, "products")) & set(rows["products"])
    assert not shared


def test_rows_come_out_as_they_were_composed_on_every_version(
    each_cluster: Cluster, database: Databases
) -> None:
    url = database(each_cluster)
    build(url, records=RECORDS, seed=3)
    assortment = Assortment(taxonomy().leaves, supplier_ids(RECORDS, seed=3), RECORDS)
    assert lines(url, "products") == list(product_lines(assortment, seed=3))


def test_the_receipt_counts_what_is_there(database: Databases) -> None:
    url = database()
    receipt = build(url, records=RECORDS, seed=1)
    assert receipt.counts == {table: len(rows) for table, rows in everything(url).items()}
    assert receipt.counts["products"] == RECORDS
    assert receipt.counts["tree_nodes"] == len(taxonomy().nodes)
    assert all(receipt.counts[table] > 0 for table in KEYS)
    assert value(url, "SELECT sum(products) FROM category_summary") == RECORDS


def test_a_platform_of_one_product_works(database: Databases) -> None:
    assert build(database(), records=1).counts["products"] == 1


def test_references_hold_and_the_tree_is_one(database: Databases) -> None:
    url = database()
    build(url, records=RECORDS)
    unproved = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND NOT convalidated"
    assert value(url, unproved) == 0
    assert value(url, "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conparentid = 0") == 6
    strays = """SELECT count(*) FROM tree_nodes n LEFT JOIN tree_nodes p ON p.id = n.parent_id
                WHERE n.path <> coalesce(p.path, '') || '/' || n.slug
                   OR n.depth <> coalesce(p.depth, 0) + 1"""
    assert value(url, strays) == 0
    assert value(url, "SELECT max(depth) FROM tree_nodes") == 4
    outside_leaves = """SELECT count(*) FROM products p
                        WHERE EXISTS (SELECT FROM tree_nodes n WHERE n.parent_id = p.category_id)"""
    assert value(url, outside_leaves) == 0
    not_an_option = """SELECT count(*) FROM product_custom_values v JOIN custom_fields f ON f.id = v.field_id
                       WHERE f.kind = 'choice' AND v.value <> ALL (f.options)"""
    assert value(url, not_an_option) == 0


def test_new_rows_get_the_next_numbers(database: Databases) -> None:
    url = database()
    build(url, records=50)
    with psycopg.connect(url) as connection:
        row = connection.execute(
            """INSERT INTO products (sku, name, brand, category_id, supplier_id, price, description)
               SELECT 'X', 'X', 'X', category_id, supplier_id, 1, 'X' FROM products LIMIT 1 RETURNING id"""
        ).fetchone()
    assert row == (51,)


def test_text_compresses_like_the_text_of_a_shop(database: Databases) -> None:
    url = database()
    build(url, records=20_000)
    rows = lines(url, "products")
    text = b"".join(rows)
    assert 450 <= len(text) / len(rows) <= 520
    assert 2.7 <= len(text) / len(zstandard.ZstdCompressor(level=3).compress(text)) <= 4
    assert len({row.split(b"\t")[COLUMNS.index("description")] for row in rows}) > 0.99 * len(rows)


@given(st.sets(st.integers(1, MAX_RECORDS), min_size=2))
def test_every_article_number_is_distinct(numbers: set[int]) -> None:
    assert len({sku(number, "XX") for number in numbers}) == len(numbers)
    assert math.gcd(_SKU_STEP, _SKU_SPACE) == 1, "numbers would repeat before the space is used up"


def test_a_database_in_use_is_refused_and_left_as_it_was(database: Databases) -> None:
    url = database()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE mine (id integer)")
    with pytest.raises(Conflict, match="not empty") as refusal:
        build(url, records=10)
    assert refusal.value.where == "public.mine"
    assert value(url, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == 1


def test_a_build_that_is_broken_off_leaves_nothing(database: Databases) -> None:
    def stop(progress: BuildProgress) -> None:
        if progress.step == "products" and progress.done >= 1000:
            raise KeyboardInterrupt

    url = database()
    with pytest.raises(KeyboardInterrupt):
        build(url, records=RECORDS, progress=stop)
    assert value(url, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == 0
    assert build(url, records=RECORDS).counts["products"] == RECORDS


def test_progress_counts_products_to_the_end(database: Databases) -> None:
    told: list[BuildProgress] = []
    build(database(), records=RECORDS, progress=told.append)
    counted = [step.done for step in told if step.step == "products"]
    assert counted == sorted(counted)
    assert counted[-1] == RECORDS
    assert all(step.total == RECORDS for step in told if step.step == "products")


@pytest.mark.parametrize("records", [0, -1, MAX_RECORDS + 1])
def test_a_count_out_of_range_is_refused(records: int) -> None:
    with pytest.raises(InvalidInput):
        build("postgresql://nobody@127.0.0.1:1/none", records=records)


def test_no_server_is_one_clear_error() -> None:
    with pytest.raises(ConnectionFailed) as failure:
        build("postgresql://nobody:secret@127.0.0.1:1/none", records=10)
    assert failure.value.where == "postgresql://nobody@127.0.0.1:1/none"
    assert "secret" not in str(failure.value)


def test_the_same_records_as_json_are_larger_than_their_rows(database: Databases) -> None:
    url = database()
    build(url, records=RECORDS)
    rows = sum(len(line) for rows in everything(url).values() for line in rows)
    assert rows < json_bytes(url) < 3 * rows
