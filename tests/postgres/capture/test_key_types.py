"""Keys of any type, whatever the table and its columns are called, in any encoding."""

from itertools import chain

import pytest

from cas.postgres.capture.reading import captured
from cas.postgres.reading.introspection import introspect
from tests.postgres.capture.scene import Platform
from tests.servers.postgres import Cluster, Databases

TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN words AS text[];
CREATE TYPE point3 AS (x int, y text);
CREATE COLLATION plain (provider = libc, locale = 'C');
"""

KEYS = {
    "smallint": ("1", "2", "-3"),
    "bigint": ("9223372036854775807", "-9223372036854775808", "0"),
    "oid": ("1", "4294967295", "7"),
    "uuid": (
        "00000000-0000-0000-0000-000000000001",
        "ffffffff-0000-0000-0000-000000000001",
        "10000000-0000-0000-0000-000000000000",
    ),
    "text": ("", "a\tb\\\n", "ä"),
    "text COLLATE plain": ("a", "B", "ä"),
    "varchar(20)": ("a", "B", "ä"),
    "char(5)": ("a", "bc", "xy"),
    '"char"': ("a", "b", "c"),
    "name": ("a", "b", "c"),
    "bytea": (r"\x00", r"\xff", r"\x"),
    "boolean": ("t", "f"),
    "numeric(20,4)": ("1.5000", "-2.0000", "100.0000"),
    "double precision": ("0.1", "-1e+300", "NaN"),
    "date": ("2026-03-01", "infinity", "0044-03-15 BC"),
    "timestamptz": ("2026-03-01 10:00:00+00", "-infinity", "2026-03-01 10:00:00.5+00"),
    "timestamp(0)": ("2026-03-01 10:00:00", "2027-03-01 10:00:00", "infinity"),
    "interval": ("1 day", "24:00:01", "1 mon"),
    "time": ("10:00:00", "11:00:00.5", "24:00:00"),
    "inet": ("10.0.0.1", "10.0.0.0/8", "::1"),
    "macaddr": ("08:00:2b:01:02:03", "08:00:2b:01:02:04", "08:00:2b:01:02:05"),
    "bit(3)": ("101", "000", "111"),
    "bit varying": ("101", "0", "1"),
    "jsonb": ('{"a": 1}', "[]", '"x"'),
    "int[]": ("{1,2}", "{}", "{{1,2},{3,4}}"),
    "text[]": ("{a,NULL}", '{"b c"}', "{}"),
    "int4range": ("[1,3)", "empty", "(,5)"),
    "tsvector": ("'a':1", "'b'", "'c'"),
    "mood": ("sad", "ok", "happy"),
    "mood[]": ("{sad,ok}", "{}", "{happy}"),
    "positive": ("1", "2", "3"),
    "words": ("{a,b}", "{}", "{{x},{y}}"),
    "point3": ("(1,a)", "(2,)", "(,)"),
    "pg_lsn": ("0/1", "1/0", "16/B374D848"),
    "xid8": ("1", "2", "18446744073709551615"),
}


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_of_any_type(platform: Platform, kind: str) -> None:
    platform.run(TYPES)
    first, second, *_ = KEYS[kind]
    base = platform.captured(f"CREATE TABLE things (id {kind} PRIMARY KEY, name text)")
    for value in KEYS[kind]:
        platform.run(f"INSERT INTO things VALUES ({_literal(value)}, 'new')")
    found = platform.found("things", base)
    assert len(found.keys) == len(found.records) == len(KEYS[kind])
    texts = {value.strip() for (value,) in found.keys}
    assert texts == {row[0].strip() for row in platform.run("SELECT format('%s', id) FROM things")}  # type: ignore[attr-defined]
    base = platform.version()
    cast = "::point3" if kind == "point3" else ""
    one, other = _literal(first) + cast, _literal(second) + cast
    platform.run(f"UPDATE things SET name = 'x' WHERE id = {one}; DELETE FROM things WHERE id = {other}")
    found = platform.found("things", base)
    assert (len(found.keys), len(found.records), len(found.gone)) == (2, 1, 1)


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def test_a_key_of_many_columns(platform: Platform) -> None:
    platform.run(TYPES)
    base = platform.captured(
        "CREATE TABLE things (a text, b int, c uuid, d int[], e mood, more text, PRIMARY KEY (d, a, c, b, e))"
    )
    platform.run("""
        INSERT INTO things SELECT chr(97 + n % 3), n, gen_random_uuid(), ARRAY[n % 2, n], 'ok'
        FROM generate_series(1, 50) n""")
    found = platform.found("things", base)
    assert len(found.records) == 50
    assert found.keys == list(found.records)
    base = platform.version()
    platform.run("UPDATE things SET e = 'sad', b = -b WHERE b <= 3")
    found = platform.found("things", base)
    assert (len(found.keys), len(found.gone), found.more) == (3, 0, 0)
    platform.run("DELETE FROM things WHERE b < 0")
    found = platform.found("things", base)
    assert (len(found.keys), len(found.gone), found.more) == (3, 3, -3)


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [("numeric", "1.0", "1.00"), ("float8", "0", "-0"), ("interval", "1 day", "24:00:00")],
)
def test_keys_that_are_equal_and_not_the_same(platform: Platform, kind: str, one: str, other: str) -> None:
    """Rule 8."""
    base = platform.captured(
        f"CREATE TABLE things (id {kind} PRIMARY KEY, name text); INSERT INTO things VALUES ('{one}', 'a')"
    )
    platform.run(f"UPDATE things SET id = '{other}'")
    found = platform.found("things", base)
    assert found.keys == list(found.records) == [(other,)]
    assert found.more == 0


def test_a_collation_that_knows_no_case(cluster15: Cluster, database: Databases) -> None:
    """Rule 8; the embedded 18 has no ICU."""
    admin = database(cluster15)
    platform = Platform(cluster15, admin, admin)
    platform.run(
        "CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
    )
    base = platform.captured("""
        CREATE TABLE things (id text COLLATE nocase PRIMARY KEY, name text);
        INSERT INTO things VALUES ('a', '1'), ('b', '1'), ('C', '1')""")
    platform.run("UPDATE things SET id = upper(id)")
    found = platform.found("things", base)
    assert found.keys == list(found.records) == [("A",), ("B",), ("C",)]
    assert found.more == 0


ODD = [
    'we"ird',
    "näme",
    "a b",
    "SELECT",
    "$cas$",
    "%s",
    "{0}",
    "cas_new",
    "k1",
    "r",
    "x",
    "l",
    "noted",
    "patience",
]


@pytest.mark.parametrize("name", ODD)
def test_odd_names(platform: Platform, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    platform.run(f"CREATE SCHEMA IF NOT EXISTS {quoted}")
    table = f"{quoted}.{quoted}"
    base = platform.captured(
        f'CREATE TABLE {table} ({quoted} int PRIMARY KEY, "more {name.replace(chr(34), "")}" text)'
    )
    platform.run(f"INSERT INTO {table} VALUES (1), (2); UPDATE {table} SET {quoted} = 3 WHERE {quoted} = 1")
    found = platform.found(name, base)
    assert found.keys == [("1",), ("2",), ("3",)]
    assert found.gone == {("1",)}


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "EUC_JP", "KOI8R"])
def test_other_encodings(each_cluster: Cluster, database: Databases, encoding: str) -> None:
    provider = " LOCALE_PROVIDER libc" if each_cluster.major > 14 else ""
    admin = database(each_cluster, options=f"ENCODING '{encoding}' LOCALE 'C'{provider}")
    platform = Platform(each_cluster, admin, admin)
    name = {"LATIN1": "Größe", "SQL_ASCII": "Größe", "EUC_JP": "値段", "KOI8R": "цена"}[encoding]
    base = platform.captured(f'CREATE TABLE "{name}" ("{name}" text PRIMARY KEY, more text)')
    platform.run(f"""INSERT INTO "{name}" VALUES ('{name}'), ('b')""")
    with platform.reading() as connection:
        (table,) = introspect(connection).tables
        changes = captured(connection, table, base, "a repository")
        assert not isinstance(changes, str), changes
        python = {"LATIN1": "latin1", "SQL_ASCII": "utf-8", "EUC_JP": "euc_jp", "KOI8R": "koi8_r"}[encoding]
        keys = list(chain.from_iterable(changes.keys()))
        assert keys == sorted([b"b\0", name.encode(python) + b"\0"])
        assert [batch.keys for batch in changes.batches()] == [keys]


def test_a_temporal_key(platform: Platform) -> None:
    if platform.cluster.major < 18:
        return
    base = platform.captured("""
        CREATE TABLE stays (room int4range, during daterange, guest text,
                            PRIMARY KEY (room, during WITHOUT OVERLAPS));
        INSERT INTO stays VALUES ('[1,2)', '[2026-01-01,2026-02-01)', 'a')""")
    platform.run("UPDATE stays SET during = '[2026-01-01,2026-01-15)'")
    found = platform.found("stays", base)
    assert (len(found.keys), len(found.records), found.more) == (1, 1, 0)


def test_columns_that_are_generated(platform: Platform) -> None:
    base = platform.captured(
        "CREATE TABLE things (a int, b int GENERATED ALWAYS AS (a * 10) STORED PRIMARY KEY)"
    )
    platform.run("INSERT INTO things VALUES (1), (2); UPDATE things SET a = 5 WHERE a = 1")
    found = platform.found("things", base)
    assert found.keys == [("10",), ("20",), ("50",)]  # the first by its insertion
    assert found.more == 2
    assert found.records == {("20",): "2", ("50",): "5"}
