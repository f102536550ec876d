"""Where the platform stood, what changed, and what was found wrong: remembered with a version."""

from dataclasses import replace

import pytest

from cas.catalog.model import NewIncident, VersionResult, VersionState
from cas.records.marks import Mark
from tests.catalog.stages import Stage
from tests.catalog.values import adopted, entity, new_version, result

MARK = Mark((1 << 40) + 7, "1099511627783:1099511627790:1099511627785", "7001", 16384, 3, False, "today")


def take(stage: Stage, made: VersionResult) -> int:
    session = stage.catalog.begin(new_version())
    return stage.catalog.commit(session.id, made, journal=0).number


def test_versions_to_build_upon_newest_first(stage: Stage) -> None:
    take(stage, replace(result(), mark=MARK))
    take(stage, result())
    second = replace(MARK, xmin=9, in_recovery=True)
    take(stage, replace(result(state=VersionState.INCOMPLETE), mark=second, since_scan=4))
    stage.catalog.fail(stage.catalog.begin(new_version()).id, "ERROR", "broken")
    found = stage.catalog.bases()
    assert [(base.version, base.mark, base.since_scan) for base in found] == [(3, second, 4), (1, MARK, 0)]
    assert [base.version for base in stage.catalog.bases(1)] == [3]
    assert stage.catalog.base(1) == found[1]
    assert stage.catalog.base(2) is None
    assert stage.catalog.base(77) is None


def test_an_adopted_version_has_no_mark(stage: Stage) -> None:
    stage.catalog.adopt([adopted(5, 1)], journal=0)
    assert stage.catalog.bases() == []


def test_a_commit_that_is_asked_for_twice_is_remembered_once(stage: Stage) -> None:
    made = replace(result(), mark=MARK, incidents=(NewIncident("public.t", "wrong"),))
    session = stage.catalog.begin(new_version())
    first = stage.catalog.commit(session.id, made, journal=0)
    assert stage.catalog.commit(session.id, made, journal=0) == first
    assert len(stage.catalog.bases()) == len(stage.catalog.incidents()) == 1


def test_what_changed_in_each_entity(stage: Stage) -> None:
    some = replace(entity("public.products"), inserted=3, updated=0, deleted=1 << 40)
    number = take(stage, replace(result(), entities=(some, entity("public.suppliers", 2))))
    first, second = stage.catalog.version(number).entities
    assert (first.inserted, first.updated, first.deleted) == (3, 0, 1 << 40)
    assert (second.inserted, second.updated, second.deleted) == (None, None, None)


@pytest.mark.parametrize("wrong", [{"inserted": 1}, {"inserted": 1, "updated": 1, "deleted": -1}])
def test_half_of_what_changed_is_nothing(stage: Stage, wrong: dict[str, int]) -> None:
    session = stage.catalog.begin(new_version())
    made = replace(result(), entities=(replace(entity(), **wrong),))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"changes|negative"):
        stage.catalog.commit(session.id, made, journal=0)
    assert stage.catalog.version(session.number).state is VersionState.RUNNING


def test_incidents_newest_first_with_any_text(stage: Stage) -> None:
    odd = NewIncident("public.t\x00", "wrong \ud800", ("1", "a\x00b"))
    first = take(stage, replace(result(), incidents=(NewIncident("public.u", "also wrong"),)))
    second = take(stage, replace(result(), incidents=(odd,)))
    found = stage.catalog.incidents()
    assert [(one.version, one.incident.label) for one in found] == [
        (second, "public.t�"),
        (first, "public.u"),
    ]
    assert found[0].incident.examples == ("1", "a�b")
    assert [one.number for one in stage.catalog.incidents(1)] == [2]
    assert found[0].at.tzinfo is not None
