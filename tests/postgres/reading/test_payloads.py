"""What a record's payload is: its COPY line, without what may vary, and nothing of it lost (rule 3)."""

import random

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cas.postgres.quoting import column, qualified
from cas.postgres.reading.copying import BATCH_BYTES, BATCH_ROWS
from cas.postgres.reading.source import PostgresSnapshot
from cas.records.model import Entity, EntityKind
from cas.records.payload import fields, pad_with_nulls
from cas.records.source import Selection
from tests.postgres.reading.platform import ask, entity_of, read, read_table, run, source
from tests.servers.postgres import Databases


def copied_by_psycopg(connection: psycopg.Connection, entity: Entity) -> list[bytes]:
    """The table's rows by a plain COPY of psycopg, whole lines, sorted."""
    names = b", ".join(column(c.name, "UTF8") for c in entity.columns)
    only = b"ONLY " if entity.kind is EntityKind.TABLE else b""
    table = only + qualified(entity.schema, entity.name, "UTF8")
    with connection.cursor().copy(b"COPY (SELECT %b FROM %b) TO STDOUT" % (names, table)) as copy:
        return sorted(bytes(row)[:-1] for row in copy)


def test_every_table_of_the_torture_is_read_as_copy_writes_it(torture: str) -> None:
    with source(torture).snapshot(Selection()) as snapshot, psycopg.connect(torture) as connection:
        connection.execute("SET DateStyle = ISO; SET TimeZone = UTC; SET search_path = pg_catalog")
        connection.execute("SET extra_float_digits = 3; SET bytea_output = hex; SET lc_monetary = 'C'")
        tables = [e for e in snapshot.entities if e.kind in (EntityKind.TABLE, EntityKind.PARTITIONED)]
        assert len(tables) > 80
        for entity in tables:
            records = read(snapshot, entity)
            lines = sorted(pad_with_nulls(payload, len(entity.columns)) for payload in records.payloads)
            assert lines == copied_by_psycopg(connection, entity), entity.label
        snapshot.finish()


def test_an_empty_text_and_null_differ_in_a_table_with_one_column(torture: str) -> None:
    payloads = read_table(torture, "torture.one_column").payloads
    assert sorted(payloads) == sorted(
        [b"", b"\\N", b"\\\\N", b"N", b"\\\\.", b"\\\\", b"", b"\\N", b"\\t", b"\\n"]
    )


def test_a_row_of_nulls_keeps_its_first_field(torture: str) -> None:
    payloads = read_table(torture, "torture.no_key").payloads
    assert payloads.count(b"\\N") == 2
    assert payloads.count(b"1\tx") == 3
    assert payloads.count(b"2") == 1
    assert payloads.count(b"2\t") == 1


def test_trailing_nulls_are_stripped_and_others_are_not(torture: str) -> None:
    assert read_table(torture, "torture.trailing_nulls").payloads == [
        b"1",
        b"2\ta",
        b"3\t\\N\tb",
        b"4\t\\N\t\\N\tc",
        b"5\t\t\t",
        b"6\t\\\\N\t\\\\N\t\\\\N",
        b"7\t\\\\",
    ]


def test_a_nullable_column_that_is_added_changes_no_payload(database: Databases) -> None:
    url = database()
    run(url, "CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'a'), (2, NULL)")
    before = read_table(url, "public.t")
    run(url, "ALTER TABLE t ADD COLUMN later text")
    assert read_table(url, "public.t") == before


def test_a_table_without_columns_has_its_rows_counted(torture: str) -> None:
    assert read_table(torture, "torture.no_columns").payloads == [b"", b"", b""]
    assert read_table(torture, "torture.all_columns_dropped").payloads == [b"", b""]


def test_generated_columns_are_in_no_payload(torture: str) -> None:
    with source(torture).snapshot(Selection(tables=("torture.generated",))) as snapshot:
        entity = entity_of(snapshot, "torture.generated")
        assert [c.name for c in entity.columns] == ["id", "first_name", "last_name"]
        assert read(snapshot, entity).payloads == [b"1\tA\tB", b"2"]


def test_a_virtual_generated_column_is_in_no_payload(database: Databases) -> None:
    url = database()
    run(
        url,
        "CREATE TABLE t (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) VIRTUAL, b text)",
        "INSERT INTO t (id, a, b) VALUES (1, 2, 'x')",
    )
    assert read_table(url, "public.t").payloads == [b"1\t2\tx"]


@pytest.fixture(scope="module")
def texts_url(_torture_databases: Databases) -> str:
    url = _torture_databases()
    run(url, "CREATE TABLE texts (id int PRIMARY KEY, a text, b text, c text)")
    return url


TEXTS = st.one_of(
    st.none(),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6),
    st.sampled_from(["", "\\N", "\\.", "\\", "\t", "\n", "\r\n", "\\t", "\x01\x7f"]),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(TEXTS, TEXTS, TEXTS), max_size=8))
def test_any_texts_come_back_from_their_payloads(
    texts_url: str, rows: list[tuple[str | None, str | None, str | None]]
) -> None:
    with psycopg.connect(texts_url) as connection:
        connection.execute("TRUNCATE texts")
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO texts VALUES (%s, %s, %s, %s)", [(at, *row) for at, row in enumerate(rows)]
            )
    payloads = read_table(texts_url, "public.texts").payloads
    found = [
        tuple(text.decode() if text is not None else None for text in fields(payload, 4)[1:])
        for payload in payloads
    ]
    assert found == rows
    assert not any(payload.endswith(b"\t\\N") for payload in payloads)


def test_batches_are_bounded_by_rows_and_by_bytes(database: Databases) -> None:
    url = database()
    run(
        url,
        "CREATE TABLE many (id int PRIMARY KEY)",
        "INSERT INTO many SELECT generate_series(1, 3500)",
        "CREATE TABLE wide (id int PRIMARY KEY, v text)",
        "INSERT INTO wide SELECT g, repeat('x', 1000000) FROM generate_series(1, 40) AS g",
    )
    with source(url).snapshot(Selection()) as snapshot:
        many = [len(b.payloads) for b in snapshot.batches(entity_of(snapshot, "public.many"))]
        assert sum(many) == 3500
        assert max(many) <= BATCH_ROWS
        sizes = [sum(map(len, b.payloads)) for b in snapshot.batches(entity_of(snapshot, "public.wide"))]
        assert sum(sizes) > 40_000_000
        assert max(sizes) <= BATCH_BYTES + 3_100_000


def test_a_read_may_be_given_up_and_another_one_begun(database: Databases) -> None:
    url = database()
    run(url, "CREATE TABLE t (id int PRIMARY KEY, v text)")
    run(url, "INSERT INTO t SELECT g, repeat('x', 500) FROM generate_series(1, 50000) AS g")
    with source(url).snapshot(Selection()) as snapshot:
        entity = entity_of(snapshot, "public.t")
        given_up = snapshot.batches(entity)
        assert len(next(given_up).payloads) == BATCH_ROWS
        run(url, "DELETE FROM t")
        given_up.close()
        assert _count(snapshot, entity) == 50000
        assert _count(snapshot, entity) == 50000
        connections = "SELECT count(*), count(*) FILTER (WHERE state = 'active') FROM pg_stat_activity"
        assert ask(url, f"{connections} WHERE application_name = 'cas'") == [(1, 0)]
        snapshot.finish()


def _count(snapshot: PostgresSnapshot, entity: Entity) -> int:
    return sum(len(batch.payloads) for batch in snapshot.batches(entity))


def test_a_restored_table_is_read_in_the_order_of_columns_that_it_had(database: Databases) -> None:
    """pg_dump puts a parent's late column before the child's own ones."""
    old, new = database(), database()
    run(
        old,
        "CREATE TABLE p (id int)",
        "CREATE TABLE c (own int, PRIMARY KEY (id)) INHERITS (p)",
        "ALTER TABLE p ADD COLUMN late text",
        "INSERT INTO c VALUES (1, 2, 'x')",
    )
    run(
        new,
        "CREATE TABLE p (id int, late text)",
        "CREATE TABLE c (own int, PRIMARY KEY (id)) INHERITS (p)",
        "INSERT INTO c (id, own, late) VALUES (1, 2, 'x')",
    )
    with source(old).snapshot(Selection()) as before, source(new).snapshot(Selection()) as after:
        wanted, found = entity_of(before, "public.c"), entity_of(after, "public.c")
        assert [c.name for c in wanted.columns] == ["id", "own", "late"]
        assert [c.name for c in found.columns] == ["id", "late", "own"]
        assert read(after, wanted) == read(before, wanted)
        assert read(after, found).payloads == [b"1\tx\t2"]


def test_payloads_as_they_lie_are_those_that_are_read_by_key(torture: str) -> None:
    with source(torture).snapshot(Selection()) as snapshot:
        tables = [e for e in snapshot.entities if e.kind is EntityKind.TABLE]
        assert len(tables) > 60
        for entity in tables:
            lying = [payload for some in snapshot.payloads(entity) for payload in some]
            assert sorted(lying) == sorted(read(snapshot, entity).payloads), entity.label


def test_they_lie_as_one_copy_wrote_them_until_something_moves_a_row(database: Databases) -> None:
    url = database()
    run(url, "CREATE TABLE t (id int PRIMARY KEY, v text)")
    written = [b"%d\t%s" % (number, b"x" * 300) for number in random.Random(1).sample(range(100_000), 50_000)]
    with psycopg.connect(url) as connection, connection.cursor().copy("COPY t FROM STDIN") as copy:
        copy.write(b"\n".join(written) + b"\n")

    def lying() -> list[bytes]:
        with source(url).snapshot(Selection()) as snapshot:
            return [p for some in snapshot.payloads(entity_of(snapshot, "public.t")) for p in some]

    assert lying() == written
    first = int(written[0].split(b"\t")[0])
    run(url, f"UPDATE t SET v = v WHERE id = {first}")
    assert lying() != written
    assert sorted(lying()) == sorted(written)
