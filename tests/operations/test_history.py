"""The history of a record is what one finds who reads every version and compares."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cas.errors import CasError, InvalidInput, NotFound
from cas.format.names import VERSIONS, pack_key, version_key
from cas.history import FieldStep, RecordHistory, StateKind, Window, history
from cas.records.model import Entity
from cas.records.source import Selection
from cas.snapshot import SnapshotRequest, take_version
from cas.store.memory import MemoryStore
from tests.engine.scenes import NOTES, SUPPLIERS, World
from tests.operations.naive_history import as_naive, naive_states, sightings_one_by_one
from tests.operations.row_source import (
    BAG,
    BY_TEXT,
    BY_TWO,
    PLAIN,
    RENAMED,
    RETYPED,
    TURNED,
    WIDE,
    Row,
    RowSource,
    Table,
)

OTHERS: Table = {SUPPLIERS: [{"id": "1", "name": "only one"}]}


def take(world: World, tables: Table, **request: object) -> int:
    """A version of these tables. Its number."""
    repository = world.open()
    try:
        wanted = replace(SnapshotRequest(), **request)  # type: ignore[arg-type]
        return take_version(repository, world.catalog, RowSource({**OTHERS, **tables}), wanted).version.number
    finally:
        repository.close()


def rows(names: Mapping[int, str | None], **more: str | None) -> list[Row]:
    return [{"id": str(number), "name": name, **more} for number, name in names.items()]


def told(world: World, key: str = "7", window: Window | None = None, entity: str = "things") -> RecordHistory:
    repository = world.open()
    try:
        return history(repository, world.catalog, entity, (key,), window)
    finally:
        repository.close()


def brief(found: RecordHistory) -> list[tuple[int, str, int, int]]:
    """First version, kind, last version and how many, newest first."""
    return [(one.version, one.kind.value, one.last_version, one.versions) for one in found.states]


def compare(world: World, key: str) -> RecordHistory | None:
    """The history of a record, proven to be the naive one; None where both say that there is none."""
    repository = world.open()
    numbers = sorted(version.number for version in world.catalog.entity_roots("public.things"))
    shown = list(sightings_one_by_one(repository, numbers, "public.things", key))
    expected = naive_states(shown)
    if not expected:
        with pytest.raises((NotFound, InvalidInput)):
            told(world, key)
        return None
    found = told(world, key)
    assert as_naive(found.states) == expected
    beside = {*found.not_held, *found.other_key, *(version.number for version in found.unreadable)}
    assert beside.isdisjoint(seen.number for seen in shown)
    assert beside | {seen.number for seen in shown} == set(numbers)
    return found


names = st.none() | st.sampled_from(["ash", "birch", "Ulme ü", "tab\there", ""])
contents = st.dictionaries(st.integers(5, 9), names, max_size=5)
shapes = st.sampled_from([PLAIN] * 6 + [WIDE, TURNED, RETYPED, RENAMED, BY_TEXT, BY_TWO, BAG])


@dataclass(frozen=True)
class Step:
    """What happens before a version is taken, and how it is taken."""

    edits: Mapping[int, str | None]
    gone: frozenset[int]
    shape: Entity
    way: str


steps = st.builds(
    Step,
    st.dictionaries(st.integers(5, 9), names, max_size=2),
    st.frozensets(st.integers(5, 9), max_size=1),
    shapes,
    st.sampled_from(["whole"] * 6 + ["schema only", "others only", "without the table"]),
)


def play(world: World, chain: Sequence[Step]) -> None:
    content: dict[int, str | None] = {number: f"tree {number}" for number in range(100, 140)}
    for number, step in enumerate(chain):
        content |= step.edits
        for key in step.gone:
            content.pop(key, None)
        note = {"note": f"note {number % 3}" if number % 4 else None}
        more = note | {"number": None}
        table = [{**row, **more, "number": row["id"]} for row in rows(content)]
        tables: Table = {} if step.way == "without the table" else {step.shape: table}
        selection = Selection(tables=("public.suppliers",)) if step.way == "others only" else Selection()
        take(world, tables, selection=selection, with_data=step.way != "schema only")


chains = st.lists(steps, min_size=1, max_size=30) | st.lists(steps, min_size=30, max_size=30)


@given(chains, st.sampled_from(["5", "6", "7", "x"]))
@settings(max_examples=25, deadline=None)
def test_any_chain_of_versions_tells_what_reading_each_of_them_tells(chain: list[Step], key: str) -> None:
    world = World()
    play(world, chain)
    compare(world, key)


# What the states say.


def test_created_changed_deleted_and_back() -> None:
    world = World()
    for content in (
        {1: "other"},
        {1: "other", 7: "ash"},
        {1: "another", 7: "ash"},
        {7: "birch"},
        {1: "other"},
        {1: "other"},
        {7: "ash"},
    ):
        take(world, {PLAIN: rows(content)}, reason=f"with {len(content)}")
    found = compare(world, "7")
    assert found is not None
    assert brief(found) == [
        (7, "came-back", 7, 1),
        (5, "deleted", 6, 2),
        (4, "changed", 4, 1),
        (2, "created", 3, 2),
    ]
    back, gone, other, first = found.states
    assert (found.entity, found.key, found.versions, found.left_out) == ("public.things", ("7",), 7, 0)
    assert back.same_as == 2
    assert (gone.chunk, gone.same_as) == ("", None)
    assert gone.fields == (FieldStep("id", "7", None), FieldStep("name", "birch", None))
    assert other.fields == (FieldStep("name", "ash", "birch"),)
    assert first.fields == (FieldStep("id", None, "7"), FieldStep("name", None, "ash"))
    assert (first.reason, first.created_at) == ("with 2", world.catalog.version(2).created_at)
    assert first.chunk == back.chunk
    assert not any(state.is_oldest for state in found.states), "version 1 held the table without it"
    assert found.is_whole


def test_what_the_first_version_holds_may_be_older() -> None:
    world = World()
    take(world, {}, reason="nothing of it")
    take(world, {PLAIN: rows({7: "ash"})})
    (only,) = told(world).states
    assert (only.kind, only.is_oldest) == (StateKind.CREATED, True)


def test_versions_without_the_table_delete_nothing() -> None:
    world = World()
    tables: Table = {PLAIN: rows({7: "ash"})}
    take(world, tables)
    take(world, tables, with_data=False)
    take(world, tables, selection=Selection(tables=("public.suppliers",)))
    take(world, {})
    take(world, tables)
    found = compare(world, "7")
    assert found is not None
    assert brief(found) == [(1, "created", 5, 2)]
    assert found.not_held == (2, 3, 4)
    assert found.is_whole


def test_only_committed_versions_count() -> None:
    world = World()
    take(world, {PLAIN: rows({7: "ash"})})
    source = RowSource({PLAIN: rows({7: "birch"})})
    source.rows = {}
    with pytest.raises(KeyError):
        take_version(world.open(), world.catalog, source, SnapshotRequest())
    take(world, {PLAIN: rows({7: "ash"})})
    assert brief(told(world)) == [(1, "created", 3, 2)]
    assert told(world).versions == 2


@pytest.mark.parametrize(
    ("other", "columns", "fields"),
    [
        (WIDE, ("note",), ()),
        (RETYPED, ("id",), ()),
        (RENAMED, ("id", "number"), (FieldStep("id", "7", None), FieldStep("number", None, "7"))),
        (BY_TEXT, ("id",), ()),
    ],
    ids=["a column more", "another type", "another name", "a key of another type"],
)
def test_when_the_columns_change_it_is_said_which(
    other: Entity, columns: tuple[str, ...], fields: tuple[FieldStep, ...]
) -> None:
    world = World()
    row = {"id": "7", "number": "7", "name": "ash"}
    for entity in (PLAIN, other, other):
        take(world, {entity: [row]})
    found = compare(world, "7")
    assert found is not None
    assert brief(found) == [(2, "changed", 3, 2), (1, "created", 1, 1)]
    assert (found.states[0].columns_changed, found.states[0].fields) == (columns, fields)


def test_columns_in_another_order_are_no_change() -> None:
    world = World()
    for entity in (PLAIN, TURNED, PLAIN):
        take(world, {entity: rows({7: "ash"})})
    assert brief(told(world)) == [(1, "created", 3, 3)]


def test_a_key_that_older_versions_cannot_have() -> None:
    world = World()
    take(world, {PLAIN: rows({7: "ash"})})
    take(world, {BY_TEXT: [{"id": "seven", "name": "ash"}]})
    found = told(world, "seven")
    assert brief(found) == [(2, "created", 2, 1)]
    assert not found.states[0].is_oldest


def test_versions_with_another_key_are_named_and_compared_with_nothing() -> None:
    world = World()
    for entity in (PLAIN, BY_TWO, BAG, PLAIN):
        take(world, {entity: rows({7: "ash"})})
    found = compare(world, "7")
    assert found is not None
    assert brief(found) == [(1, "created", 4, 2)]
    assert found.other_key == (2, 3)


# Which states are asked for.


@pytest.fixture
def long_life() -> World:
    """A day between versions; the record changes in each odd one from 3 on, and goes in the last."""
    world = World()
    for number in range(1, 11):
        content = {1: "stays", 7: f"name {number // 2}"} if number > 1 else {1: "stays"}
        take(world, {PLAIN: rows(content if number < 10 else {1: "stays"})})
        world.clock.moment += timedelta(days=1)
    return world


def test_the_newest_states_and_how_many_more_there_are(long_life: World) -> None:
    everything = told(long_life)
    assert [state.version for state in everything.states] == [10, 8, 6, 4, 2]
    limited = told(long_life, window=Window(limit=2))
    assert limited.states == everything.states[:2]
    assert limited.left_out == 3
    assert told(long_life, window=Window(limit=5)) == everything


def test_states_that_began_in_a_time(long_life: World) -> None:
    begun = {number: long_life.catalog.version(number).created_at for number in range(1, 11)}
    everything = told(long_life).states
    late = told(long_life, window=Window(since=begun[5]))
    assert late.states == everything[:3], "the oldest of them is no creation"
    assert late.versions == 6
    early = told(long_life, window=Window(until=begun[5]))
    assert brief(early) == [(4, "changed", 4, 1), (2, "created", 3, 2)]
    assert early.versions == 4
    nothing = told(long_life, window=Window(since=begun[9], until=begun[10]))
    assert (nothing.states, nothing.versions) == ((), 1)
    with pytest.raises(NotFound, match="no record 7 in"):
        told(long_life, window=Window(until=begun[2]))


# At what cost.


class CountedStore(MemoryStore):
    """Takes down which objects are read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def get(self, key: str) -> bytes:
        self.read.append(key)
        return super().get(key)


def test_versions_are_not_opened_and_nodes_not_read_again(tmp_path: Path) -> None:
    store = CountedStore()
    world = World(store)
    for number in range(20):
        take(world, {PLAIN: rows({7: f"name {number // 5}"})})
    repository = world.open(cache=tmp_path)
    answers: list[tuple[RecordHistory, int, int]] = []
    for _ in range(2):
        store.read.clear()
        found = history(repository, world.catalog, "things", ("7",), kept=tmp_path / "nodes")
        documents = [key for key in store.read if key.startswith(VERSIONS)]
        answers.append((found, len(documents), len(store.read)))
    (first, opened, reads), (again, opened_again, reads_again) = answers
    assert first == again == told(world)
    assert (opened, opened_again) == (1, 1)
    assert reads_again < reads


# What cannot be answered.


@pytest.mark.parametrize(
    ("entity", "key", "expected", "words"),
    [
        ("things", "999", NotFound, "no record 999 in public.things"),
        ("nowhere", "7", NotFound, "no version holds an entity nowhere"),
        ("public.nowhere", "7", NotFound, "no version holds an entity"),
        ("things", "seven", InvalidInput, "not a key of type integer"),
        ("notes", "7", InvalidInput, "has no primary key"),
        ("twice", "7", NotFound, "more than one entity is called twice"),
    ],
)
def test_what_is_not_there_is_refused_as_a_lookup_would(
    entity: str, key: str, expected: type[CasError], words: str
) -> None:
    world = World()
    twice = [replace(PLAIN, schema=schema, name="twice") for schema in ("a", "b")]
    take(world, {PLAIN: rows({7: "ash"}), NOTES: [], twice[0]: [], twice[1]: []})
    with pytest.raises(expected, match=words):
        told(world, key, entity=entity)


def test_a_key_needs_all_its_columns() -> None:
    world = World()
    take(world, {BY_TWO: rows({7: "ash"})})
    with pytest.raises(InvalidInput, match="2 columns, 1 were given"):
        told(world)
    found = history(world.open(), world.catalog, "things", ("7", "ash"))
    assert brief(found) == [(1, "created", 1, 1)]


def test_without_a_version_there_is_no_history() -> None:
    with pytest.raises(NotFound, match="no version holds"):
        told(World())


# Damage.


def grown(versions: int = 6) -> World:
    """Each version changes the record and, since there are many, few of the tree's other leaves."""
    world = World()
    for number in range(versions):
        content: dict[int, str | None] = {other: f"tree {other} {other**5}" for other in range(100, 1500)}
        take(world, {PLAIN: rows({7: f"name {number}", **content})})
    return world


def lose_packs(world: World, number: int, choose: Callable[[bool], bool]) -> None:
    """The packs of a version whose `holds_nodes` is chosen."""
    for pack in world.open().document(number).packs:
        if choose(pack.holds_nodes):
            world.store.delete(pack_key(pack.name))


def test_lost_nodes_make_versions_unreadable_and_the_others_answer() -> None:
    world = grown()
    lose_packs(world, 3, lambda holds_nodes: holds_nodes)
    found = told(world)
    assert not found.is_whole
    unreadable = [version.number for version in found.unreadable]
    assert unreadable[0] == 3
    assert {state.version for state in found.states} == set(range(1, 7)) - set(unreadable)
    assert {1, 2} <= {state.version for state in found.states}
    assert all(version.what for version in found.unreadable)


def test_a_lost_record_leaves_the_fact_that_it_changed() -> None:
    world = grown(4)
    lose_packs(world, 2, lambda holds_nodes: not holds_nodes)
    found = told(world)
    assert [state.kind.value for state in found.states] == ["changed", "changed", "changed", "created"]
    assert not found.is_whole
    by_version = {state.version: state for state in found.states}
    assert by_version[2].damage
    assert by_version[2].fields == ()
    assert by_version[3].damage, "nobody knows what was before"
    assert by_version[3].fields == (FieldStep("id", None, "7"), FieldStep("name", None, "name 2"))
    assert (by_version[4].damage, by_version[1].damage) == ("", "")


def test_a_lost_document_is_needed_only_where_nothing_else_tells_the_columns() -> None:
    world = grown(3)
    world.store.delete(version_key(2))
    assert brief(told(world))[1][0] == 2
    for number in (1, 3):
        world.store.delete(version_key(number))
    found = told(world)
    assert found.states == ()
    assert [version.number for version in found.unreadable] == [1, 2, 3]


def test_a_document_that_fits_not_what_the_catalog_knows() -> None:
    world = grown(2)
    own = world.catalog.version(1)
    world.catalog._rows.versions[1] = replace(  # what somebody might have done to the catalog's rows
        own, entities=tuple(replace(one, checksum=bytes(32)) for one in own.entities)
    )
    found = told(world)
    assert [version.number for version in found.unreadable] == [1]
    assert "as the catalog knows it" in found.unreadable[0].what
    assert brief(found) == [(2, "created", 2, 1)]
