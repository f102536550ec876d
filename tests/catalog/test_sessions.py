"""A writer's life: begin, announce packs, prepare, commit or fail; and who may end it."""

from dataclasses import replace
from uuid import uuid4

import pytest

from cas.catalog.model import NewVersion, Trigger, VersionFilter, VersionKind, VersionState
from cas.errors import Conflict, Fenced, InvalidInput, NotFound
from tests.catalog.stages import Stage
from tests.catalog.values import entity, new_version, pack, result


def test_a_running_version_is_listed_with_its_number_before_the_work_ends(stage: Stage) -> None:
    new = new_version("before the import", tags=("import", "spring"), name="Ünïcode")
    before = stage.catalog.now()
    session = stage.catalog.begin(new)
    stage.catalog.describe_source(session.id, "shop", "18.4", "7449")
    listed = stage.catalog.version(session.number)
    assert listed.state is VersionState.RUNNING
    assert before <= listed.created_at == session.created_at <= stage.catalog.now()
    assert (listed.reason, listed.name, listed.tags) == (new.reason, new.name, new.tags)
    assert (listed.metadata, listed.created_by, listed.protected) == (new.metadata, "tester", True)
    assert (listed.included, listed.excluded) == (new.included, new.excluded)
    assert listed.included_schemas == new.included_schemas
    assert (listed.source_database, listed.source_server_version) == ("shop", "18.4")
    assert (listed.source_url, listed.source_system_identifier) == (new.source_url, "7449")
    assert (listed.finished_at, listed.checksum, listed.records) == (None, None, None)
    assert list(stage.catalog.versions(VersionFilter())) == [listed]


def test_a_committed_version_holds_all_that_its_result_said(stage: Stage) -> None:
    session = stage.catalog.begin(new_version())
    stage.catalog.register_pack(session.id, pack(1))
    stage.catalog.prepare(session.id)
    done = result(3)
    version = stage.catalog.commit(session.id, done, journal=0)
    assert version.state is VersionState.COMPLETE
    assert version.finished_at is not None
    assert version.finished_at >= version.created_at
    assert version.duration_seconds is not None
    assert version.entities == done.entities
    assert version.omissions == done.omissions
    for field in ("records", "original_bytes", "added_bytes", "stored_bytes", "objects_written"):
        assert getattr(version, field) == getattr(done, field)
    assert (version.checksum, version.document_hash) == (done.checksum, done.document_hash)
    assert version.retries == done.retries
    assert stage.catalog.version(session.number) == version == stage.catalog.latest()


def test_counts_of_any_size_and_many_entities_come_back_exactly(stage: Stage) -> None:
    largest = (1 << 63) - 1
    entities = [replace(entity(f"public.t{turn}"), records=turn) for turn in range(500)]
    entities += [
        replace(entity("large"), records=largest, payload_bytes=1 << 31, rows_read=1 << 15, new_chunks=0),
        replace(entity('büro."Straße"'), read_reason="", payload_bytes=largest),
    ]
    done = replace(result(), entities=tuple(entities), records=largest, stored_bytes=largest, omissions=())
    session = stage.catalog.begin(new_version())
    version = stage.catalog.commit(session.id, done, journal=0)
    assert version.entities == done.entities
    assert (version.records, version.stored_bytes, version.omissions) == (largest, largest, ())


def test_texts_that_no_database_can_hold_are_replaced_in_the_catalog_alone(stage: Stage) -> None:
    session = stage.catalog.begin(new_version())
    odd = replace(entity("half a pair \udcff"), read_reason="nul \x00")
    done = replace(result(), entities=(odd,), omissions=(("\udcff", "nul \x00"),))
    version = stage.catalog.commit(session.id, done, journal=0)
    assert version.entities[0].label == "half a pair ?"
    assert version.entities[0].read_reason == "nul \N{REPLACEMENT CHARACTER}"
    assert version.omissions == (("?", "nul \N{REPLACEMENT CHARACTER}"),)


def test_packs_are_live_from_the_commit_on_and_not_before(stage: Stage) -> None:
    first = stage.catalog.begin(new_version())
    stage.catalog.register_pack(first.id, pack(1))
    meanwhile = stage.catalog.begin(new_version())
    assert meanwhile.view == stage.catalog.live_packs() == frozenset()
    stage.catalog.commit(first.id, result(), journal=0)
    assert stage.catalog.live_packs() == {pack(1).name}
    assert stage.catalog.begin(new_version()).view == {pack(1).name}


def test_packs_of_another_session_stay_as_they_are(stage: Stage) -> None:
    one, two = stage.catalog.begin(new_version()), stage.catalog.begin(new_version())
    stage.catalog.register_pack(one.id, pack(1))
    stage.catalog.register_pack(two.id, pack(2))
    stage.catalog.commit(two.id, result(), journal=0)
    assert stage.catalog.live_packs() == {pack(2).name}


def test_a_session_whose_packs_are_not_all_known_does_not_commit(stage: Stage) -> None:
    """The catalog was restored from a copy of a moment at which the session was already at work."""
    one, two = stage.catalog.begin(new_version()), stage.catalog.begin(new_version())
    stage.catalog.register_pack(one.id, pack(1))
    stage.catalog.register_pack(two.id, pack(2))
    for stranger in (pack(2).name, pack(3).name):
        with pytest.raises(Conflict, match="does not know a pack"):
            stage.catalog.commit(one.id, result(), journal=0, packs=[pack(1).name, stranger])
        assert stage.catalog.live_packs() == frozenset()
        assert stage.catalog.version(one.number).state is VersionState.RUNNING
    done = result()
    for _ in range(2):
        stage.catalog.commit(one.id, done, journal=0, packs=[pack(1).name])
    assert stage.catalog.live_packs() == {pack(1).name}


def test_a_failed_run_stays_listed_with_its_reason(stage: Stage) -> None:
    session = stage.catalog.begin(new_version())
    stage.catalog.register_pack(session.id, pack(1))
    stage.catalog.fail(session.id, "PERMISSION_DENIED", "no right to read public.secret")
    version = stage.catalog.version(session.number)
    assert version.state is VersionState.FAILED
    assert (version.error_code, version.error_text) == ("PERMISSION_DENIED", "no right to read public.secret")
    assert version.finished_at is not None
    assert stage.catalog.live_packs() == frozenset()
    assert stage.catalog.latest() is None


def test_a_failure_is_recorded_whatever_its_text(stage: Stage) -> None:
    session = stage.catalog.begin(new_version())
    stage.catalog.fail(session.id, "", "nul \x00, half a pair \ud800, long " + "x" * 20_000)
    version = stage.catalog.version(session.number)
    assert version.error_code == "ERROR"
    assert version.error_text.startswith("nul \N{REPLACEMENT CHARACTER}, half a pair ?, long xxx")


def test_failing_an_ended_session_changes_nothing(stage: Stage) -> None:
    session = stage.catalog.begin(new_version())
    version = stage.catalog.commit(session.id, result(), journal=0)
    stage.catalog.fail(session.id, "ERROR", "too late")
    stage.catalog.fail(uuid4(), "ERROR", "nobody")
    assert stage.catalog.version(session.number) == version


@pytest.mark.parametrize("how", ["committed", "failed", "fenced", "lapsed", "unknown"])
def test_a_session_that_is_over_may_do_nothing(stage: Stage, how: str) -> None:
    session = stage.catalog.begin(new_version())
    identity = session.id
    stage.catalog.register_pack(identity, pack(1))
    if how == "committed":
        stage.catalog.commit(identity, result(), journal=0)
    elif how == "failed":
        stage.catalog.fail(identity, "ERROR", "gave up")
    elif how == "fenced":
        stage.fence(identity)
    elif how == "lapsed":
        stage.lapse()
    else:
        identity = uuid4()
    before = (stage.catalog.live_packs(), stage.catalog.version(session.number))
    with pytest.raises(Fenced):
        stage.catalog.register_pack(identity, pack(2))
    with pytest.raises(Fenced):
        stage.catalog.prepare(identity)
    with pytest.raises(Fenced):
        stage.catalog.commit(identity, result(2), journal=0)
    with pytest.raises(Fenced):
        stage.catalog.describe_source(identity, "shop", "18", "1")
    if how != "lapsed":
        with pytest.raises(Fenced):
            stage.catalog.renew(identity)
    assert (stage.catalog.live_packs(), stage.catalog.version(session.number)) == before
    # What was refused was not recorded either: the name is free.
    stage.catalog.register_pack(stage.catalog.begin(new_version()).id, pack(2))


def test_committing_the_same_result_again_gives_the_same_answer(stage: Stage) -> None:
    session = stage.catalog.begin(new_version())
    version = stage.catalog.commit(session.id, result(), journal=0)
    assert stage.catalog.commit(session.id, result(), journal=0) == version
    with pytest.raises(Fenced):
        stage.catalog.commit(session.id, result(2), journal=0)


def test_a_silent_writer_counts_as_failed_and_may_come_back(stage: Stage) -> None:
    session = stage.catalog.begin(new_version())
    stage.lapse()
    version = stage.catalog.version(session.number)
    assert version.state is VersionState.FAILED
    assert version.error_code == Fenced.code
    assert version.error_text.startswith("its writer stopped renewing its lease at 20")
    assert version.finished_at is not None
    stage.catalog.renew(session.id)
    assert stage.catalog.version(session.number).state is VersionState.RUNNING
    stage.catalog.register_pack(session.id, pack(1))
    assert stage.catalog.commit(session.id, result(), journal=0).state is VersionState.COMPLETE


def test_a_lapsed_session_is_no_obstacle_for_others_and_its_own_failure_is_kept(stage: Stage) -> None:
    silent = stage.catalog.begin(new_version())
    stage.lapse()
    other = stage.catalog.begin(new_version())
    stage.catalog.commit(other.id, result(), journal=0)
    stage.catalog.fail(silent.id, "TIMEOUT", "the platform answered too late")
    assert stage.catalog.version(silent.number).error_code == "TIMEOUT"


def test_a_pack_name_never_recurs(stage: Stage) -> None:
    first = stage.catalog.begin(new_version())
    stage.catalog.register_pack(first.id, pack(1))
    with pytest.raises(Conflict):
        stage.catalog.register_pack(first.id, pack(1))
    stage.catalog.fail(first.id, "ERROR", "gave up")
    second = stage.catalog.begin(new_version())
    with pytest.raises(Conflict):
        stage.catalog.register_pack(second.id, pack(1))
    # The refusal ends nothing.
    stage.catalog.register_pack(second.id, pack(2))


def test_a_condemned_pack_is_in_no_later_view(stage: Stage) -> None:
    first = stage.catalog.begin(new_version())
    for seed in (1, 2):
        stage.catalog.register_pack(first.id, pack(seed))
    stage.catalog.commit(first.id, result(), journal=0)
    before = stage.catalog.begin(new_version())
    stage.condemn([pack(1).name])
    after = stage.catalog.begin(new_version())
    assert before.view == {pack(1).name, pack(2).name}
    assert after.view == {pack(2).name}
    assert after.epoch == before.epoch + 1


def test_the_parent_must_be_committed(stage: Stage) -> None:
    with pytest.raises(NotFound):
        stage.catalog.begin(new_version(parent=7))
    running = stage.catalog.begin(new_version())
    with pytest.raises(Conflict):
        stage.catalog.begin(new_version(parent=running.number))
    stage.catalog.commit(running.id, result(state=VersionState.INCOMPLETE), journal=0)
    child = stage.catalog.begin(new_version(parent=running.number))
    assert stage.catalog.version(child.number).parent == running.number
    # Nothing was listed for the two that were refused.
    assert stage.catalog.known_numbers() == {1, 2}


def test_a_catalog_older_than_the_bucket_commits_nothing(stage: Stage) -> None:
    session = stage.catalog.begin(new_version())
    with pytest.raises(Conflict):
        stage.catalog.commit(session.id, result(), journal=1)
    assert stage.catalog.version(session.number).state is VersionState.RUNNING
    assert stage.catalog.commit(session.id, result(), journal=0).state is VersionState.COMPLETE


@pytest.mark.parametrize(
    "new",
    [
        new_version("nul \x00"),
        new_version("half a pair \ud800"),
        new_version("x" * 10_001),
        new_version(tags=("",)),
        new_version(tags=("x" * 401,)),
        new_version(parent=0),
        new_version(parent=1 << 63),
        NewVersion(Trigger.AUTO, VersionKind.FULL, metadata={"key": "\x00"}),
        NewVersion(Trigger.AUTO, VersionKind.FULL, tags=("tag",) * 10_001),
        NewVersion(Trigger.AUTO, VersionKind.FULL, source_database="d" * 401),
    ],
    ids=lambda new: repr(new)[:60],
)
def test_text_that_cannot_be_kept_is_refused_before_anything_starts(stage: Stage, new: NewVersion) -> None:
    with pytest.raises(InvalidInput):
        stage.catalog.begin(new)
    assert stage.catalog.known_numbers() == frozenset()
