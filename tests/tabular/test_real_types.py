"""What is checked without a database is what a database would say: it is asked."""

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cas.records.model import Column
from cas.tabular.csv_rows import CsvReader
from tests.servers.postgres import Cluster

TYPES = [
    "smallint",
    "bigint",
    "numeric",
    "numeric(6,2)",
    "jsonb",
    "uuid",
    "character(4)",
    "character varying(3)",
]

NUMBERS = st.from_regex(r"\A-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,5})?([eE][+-]?[0-9]{1,2})?\Z")
JSON = st.recursive(
    NUMBERS
    | st.sampled_from(["true", "null", '"a"', '"\\u00e9\\/"', '"\\ud83d\\ude00"', '"\\u0007"', '"\\\\"']),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[ {' , '.join(items)}]")
        | st.lists(
            st.tuples(st.sampled_from(['"a"', '"bb"', '"ä"', '"a\\tb"', '""', '"B"']), inner), max_size=4
        ).map(lambda pairs: "{" + ",".join(f"{key} :{value}" for key, value in pairs) + " }")
    ),
    max_leaves=6,
)
TEXTS = NUMBERS | JSON | st.text("abÄ \\'0", max_size=6) | st.uuids().map(lambda u: str(u).upper())


@pytest.fixture(scope="module")
def server(cluster: Cluster) -> psycopg.Connection:
    return psycopg.connect(cluster.url(), autocommit=True, client_encoding="UTF8")


@given(text=TEXTS, kind=st.sampled_from(TYPES))
@settings(max_examples=600)
def test_what_is_taken_is_what_postgresql_prints(server: psycopg.Connection, text: str, kind: str) -> None:
    """It may refuse what PostgreSQL takes (` 1`, numbers that are rounded), and nothing else may differ."""
    try:
        (ours,) = CsvReader([Column("c", kind, not_null=False)], "UTF8").values(
            f'"{text.replace(chr(34), chr(34) * 2)}"'.encode()
        )
    except ValueError:
        return
    row = server.execute(f"SELECT format('%%s', %s::{kind})", [text]).fetchone()
    assert ours is not None
    assert row == (ours.decode(),)
