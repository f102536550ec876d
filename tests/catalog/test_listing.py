"""Which versions are listed, in which order, page by page."""

from datetime import datetime

import pytest

from cas.catalog.model import Trigger, VersionFilter, VersionKind, VersionState
from cas.errors import InvalidInput, NotFound
from tests.catalog.stages import Stage
from tests.catalog.values import new_version, result


def numbers(stage: Stage, where: VersionFilter) -> list[int]:
    return [version.number for version in stage.catalog.versions(where)]


@pytest.fixture
def listed(stage: Stage) -> Stage:
    """1 complete AUTO, 2 incomplete MANUAL schema-only, 3 failed SYSTEM, 4 lapsed, 5 running."""
    catalog = stage.catalog
    one = catalog.begin(new_version("Größe der Straße", tags=("a", "b"), name="first"))
    catalog.commit(one.id, result(), journal=0)
    two = catalog.begin(
        new_version("50% off_", trigger=Trigger.MANUAL, kind=VersionKind.SCHEMA_ONLY, tags=("b",))
    )
    catalog.commit(two.id, result(state=VersionState.INCOMPLETE), journal=0)
    three = catalog.begin(new_version(trigger=Trigger.SYSTEM, description="Before a RESTORE"))
    catalog.fail(three.id, "ERROR", "broken")
    catalog.begin(new_version(kind=VersionKind.DATA_ONLY, tags=("b", "c")))
    stage.lapse()
    catalog.begin(new_version(kind=VersionKind.SELECTED))
    return stage


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (VersionFilter(), [5, 4, 3, 2, 1]),
        (VersionFilter(states=(VersionState.COMPLETE,)), [1]),
        (VersionFilter(states=(VersionState.FAILED,)), [4, 3]),
        (VersionFilter(states=(VersionState.RUNNING,)), [5]),
        (VersionFilter(states=(VersionState.RUNNING, VersionState.INCOMPLETE)), [5, 2]),
        (VersionFilter(states=(VersionState.PENDING,)), []),
        (VersionFilter(triggers=(Trigger.MANUAL, Trigger.SYSTEM)), [3, 2]),
        (VersionFilter(kinds=(VersionKind.DATA_ONLY, VersionKind.SELECTED)), [5, 4]),
        (VersionFilter(tags=("b",)), [4, 2, 1]),
        (VersionFilter(tags=("b", "a")), [1]),
        (VersionFilter(tags=("nowhere",)), []),
        (VersionFilter(text="GRÖSSE DER STRASSE"), [1]),
        (VersionFilter(text="größe"), [1]),
        (VersionFilter(text="FIRST"), [1]),
        (VersionFilter(text="restore"), [3]),
        (VersionFilter(text="%"), [2]),
        (VersionFilter(text="_"), [2]),
        (VersionFilter(text="3"), [3]),
        (VersionFilter(text="' OR true --"), []),
        (VersionFilter(limit=2), [5, 4]),
        (VersionFilter(limit=2, before=4), [3, 2]),
        (VersionFilter(before=1), []),
        (VersionFilter(before=1 << 70, limit=1), [5]),
        (VersionFilter(tags=("b",), triggers=(Trigger.AUTO,), text="nightly"), [4]),
    ],
    ids=str,
)
def test_every_given_field_must_match(listed: Stage, where: VersionFilter, expected: list[int]) -> None:
    assert numbers(listed, where) == expected


def test_from_a_moment_on_and_until_before_another(listed: Stage) -> None:
    second = listed.catalog.version(2).created_at
    third = listed.catalog.version(3).created_at
    assert numbers(listed, VersionFilter(since=second)) == [5, 4, 3, 2]
    assert numbers(listed, VersionFilter(until=second)) == [1]
    assert numbers(listed, VersionFilter(since=second, until=third)) == [2]


def test_listings_have_omissions_and_only_a_single_version_has_entities(listed: Stage) -> None:
    by_number = {version.number: version for version in listed.catalog.versions(VersionFilter())}
    assert by_number[1].omissions == result().omissions
    assert by_number[1].entities == ()
    assert listed.catalog.version(1).entities == result().entities


def test_pages_put_together_are_the_whole_listing(stage: Stage) -> None:
    for _ in range(7):
        stage.catalog.begin(new_version())
    pages: list[int] = []
    before: int | None = None
    while page := numbers(stage, VersionFilter(limit=3, before=before)):
        pages += page
        before = page[-1]
    assert pages == [7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    "where",
    [
        VersionFilter(limit=0),
        VersionFilter(limit=10_001),
        VersionFilter(before=0),
        VersionFilter(since=datetime(2026, 1, 1)),  # noqa: DTZ001 - the case
        VersionFilter(until=datetime(2026, 1, 1)),  # noqa: DTZ001 - the case
        VersionFilter(text="\x00"),
        VersionFilter(tags=("\ud800",)),
    ],
    ids=str,
)
def test_a_filter_that_makes_no_sense_is_refused(stage: Stage, where: VersionFilter) -> None:
    with pytest.raises(InvalidInput):
        stage.catalog.versions(where)


@pytest.mark.parametrize("number", [0, -1, 1, 1 << 63, 1 << 70])
def test_a_version_that_is_not_there(stage: Stage, number: int) -> None:
    with pytest.raises(NotFound):
        stage.catalog.version(number)


def test_latest_is_the_newest_complete_one_of_the_source(stage: Stage) -> None:
    catalog = stage.catalog
    assert catalog.latest() is None
    for system, database, state in (
        ("s1", "shop", VersionState.COMPLETE),
        ("s1", "wiki", VersionState.COMPLETE),
        ("s2", "shop", VersionState.COMPLETE),
        ("s1", "shop", VersionState.INCOMPLETE),
    ):
        session = catalog.begin(new_version())
        catalog.describe_source(session.id, database, "18", system)
        catalog.commit(session.id, result(state=state), journal=0)
    catalog.fail(catalog.begin(new_version()).id, "ERROR", "broken")
    catalog.begin(new_version())
    found = [catalog.latest(), catalog.latest("s1"), catalog.latest("s1", "shop"), catalog.latest("", "shop")]
    assert [version.number for version in found if version] == [3, 2, 1, 3]
    assert catalog.latest("s3") is None
    assert found[0] == catalog.version(3)
