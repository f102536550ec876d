"""A condition names records as PostgreSQL understands it, in a copy, and can do nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cas.contents import Contents
from cas.errors import CasError, InvalidInput, NotFound, PermissionDenied, TimedOut, Unsupported
from cas.postgres.scratch.server import PostgresScratchServer
from cas.predicate import matching_keys
from cas.record_stream import read_records
from cas.records.keys import encode_integer
from tests.operations.scratching import HINT, left_behind, version_of
from tests.servers.postgres import Cluster, Databases

PLATFORM = (
    "CREATE TABLE products (id integer PRIMARY KEY, name text, price numeric, made date, ok boolean)",
    "INSERT INTO products SELECT n, 'product ' || n, n, date '2026-01-01' + n, nullif(n % 3, 0) = 1"
    " FROM generate_series(1, 60) n",
    "CREATE TABLE prices (currency text, day date, price numeric, PRIMARY KEY (currency, day))",
    "INSERT INTO prices SELECT c, date '2026-01-01' + n, n"
    " FROM unnest(ARRAY['EUR', 'a\tb', 'Zürich', 'USD']) c, generate_series(1, 5) n",
    "CREATE TABLE moments (at timestamptz, span interval, bits bytea, PRIMARY KEY (at, span, bits))",
    "INSERT INTO moments SELECT timestamptz '2026-01-01 12:00+00' + n * interval '1 day',"
    " n * interval '1 hour 30 minutes', decode(lpad(to_hex(n), 4, '0'), 'hex') FROM generate_series(1, 20) n",
    "CREATE TABLE named (id uuid PRIMARY KEY, code character(5))",
    "INSERT INTO named SELECT gen_random_uuid(), 'c' || n FROM generate_series(1, 10) n",
    "CREATE TABLE sales (day date PRIMARY KEY, amount integer) PARTITION BY RANGE (day)",
    "CREATE TABLE sales_a PARTITION OF sales FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
    "CREATE TABLE sales_b PARTITION OF sales FOR VALUES FROM ('2026-02-01') TO ('2027-01-01')",
    "INSERT INTO sales SELECT date '2026-01-01' + n, n FROM generate_series(1, 80) n",
    "CREATE TABLE parents (id integer PRIMARY KEY)",
    "CREATE TABLE children (more text) INHERITS (parents)",
    "INSERT INTO parents VALUES (1)",
    "INSERT INTO children VALUES (2, 'x')",
    "CREATE TABLE notes (text text)",
    "INSERT INTO notes VALUES ('a')",
    "CREATE FUNCTION dear(numeric) RETURNS boolean LANGUAGE sql AS 'SELECT $1 > 58'",
    "CREATE FUNCTION sold(integer) RETURNS boolean LANGUAGE plpgsql AS"
    " $$ BEGIN RETURN EXISTS (SELECT FROM sales WHERE amount = $1); END $$",
    "CREATE FUNCTION spoils() RETURNS boolean LANGUAGE plpgsql AS"
    " $$ BEGIN DELETE FROM products; RETURN true; END $$",
)


@pytest.fixture(scope="module")
def contents(cluster: Cluster) -> Iterator[Contents]:
    databases = Databases(cluster)
    try:
        yield version_of(databases(), *PLATFORM)
    finally:
        databases.drop_all()


def keys(contents: Contents, server: PostgresScratchServer, entity: str, predicate: str) -> list[bytes]:
    return list(matching_keys(contents, entity, predicate, server))


def integers(*numbers: int) -> list[bytes]:
    return [encode_integer(number) for number in numbers]


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        ("price > 58", (59, 60)),
        ("products.price > 58", (59, 60)),
        ("public.products.price > 58 AND name LIKE '%9'", (59,)),
        ("id IN (3, 2, 2) OR id = 1", (1, 2, 3)),
        ("ok AND id < 8", (1, 4, 7)),
        ("ok IS NULL AND id < 8", (3, 6)),
        ("dear(price)", (59, 60)),
        ("false", ()),
        ("NULL", ()),
        ("id = 5 -- and nothing else", (5,)),
        ("id = 5 /* (nothing; else */", (5,)),
        ("name = 'product 5' OR name = ';) --'", (5,)),
        ("id = (SELECT max(id) FROM products)", (60,)),
        ("(SELECT true) AND id < 2", (1,)),
        ("set_config('datestyle', 'German', false) IS NOT NULL AND id < 3", (1, 2)),
        ("made = '2026-01-03'", (2,)),
    ],
)
def test_the_records_for_which_postgresql_says_true(
    contents: Contents, scratch: PostgresScratchServer, predicate: str, expected: tuple[int, ...]
) -> None:
    assert keys(contents, scratch, "products", predicate) == integers(*expected)


@pytest.mark.parametrize("entity", ["products", "prices", "moments", "named", "sales", "parents", "children"])
def test_keys_are_those_of_the_version_byte_by_byte(
    contents: Contents, scratch: PostgresScratchServer, entity: str
) -> None:
    if entity == "children":
        with pytest.raises(InvalidInput, match="no primary key"):
            keys(contents, scratch, entity, "true")
        return
    stored = [key for batch in read_records(contents.reader, contents.entry(entity)) for key in batch.keys]
    assert stored
    # A statement that changes how values look must not change keys.
    hostile = (
        "set_config('datestyle', 'German', false) || set_config('bytea_output', 'escape', false)"
        " || set_config('intervalstyle', 'iso_8601', false)"
        " || set_config('timezone', 'Asia/Tokyo', false) <> ''"
    )
    assert keys(contents, scratch, entity, hostile) == stored
    assert keys(contents, scratch, entity, "true") == stored


def test_a_volatile_condition_is_asked_once_for_each_record(
    contents: Contents, scratch: PostgresScratchServer
) -> None:
    found = keys(contents, scratch, "products", "random() < 0.5")
    assert found == sorted(set(found))
    assert len(found) < 60


@pytest.mark.parametrize(
    ("predicate", "error", "words"),
    [
        ("", InvalidInput, "is empty"),
        ("  -- nothing", InvalidInput, "is empty"),
        ("true) OR (true", InvalidInput, "closes a parenthesis"),
        ("true) OR true; DROP TABLE products; --", InvalidInput, "closes a parenthesis"),
        ("true; DROP TABLE products", InvalidInput, "semicolon"),
        ("((true)", InvalidInput, "1 of its parentheses open"),
        ("true /* never closed", InvalidInput, "never ends"),
        ("name = 'never closed", InvalidInput, "never ends"),
        ("name = $$never closed", InvalidInput, "never ends"),
        ('"never closed', InvalidInput, "never ends"),
        ("id = 1\0", InvalidInput, "zero byte"),
        ("true " + "AND true " * 20000, InvalidInput, "more than"),
        ("5", InvalidInput, "must be type boolean|boolean"),
        ("id, name", InvalidInput, "boolean"),
        ("true ORDER BY id", InvalidInput, "syntax error"),
        ("true UNION SELECT 1, '(0,1)'", InvalidInput, "syntax error"),
        ("true LIMIT 1", InvalidInput, "syntax error"),
        ("SELECT id > 3 FROM products", InvalidInput, "more than one row"),
        ("true, (SELECT true)", InvalidInput, "boolean"),
        ("count(*) > 1", InvalidInput, "aggregate functions are not allowed"),
        ("nam = 'x'", InvalidInput, 'column "nam" does not exist'),
        ("id = $1", InvalidInput, "parameter"),
        ("name > 5", InvalidInput, "operator does not exist"),
        ("1 / (id - 5) > 0", InvalidInput, "division by zero"),
        ("id IN (SELECT amount FROM sales)", InvalidInput, r"reads public\.sales"),
        ("EXISTS (SELECT FROM parents)", InvalidInput, r"reads public\.children, public\.parents"),
        ("sold(id)", InvalidInput, r"reads public\.sales"),
        ("spoils()", PermissionDenied, "read-only"),
        ("pg_read_file('/etc/passwd') IS NOT NULL", PermissionDenied, "permission denied"),
        ("lo_export(1, '{file}') = 1", PermissionDenied, "permission denied"),
        ("set_config('role', 'postgres', false) IS NOT NULL", PermissionDenied, "permission denied"),
        ("set_config('transaction_read_only', 'off', true) IS NOT NULL", InvalidInput, "before any query"),
        ("(WITH gone AS (DELETE FROM products RETURNING id) SELECT true FROM gone)", CasError, "top level"),
    ],
)
def test_a_condition_is_one_condition_and_only_reads(
    contents: Contents,
    scratch: PostgresScratchServer,
    tmp_path: Path,
    predicate: str,
    error: type[CasError],
    words: str,
) -> None:
    tmp_path.chmod(0o777)
    file = tmp_path / "written"
    with pytest.raises(error, match=words):
        keys(contents, scratch, "products", predicate.replace("{file}", str(file)))
    assert not file.exists()


def test_an_error_has_its_place(contents: Contents, scratch: PostgresScratchServer) -> None:
    with pytest.raises(InvalidInput) as caught:
        keys(contents, scratch, "products", "price > 1\n  AND nam = 'x'")
    assert caught.value.where.startswith("line 2, column 7")
    with pytest.raises(InvalidInput) as caught:
        keys(contents, scratch, "products", "price > 1\n  )")
    assert caught.value.where == "line 2, column 3"


def test_a_subquery_sees_the_children_of_its_table(
    contents: Contents, scratch: PostgresScratchServer
) -> None:
    assert keys(contents, scratch, "parents", "(SELECT count(*) FROM parents) = 2") == integers(1)
    assert keys(contents, scratch, "parents", "(SELECT count(*) FROM ONLY parents) = 1") == integers(1)


def test_a_condition_has_a_time(contents: Contents, scratch: PostgresScratchServer) -> None:
    with pytest.raises(TimedOut):
        list(matching_keys(contents, "products", "pg_sleep(30) IS NOT NULL", scratch, seconds=0.5))


def test_what_has_no_keys_has_no_conditions(contents: Contents, scratch: PostgresScratchServer) -> None:
    with pytest.raises(InvalidInput, match="no primary key"):
        keys(contents, scratch, "notes", "true")
    with pytest.raises(NotFound):
        keys(contents, scratch, "nothere", "true")


def test_the_database_goes_with_the_iterator(
    contents: Contents, scratch: PostgresScratchServer, cluster: Cluster
) -> None:
    found = matching_keys(contents, "products", "true", scratch)
    assert next(found) == encode_integer(1)
    assert len(left_behind(cluster)) == 2
    found.close()  # type: ignore[attr-defined]  # it is a generator
    assert left_behind(cluster) == []


def test_a_table_that_needs_what_the_server_lacks_is_told(
    cluster15: Cluster, database: Databases, scratch: PostgresScratchServer
) -> None:
    version = version_of(
        database(cluster15),
        "CREATE TABLE documents (id integer PRIMARY KEY, body xml)",
        "INSERT INTO documents VALUES (1, '<a/>')",
    )
    with pytest.raises(Unsupported, match="XML") as caught:
        keys(version, scratch, "documents", "id = 1")
    assert caught.value.hint == HINT


def test_who_asks_is_told_that_texts_are_ordered_otherwise(
    database: Databases, scratch: PostgresScratchServer
) -> None:
    version = version_of(
        database(options="LOCALE 'C' LOCALE_PROVIDER libc"),
        "CREATE TABLE words (word text PRIMARY KEY)",
        "INSERT INTO words VALUES ('a'), ('B')",
    )
    told: list[str] = []
    assert list(matching_keys(version, "words", "word < 'a'", scratch, warn=told.append)) == [b"B\0"]
    assert told == []
