"""Within one version nothing is stored twice, whether it is on its way, in an open pack, or delivered."""

import random
from collections.abc import Iterator

import pytest

from cas.engine.write_session import FORGOTTEN_BYTES, WriteSession
from cas.format.names import pack_key
from cas.format.pack import Trailer, parse_end
from cas.limits import LARGE_VALUE_BYTES
from tests.engine.handmade import commit
from tests.engine.scenes import World

SMALL, LARGE = 1000, FORGOTTEN_BYTES


def rows(first: int, count: int) -> list[bytes]:
    return [
        b"%06d a record of some length, and no two are equal" % number
        for number in range(first, first + count)
    ]


@pytest.fixture
def session(world: World) -> Iterator[WriteSession]:
    session = world.session(world.open())
    yield session
    session.abandon(RuntimeError("enough"))


def put(session: WriteSession, payloads: list[bytes]) -> int:
    """In batches of a hundred. How many were new."""
    batches = [payloads[at : at + 100] for at in range(0, len(payloads), 100)]
    return sum(session.put_records(batch).new for batch in batches)


@pytest.mark.parametrize("second", [SMALL, LARGE, 0])
@pytest.mark.parametrize("first", [SMALL, LARGE, 0])
def test_two_tables_with_equal_records_store_them_once(
    session: WriteSession, first: int, second: int
) -> None:
    session.begin_entity(first, distinct=True)
    assert put(session, rows(0, 3000)) == 3000
    session.begin_entity(second, distinct=True)
    assert put(session, rows(1000, 3000)) == 1000


@pytest.mark.parametrize("first", [SMALL, LARGE])
def test_also_where_some_of_them_are_delivered_and_others_wait(
    session: WriteSession, small_packs: None, first: int
) -> None:
    session.begin_entity(first, distinct=True)
    assert put(session, rows(0, 6000)) == 6000
    delivered = session.objects_written
    session.begin_entity(LARGE, distinct=True)
    assert put(session, rows(0, 6000)) == 0
    session.begin_entity(LARGE, distinct=True)
    assert put(session, rows(0, 7000)) == 1000
    session.close_packs()
    assert session.objects_written > delivered > 3, "there were delivered packs, and others on their way"
    session.begin_entity(SMALL, distinct=True)
    assert put(session, rows(0, 7000)) == 0


def test_pieces_that_two_tables_share_are_stored_once(session: WriteSession) -> None:
    piece = random.Random(1).randbytes(LARGE_VALUE_BYTES)
    session.begin_entity(SMALL, distinct=True)
    session.put_records([piece + b"one"])
    session.begin_entity(LARGE, distinct=True)
    session.put_records([piece + b"another"])
    session.close_packs()
    assert session.added_bytes < 1.1 * LARGE_VALUE_BYTES


def test_a_large_table_of_which_nothing_changed_beside_one_that_did(world: World) -> None:
    repository = world.open()
    first = world.session(repository)
    first.begin_entity(LARGE, distinct=True)
    assert put(first, rows(0, 1000)) == 1000
    commit(world, repository, first, [])
    second = world.session(repository)
    second.begin_entity(SMALL, distinct=True)
    assert put(second, rows(5000, 10)) == 10
    second.begin_entity(LARGE, distinct=True)
    assert put(second, rows(0, 1000)) == 0
    assert put(second, rows(990, 30)) == 20
    second.abandon(RuntimeError("enough"))


def test_records_of_a_large_bag_are_remembered_since_they_may_be_equal(session: WriteSession) -> None:
    session.begin_entity(LARGE, distinct=False)
    assert put(session, rows(0, 2000) + rows(0, 2000)) == 2000


def test_equal_records_of_one_batch_are_stored_once_and_the_first_stays(session: WriteSession) -> None:
    session.begin_entity(SMALL, distinct=True)
    stored = session.put_records([b"b", b"a", b"b", b"c", b"a"])
    assert stored.new == 3
    assert stored.bytes == 5
    assert len(stored.ids) == 5


def pack_of(records: list[bytes]) -> tuple[bytearray, Trailer]:
    """A pack of these, as another repository of the same key would hold it."""
    other = World()
    session = other.session(other.open())
    session.put_records(records)
    (ref,) = session.close_packs()
    session.abandon(RuntimeError("enough"))
    stored = other.store.get(pack_key(ref.name))
    return bytearray(stored), parse_end(stored)


def test_a_whole_pack_is_put_where_none_of_it_is_there(session: WriteSession) -> None:
    stored, trailer = pack_of(rows(0, 500))
    assert session.put_pack(stored, trailer, holds_nodes=False)
    assert put(session, rows(400, 200)) == 100, "what is in the pack on its way is known"
    (whole, own) = sorted(session.close_packs(), key=lambda pack: -pack.chunks)
    assert (whole.chunks, own.chunks) == (500, 100)
    assert put(session, rows(0, 500)) == 0
    again, trailer = pack_of(rows(0, 500))
    assert not session.put_pack(again, trailer, holds_nodes=False), "it is delivered"


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("begun", [False, True])
def test_a_whole_pack_is_not_put_where_some_of_it_is_on_its_way(
    session: WriteSession, large: bool, begun: bool
) -> None:
    session.begin_entity(LARGE if large else SMALL, distinct=True)
    assert put(session, rows(0, 10)) == 10
    if begun:
        session.begin_entity(LARGE, distinct=True)
        session.begin_entity(SMALL)
    elif large:
        session.begin_entity(SMALL)
    stored, trailer = pack_of(rows(5, 500))
    assert not session.put_pack(stored, trailer, holds_nodes=False)
    assert put(session, rows(5, 500)) == 495, "nothing of it was remembered"


def test_two_packs_that_share_a_record_are_not_both_put_whole(session: WriteSession) -> None:
    first, second = pack_of(rows(0, 100)), pack_of(rows(99, 100))
    assert session.put_pack(*first, holds_nodes=False)
    assert not session.put_pack(*second, holds_nodes=False)


def test_a_whole_pack_is_not_put_where_an_earlier_version_has_some_of_it(world: World) -> None:
    repository = world.open()
    session = world.session(repository)
    assert put(session, rows(0, 10)) == 10
    commit(world, repository, session, [])
    after = world.session(world.open())
    stored, trailer = pack_of(rows(9, 100))
    assert not after.put_pack(stored, trailer, holds_nodes=False)
    after.abandon(RuntimeError("enough"))
