"""Writers at the same moment: afterwards no row refers to nothing, whoever came first."""

import random
import time
from contextlib import closing, suppress

import psycopg
import pytest

from cas.errors import CasError, Conflict, TimedOut
from cas.live.request import LiveRequest
from tests.postgres.live.breaking import Stepping
from tests.postgres.live.scene import OWNER, Planned, Scene, at_once, session
from tests.postgres.live.standing import contents, texts

ROUNDS = 4
DANGLING = (
    "SELECT count(*) FROM child c WHERE p IS NOT NULL AND NOT EXISTS (SELECT FROM parent p WHERE p.id = c.p)"
)


@pytest.fixture
def family(scene: Scene) -> Scene:
    scene.run(
        "CREATE TABLE parent (id int PRIMARY KEY, v text);"
        "CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent DEFERRABLE);"
        "INSERT INTO parent SELECT generate_series(1, 40), 'old'; INSERT INTO child SELECT n, n FROM"
        " generate_series(1, 40) AS n"
    )
    return scene


def write(scene: Scene, *statements: str) -> None:
    with psycopg.connect(scene.admin, autocommit=True) as other:
        other.execute("SET lock_timeout = 3000")
        with suppress(psycopg.errors.ForeignKeyViolation, psycopg.errors.DeadlockDetected):
            for statement in statements:
                other.execute(statement.encode())


@pytest.mark.parametrize("deferred", [False, True])
def test_a_child_comes_while_its_parent_goes(family: Scene, deferred: bool) -> None:
    family.run("DELETE FROM child WHERE id > 5; DELETE FROM parent WHERE id > 5")
    version = family.take()
    set_deferred = "SET CONSTRAINTS ALL DEFERRED" if deferred else "SELECT 1"
    for round_number in range(ROUNDS):
        family.run("INSERT INTO parent VALUES (90, 'x')")
        with family.planned(version, LiveRequest(tables=("public.parent",))) as plan:
            pause = round_number * 0.004

            def come(pause: float = pause, plan_round: int = round_number) -> None:
                time.sleep(pause)
                write(
                    family,
                    "BEGIN",
                    set_deferred,
                    f"INSERT INTO child VALUES ({100 + plan_round}, 90)",
                    f"SELECT pg_sleep({pause})",
                    "COMMIT",
                )

            at_once(lambda: _execute(plan), come)
        assert family.as_admin(DANGLING) == [(0,)]
        family.as_admin("DELETE FROM child WHERE id > 99; DELETE FROM parent WHERE id = 90")


def test_parents_go_while_their_children_come(family: Scene) -> None:
    """Many of them at once: every one has to be held, and not only the first."""
    version = family.take()
    for round_number in range(ROUNDS):
        family.run("DELETE FROM child WHERE id > 3")
        with family.planned(version, LiveRequest(tables=("public.child",))) as plan:
            pause = round_number * 0.004

            def go(pause: float = pause, low: int = 4 + 5 * round_number) -> None:
                time.sleep(pause)
                write(family, f"DELETE FROM parent WHERE id BETWEEN {low} AND {low + 4}")

            at_once(lambda: _execute(plan), go)
        assert family.as_admin(DANGLING) == [(0,)]
        family.as_admin("INSERT INTO parent SELECT generate_series(1, 40) ON CONFLICT DO NOTHING")


def _execute(plan: Planned) -> None:
    with suppress(CasError):
        plan.run()


def test_every_parent_is_held_from_the_check_to_the_commit(family: Scene) -> None:
    """The moment is forced: parents are deleted between the check and the COMMIT."""
    version = family.take()
    family.run("DELETE FROM child")
    raised = []

    def go(_: object) -> None:
        with session(family.admin) as other:
            other.execute("SET lock_timeout = 200; SET session_replication_role = replica")  # asks no child
            for parent in (1, 20, 40):
                try:
                    other.execute(f"DELETE FROM parent WHERE id = {parent}".encode())
                except psycopg.Error as error:
                    raised.append(type(error))

    request = LiveRequest(tables=("public.child",))
    platform = Stepping(family.platform, "transaction_id", go)
    with family.planned(version, request, platform) as plan:
        _execute(plan)
    assert raised == [psycopg.errors.LockNotAvailable] * 3
    assert family.as_admin(DANGLING) == [(0,)]
    assert family.as_admin("SELECT count(*) FROM child") == [(40,)]


def test_a_parent_that_goes_before_the_check_is_noticed(family: Scene) -> None:
    version = family.take()
    family.run("DELETE FROM child WHERE id > 3")

    def go(_: object) -> None:
        """As a replica, who asks no child."""
        write(family, "SET session_replication_role = replica", "DELETE FROM parent WHERE id = 40")

    platform = Stepping(family.platform, "check" if family.actor != OWNER else "is_as_it_was", go)
    with family.planned(version, LiveRequest(tables=("public.child",)), platform) as plan:
        _execute(plan)
    assert family.as_admin("SELECT count(*) FROM child") == [(3,)]


def test_a_parent_that_is_updated_meanwhile_does_no_harm(family: Scene) -> None:
    version = family.take()
    family.run("DELETE FROM child WHERE id > 3")
    step = "check" if family.actor != OWNER else "is_as_it_was"
    platform = Stepping(family.platform, step, lambda _: write(family, "UPDATE parent SET v = 'busy'"))
    with family.planned(version, LiveRequest(tables=("public.child",)), platform) as plan:
        _execute(plan)
    assert family.as_admin("SELECT count(*) FROM child") == [(40,)]


def test_nobody_waits_for_ever_for_a_parent_that_somebody_deletes(family: Scene) -> None:
    version = family.take()
    family.run("DELETE FROM child WHERE id > 3")
    with session(family.admin) as other:

        def hold(_: object) -> None:
            other.execute("BEGIN; SELECT FROM parent WHERE id = 40 FOR UPDATE")

        platform = Stepping(family.platform, "apply", hold)
        with family.planned(version, LiveRequest(tables=("public.child",)), platform) as plan:
            began = time.monotonic()
            plan.refused(CasError)
            assert time.monotonic() - began < 8
        other.execute("COMMIT")


def test_a_constraint_not_valid_gets_no_new_offender(family: Scene) -> None:
    """By whichever way: adding such a key again looks at no row."""
    family.run(
        "ALTER TABLE child DROP CONSTRAINT child_p_fkey; INSERT INTO child VALUES (70, 777);"
        "ALTER TABLE child ADD CONSTRAINT later FOREIGN KEY (p) REFERENCES parent NOT VALID"
    )
    version = family.take()
    family.run("DELETE FROM child WHERE id = 40")
    with family.planned(version, LiveRequest(tables=("public.child",))) as plan:
        family.run("DELETE FROM parent WHERE id = 40")
        plan.refused(Conflict)
    version = family.take()
    family.run("INSERT INTO parent VALUES (99)")
    with family.planned(version, LiveRequest(tables=("public.parent",))) as plan:
        family.run("INSERT INTO child VALUES (99, 99)")
        plan.refused(Conflict)


@pytest.mark.parametrize("seed", range(4))
def test_random_interleavings_never_lose_a_write(super_scene: Scene, seed: int) -> None:
    """Open transactions of every sort around the plan. What is live and out of scope is afterwards what it
    was right before, and the safety version holds it."""
    scene, rng = super_scene, random.Random(seed)
    scene.run(
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT generate_series(1, 30), 'old'"
    )
    version = scene.take()
    for _ in range(4):
        scene.run("UPDATE t SET v = 'new' WHERE id = 1; DELETE FROM t WHERE id > 30")
        sessions = [psycopg.connect(scene.admin, autocommit=True) for _ in range(4)]
        for one in sessions:
            one.execute("BEGIN; SET LOCAL lock_timeout = 1")
        for _ in range(12):
            _write_something(rng, sessions)
        seen = texts(contents(scene.admin))["public.t"]
        with scene.planned(version, LiveRequest(keys=(("public.t", ("1",)),))) as plan:
            for _ in range(8):
                _write_something(rng, sessions)
            for one in rng.sample(sessions, 4):
                with closing(one):
                    one.execute(rng.choice([b"COMMIT", b"COMMIT", b"ROLLBACK"]))
            before = texts(contents(scene.admin))["public.t"]
            if _first(before) != _first(seen):
                plan.refused(Conflict)
                continue
            receipt = plan.execute()
        after = texts(contents(scene.admin))["public.t"]
        assert sorted([*_first(before), *(row for row in after if row != "(1,old)")]) == before
        assert receipt.safety is not None
        scene.restore(receipt.safety)
        assert texts(contents(scene.admin))["public.t"] == before


def _first(rows: list[str]) -> list[str]:
    """The record with key 1, if it is there."""
    return [row for row in rows if row.startswith("(1,")]


def _write_something(rng: random.Random, sessions: list[psycopg.Connection]) -> None:
    one, key = rng.choice(sessions), rng.randint(1, 40)
    statement = rng.choice(
        [
            f"UPDATE t SET v = 'r{rng.randint(0, 999)}' WHERE id = {key}",
            f"DELETE FROM t WHERE id = {key}",
            f"INSERT INTO t VALUES ({key}, 'i') ON CONFLICT DO NOTHING",
            f"UPDATE t SET id = {key + 50} WHERE id = {key}",
        ]
    )
    one.execute("SAVEPOINT s")
    try:
        one.execute(statement.encode())
        if rng.random() < 0.3:
            one.execute("ROLLBACK TO s")
        elif rng.random() < 0.5:
            one.execute("RELEASE s")
    except psycopg.Error:
        one.execute("ROLLBACK TO s")


def test_two_restores_at_once_end_one_after_the_other(super_scene: Scene) -> None:
    scene = super_scene
    scene.run(
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT generate_series(1, 30), 'old'"
    )
    version = scene.take()
    scene.run("UPDATE t SET v = 'new'")
    with scene.planned(version) as one, scene.planned(version) as two:
        raised = at_once(one.run, two.run)
    assert sum(error is None for error in raised) == 1
    assert all(error is None or isinstance(error, Conflict | TimedOut) for error in raised)
    assert texts(contents(scene.admin)) == scene.taken[version]
