"""What a role may not do is said in the plan, with what helps, before anything starts."""

import time
from collections.abc import Iterator

import pytest

from cas.errors import CasError, Conflict, PermissionDenied
from cas.live.request import LiveRequest
from cas.postgres.live.platform import PostgresPlatform
from tests.postgres.live.scene import OWNER, Scene, as_role, open_scene
from tests.servers.postgres import Cluster, Databases
from tests.servers.standby import standby_of

HERE = LiveRequest(tables=("public.t",))


@pytest.fixture(params=["plain", "replica"])
def guest(request: pytest.FixtureRequest, own_scene: Scene) -> tuple[Scene, int]:
    """Tables of somebody else, by a role that owns nothing; `replica`: it may set the role of a replica."""
    scene = own_scene
    scene.run(
        "CREATE TABLE up (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, up int REFERENCES up);"
        "CREATE TABLE down (id int PRIMARY KEY, t int REFERENCES t); INSERT INTO up VALUES (1), (2);"
        "INSERT INTO t VALUES (1, 1), (2, 2); INSERT INTO down VALUES (1, 1)"
    )
    version = scene.take()
    scene.run("UPDATE t SET up = 2; DELETE FROM t WHERE id = 2")
    word = "GRANT" if request.param == "replica" else "REVOKE"
    preposition = "TO" if request.param == "replica" else "FROM"
    scene.as_admin(f"{word} SET ON PARAMETER session_replication_role {preposition} live_guest")
    scene.as_admin(f"REVOKE TEMPORARY ON DATABASE {scene.name} FROM public; GRANT SELECT ON t TO live_guest")
    scene.url = as_role(scene.admin, "live_guest")
    return scene, version


def test_the_grants_that_are_lacking_are_said_and_suffice(
    guest: tuple[Scene, int], request: pytest.FixtureRequest
) -> None:
    scene, version = guest
    is_replica = "replica" in request.node.name
    with pytest.raises(PermissionDenied, match=r'GRANT SELECT ON TABLE "public"\."up" TO "live_guest"'):
        scene.restore(version, HERE)
    scene.as_admin("GRANT SELECT ON up TO live_guest")
    with scene.planned(version, HERE) as plan:
        assert any("temporary tables" in one and "GRANT TEMPORARY ON DATABASE" in one for one in plan.blocks)
        assert any('GRANT INSERT, DELETE ON TABLE "public"."t"' in one for one in plan.blocks)
        if is_replica:
            assert any('GRANT SELECT ON TABLE "public"."down"' in one for one in plan.blocks)
            assert any('GRANT UPDATE ON TABLE "public"."up"' in one for one in plan.blocks)
        else:
            assert any("t_up_fkey" in one for one in plan.blocks)
            assert any("down_t_fkey" in one for one in plan.blocks)
        plan.refused(Conflict)
        grants = [one.partition(" | ")[2] for one in plan.blocks if "GRANT" in one]
    for grant in grants:
        scene.as_admin(grant)
    if is_replica:
        scene.restore(version, HERE)


def test_a_replica_s_role_alone_does_not_silence_what_is_always_on(
    guest: tuple[Scene, int],
) -> None:
    scene, version = guest
    scene.as_admin(
        "GRANT ALL ON t, up, down TO live_guest;"
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER loud BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();"
        "ALTER TABLE t ENABLE ALWAYS TRIGGER loud"
    )
    with scene.planned(version, HERE) as plan:
        assert any("trigger loud" in one for one in plan.blocks)
        plan.refused(Conflict)


@pytest.mark.parametrize("is_forced", [False, True])
def test_row_level_security(scene: Scene, is_forced: bool) -> None:
    """An owner passes it unless it is forced; a superuser always does."""
    scene.run(
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'old'), (2, 'old');"
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (id = 1)"
    )
    version = scene.take()
    scene.run("UPDATE t SET v = 'new'")
    if is_forced:
        scene.run("ALTER TABLE t FORCE ROW LEVEL SECURITY")
    if is_forced and scene.url != scene.admin:
        with pytest.raises(PermissionDenied, match="BYPASSRLS"):
            scene.restore(version)
        return
    scene.restored(version)


def test_a_sequence_of_somebody_else(own_scene: Scene) -> None:
    scene = own_scene
    scene.as_admin("CREATE SEQUENCE theirs; GRANT ALL ON SEQUENCE theirs TO public")
    scene.run("CREATE TABLE t (id int PRIMARY KEY DEFAULT nextval('theirs')); INSERT INTO t DEFAULT VALUES")
    version = scene.take()
    scene.run("INSERT INTO t DEFAULT VALUES")
    with scene.planned(version) as plan:
        assert any("theirs" in one for one in plan.notes)
        plan.refused(CasError)


@pytest.fixture
def standby(cluster15: Cluster, database: Databases) -> Iterator[tuple[str, str]]:
    """URLs of a database, and of the same one on a standby."""
    url = database(cluster15)
    with standby_of(cluster15, url) as (replica, _):
        yield url, replica


def test_a_standby_takes_no_writes(cluster15: Cluster, standby: tuple[str, str]) -> None:
    url, replica = standby
    scene = open_scene(cluster15, url, OWNER)
    scene.as_admin("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'old')")
    scene.url = scene.admin
    version = scene.take()
    scene.as_admin("UPDATE t SET v = 'new'")
    for _ in range(100):
        time.sleep(0.05)
        platform = PostgresPlatform(replica)
        try:
            with scene.planned(version, platform=platform) as plan:
                assert any("standby" in one for one in plan.blocks)
                plan.refused(Conflict)
            return
        except CasError:
            continue
    raise AssertionError("the standby never had the table")
