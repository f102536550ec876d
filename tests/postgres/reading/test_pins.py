"""A role's own settings must not decide what rows look like, nor how long we may take (rule 9)."""

import time

import pytest

from cas.postgres.connecting import ConnectionOptions, connect
from cas.records.source import Selection
from tests.postgres.reading.platform import Records, entity_of, login, read, run, source
from tests.servers.postgres import Cluster, Databases

HOSTILE = {
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "iso_8601",
    "TimeZone": "Asia/Kathmandu",
    "extra_float_digits": "-10",
    "bytea_output": "escape",
    "search_path": "s",
    "quote_all_identifiers": "on",
    "standard_conforming_strings": "off",
    "client_encoding": "LATIN1",
    "xmlbinary": "hex",
    "array_nulls": "off",
}

ROLE = "hostile_reader"


@pytest.fixture
def url(each_cluster: Cluster, database: Databases) -> str:
    url = database(each_cluster)
    run(
        url,
        "CREATE SCHEMA s",
        "CREATE TYPE s.e AS ENUM ('a')",
        r"""CREATE TABLE s.t (id int PRIMARY KEY, d date, i interval,
            z timestamptz DEFAULT '2024-05-05 00:00+00', f float8, g float4,
            b bytea, c regclass, "ü\" text, m money, a int[], ts s.e[] DEFAULT '{a}',
            w text DEFAULT 'back\slash')""",
        r"""INSERT INTO s.t VALUES (1, '2024-02-01', '1 mon 2 days', '2024-02-01 12:00+00', 0.1::float8 + 0.2,
            0.1, '\x00ff5c', 's.t', 'ü\', 12.34, '{1,NULL}')""",
        "CREATE TABLE s.dates (d timestamptz PRIMARY KEY, i interval)",
        "INSERT INTO s.dates VALUES ('2024-10-27 00:30+00', '1 day'), ('2024-02-01 00:30+00', NULL)",
        f"DROP ROLE IF EXISTS {ROLE}",
        f"CREATE ROLE {ROLE} SUPERUSER LOGIN",
    )
    return url


def read_as(url: str, role: str) -> dict[str, Records]:
    with source(login(url, role)).snapshot(Selection()) as snapshot:
        found = {e.label: read(snapshot, e) for e in snapshot.entities}
        found["columns"] = Records([], [repr(e).encode() for e in snapshot.entities])
        assert snapshot.schema_items()
        snapshot.finish()
    return found


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_setting_of_the_role_changes_nothing(url: str, name: str) -> None:
    expected = read_as(url, "postgres")
    assert b"{1,NULL}\t{a}" in expected["s.t"].payloads[0]
    run(url, f"ALTER ROLE {ROLE} SET {name} = {HOSTILE[name]!r}")
    assert read_as(url, ROLE) == expected


def test_all_of_them_together_and_the_schema_text_stays(url: str) -> None:
    for name, value in HOSTILE.items():
        if name != "quote_all_identifiers":  # pg_dump's text quotes more then, and means the same
            run(url, f"ALTER ROLE {ROLE} SET {name} = {value!r}")
    with (
        source(url).snapshot(Selection()) as plain,
        source(login(url, ROLE)).snapshot(Selection()) as hostile,
    ):
        assert list(hostile.schema_items()) == list(plain.schema_items())
        entity = entity_of(plain, "s.t")
        assert read(hostile, entity) == read(plain, entity)


def test_time_outs_of_the_role_do_not_end_our_transaction(url: str, each_cluster: Cluster) -> None:
    names = [
        "idle_in_transaction_session_timeout",
        "idle_session_timeout",
        "statement_timeout",
        "lock_timeout",
    ]
    names += ["transaction_timeout"] if each_cluster.major >= 17 else []
    for name in names:
        run(url, f"ALTER ROLE {ROLE} SET {name} = '300ms'")
    with connect(login(url, ROLE), ConnectionOptions()) as connection:
        assert [connection.execute(f"SHOW {name}".encode()).fetchone() for name in names[:3]] == [("0",)] * 3
    with source(login(url, ROLE)).snapshot(Selection()) as snapshot:
        time.sleep(0.7)
        assert len(read(snapshot, entity_of(snapshot, "s.t")).payloads) == 1
        snapshot.finish()


def test_the_session_says_who_it_is(url: str) -> None:
    with connect(url, ConnectionOptions(application_name="cas test")) as connection:
        assert connection.execute("SHOW application_name").fetchone() == ("cas test",)


def test_a_role_that_prefers_writable_serializable_transactions_reads_all_the_same(url: str) -> None:
    run(
        url,
        f"ALTER ROLE {ROLE} SET default_transaction_isolation = 'serializable'",
        f"ALTER ROLE {ROLE} SET default_transaction_deferrable = on",
    )
    assert read_as(url, ROLE) == read_as(url, "postgres")
