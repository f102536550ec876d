"""What others do between a plan and its execution: it is seen, whatever it was."""

from collections.abc import Callable

import psycopg
import pytest

from cas.errors import Conflict, SourceChanged, TimedOut
from cas.live.request import LiveRequest
from cas.postgres.reading.marking import mark_of
from tests.postgres.live.scene import Scene, session
from tests.postgres.live.standing import contents, texts

HERE = LiveRequest(keys=(("public.t", ("1",)), ("public.t", ("2",))))
"""Only these two records of the table."""


@pytest.fixture
def changed(super_scene: Scene) -> tuple[Scene, int]:
    """Records 1 and 2 are to come back; 3 to 9 are as they were."""
    scene = super_scene
    scene.run(
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT generate_series(1, 9), 'old'"
    )
    version = scene.take()
    scene.run("UPDATE t SET v = 'new' WHERE id = 1; DELETE FROM t WHERE id = 2")
    return scene, version


WITHIN = {
    "updated": "UPDATE t SET v = 'newer' WHERE id = 1",
    "deleted": "DELETE FROM t WHERE id = 1",
    "inserted": "INSERT INTO t VALUES (2, 'by somebody')",
    "replaced": "DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 'newer')",
    "moved": "UPDATE t SET id = 20 WHERE id = 1",
    "moved to": "UPDATE t SET id = 2 WHERE id = 3",
    "came back": "UPDATE t SET v = 'old' WHERE id = 1",
    "truncated": "TRUNCATE t",
    "frozen": "BEGIN; TRUNCATE t; COPY t FROM PROGRAM 'printf \"1\\\\tx\\n\"' WITH (FREEZE); COMMIT",
    "in a subtransaction": "BEGIN; SAVEPOINT b; UPDATE t SET v = 'x' WHERE id = 1; RELEASE b; COMMIT",
    "another table": "CREATE TABLE u AS TABLE t; ALTER TABLE u ALTER id SET NOT NULL, ADD PRIMARY KEY (id);"
    " UPDATE u SET v = 'x' WHERE id = 1; ALTER TABLE t RENAME TO gone; ALTER TABLE u RENAME TO t",
    "vacuumed": "UPDATE t SET v = 'x' WHERE id = 1; VACUUM (FULL, FREEZE) t",
    "clustered": "UPDATE t SET v = 'x' WHERE id = 1; CLUSTER t USING t_pkey",
    "one for one": "DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (77, 'x')",
}


@pytest.mark.parametrize("how", WITHIN)
def test_what_the_plan_speaks_of_has_moved(changed: tuple[Scene, int], how: str) -> None:
    scene, version = changed
    with scene.planned(version, HERE) as plan:
        for statement in [WITHIN[how]] if "BEGIN" in WITHIN[how] else WITHIN[how].split("; "):
            scene.run(statement)
        plan.refused(Conflict)


OUTSIDE = {
    "nothing": "SELECT 1",
    "updated": "UPDATE t SET v = 'other' WHERE id = 5",
    "deleted": "DELETE FROM t WHERE id = 5",
    "inserted": "INSERT INTO t VALUES (50, 'x')",
    "one for one": "DELETE FROM t WHERE id = 5; INSERT INTO t VALUES (50, 'x')",
    "moved": "UPDATE t SET id = 60 WHERE id = 6",
    "the same again": "UPDATE t SET v = v",
    "came and went": "INSERT INTO t VALUES (50, 'x'); DELETE FROM t WHERE id = 50",
    "rolled back": "BEGIN; UPDATE t SET v = 'x'; DELETE FROM t WHERE id = 1; ROLLBACK",
    "vacuumed": "UPDATE t SET v = 'other' WHERE id = 5; VACUUM (FULL, FREEZE) t",
    "frozen": "VACUUM FREEZE t",
    "indexed": "CREATE INDEX ON t (v)",
}


@pytest.mark.parametrize("how", OUTSIDE)
def test_what_moved_elsewhere_is_kept_and_in_the_safety_version(changed: tuple[Scene, int], how: str) -> None:
    scene, version = changed
    with scene.planned(version, HERE) as plan:
        for statement in [OUTSIDE[how]] if "BEGIN" in OUTSIDE[how] else OUTSIDE[how].split("; "):
            scene.run(statement)
        before = texts(contents(scene.admin))
        receipt = plan.execute()
    expected = [row for row in before["public.t"] if not row.startswith("(1,")] + ["(1,old)", "(2,old)"]
    assert texts(contents(scene.admin))["public.t"] == sorted(expected)
    assert receipt.safety is not None
    scene.restore(receipt.safety)
    assert texts(contents(scene.admin)) == before


ALTERED = (
    "ALTER TABLE t ADD extra int",
    "ALTER TABLE t ALTER v TYPE varchar(9)",
    "ALTER TABLE t RENAME v TO w",
    "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD PRIMARY KEY (id, v)",
    "DROP TABLE t; CREATE TABLE t (id bigint PRIMARY KEY, v text)",
)


@pytest.mark.parametrize("how", ALTERED)
def test_the_table_is_another_one(changed: tuple[Scene, int], how: str) -> None:
    scene, version = changed
    with scene.planned(version, HERE) as plan:
        scene.run(how)
        plan.refused(SourceChanged)


def test_partitions_that_are_swapped_are_read(super_scene: Scene) -> None:
    """The rows of the one that is attached are older than the plan, and as many."""
    scene = super_scene
    scene.run(
        "CREATE TABLE t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);"
        "CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (5);"
        "CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM (5) TO (10);"
        "INSERT INTO t SELECT generate_series(1, 9), 'old'"
    )
    version = scene.take()
    scene.run(
        "CREATE TABLE other (id int PRIMARY KEY, v text); INSERT INTO other SELECT id, 'other' FROM t_1;"
        "UPDATE t SET v = 'new' WHERE id IN (1, 7)"
    )
    swap = (
        "ALTER TABLE t DETACH PARTITION t_1; ALTER TABLE t ATTACH PARTITION other FOR VALUES FROM (0) TO (5)"
    )
    with scene.planned(version) as plan:
        scene.run(swap)
        plan.refused(Conflict)
    with scene.planned(version, LiveRequest(keys=(("public.t", ("7",)),))) as plan:
        scene.run(
            "ALTER TABLE t DETACH PARTITION other;"
            " ALTER TABLE t ATTACH PARTITION t_1 FOR VALUES FROM (0) TO (5)"
        )
        before = texts(contents(scene.admin))
        receipt = plan.execute()
    assert receipt.safety is not None
    scene.restore(receipt.safety)
    assert texts(contents(scene.admin)) == before


def test_a_schema_that_took_the_name_of_another_is_read(super_scene: Scene) -> None:
    scene = super_scene
    scene.run(
        "CREATE SCHEMA a; CREATE TABLE a.t (id int PRIMARY KEY, v text); INSERT INTO a.t VALUES (1, 'old')"
    )
    version = scene.take()
    scene.run("UPDATE a.t SET v = 'new'; CREATE SCHEMA b; CREATE TABLE b.t (id int PRIMARY KEY, v text)")
    scene.run("INSERT INTO b.t VALUES (1, 'of another')")
    with scene.planned(version) as plan:
        scene.run("ALTER SCHEMA a RENAME TO c; ALTER SCHEMA b RENAME TO a")
        plan.refused(Conflict)


def _ends(scene: Scene, deed: Callable[[psycopg.Connection], object]) -> Callable[[], None]:
    """A transaction that is open while the plan is made, and ends before it is executed."""
    open_one = psycopg.connect(scene.admin, autocommit=True)
    deed(open_one)

    def end() -> None:
        open_one.execute("COMMIT")
        open_one.close()

    return end


BEFORE_THE_PLAN = {
    "plain": "BEGIN; UPDATE t SET v = 'late' WHERE id = 1",
    "subtransaction": "BEGIN; INSERT INTO t VALUES (90); SAVEPOINT a; UPDATE t SET v = 'late' WHERE id = 1",
    "only inserts": "BEGIN; INSERT INTO t VALUES (2, 'late')",
    "deletes": "BEGIN; DELETE FROM t WHERE id = 1",
}


@pytest.mark.parametrize("how", BEFORE_THE_PLAN)
def test_a_transaction_that_began_before_the_plan_commits_after_it(
    changed: tuple[Scene, int], how: str
) -> None:
    scene, version = changed
    end = _ends(scene, lambda c: c.execute(BEFORE_THE_PLAN[how].encode()))
    scene.run("UPDATE t SET v = v WHERE id = 9")  # younger transactions end earlier
    with scene.planned(version, HERE) as plan:
        scene.run("UPDATE t SET v = v WHERE id = 8")
        end()
        plan.refused(Conflict)


def test_a_prepared_transaction_commits_after_the_plan(changed: tuple[Scene, int]) -> None:
    scene, version = changed
    name = f"cas test {scene.admin}"[:100]
    scene.run(f"BEGIN; UPDATE t SET v = 'late' WHERE id = 1; PREPARE TRANSACTION '{name}'")
    with scene.planned(version, HERE) as plan:
        plan.refused(TimedOut)
    with scene.planned(version, HERE) as plan:
        scene.run(f"COMMIT PREPARED '{name}'")
        plan.refused(Conflict)


def test_writers_wait_and_readers_pass_while_it_works(changed: tuple[Scene, int]) -> None:
    scene, _ = changed
    with scene.platform.change([("public", "t")]), session(scene.admin) as other:
        other.execute("SET lock_timeout = 100")
        assert other.execute("SELECT count(*) FROM t").fetchall() == [(8,)]
        for statement in ("INSERT INTO t VALUES (70)", "SELECT * FROM t FOR KEY SHARE", "TRUNCATE t"):
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute(statement.encode())


def test_who_holds_the_table_for_too_long_is_not_waited_for(changed: tuple[Scene, int]) -> None:
    scene, version = changed
    with session(scene.admin) as other, scene.planned(version, HERE) as plan:
        other.execute("BEGIN; SELECT * FROM t FOR UPDATE")
        plan.refused(TimedOut)
        other.execute("COMMIT")


def test_a_mark_of_another_history_is_not_used(changed: tuple[Scene, int]) -> None:
    scene, _ = changed
    with session(scene.admin) as other:
        mark = mark_of(other)
    with scene.platform.change([("public", "t")]) as transaction:
        (entity,) = transaction.entities
        moved = transaction.moved(entity, mark)
        assert moved is not None
        list(moved)
        for field, value in (("xmin", mark.xmin - (1 << 31)), ("started", "x"), ("database_oid", 1)):
            odd = type(mark)(**{**{f: getattr(mark, f) for f in mark.__slots__}, field: value})
            assert transaction.moved(entity, odd) is None
