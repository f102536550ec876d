"""The SQLite file, read by SQLite and compared with the database row by row."""

import math
import sqlite3
from contextlib import closing

import pytest

from cli.exit_codes import ExitCode
from tests.cli.running import Place, execute, rows
from tests.postgres.target.conftest import CrowdedDatabases
from tests.servers.postgres import Cluster, Databases

Row = tuple[object, ...]


def exported(cas: Place, *options: str) -> str:
    ran = cas("export", "latest", "--format", "sqlite", "-o", "all.sqlite", "--force", *options, "--json")
    assert ran.code == 0, ran
    return str(cas.directory / "all.sqlite")


def asked(place: str, query: str) -> list[Row]:
    with closing(sqlite3.connect(place)) as connection:
        return connection.execute(query).fetchall()


def test_each_table_holds_the_rows_of_the_database(cas: Place, shop: str) -> None:
    assert cas("snapshot").code == 0
    place = exported(cas)
    for table, query in (
        ("suppliers", "SELECT * FROM suppliers ORDER BY 1"),
        ("products", "SELECT id, name, price::text, attributes::text, supplier_id FROM products ORDER BY 1"),
        ("prices", "SELECT currency, day::text, price::text FROM prices ORDER BY 1, 2"),
        ("events", "SELECT * FROM events ORDER BY 1"),
    ):
        found = asked(place, f"SELECT * FROM {table} ORDER BY 1")
        assert found == rows(shop, query)
        assert len(found) > 1
    assert asked(place, "SELECT value FROM _cas WHERE name = 'version'") == [("1",)]
    assert asked(place, "SELECT * FROM _cas_sequences") == [('"public"."products_id_seq"', 200, 1)]
    assert asked(
        place, "SELECT count(*) FROM _cas_schema WHERE sql LIKE '%CREATE TABLE public.products%'"
    ) == [(1,)]
    with closing(sqlite3.connect(place)) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute("INSERT INTO prices VALUES ('EUR', '2026-03-01', '2')")


def test_types_are_what_sqlite_has_for_them(cas: Place, shop: str) -> None:
    execute(
        shop,
        "CREATE TABLE kinds (id bigint PRIMARY KEY, b boolean, r real, d double precision, n numeric,"
        " y bytea, j jsonb, t text)",
        "INSERT INTO kinds VALUES (-9223372036854775808, true, 0.1, 1e300, 1.50, '\\x00ff',"
        " '{\"a\": 1.0}', ''),"
        " (1, false, 'NaN', '-Infinity', 'NaN', '', 'null', NULL),"
        " (9223372036854775807, NULL, 3.5, 'NaN', 123456789012345678901234567890.10, NULL, NULL,"
        " E'\\\\N\\n')",
    )
    assert cas("snapshot").code == 0
    place = exported(cas)
    assert asked(place, "SELECT * FROM kinds ORDER BY id") == [
        (-(2**63), 1, 0.1, 1e300, "1.50", b"\x00\xff", '{"a": 1.0}', ""),
        (1, 0, "NaN", -math.inf, "NaN", b"", "null", None),
        (2**63 - 1, None, 3.5, "NaN", "123456789012345678901234567890.10", None, None, "\\N\n"),
    ]
    declared = "SELECT group_concat(type, ' ') FROM pragma_table_info('kinds')"
    assert asked(place, declared) == [("INTEGER INTEGER REAL REAL TEXT BLOB TEXT TEXT",)]


def test_names_that_sqlite_cannot_tell_apart_are_told_apart(cas: Place, shop: str) -> None:
    execute(
        shop,
        'CREATE TABLE "Events" ("What" text, what text, "a""b" text)',
        "CREATE TABLE sqlite_x (a int)",
        "CREATE TABLE _cas (a int)",
        "CREATE SCHEMA other",
        "CREATE TABLE other.prices (a int)",
        "CREATE TABLE nothing ()",
        "INSERT INTO nothing DEFAULT VALUES",
    )
    assert cas("snapshot").code == 0
    place = exported(cas)
    names = {str(entity): str(name) for name, entity in asked(place, "SELECT name, entity FROM _cas_tables")}
    assert names["public.Events"] != names["public.events"]
    assert len({name.lower() for name in names.values()}) == len(names)
    for entity, name in names.items():
        if not entity.startswith("public._cas"):
            asked(place, f'SELECT count(*) FROM "{name}"')
    assert asked(place, 'SELECT * FROM "nothing"') == [(None,)]
    columns = f"SELECT name FROM _cas_columns WHERE table_name = '{names['public.Events']}' ORDER BY place"
    assert asked(place, columns) == [("What",), ("what_2",), ('a"b',)]


def test_text_that_is_none_in_its_encoding_keeps_its_bytes(cas: Place, database: Databases) -> None:
    source = database(options="ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C'")
    execute(
        source,
        "CREATE TABLE t (a int PRIMARY KEY, b text)",
        r"INSERT INTO t VALUES (1, E'\xff\x41'), (2, E'\xc3\xa4')",
    )
    assert cas("snapshot", "--source", source).code == 0
    assert asked(exported(cas), "SELECT b FROM t ORDER BY a") == [(b"\xff\x41",), ("ä",)]


def test_large_objects_and_a_crowded_schema_have_their_tables(
    cas: Place, cluster: Cluster, crowded_databases: CrowdedDatabases
) -> None:
    source = crowded_databases.on(cluster)
    assert cas("snapshot", "--source", source).code == 0
    place = exported(cas)
    sizes = rows(
        source, "SELECT oid::int8, length(lo_get(oid))::int8 FROM pg_largeobject_metadata ORDER BY 1"
    )
    assert asked(place, "SELECT oid, size FROM _cas_large_objects WHERE page = -1 ORDER BY 1") == sizes
    (page,) = asked(place, "SELECT data FROM _cas_large_objects WHERE oid = 4711 AND page = 0")
    assert page == (b"\x00\xffA",)
    for name, entity, records in asked(place, "SELECT name, entity, records FROM _cas_tables"):
        assert asked(place, f'''SELECT count(*) FROM "{str(name).replace('"', '""')}"''') == [(records,)], (
            entity
        )
    bag = asked(place, "SELECT * FROM bag ORDER BY 1, 2")
    assert bag == [(None, None), ("", ""), ("x", None), ("x", None)]


def test_an_entity_that_is_not_there_is_named(cas: Place) -> None:
    assert cas("snapshot").code == 0
    ran = cas("export", "1", "--format", "sqlite", "-o", "x.sqlite", "--entity", "nothing")
    assert ran.code == ExitCode.NOT_FOUND
    assert "holds no entity nothing" in ran.error
    assert not (cas.directory / "x.sqlite").exists()
