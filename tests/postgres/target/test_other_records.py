"""Sequences and large objects: the values exactly, and errors of ours for records that are none."""

from dataclasses import replace

import pytest

from cas.errors import Conflict, CorruptData
from cas.postgres.filling.target import PostgresTarget
from cas.records.large_objects import PAGE_BYTES, LargeObjectHead, LargeObjectPage, encode_large_object
from cas.records.sequences import SequenceState, encode_sequence
from cas.records.source import SchemaItem
from cas.records.target import SchemaParts
from tests.postgres.target.moving import ask
from tests.servers.postgres import Cluster, Databases

SEQUENCES = """
CREATE SEQUENCE public.up; CREATE SEQUENCE public.down INCREMENT BY -1;
CREATE SEQUENCE public."Größe; ""x"" y" MAXVALUE 9223372036854775807;
CREATE TABLE public.t (id int GENERATED ALWAYS AS IDENTITY);
"""


def begun(url: str, sql: str, parts: SchemaParts | None = None) -> PostgresTarget:
    target = PostgresTarget(url)
    target.begin("UTF8", [SchemaItem("pre-data", "SEQUENCE", "", "", sql)], parts or SchemaParts())
    target.build_before_data()
    return target


def test_sequences_are_set_exactly(each_cluster: Cluster, database: Databases) -> None:
    url = database(each_cluster)
    target = begun(url, SEQUENCES)
    states = [
        SequenceState(b"public.up", 41, is_called=True),
        SequenceState(b"public.down", -9223372036854775808, is_called=False),
        SequenceState('public."Größe; ""x"" y"'.encode(), 9223372036854775807, is_called=True),
        SequenceState(b"public.t_id_seq", 7, is_called=False),
    ]
    target.set_sequences(map(encode_sequence, states))
    target.close()
    for state in states:
        query = f"SELECT last_value, is_called FROM {state.name.decode()}"
        assert ask(url, query) == [(state.last_value, state.is_called)]
    assert ask(url, "SELECT nextval('up'), nextval('t_id_seq')") == [(42, 7)]


def test_more_sequences_than_one_statement_takes(cluster: Cluster, database: Databases) -> None:
    url = database()
    target = begun(url, ";".join(f"CREATE SEQUENCE public.s{n}" for n in range(1100)))
    target.set_sequences(encode_sequence(SequenceState(b"public.s%d" % n, n + 1, True)) for n in range(1100))
    target.close()
    assert ask(url, "SELECT sum(last_value) FROM pg_sequences") == [(1100 * 1101 // 2,)]


def test_a_sequence_that_is_not_there_is_named(cluster: Cluster, database: Databases) -> None:
    target = begun(database(), SEQUENCES)
    with pytest.raises(Conflict, match=r"no sequence public\.lost"):
        target.set_sequences([encode_sequence(SequenceState(b"public.lost", 1, is_called=True))])
    target.close()


def test_a_value_outside_of_the_sequence_is_refused(cluster: Cluster, database: Databases) -> None:
    target = begun(database(), SEQUENCES)
    with pytest.raises(Conflict, match="out of bounds"):
        target.set_sequences([encode_sequence(SequenceState(b"public.t_id_seq", 2**40, is_called=True))])
    target.close()


@pytest.mark.parametrize(
    "payload", [b"", b"public.up", b"public.up\tx\tt", b"public.up\t1\tyes", b"a\tb\tc\td"]
)
def test_a_malformed_sequence_is_damage(payload: bytes, cluster: Cluster, database: Databases) -> None:
    target = begun(database(), SEQUENCES)
    with pytest.raises(CorruptData):
        target.set_sequences([payload])
    target.close()


HEAD = LargeObjectHead(oid=5000, size=3, owner=b"postgres")


def test_holes_and_sizes_of_large_objects_come_back(each_cluster: Cluster, database: Databases) -> None:
    """An object of a gibibyte of zeros, and one byte at its end, is two records and stays two records."""
    url = database(each_cluster)
    target = begun(url, "")
    last = (1 << 30) // PAGE_BYTES
    records: list[LargeObjectHead | LargeObjectPage] = [
        LargeObjectHead(oid=1, size=(1 << 30) + 1, owner=b"postgres"),
        LargeObjectPage(oid=1, page=last, data=b"x"),
        LargeObjectHead(oid=2, size=0, owner=b"postgres"),
        LargeObjectHead(oid=3, size=PAGE_BYTES + 10, owner=b"postgres"),
        LargeObjectPage(oid=3, page=0, data=b"\xff" * PAGE_BYTES),
        LargeObjectHead(oid=4294967295, size=2, owner=b"postgres"),
        LargeObjectPage(oid=4294967295, page=0, data=b"\\\t"),
    ]
    target.write_large_objects(map(encode_large_object, records))
    target.close()
    assert ask(url, "SELECT lo_get(1, 1073741823, 10), lo_get(2), lo_get(4294967295)") == [
        (b"\0x", b"", b"\\\t")
    ]
    assert ask(url, "SELECT length(lo_get(3)), lo_get(3, 262143, 4)") == [(PAGE_BYTES + 10, b"\xff\0\0\0")]
    assert ask(url, "SELECT count(*) < 200 FROM pg_largeobject") == [(True,)]


def test_an_object_without_owner_in_the_target_says_which_role(cluster: Cluster, database: Databases) -> None:
    target = begun(database(), "")
    with pytest.raises(Conflict, match='role "no such role" does not exist') as caught:
        target.write_large_objects([encode_large_object(replace(HEAD, owner=b"no such role"))])
    target.close()
    assert caught.value.where == "large objects 5000 to 5000"


def test_owners_and_privileges_of_objects_can_be_left_out(cluster: Cluster, database: Databases) -> None:
    url = database()
    target = begun(url, "", SchemaParts(owners=False, privileges=False))
    head = replace(HEAD, owner=b"no such role", privileges=b"{nobody=r/nobody}", comment=b"it's")
    target.write_large_objects([encode_large_object(head)])
    target.close()
    around = "SELECT obj_description(5000, 'pg_largeobject'), lomacl::text FROM pg_largeobject_metadata"
    assert ask(url, around) == [("it's", None)]


@pytest.mark.parametrize(
    "payload",
    [b"", b"5000", b"x\t-1\t\\N\t1\tpostgres", b"5000\t-1\t\\N\t-5\tpostgres", b"5000\t-2\t\\\\x00",
     b"5000\t0\t\\\\xZZ", b"5000\t0\t\\N", b"5000\t99999999999\t\\\\x00"],
)  # fmt: skip
def test_a_malformed_object_is_damage(payload: bytes, cluster: Cluster, database: Databases) -> None:
    url = database()
    target = begun(url, "")
    with pytest.raises(CorruptData):
        target.write_large_objects([encode_large_object(HEAD), payload])
    target.close()
    assert ask(url, "SELECT count(*) FROM pg_largeobject_metadata") == [(0,)]


@pytest.mark.parametrize("oid", [0, -1, 2**32, 2**70])
def test_an_oid_that_is_none_is_refused(oid: int, cluster: Cluster, database: Databases) -> None:
    target = begun(database(), "")
    with pytest.raises(CorruptData):
        target.write_large_objects([encode_large_object(replace(HEAD, oid=oid))])
    target.close()


def test_an_oid_that_comes_twice_is_refused(cluster: Cluster, database: Databases) -> None:
    target = begun(database(), "")
    with pytest.raises(Conflict, match="5000"):
        target.write_large_objects([encode_large_object(HEAD), encode_large_object(HEAD)])
    target.close()


def test_a_page_of_no_object_is_refused(cluster: Cluster, database: Databases) -> None:
    target = begun(database(), "")
    page = LargeObjectPage(oid=5000, page=0, data=b"x")
    with pytest.raises(Conflict, match="5000 does not exist"):
        target.write_large_objects([encode_large_object(page)])
    target.close()
