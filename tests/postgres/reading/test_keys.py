"""Key bytes: their own expressions, the order of the read, the same whatever the column's type grows to."""

import psycopg
import pytest

from cas.errors import CorruptData
from cas.postgres.quoting import column, qualified
from cas.postgres.reading.splitting import Splitter
from cas.records.keys import encode_key
from cas.records.model import EntityKind, KeyPart
from cas.records.source import Selection
from tests.postgres.reading.platform import entity_of, read, read_table, run, source
from tests.servers.postgres import Cluster, Databases


def test_every_key_of_the_torture_is_the_encoding_of_its_output_texts_and_ascends(torture: str) -> None:
    checked = 0
    with source(torture).snapshot(Selection()) as snapshot, psycopg.connect(torture) as connection:
        connection.execute("SET DateStyle = ISO; SET TimeZone = UTC; SET search_path = pg_catalog")
        connection.execute("SET extra_float_digits = 3; SET lc_monetary = 'C'")
        for entity in snapshot.entities:
            records = read(snapshot, entity)
            if entity.is_bag:
                assert records.keys == []
                continue
            assert len(records.keys) == len(records.payloads)
            assert all(a < b for a, b in zip(records.keys, records.keys[1:], strict=False)), entity.label
            if entity.kind not in (EntityKind.TABLE, EntityKind.PARTITIONED):
                continue
            names = b", ".join(b"format('%%s', %b)" % column(name, "UTF8") for name, _ in entity.key)
            only = b"ONLY " if entity.kind is EntityKind.TABLE else b""
            table = only + qualified(entity.schema, entity.name, "UTF8")
            rows = connection.execute(b"SELECT %b FROM %b" % (names, table)).fetchall()
            expected = {encode_key(entity, [str(text).encode() for text in row]) for row in rows}
            assert set(records.keys) == expected, entity.label
            checked += 1
    assert checked > 60


def test_negative_and_positive_integers_sort_as_numbers(torture: str) -> None:
    assert [p.split(b"\t")[1] for p in read_table(torture, "torture.key_bigint").payloads] == [
        b"-9223372036854775808",
        b"-1",
        b"0",
        b"9",
        b"10",
        b"9223372036854775807",
    ]


def test_a_column_that_grows_from_smallint_to_bigint_keeps_its_keys(database: Databases) -> None:
    url = database()
    run(url, "CREATE TABLE t (id smallint PRIMARY KEY)", "INSERT INTO t VALUES (-5), (0), (300)")
    before = read_table(url, "public.t")
    for bigger in ("int", "bigint"):
        run(url, f"ALTER TABLE t ALTER id TYPE {bigger}")
        assert read_table(url, "public.t") == before


def test_a_blank_padded_key_is_its_padded_text(torture: str) -> None:
    records = read_table(torture, "torture.key_bpchar")
    assert records.keys[0] == b"      \0"
    assert b"ab    \0" in records.keys
    assert b"a\t    \0" in records.keys
    assert b"a\\t    \t5" in records.payloads


def test_columns_that_an_index_only_includes_are_not_in_the_key(torture: str) -> None:
    with source(torture).snapshot(Selection(tables=("torture.key_include",))) as snapshot:
        (entity,) = snapshot.entities
        assert entity.key == (("k", KeyPart.INTEGER),)
        assert read(snapshot, entity).payloads == [b"1\ta\ty", b"2\tb\tx"]


def test_a_stored_generated_column_is_a_key_and_not_in_the_payload(torture: str) -> None:
    records = read_table(torture, "torture.key_generated")
    assert records.keys == [b"x-10\0", b"x-2\0", b"y\t-1\0"]
    assert records.payloads == [b"10\tx", b"2\tx", b"1\ty\\t"]
    assert read_table(torture, "torture.key_generated_null").payloads == [b"\\N", b"7"]
    only = read_table(torture, "torture.key_only_generated")
    assert only.keys == [(42 + (1 << 63)).to_bytes(8, "big")]
    assert only.payloads == [b""]


def test_a_primary_key_that_not_all_partitions_have_is_no_key(torture: str) -> None:
    records = read_table(torture, "torture.valid_only_below")
    assert records.keys == []
    assert records.payloads == [b"1\t1", b"1\t1"]


def test_a_key_of_overloaded_functions_is_no_key(each_cluster: Cluster, database: Databases) -> None:
    """regproc prints two functions of one name alike, so the table is a bag."""
    url = database(each_cluster)
    run(url, "CREATE TABLE t (f regproc PRIMARY KEY)")
    run(url, "INSERT INTO t SELECT oid FROM pg_proc WHERE proname = 'abs'")
    with source(url).snapshot(Selection()) as snapshot:
        (entity,) = snapshot.entities
        assert entity.is_bag
        assert set(read(snapshot, entity).payloads) == {b"pg_catalog.abs"}


def test_two_rows_with_one_key_are_noticed(each_cluster: Cluster, database: Databases) -> None:
    """A damaged index lets duplicates in. Here the catalog lies that an index is a primary key's."""
    url = database(each_cluster)
    run(
        url,
        "CREATE TABLE t (id int NOT NULL, v text)",
        "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (2, 'c'), (3, 'd')",
        "CREATE INDEX i ON t (id)",
        "UPDATE pg_index SET indisprimary = true, indisunique = true WHERE indexrelid = 'i'::regclass",
    )
    with pytest.raises(CorruptData, match="ascending order") as raised:
        read_table(url, "public.t")
    assert raised.value.where == "public.t"


@pytest.mark.parametrize("lines", [[b"a\t2\n", b"b\t1\n"], [b"a\t1\n", b"b\t1\n"]])
def test_keys_must_ascend_within_a_batch_and_from_batch_to_batch(lines: list[bytes]) -> None:
    with pytest.raises(CorruptData):
        Splitter([KeyPart.INTEGER], "t").split([memoryview(line) for line in lines])
    splitter = Splitter([KeyPart.INTEGER], "t")
    splitter.split([memoryview(lines[0])])
    with pytest.raises(CorruptData):
        splitter.split([memoryview(lines[1])])


def test_citext_and_nondeterministic_keys_are_read_in_byte_order(each_cluster: Cluster, torture: str) -> None:
    if each_cluster.major >= 18:
        pytest.skip("the embedded PostgreSQL 18 has neither citext nor ICU")
    assert read_table(torture, "torture.contrib").keys == [b"ABE\0", b"Abc\0", b"abd\0"]
    with source(torture).snapshot(Selection(tables=("torture.key_nondeterministic",))) as snapshot:
        entity = entity_of(snapshot, "torture.key_nondeterministic")
        assert read(snapshot, entity).keys == [b"A\0", b"C\0", b"b\0", "é\0".encode()]
