"""`cas query`: a version asked from the command line, as a table, as JSON lines, as CSV."""

import csv
import io
import json

import pytest

from cli.exit_codes import ExitCode
from tests.cli.running import Place, execute
from tests.operations.scratching import left_behind
from tests.servers.postgres import Cluster


@pytest.fixture
def shelf(standing: Place, cluster: Cluster) -> Place:
    """One version; throwaway databases are made on the session's cluster."""
    standing.environment["CAS_SCRATCH"] = cluster.url()
    return standing


def test_rows_are_a_table_for_people(shelf: Place, cluster: Cluster) -> None:
    ran = shelf("query", "latest", "select id, name, price from products where price > 198 order by id")
    assert ran.code == 0, ran
    assert "product 199" in ran.out
    assert "product 200" in ran.out
    assert ran.out.index("name") < ran.out.index("product 199")
    assert "2 rows of version 1" in ran.err
    assert left_behind(cluster) == []


def test_rows_are_json_lines_with_types(shelf: Place) -> None:
    sql = (
        "select id, price, attributes, name, null as none, true as yes, 'NaN'::float8 as odd, 1 as id,"
        " E'ü\\n' as text from products where id <= 2 order by products.id"
    )
    ran = shelf("query", "1", sql, "--json")
    assert ran.code == 0, ran
    assert ran.out.isascii()
    first, second = (json.loads(line) for line in ran.out.splitlines())
    assert first == {
        "id": 1,
        "price": 1.0,
        "attributes": {"size": 1, "colour": "blue"},
        "name": "product 1",
        "none": None,
        "yes": True,
        "odd": "NaN",
        "id_2": 1,
        "text": "ü\n",
    }
    assert second["id"] == 2
    assert {event["event"] for event in ran.events} == {"progress"}


def test_rows_are_csv_that_tells_null_from_nothing(shelf: Place) -> None:
    ran = shelf("query", "1", "values (1, null, ''), (2, 'a,\"b\"', 'x\ny')", "--csv")
    assert ran.code == 0, ran
    assert ran.out == 'column1,column2,column3\n1,,""\n2,"a,""b""","x\ny"\n'
    assert list(csv.reader(io.StringIO(ran.out)))[2] == ["2", 'a,"b"', "x\ny"]


def test_rows_are_bounded_unless_all_are_wanted(shelf: Place) -> None:
    sql = "select n from generate_series(1, 1500) n"
    ran = shelf("query", "1", sql, "--csv")
    assert len(ran.out.splitlines()) == 1001
    assert "more than 1,000 rows" in ran.err
    ran = shelf("query", "1", sql, "--csv", "--limit", "0")
    assert len(ran.out.splitlines()) == 1501
    assert ran.err == ""
    ran = shelf("query", "1", sql, "--json", "--limit", "3")
    assert [json.loads(line)["n"] for line in ran.out.splitlines()] == [1, 2, 3]
    assert [event["text"] for event in ran.events if event["event"] == "warning"]


def test_an_empty_answer_is_a_head(shelf: Place) -> None:
    sql = "select id from products where false"
    assert "id" in shelf("query", "1", sql).out
    assert shelf("query", "1", sql, "--csv").out == "id\n"
    assert shelf("query", "1", sql, "--json").out == ""


def test_the_version_is_asked_and_not_the_platform(cas: Place, shop: str, cluster: Cluster) -> None:
    cas.environment["CAS_SCRATCH"] = cluster.url()
    assert cas("snapshot").code == 0
    execute(shop, "UPDATE products SET price = 7", "CREATE TABLE later (id integer)")
    assert cas("query", "1", "select sum(price) from products", "--csv").out == "sum\n20100.00\n"
    assert cas("query", "1", "select * from later").code == ExitCode.INVALID


@pytest.mark.parametrize(
    ("sql", "code", "words"),
    [
        ("drop table products", ExitCode.INVALID, "syntax error"),
        ("select 1; select 2", ExitCode.INVALID, "2 statements"),
        ("select nam from products", ExitCode.INVALID, "line 1, column 8"),
        ("select pg_read_file('/etc/passwd')", ExitCode.DENIED, "permission denied"),
        ("select pg_sleep(20)", ExitCode.TIMED_OUT, "--timeout"),
    ],
)
def test_what_is_refused_is_one_line_with_a_code(
    shelf: Place, cluster: Cluster, sql: str, code: ExitCode, words: str
) -> None:
    ran = shelf("query", "1", sql, "--timeout", "0.5")
    assert ran.code == code
    assert words in ran.error
    ran = shelf("query", "1", sql, "--timeout", "0.5", "--json")
    assert ran.json["error"]["exit_code"] == code
    assert left_behind(cluster) == []


def test_usage_is_checked_first(shelf: Place) -> None:
    assert shelf("query", "1", "select 1", "--csv", "--json").code == ExitCode.INVALID
    assert shelf("query", "7", "select 1").code == ExitCode.NOT_FOUND
    assert shelf("query", "1", "select 1", "--entity", "nothere").code == ExitCode.NOT_FOUND
    ran = shelf("query", "1", "select 1", "--scratch", "postgresql://u:hunter2@[/x")
    assert ran.code == ExitCode.INVALID
    assert "--scratch" in ran.error
    assert "hunter2" not in ran.error
    ran = shelf("query", "1", "select 1", "--scratch", "postgresql://127.0.0.1:1/x")
    assert ran.code == ExitCode.UNREACHABLE


def test_hostile_values_cannot_recolour_the_terminal(shelf: Place) -> None:
    ran = shelf("query", "1", "select E'\\x1b[31mred' as \"\x1b[2Jhead\"")
    assert ran.code == 0, ran
    assert "\x1b" not in ran.out
    assert "\\x1b[31mred" in ran.out


def test_without_a_server_it_is_the_embedded_one(cas: Place) -> None:
    assert cas("snapshot").code == 0
    ran = cas("query", "1", "select count(*) from products", "--csv")
    assert (ran.code, ran.out) == (0, "count\n200\n"), ran
    assert not (cas.home / "scratch" / "data" / "postmaster.pid").exists(), "it is stopped"
