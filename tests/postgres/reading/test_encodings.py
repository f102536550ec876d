"""Rows in the server's own encoding, whatever it is (rule 6)."""

import psycopg
import pytest

from cas.postgres.dumping.schema import schema_text
from cas.records.source import Selection
from tests.postgres.reading.platform import entity_of, read, run, source
from tests.servers.postgres import Cluster, Databases


def in_encoding(cluster: Cluster, database: Databases, encoding: str) -> str:
    provider = " LOCALE_PROVIDER libc" if cluster.major >= 15 else ""
    return database(cluster, options=f"ENCODING '{encoding}' LOCALE 'C'{provider}")


def test_bytes_that_are_no_utf8_come_out_of_a_sql_ascii_server_as_they_are(
    each_cluster: Cluster, database: Databases
) -> None:
    url = in_encoding(each_cluster, database, "SQL_ASCII")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET client_encoding = SQL_ASCII")
        connection.execute(b'CREATE TABLE "t\xff\xc3" ("k\xe9" text PRIMARY KEY, v text)')
        connection.execute(
            b"INSERT INTO \"t\xff\xc3\" VALUES ('\xff', 'a\x80b'), ('\xc3\xa9', NULL), ('z', '\xe9')"
        )
        connection.execute(b"COMMENT ON TABLE \"t\xff\xc3\" IS 'no utf-8: \xfe'")
        connection.execute(b'CREATE SEQUENCE "s\xff"')
    with source(url).snapshot(Selection()) as snapshot:
        assert snapshot.identity.encoding == "SQL_ASCII"
        table, sequences = snapshot.entities
        assert table.name.encode("utf-8", "surrogateescape") == b"t\xff\xc3"
        assert [c.name.encode("utf-8", "surrogateescape") for c in table.columns] == [b"k\xe9", b"v"]
        records = read(snapshot, table)
        assert records.keys == [b"z\0", b"\xc3\xa9\0", b"\xff\0"]
        assert records.payloads == [b"z\t\xe9", b"\xc3\xa9", b"\xff\ta\x80b"]
        assert read(snapshot, sequences).payloads == [b'"public"."s\xff"\t1\tf']
        text = schema_text(snapshot.schema_items()).encode("utf-8", "surrogateescape")
        assert b'CREATE TABLE public."t\xff\xc3"' in text
        assert b"IS 'no utf-8: \xfe'" in text
        snapshot.finish()


def test_a_latin1_server_is_read_in_latin1_and_sorts_so(each_cluster: Cluster, database: Databases) -> None:
    url = in_encoding(each_cluster, database, "LATIN1")
    run(
        url,
        'CREATE TABLE "größe" ("schlüssel" text PRIMARY KEY, v text)',
        "INSERT INTO \"größe\" VALUES ('é', 'ü'), ('z', NULL), ('ÿ', '½'), ('a', 'ß')",
        'CREATE SEQUENCE "zähler"',
        "SELECT lo_create(5)",
        "COMMENT ON LARGE OBJECT 5 IS 'für später'",
    )
    with source(url).snapshot(Selection()) as snapshot:
        table, sequences, objects = snapshot.entities
        assert (table.name, table.columns[0].name) == ("größe", "schlüssel")
        records = read(snapshot, table)
        assert records.keys == [text.encode("latin1") + b"\0" for text in ("a", "z", "é", "ÿ")]
        assert records.payloads == [
            "a\tß".encode("latin1"),
            b"z",
            "é\tü".encode("latin1"),
            "ÿ\t½".encode("latin1"),
        ]
        assert read(snapshot, sequences).payloads == ['"public"."zähler"\t1\tf'.encode("latin1")]
        assert read(snapshot, objects).payloads[0].endswith("für später".encode("latin1"))
        assert 'CREATE TABLE public."größe"' in schema_text(snapshot.schema_items())
        snapshot.finish()


@pytest.mark.parametrize(
    ("encoding", "payload"), [("EUC_TW", b"\xc4\xa1\t\xc4\xa9"), ("EUC_JP", "一\t人".encode("euc_jp"))]
)
def test_an_encoding_is_read_whether_python_has_a_codec_or_not(
    each_cluster: Cluster, database: Databases, encoding: str, payload: bytes
) -> None:
    url = in_encoding(each_cluster, database, encoding)
    run(url, 'CREATE TABLE "表" ("鍵" text PRIMARY KEY, v text)', "INSERT INTO \"表\" VALUES ('一', '人')")
    with source(url).snapshot(Selection()) as snapshot:
        (table,) = snapshot.entities
        assert (table.name, table.columns[0].name) == ("表", "鍵")
        records = read(snapshot, table)
        assert records.payloads == [payload]
        assert records.keys == [payload.split(b"\t")[0] + b"\0"]
        assert 'CREATE TABLE public."表"' in schema_text(snapshot.schema_items())
        snapshot.finish()


def test_mule_internal_converts_to_nothing_and_is_read_as_bytes(
    each_cluster: Cluster, database: Databases
) -> None:
    url = in_encoding(each_cluster, database, "MULE_INTERNAL")
    run(
        url,
        "CREATE TABLE t (k text PRIMARY KEY)",
        "INSERT INTO t VALUES (convert_from('\\x81e9', 'MULE_INTERNAL'))",
        encoding="SQL_ASCII",
    )
    with source(url).snapshot(Selection()) as snapshot:
        (table,) = snapshot.entities
        assert read(snapshot, table).payloads == [b"\x81\xe9"]
        assert "CREATE TABLE public.t" in schema_text(snapshot.schema_items())
        snapshot.finish()


def test_names_beyond_ascii_are_found_by_every_statement(torture: str) -> None:
    with source(torture).snapshot(Selection(schemas=("schéma ☃",))) as snapshot:
        labels = [entity.name for entity in snapshot.entities]
        assert any(name.startswith("tablé\n; -- DROP") for name in labels)
        entity = next(e for e in snapshot.entities if e.name.startswith("tablé"))
        assert [k.decode() for k in read(snapshot, entity).keys] == ["\0", "Z\0", "a\0", "é\0", "☃\0"]
        assert entity_of(snapshot, "schéma ☃.tab\tulator").key[0][0] == "id"
