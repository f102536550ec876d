"""Attaching to a repository, and taking in what its bucket holds."""

from dataclasses import replace
from datetime import datetime

import pytest

from cas.catalog.memory import MemoryCatalog
from cas.catalog.model import AdoptedVersion, VersionFilter, VersionState
from cas.errors import Conflict, CorruptData, Fenced, NotFound
from tests.catalog.stages import Stage, TickingClock
from tests.catalog.values import REPOSITORY, STORE, adopted, new_version, pack, quarantined, result


def test_attaching_again_is_harmless_and_another_repository_is_refused(stage: Stage) -> None:
    stage.catalog.attach(REPOSITORY, STORE)
    stage.catalog.attach(REPOSITORY, "s3://moved/there", create=True)
    for create in (False, True):
        with pytest.raises(Conflict):
            stage.catalog.attach("another", STORE, create=create)
    # The refusal did not loosen the tie.
    assert stage.catalog.begin(new_version()).number == 1


def test_an_unclaimed_catalog_is_claimed_only_when_told() -> None:
    catalog = MemoryCatalog(TickingClock())
    with pytest.raises(NotFound):
        catalog.attach(REPOSITORY, STORE)
    with pytest.raises(Conflict):
        catalog.begin(new_version())
    catalog.attach(REPOSITORY, STORE, create=True)


def test_an_empty_catalog_takes_in_everything(stage: Stage) -> None:
    found = [adopted(3, 1, 2), adopted(9, 2, 3, parent=3)]
    assert stage.catalog.adopt(found, journal=4) == 2
    assert stage.catalog.known_numbers() == {3, 9}
    assert stage.catalog.live_packs() == {pack(1).name, pack(2).name, pack(3).name}
    assert stage.catalog.journal() == 4
    version = stage.catalog.version(9)
    assert (version.state, version.reason, version.parent) == (VersionState.COMPLETE, "adopted 9", 3)
    assert version.created_at == found[1].created_at
    assert version.duration_seconds == 12.5
    assert version.entities == found[1].result.entities
    assert version.omissions == found[1].result.omissions
    assert stage.catalog.latest() == version
    assert stage.catalog.begin(new_version(parent=9)).number == 10


def test_adopting_twice_changes_nothing(stage: Stage) -> None:
    stage.catalog.adopt([adopted(1, 1)], journal=2)
    before = stage.catalog.version(1)
    altered = replace(adopted(1, 1, 2), result=result(40))
    assert stage.catalog.adopt([altered], journal=1) == 0
    assert stage.catalog.version(1) == before
    assert stage.catalog.live_packs() == {pack(1).name}
    assert stage.catalog.journal() == 2


def test_everybody_who_writes_is_ended_first(stage: Stage) -> None:
    session = stage.catalog.begin(new_version())
    stage.catalog.register_pack(session.id, pack(1))
    assert stage.catalog.adopt([], journal=0) == 0
    with pytest.raises(Fenced):
        stage.catalog.commit(session.id, result(), journal=0)
    with pytest.raises(Fenced):
        stage.catalog.renew(session.id)
    version = stage.catalog.version(session.number)
    assert (version.state, version.error_code) == (VersionState.FAILED, Fenced.code)
    assert "reconciled" in version.error_text
    assert stage.catalog.live_packs() == frozenset()


def test_a_document_whose_writer_died_before_the_commit_becomes_a_version(stage: Stage) -> None:
    session = stage.catalog.begin(new_version())
    stage.catalog.register_pack(session.id, pack(1))
    stage.lapse()
    found = adopted(session.number, 1)
    assert stage.catalog.adopt([found], journal=0) == 1
    version = stage.catalog.version(session.number)
    assert (version.state, version.error_code, version.error_text) == (VersionState.COMPLETE, "", "")
    assert version.created_at == found.created_at
    assert version.entities == found.result.entities
    assert stage.catalog.live_packs() == {pack(1).name}
    assert [listed.number for listed in stage.catalog.versions(VersionFilter(text="adopted"))] == [1]


def test_a_condemned_pack_comes_back_and_one_that_is_being_deleted_does_not(stage: Stage) -> None:
    session = stage.catalog.begin(new_version())
    for seed in (1, 2):
        stage.catalog.register_pack(session.id, pack(seed))
    stage.catalog.commit(session.id, result(), journal=0)
    stage.condemn([pack(1).name, pack(2).name])
    assert stage.catalog.adopt([adopted(5, 1)], journal=0) == 1
    assert stage.catalog.live_packs() == {pack(1).name}
    stage.delete([pack(2).name])
    writer = stage.catalog.begin(new_version())
    with pytest.raises(Conflict):
        stage.catalog.adopt([adopted(8, 2, 3)], journal=7)
    # Nothing of it happened: no version, no pack, no journal, no fence.
    assert stage.catalog.known_numbers() == {1, 5, 6}
    assert stage.catalog.live_packs() == {pack(1).name}
    assert stage.catalog.journal() == 0
    stage.catalog.renew(writer.id)


@pytest.mark.parametrize(
    "impossible",
    [
        replace(adopted(1), number=0),
        replace(adopted(1), number=(1 << 63) - 1),
        replace(adopted(1), begin=new_version(parent=1)),
        replace(adopted(1), begin=new_version("\x00")),
        replace(adopted(1), created_at=datetime(2020, 1, 1)),  # noqa: DTZ001 - the case
        replace(adopted(1), duration_seconds=float("nan")),
        replace(adopted(1), duration_seconds=-1.0),
        replace(adopted(1), duration_seconds=1e300),
        replace(adopted(1), result=replace(result(), records=-1)),
        replace(adopted(1), result=replace(result(), stored_bytes=1 << 63)),
        replace(adopted(1), result=result(state=VersionState.FAILED)),
        replace(adopted(1), packs=(replace(pack(1), stored_bytes=0),)),
        replace(adopted(1), packs=(replace(pack(1), chunks=1 << 31),)),
    ],
    ids=range(13),
)
def test_a_document_that_cannot_be_true_is_refused_whole(stage: Stage, impossible: AdoptedVersion) -> None:
    writer = stage.catalog.begin(new_version())
    with pytest.raises(CorruptData) as caught:
        stage.catalog.adopt([adopted(7, 1), impossible], journal=3)
    assert caught.value.kind == "malformed"
    assert stage.catalog.known_numbers() == {writer.number}
    stage.catalog.renew(writer.id)


def test_a_quarantined_version_is_known_listed_as_failed_and_never_numbered_again(stage: Stage) -> None:
    doubtful = quarantined(7, parent=5)
    assert stage.catalog.adopt([adopted(5, 1)], journal=0, quarantined=[doubtful]) == 1
    listed = stage.catalog.version(7)
    assert (listed.state, listed.error_code, listed.error_text) == (
        VersionState.FAILED,
        "FILE_CORRUPTION",
        "a pack is missing",
    )
    assert (listed.reason, listed.parent, listed.created_at) == ("quarantined 7", 5, doubtful.created_at)
    assert stage.catalog.known_numbers() == {5, 7}
    latest = stage.catalog.latest()
    assert latest is not None
    assert latest.number == 5
    assert stage.catalog.begin(new_version()).number == 8


def test_what_was_quarantined_can_be_adopted_once_it_is_whole_again(stage: Stage) -> None:
    stage.catalog.adopt([], journal=0, quarantined=[quarantined(3)])
    assert stage.catalog.adopt([adopted(3, 1)], journal=0) == 1
    version = stage.catalog.version(3)
    assert (version.state, version.error_code, version.error_text) == (VersionState.COMPLETE, "", "")


def test_quarantine_touches_no_version_that_is_known(stage: Stage) -> None:
    stage.catalog.adopt([adopted(3, 1)], journal=0)
    before = stage.catalog.version(3)
    stage.catalog.adopt([], journal=0, quarantined=[quarantined(3)])
    assert stage.catalog.version(3) == before


def test_an_impossible_quarantined_version_changes_nothing(stage: Stage) -> None:
    with pytest.raises(CorruptData):
        stage.catalog.adopt([adopted(1, 1)], journal=3, quarantined=[quarantined(4, parent=9)])
    assert stage.catalog.known_numbers() == frozenset()
    assert stage.catalog.journal() == 0


def test_what_somebody_may_be_deleting_is_not_live(stage: Stage) -> None:
    """Also where this catalog believes that it is; what a version that comes in needs is another matter."""
    session = stage.catalog.begin(new_version())
    for seed in (1, 2, 3):
        stage.catalog.register_pack(session.id, pack(seed))
    stage.catalog.commit(session.id, result(1), journal=0)
    names = [pack(seed).name for seed in (1, 2, 9)]
    stage.catalog.adopt([adopted(7, 2)], journal=4, journaled=names)
    assert stage.catalog.live_packs() == {pack(2).name, pack(3).name}
    assert stage.collecting.condemned() == [pack(1).name]
    assert stage.catalog.begin(new_version()).epoch == 1
