"""Unusual counts are kept with their version, and earlier versions tell the past of an entity."""

from collections.abc import Sequence
from dataclasses import replace

import psycopg
import pytest

from cas.catalog.model import (
    Anomaly,
    CountKind,
    EntityPast,
    EntitySummary,
    Trigger,
    VersionFilter,
    VersionKind,
    VersionResult,
    VersionState,
)
from cas.errors import NotFound
from cas.ids import ChunkId
from tests.catalog.stages import PostgresStage, Stage
from tests.catalog.values import adopted, entity, new_version, result

MANY = Anomaly("public.products", CountKind.DELETED, 1204, 48_310, 12, "1,204 of 48,310 deleted")
FEW = Anomaly("public.suppliers", CountKind.INSERTED, 1 << 40, 0, None, "many inserted")


def take(
    stage: Stage,
    made: VersionResult | None = None,
    *,
    source: tuple[str, str] = ("s1", "shop"),
    trigger: Trigger = Trigger.AUTO,
    kind: VersionKind = VersionKind.FULL,
) -> int:
    session = stage.catalog.begin(new_version(trigger=trigger, kind=kind))
    system, database = source
    stage.catalog.describe_source(session.id, database, "18", system)
    return stage.catalog.commit(session.id, made or result(), journal=0).number


def holding(*entities: EntitySummary, state: VersionState = VersionState.COMPLETE) -> VersionResult:
    return replace(result(state=state), entities=entities)


def counted(seed: int, compared_with: int | None = None, label: str = "public.products") -> EntitySummary:
    return replace(
        entity(label, seed), inserted=seed, updated=2 * seed, deleted=0, compared_with=compared_with
    )


def past_numbers(stage: Stage, version: int, *asked: tuple[str, str], limit: int = 9) -> list[list[int]]:
    return [[past.version for past in one] for one in stage.catalog.entity_pasts(version, asked, limit)]


def test_anomalies_are_kept_in_their_order_and_listed(stage: Stage) -> None:
    first = take(stage)
    second = take(stage, replace(result(), anomalies=(MANY, FEW)))
    assert stage.catalog.version(second).anomalies == (MANY, FEW)
    assert stage.catalog.version(first).anomalies == ()
    assert [one.anomalies for one in stage.catalog.versions(VersionFilter())] == [(MANY, FEW), ()]
    latest = stage.catalog.latest()
    assert latest is not None
    assert latest.anomalies == (MANY, FEW)


def test_only_unusual_versions_are_listed_where_asked(stage: Stage) -> None:
    for unusual in (True, False, True):
        take(stage, replace(result(), anomalies=(MANY,) if unusual else ()))
    stage.catalog.fail(stage.catalog.begin(new_version()).id, "ERROR", "broken")

    def listed(**more: int) -> list[int]:
        found = stage.catalog.versions(VersionFilter(unusual=True, **more))  # type: ignore[arg-type]
        return [version.number for version in found]

    assert listed() == [3, 1]
    assert listed(limit=1) == [3]
    assert listed(before=3) == [1]


def test_any_text_can_be_kept(stage: Stage) -> None:
    odd = replace(MANY, label="public.t\x00", why="many \ud800 went")
    number = take(stage, replace(result(), anomalies=(odd,)))
    assert stage.catalog.version(number).anomalies == (
        replace(MANY, label="public.t\N{REPLACEMENT CHARACTER}", why="many ? went"),
    )


def test_a_commit_that_is_asked_for_twice_keeps_them_once(stage: Stage) -> None:
    made = replace(result(), anomalies=(MANY,))
    session = stage.catalog.begin(new_version())
    first = stage.catalog.commit(session.id, made, journal=0)
    assert stage.catalog.commit(session.id, made, journal=0) == first
    assert first.anomalies == (MANY,)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(MANY, count=0),
        replace(MANY, count=-1),
        replace(MANY, count=1 << 63, of=1 << 63),
        replace(MANY, of=1203),
        replace(MANY, usual=-1),
        replace(MANY, why=""),
        replace(MANY, kind="lost"),  # type: ignore[arg-type]  # a str would pass for one
    ],
)
def test_what_is_no_anomaly_is_our_own_mistake(stage: Stage, wrong: Anomaly) -> None:
    session = stage.catalog.begin(new_version())
    with pytest.raises(ValueError, match=r"anomaly|usual|lost"):
        stage.catalog.commit(session.id, replace(result(), anomalies=(wrong,)), journal=0)
    assert stage.catalog.version(session.number).state is VersionState.RUNNING


def test_what_is_compared_is_counted(stage: Stage) -> None:
    session = stage.catalog.begin(new_version())
    with pytest.raises(ValueError, match="compared"):
        stage.catalog.commit(session.id, holding(replace(entity(), compared_with=1)), journal=0)
    take(stage)
    number = take(stage, holding(counted(3, compared_with=1)))
    (found,) = stage.catalog.version(number).entities
    assert (found.inserted, found.updated, found.deleted, found.compared_with) == (3, 6, 0, 1)


def test_the_tables_refuse_what_cannot_be(postgres_stage: PostgresStage) -> None:
    """A second line of defence."""
    take(postgres_stage, replace(result(), anomalies=(MANY,)))
    for impossible in (
        "UPDATE cas.anomalies SET count = 0",
        "UPDATE cas.anomalies SET count = 48311",
        "UPDATE cas.anomalies SET kind = 'lost'",
        "UPDATE cas.anomalies SET why = ''",
        "UPDATE cas.anomalies SET version = 77",
        "UPDATE cas.version_entities SET compared_with = 1",
        "UPDATE cas.version_entities SET inserted = 1, updated = 1, deleted = 1, compared_with = version",
    ):
        with pytest.raises(psycopg.IntegrityError):
            postgres_stage.other.execute(impossible.encode())


def test_the_past_of_an_entity_is_told_newest_first(stage: Stage) -> None:
    take(stage, holding(counted(1), entity("public.suppliers")))
    take(stage, holding(entity("public.suppliers", 2)), trigger=Trigger.SYSTEM)
    take(stage, holding(counted(3, compared_with=1)), trigger=Trigger.MANUAL)
    asking = stage.catalog.begin(new_version())
    stage.catalog.describe_source(asking.id, "shop", "18", "s1")
    asked = [("table", "public.suppliers"), ("table", "public.nothing"), ("table", "public.products")]
    suppliers, nothing, products = stage.catalog.entity_pasts(asking.number, asked, 9)
    assert [past.version for past in suppliers] == [2, 1]
    assert suppliers[0].trigger is Trigger.SYSTEM
    assert list(nothing) == []
    assert list(products) == [
        EntityPast(3, Trigger.MANUAL, ChunkId(bytes([3]) * 32), 30, 3, 6, 0, 1),
        EntityPast(1, Trigger.AUTO, ChunkId(bytes([1]) * 32), 10, 1, 2, 0, None),
    ]
    assert past_numbers(stage, asking.number, ("table", "public.products"), limit=1) == [[3]]
    assert past_numbers(stage, 3, ("table", "public.products")) == [[1]], "only what is earlier"
    assert past_numbers(stage, asking.number, ("partitioned", "public.products")) == [[]]
    assert past_numbers(stage, asking.number) == []


def test_another_database_has_another_past(stage: Stage) -> None:
    sources = [("s1", "shop"), ("s1", "wiki"), ("s2", "shop"), ("s1", "shop")]
    for source in sources:
        take(stage, holding(counted(1)), source=source)
    for number, source in enumerate(sources, 5):
        assert take(stage, holding(counted(1)), source=source) == number
    asked = ("table", "public.products")
    assert [past_numbers(stage, number, asked)[0] for number in (5, 6, 7)] == [[4, 1], [2], [3]]


def test_what_is_not_committed_or_holds_no_data_is_no_past(stage: Stage) -> None:
    take(stage, holding(counted(1), state=VersionState.INCOMPLETE))
    stage.catalog.fail(stage.catalog.begin(new_version()).id, "ERROR", "broken")
    take(stage, holding(replace(entity(seed=3), root=ChunkId(bytes(32)))), kind=VersionKind.SCHEMA_ONLY)
    number = take(stage, holding(counted(1)))
    assert past_numbers(stage, number, ("table", "public.products")) == [[1]]


Kept = Sequence[tuple[VersionKind, VersionState]]


@pytest.mark.parametrize(
    ("kind", "numbers"), [("table", [4, 3, 2, 1]), ("sequences", [1]), ("large_objects", [4, 3, 1])]
)
def test_what_a_version_may_hold_in_part_is_no_past(stage: Stage, kind: str, numbers: list[int]) -> None:
    versions: Kept = [
        (VersionKind.FULL, VersionState.COMPLETE),
        (VersionKind.FULL, VersionState.INCOMPLETE),
        (VersionKind.SELECTED, VersionState.COMPLETE),
        (VersionKind.SELECTED, VersionState.COMPLETE),
    ]
    for version_kind, state in versions:
        take(stage, holding(replace(entity("x"), kind=kind), state=state), kind=version_kind)
    number = take(stage, holding(replace(entity("x"), kind=kind)))
    assert past_numbers(stage, number, (kind, "x")) == [numbers]


def test_an_adopted_version_is_a_past_without_counts(stage: Stage) -> None:
    made = adopted(3)
    begin = replace(made.begin, source_database="shop", source_system_identifier="s1")
    stage.catalog.adopt([replace(made, begin=begin)], journal=0)
    number = take(stage, holding(counted(1)))
    ((past,),) = stage.catalog.entity_pasts(number, [("table", "public.products")], 9)
    assert (past.version, past.inserted, past.compared_with) == (3, None, None)
    assert stage.catalog.version(3).anomalies == ()


def test_labels_of_any_length_and_alike_beginnings(stage: Stage) -> None:
    long = "x" * 9000
    take(stage, holding(entity(long + "a", 1), entity(long + "b", 2), entity("odd\x00", 3)))
    number = take(stage)
    asked = [("table", long + "a"), ("table", long + "c"), ("table", "odd\x00"), ("table", "' OR true --")]
    assert past_numbers(stage, number, *asked) == [[1], [], [1], []]


def test_there_is_no_past_of_a_version_that_is_not_there(stage: Stage) -> None:
    with pytest.raises(NotFound):
        stage.catalog.entity_pasts(7, [("table", "public.products")], 9)


def test_the_newest_of_some_kinds(stage: Stage) -> None:
    kinds = [VersionKind.DATA_ONLY, VersionKind.FULL, VersionKind.SELECTED, VersionKind.SCHEMA_ONLY]
    for kind in kinds:
        take(stage, kind=kind)
    take(stage, result(state=VersionState.INCOMPLETE))

    def newest(*kinds: VersionKind) -> int | None:
        found = stage.catalog.latest("s1", "shop", kinds)
        return found.number if found else None

    assert newest() == 4
    assert newest(VersionKind.FULL, VersionKind.DATA_ONLY) == 2
    assert newest(VersionKind.DATA_ONLY) == 1
    assert stage.catalog.latest("s2", "shop", kinds) is None
