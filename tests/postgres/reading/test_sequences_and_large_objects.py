"""The entities that are no tables: sequences, and large objects in pages."""

import hashlib

from cas.records.large_objects import PAGE_BYTES, LargeObjectHead, LargeObjectPage, decode_large_object
from cas.records.model import EntityKind
from cas.records.sequences import SequenceState, decode_sequence, encode_sequence
from cas.records.source import Selection
from tests.postgres.reading.platform import ask, read, run, source
from tests.servers.postgres import Cluster, Databases


def test_sequences_hold_their_last_value_and_whether_it_was_drawn(torture: str) -> None:
    with source(torture).snapshot(Selection()) as snapshot:
        entity = next(e for e in snapshot.entities if e.kind is EntityKind.SEQUENCES)
        records = read(snapshot, entity)
    states = {state.name.decode(): state for state in map(decode_sequence, records.payloads)}
    assert states['"torture"."seq_never_used"'] == SequenceState(b'"torture"."seq_never_used"', 1, False)
    assert states['"torture"."seq_not_called"'].last_value == 77
    assert not states['"torture"."seq_not_called"'].is_called
    assert states['"torture"."seq_end"'].last_value == 9223372036854775807
    assert states['"torture"."seq_down"'].is_called
    assert '"torture"."identity_always_id_seq"' in states
    assert '"torture"."identity ""seq"""' in states
    assert '"Sche.ma ""quoted"""."se.q ""x""\t"' in states
    assert records.keys == sorted(state.name + b"\0" for state in states.values())
    assert [encode_sequence(decode_sequence(p)) for p in records.payloads] == records.payloads


def test_more_sequences_than_one_statement_takes_are_in_one_order(database: Databases) -> None:
    url = database()
    run(url, "DO $$ BEGIN FOR i IN 1..450 LOOP EXECUTE format('CREATE SEQUENCE %I START %s', 'é' || i, i);"
             " END LOOP; END $$")  # fmt: skip
    with source(url).snapshot(Selection()) as snapshot:
        (entity,) = snapshot.entities
        records = read(snapshot, entity)
        assert len(records.keys) == 450
        assert records.keys == sorted(records.keys)
        assert decode_sequence(records.payloads[-1]).last_value == 99
        assert snapshot.estimate(entity).records == 450


def test_large_objects_come_as_a_head_and_pages(torture: str) -> None:
    with source(torture).snapshot(Selection()) as snapshot:
        entity = next(e for e in snapshot.entities if e.kind is EntityKind.LARGE_OBJECTS)
        records = read(snapshot, entity)
        assert snapshot.estimate(entity).records == 5
    heads: dict[int, LargeObjectHead] = {}
    contents: dict[int, bytearray] = {}
    for payload in records.payloads:
        record = decode_large_object(payload)
        if isinstance(record, LargeObjectHead):
            heads[record.oid] = record
            contents[record.oid] = bytearray(record.size)
        else:
            assert any(record.data), "a page of zeros is left out"
            at = record.page * PAGE_BYTES
            contents[record.oid][at : at + len(record.data)] = record.data
    expected = ask(torture, "SELECT oid::int8, md5(lo_get(oid)) FROM pg_largeobject_metadata ORDER BY 1")
    assert [(oid, hashlib.md5(data).hexdigest()) for oid, data in contents.items()] == expected
    assert [head.size for head in heads.values()] == [320000, 0, 3145741, 262144, 5000]
    assert heads[900001].owner == b"torture_owner"
    assert heads[900001].comment == b"it's a comment"
    assert heads[900001].privileges == b"{torture_owner=rw/torture_owner,torture_reader=r/torture_owner}"
    assert heads[900002].privileges == b"{}"
    assert heads[900005].privileges is None
    pages = [r for r in map(decode_large_object, records.payloads) if isinstance(r, LargeObjectPage)]
    assert [(p.oid, p.page) for p in pages] == [(900001, 0), (900001, 1), (900003, 12), (900004, 0)]


def test_many_large_objects_are_read_in_portions_and_a_vast_hole_costs_nothing(
    each_cluster: Cluster, database: Databases
) -> None:
    url = database(each_cluster)
    run(
        url,
        "SELECT count(lo_from_bytea(100000 + g, 'x')) FROM generate_series(1, 2300) AS g",
        "SELECT lo_create(5)",
        "SELECT lo_put(5, 4000000000000, 'end')",
    )
    with source(url).snapshot(Selection()) as snapshot:
        (entity,) = snapshot.entities
        records = read(snapshot, entity)
        assert len(records.payloads) == 2 * 2301
        assert records.keys == sorted(records.keys)
        head, page = map(decode_large_object, records.payloads[:2])
        assert isinstance(head, LargeObjectHead)
        assert head.size == 4000000000003
        assert isinstance(page, LargeObjectPage)
        assert page.page * PAGE_BYTES + len(page.data) == head.size
        assert page.data.endswith(b"end")


def test_large_objects_are_seen_as_they_were_when_the_read_began(
    each_cluster: Cluster, database: Databases
) -> None:
    url = database(each_cluster)
    run(url, "SELECT lo_from_bytea(7, 'before')", "SELECT lo_from_bytea(8, 'gone')")
    with source(url).snapshot(Selection()) as snapshot:
        run(url, "SELECT lo_put(7, 0, 'after!')", "SELECT lo_unlink(8)", "SELECT lo_create(9)")
        payloads = read(snapshot, snapshot.entities[0]).payloads
        snapshot.finish()
    assert [p.split(b"\t")[2] for p in payloads if b"\t0\t" in p] == [b"\\\\x6265666f7265", b"\\\\x676f6e65"]
