"""A connection that breaks: the platform is as before or wholly restored, and the catalog says which."""

from contextlib import suppress

import psycopg
import pytest

from cas.catalog.restore_model import RestoreState
from cas.catalog.rules import LEASE
from cas.errors import CasError, Conflict, OutcomeUnknown
from cas.live import executing
from cas.live.restoring import resolve_outcomes
from cas.postgres.live.platform import PostgresPlatform
from tests.postgres.live.breaking import AFTER, BEFORE, MEANWHILE, Stepping, lossy
from tests.postgres.live.scene import Scene, at_once
from tests.postgres.live.standing import contents, standing, texts
from tests.postgres.target.moving import ask

STEPS = (
    "entities",
    "is_as_it_was",
    "moved",
    "count",
    "sequences",
    "apply",
    "set_sequences",
    "check",
    "read_back",
    "wal_bytes",
    "transaction_id",
    "commit",
)


@pytest.fixture
def changed(own_scene: Scene) -> tuple[Scene, int]:
    scene = own_scene
    scene.run(
        "CREATE TABLE p (id int PRIMARY KEY, v text);"
        " CREATE TABLE t (id serial PRIMARY KEY, p int REFERENCES p);"
        "INSERT INTO p VALUES (1, 'old'), (2, 'old'); INSERT INTO t (p) VALUES (1), (2);"
        "CREATE RULE nothing AS ON DELETE TO t DO INSTEAD NOTHING"
    )
    version = scene.take()
    scene.run("UPDATE p SET v = 'new'; INSERT INTO t (p) VALUES (1); UPDATE t SET p = 2")
    return scene, version


def state(scene: Scene) -> RestoreState:
    restores = scene.world.catalog.restores
    return restores.restore(1).state


@pytest.mark.parametrize("step", STEPS)
def test_the_backend_is_ended_at_a_step(changed: tuple[Scene, int], step: str) -> None:
    scene, version = changed

    def end(transaction: object) -> None:
        pid = transaction._connection.pgconn.backend_pid  # type: ignore[attr-defined]
        ask(scene.admin, f"SELECT pg_terminate_backend({pid}, 5000)")

    with scene.planned(version, platform=Stepping(scene.platform, step, end)) as plan:
        scene.run("UPDATE p SET v = v")  # written, and as it was: each way of looking is gone through
        plan.refused(CasError)
    assert state(scene) is RestoreState.FAILED
    assert scene.world.catalog.restores.restore(1).error_text


@pytest.mark.parametrize("step", ["apply", "check", "commit"])
def test_the_statement_is_cancelled_at_a_step(changed: tuple[Scene, int], step: str) -> None:
    """By an administrator, or by whoever cancels the restore."""
    scene, version = changed

    def cancel(transaction: object) -> None:
        with suppress(psycopg.Error):
            transaction._connection.execute(  # type: ignore[attr-defined]
                "SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(5)"
            )

    with scene.planned(version, platform=Stepping(scene.platform, step, cancel)) as plan:
        plan.refused(CasError)
    assert state(scene) is RestoreState.FAILED


@pytest.mark.parametrize("when", [BEFORE, AFTER, MEANWHILE])
@pytest.mark.parametrize("is_answered", [True, False])
def test_the_answer_to_commit_is_lost(
    changed: tuple[Scene, int], when: str, is_answered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, version = changed
    monkeypatch.setattr(executing, "ASK_PAUSE_SECONDS", 0.2)
    before, stood = contents(scene.admin), standing(scene.admin)
    with lossy(scene.url, when) as url:
        platform = PostgresPlatform(url, scene.options)
        if not is_answered:
            monkeypatch.setattr(PostgresPlatform, "outcome", lambda *_: None)
        with scene.planned(version, platform=platform) as plan:
            (raised,) = at_once(plan.execute)
        assert raised is None or isinstance(raised, Conflict if is_answered else OutcomeUnknown)
        monkeypatch.undo()
        if not is_answered:
            assert state(scene) is RestoreState.VERIFYING
            scene.world.clock.moment += LEASE
            resolve_outcomes(scene.world.catalog.restores, platform)
    now = contents(scene.admin)
    assert standing(scene.admin) == stood
    if state(scene) is RestoreState.COMPLETED:
        assert when != BEFORE
        assert texts(now) == scene.taken[version]
    else:
        assert state(scene) is RestoreState.FAILED
        assert when != AFTER
        assert now == before


def test_time_limits_of_the_role_do_not_end_it(own_scene: Scene) -> None:
    scene = own_scene
    limits = ["statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout"]
    limits += ["transaction_timeout"] if scene.cluster.major >= 17 else []
    for name in limits:
        # Also the statement that lifts them is within a transaction, which takes a while on a busy machine.
        limit = "100ms" if name == "transaction_timeout" else "1ms"
        scene.as_admin(f"ALTER ROLE live_owner IN DATABASE {scene.name} SET {name} = '{limit}'")
    scene.as_admin(
        f"ALTER ROLE live_owner IN DATABASE {scene.name} SET default_transaction_read_only = on;"
        f"ALTER ROLE live_owner IN DATABASE {scene.name} SET search_path = nowhere;"
        f"ALTER ROLE live_owner IN DATABASE {scene.name} SET \"DateStyle\" = 'SQL, DMY';"
        "CREATE TABLE public.t (id int PRIMARY KEY, d date); ALTER TABLE public.t OWNER TO live_owner;"
        "INSERT INTO public.t SELECT n, date '2024-01-01' + n FROM generate_series(1, 2000) AS n"
    )
    version = scene.take()
    scene.as_admin("UPDATE public.t SET d = '2000-02-01'")
    scene.restored(version)
