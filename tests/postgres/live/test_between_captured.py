"""As `test_between`, of a table whose changes are captured: then the log says that nothing moved."""

import pytest

from cas.errors import Conflict
from cas.live.request import LiveRequest
from cas.postgres.capture.removing import remove
from cas.postgres.live import transaction
from cas.postgres.reading.marking import condition_since
from tests.postgres.live.scene import Scene, at_once, captured_nine
from tests.postgres.live.standing import contents, rewritten, texts
from tests.postgres.live.test_between import HERE, OUTSIDE, WITHIN

GAMES = {
    "as a replica": "SET session_replication_role = replica; UPDATE t SET v = 'x' WHERE id = 1",
    "without its trigger": "ALTER TABLE t DISABLE TRIGGER ALL; UPDATE t SET v = 'x' WHERE id = 1;"
    " ALTER TABLE t ENABLE TRIGGER ALL",
    "the log emptied": "UPDATE t SET v = 'x' WHERE id = 1; TRUNCATE cas_capture.log_{oid}",
    "the log thinned": "UPDATE t SET v = 'x' WHERE id = 1; DELETE FROM cas_capture.log_{oid}",
}


@pytest.fixture
def changed(super_scene: Scene) -> tuple[Scene, int]:
    """Records 1 and 2 are to come back; 3 to 9 are as they were. The log says so."""
    scene = super_scene
    version = captured_nine(scene)
    scene.run("UPDATE t SET v = 'new' WHERE id = 1; DELETE FROM t WHERE id = 2")
    return scene, version


def _is_asked(scene: Scene, version: int) -> None:
    with scene.planned(version, HERE) as plan:
        (entity,) = plan.prepared.plan.entities
        assert entity.read_by == "capture", entity.read_reason


def _does(scene: Scene, statements: str) -> None:
    if "BEGIN" in statements or "SET session" in statements:
        scene.run(statements)
    else:
        for statement in statements.split("; "):
            scene.run(statement)


@pytest.mark.parametrize("how", [*WITHIN, *GAMES])
def test_what_the_plan_speaks_of_has_moved(changed: tuple[Scene, int], how: str) -> None:
    scene, version = changed
    _is_asked(scene, version)
    ((oid,),) = scene.as_admin("SELECT 't'::regclass::oid::int8")
    with scene.planned(version, HERE) as plan:
        _does(scene, {**WITHIN, **GAMES}[how].replace("{oid}", str(oid)))
        plan.refused(Conflict)


@pytest.mark.parametrize("how", OUTSIDE)
def test_what_moved_elsewhere_is_kept_and_in_the_safety_version(changed: tuple[Scene, int], how: str) -> None:
    scene, version = changed
    _is_asked(scene, version)
    with scene.planned(version, HERE) as plan:
        _does(scene, OUTSIDE[how])
        before = texts(contents(scene.admin))["public.t"]
        receipt = plan.run()
    expected = [row for row in before if not row.startswith("(1,")] + ["(1,old)", "(2,old)"]
    assert texts(contents(scene.admin))["public.t"] == sorted(expected)
    assert receipt.safety is not None
    scene.restore(receipt.safety, LiveRequest(tables=("public.t",)))
    assert texts(contents(scene.admin))["public.t"] == before


def test_a_key_that_was_left_before_the_plan_comes_back(changed: tuple[Scene, int]) -> None:
    """The log has only the one that it was left for."""
    scene, version = changed
    scene.run("UPDATE t SET id = 30 WHERE id = 3; UPDATE t SET id = id + 40 WHERE id IN (4, 5)")
    with scene.planned(version) as plan:
        (entity,) = [one for one in plan.prepared.plan.entities if one.label == "public.t"]
        assert (entity.read_by, entity.inserts, entity.updates, entity.deletes) == ("capture", 4, 1, 3)
        plan.run()
    assert texts(contents(scene.admin))["public.t"] == scene.taken[version]["public.t"]


def _never(*_: object) -> str:
    raise AssertionError("the table was looked through")


@pytest.mark.parametrize(
    "how",
    ["SELECT 1", "BEGIN; UPDATE t SET v = 'x'; DELETE FROM t WHERE id = 1; ROLLBACK", "VACUUM FREEZE t"],
)
def test_where_the_log_says_that_nothing_moved_the_table_is_not_looked_through(
    changed: tuple[Scene, int], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, version = changed
    monkeypatch.setattr(transaction, "condition_since", _never)
    with scene.planned(version, HERE) as plan:
        scene.run(how)
        before = contents(scene.admin)
        plan.run()
    after = contents(scene.admin)
    assert {"(1,old)", "(2,old)"} < set(texts(after)["public.t"])
    assert "public.t" not in rewritten(before, after)


@pytest.mark.parametrize("gone", ["a version between", "capture removed", "positions forgotten"])
def test_where_the_log_says_nothing_any_more_the_table_is_looked_through(
    changed: tuple[Scene, int], gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what moved is found all the same."""
    scene, version = changed
    asked = []

    def noticed(*arguments: object) -> bytes | str:
        asked.append(arguments)
        return condition_since(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(transaction, "condition_since", noticed)
    for moves in (True, False):
        asked.clear()
        with scene.planned(version, HERE) as plan:
            if moves:
                scene.run("UPDATE t SET v = 'newer' WHERE id = 1")
            if gone == "a version between":
                scene.take()  # what the log holds from before is deleted
            elif gone == "capture removed":
                remove(scene.admin)
            else:
                scene.as_admin("DELETE FROM cas_capture.positions")
            (raised,) = at_once(plan.run)
        assert isinstance(raised, Conflict) if moves else raised is None
        assert asked
