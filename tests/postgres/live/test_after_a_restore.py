"""The version after a restore builds upon its safety version, and reads what the log noted since."""

from collections.abc import Sequence

import pytest

from cas.catalog.model import EntitySummary
from cas.errors import Conflict, PermissionDenied
from cas.live.request import LiveRequest
from cas.postgres.live.platform import PostgresPlatform
from tests.postgres.live.breaking import Stepping
from tests.postgres.live.scene import Scene, captured_nine


@pytest.fixture
def changed(super_scene: Scene) -> tuple[Scene, int]:
    """Records 1 to 3 of 9 are to come back."""
    scene = super_scene
    version = captured_nine(scene)
    scene.run("UPDATE t SET v = 'x' WHERE id < 3; DELETE FROM t WHERE id = 3")
    return scene, version


def _next(scene: Scene) -> EntitySummary:
    """How one more version reads the table; it holds what is there."""
    number = scene.take()
    (entity,) = [e for e in scene.world.catalog.version(number).entities if e.label == "public.t"]
    before = scene.taken[number]["public.t"]
    scene.run("TRUNCATE t")
    scene.restore(number)
    assert scene.taken[scene.take()]["public.t"] == before
    return entity


def test_it_reads_what_the_restore_wrote_and_what_came_after(changed: tuple[Scene, int]) -> None:
    scene, version = changed
    receipt = scene.restore(version)
    assert receipt.notes == ()
    scene.run("UPDATE t SET v = 'later' WHERE id = 4; DELETE FROM t WHERE id = 9")
    entity = _next(scene)
    assert (entity.read_by, entity.rows_read) == ("capture", 4), entity.read_reason
    assert (entity.inserted, entity.updated, entity.deleted) == (1, 3, 1)
    assert entity.compared_with == receipt.safety


def test_what_was_written_between_plan_and_lock_is_in_the_safety_version(changed: tuple[Scene, int]) -> None:
    scene, version = changed
    these = LiveRequest(keys=tuple(("public.t", (key,)) for key in ("1", "2", "3")))
    with scene.planned(version, these) as plan:
        scene.run("UPDATE t SET v = 'meanwhile' WHERE id = 8")
        plan.run()
    entity = _next(scene)
    assert (entity.read_by, entity.rows_read) == ("capture", 3), entity.read_reason


def test_a_restore_that_was_taken_back_leaves_the_log_to_the_version_before(
    changed: tuple[Scene, int],
) -> None:
    """Its safety version is there, and the platform was never told."""
    scene, version = changed

    def fail(_: object) -> None:
        raise Conflict("broken on purpose")

    with scene.planned(version, platform=Stepping(scene.platform, "check", fail)) as plan:
        plan.refused(Conflict)
    scene.run("UPDATE t SET v = 'later' WHERE id = 4")
    entity = _next(scene)
    assert entity.read_by == "xmin"
    assert entity.rows_read >= 1


def test_a_platform_that_does_not_listen_spoils_nothing(
    changed: tuple[Scene, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, version = changed

    def deaf(*_: object) -> None:
        raise PermissionDenied("may not")

    with monkeypatch.context() as patched:
        patched.setattr(PostgresPlatform, "kept", deaf)
        receipt = scene.restore(version)
    assert _only(receipt.notes).startswith(
        "the platform keeps what it noted of changes, and that grows: may not"
    )
    assert _next(scene).read_by == "xmin"


def _only(notes: Sequence[str]) -> str:
    (note,) = notes
    return note


def test_a_restore_without_safety_version_tells_nothing(changed: tuple[Scene, int]) -> None:
    scene, version = changed
    assert scene.restore(version, LiveRequest(safety=False)).safety is None
    entity = _next(scene)
    assert (entity.read_by, entity.rows_read) == ("capture", 3)
    assert entity.compared_with == version
