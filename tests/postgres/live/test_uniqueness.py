"""Unique values that change hands, whatever says what is equal."""

import pytest

from cas.errors import Conflict
from cas.live.request import LiveRequest
from tests.postgres.live.scene import Scene

BLIND = "CREATE COLLATION public.blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"

UNIQUE = {
    "plain": "UNIQUE (v)",
    "deferrable": "UNIQUE (v) DEFERRABLE",
    "deferred": "UNIQUE (v) DEFERRABLE INITIALLY DEFERRED",
    "nulls": "UNIQUE NULLS NOT DISTINCT (v) DEFERRABLE",
    "exclusion": "EXCLUDE (v WITH =)",
    "deferred exclusion": "EXCLUDE (v WITH =) WHERE (id <> 100) DEFERRABLE INITIALLY DEFERRED",
}


@pytest.mark.parametrize("kind", UNIQUE)
def test_values_are_swapped(scene: Scene, kind: str) -> None:
    scene.run(
        f"CREATE TABLE t (id int PRIMARY KEY, v text, CONSTRAINT one {UNIQUE[kind]});"
        "INSERT INTO t SELECT n, 'v' || n FROM generate_series(1, 6) AS n; INSERT INTO t VALUES (7, NULL)"
    )
    version = scene.take()
    scene.run(
        "UPDATE t SET v = 'x' || id; UPDATE t SET v = 'v' || (7 - id) WHERE id < 6;"
        "UPDATE t SET v = NULL WHERE id = 6 AND NOT EXISTS (SELECT FROM t WHERE id = 8);"
        if kind != "nulls"
        else "UPDATE t SET v = 'x' || id; UPDATE t SET v = 'v' || (7 - id) WHERE id < 6"
    )
    scene.restored(version)


@pytest.mark.parametrize("kind", UNIQUE)
def test_a_value_that_a_row_outside_of_the_scope_has_is_refused(scene: Scene, kind: str) -> None:
    scene.run(
        f"CREATE TABLE t (id int PRIMARY KEY, v text, CONSTRAINT one {UNIQUE[kind]});"
        "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, NULL)"
    )
    version = scene.take()
    scene.run("UPDATE t SET v = 'c' WHERE id = 1; UPDATE t SET v = 'a' WHERE id = 2")
    with scene.planned(version, LiveRequest(keys=(("public.t", ("1",)),))) as plan:
        plan.refused(Conflict)


def test_nulls_that_are_not_distinct_are_seen(scene: Scene) -> None:
    scene.run(
        "CREATE TABLE t (id int PRIMARY KEY, v text, UNIQUE NULLS NOT DISTINCT (v) DEFERRABLE);"
        "INSERT INTO t VALUES (1, NULL), (2, 'b')"
    )
    version = scene.take()
    scene.run("UPDATE t SET v = 'c' WHERE id = 1; UPDATE t SET v = NULL WHERE id = 2")
    with scene.planned(version, LiveRequest(keys=(("public.t", ("1",)),))) as plan:
        plan.refused(Conflict)


def test_ranges_that_may_not_overlap(scene: Scene) -> None:
    scene.run(
        "CREATE TABLE t (id int PRIMARY KEY, r int4range, EXCLUDE USING gist (r WITH &&)"
        " DEFERRABLE INITIALLY DEFERRED); INSERT INTO t VALUES (1, '[1,5)'), (2, '[5,9)'), (3, 'empty')"
    )
    version = scene.take()
    scene.run("BEGIN; UPDATE t SET r = '[1,3)' WHERE id = 1; UPDATE t SET r = '[3,9)' WHERE id = 2; COMMIT")
    with scene.planned(version, LiveRequest(keys=(("public.t", ("1",)),))) as plan:
        plan.refused(Conflict)
    scene.restored(version)


def test_a_type_whose_equality_lives_in_another_schema(scene: Scene) -> None:
    """Under a search_path of pg_catalog alone its `=` is not found, or is another one."""
    scene.as_admin(
        "CREATE SCHEMA odd; GRANT ALL ON SCHEMA odd TO public;"
        "CREATE TYPE odd.mod AS (n int);"
        "CREATE FUNCTION odd.cmp(a odd.mod, b odd.mod) RETURNS int IMMUTABLE LANGUAGE sql"
        " AS 'SELECT (a).n % 10 - (b).n % 10';"
        "CREATE FUNCTION odd.eq(a odd.mod, b odd.mod) RETURNS bool IMMUTABLE LANGUAGE sql"
        " AS 'SELECT (a).n % 10 = (b).n % 10';"
        "CREATE FUNCTION odd.lt(a odd.mod, b odd.mod) RETURNS bool IMMUTABLE LANGUAGE sql"
        " AS 'SELECT (a).n % 10 < (b).n % 10';"
        "CREATE OPERATOR odd.= (LEFTARG = odd.mod, RIGHTARG = odd.mod, FUNCTION = odd.eq,"
        " COMMUTATOR = OPERATOR(odd.=));"
        "CREATE OPERATOR odd.< (LEFTARG = odd.mod, RIGHTARG = odd.mod, FUNCTION = odd.lt);"
        "CREATE OPERATOR CLASS odd.mod_ops DEFAULT FOR TYPE odd.mod USING btree AS"
        " OPERATOR 1 odd.<, OPERATOR 3 odd.=, FUNCTION 1 odd.cmp(odd.mod, odd.mod)"
    )
    scene.run(
        "CREATE TABLE t (k odd.mod PRIMARY KEY, id int, v odd.mod, UNIQUE (v) DEFERRABLE INITIALLY DEFERRED);"
        "INSERT INTO t VALUES (ROW(1), 1, ROW(11)), (ROW(2), 2, ROW(12))"
    )
    version = scene.take()
    scene.run("BEGIN; UPDATE t SET v = ROW(5) WHERE id = 1; UPDATE t SET v = ROW(21) WHERE id = 2; COMMIT")
    with scene.planned(version, LiveRequest(keys=(("public.t", ("(1)",)),))) as plan:
        plan.refused(Conflict)
    scene.run("UPDATE t SET k = ROW(31) WHERE id = 1")
    scene.restored(version)


def test_a_collation_to_which_different_texts_are_equal(scene: Scene) -> None:
    if scene.cluster.major == 18:
        pytest.skip("the embedded server has no ICU")
    scene.as_admin(BLIND)
    scene.run(
        "CREATE TABLE t (k text COLLATE public.blind PRIMARY KEY, v text COLLATE public.blind,"
        " UNIQUE (v) DEFERRABLE); INSERT INTO t VALUES ('a', 'one'), ('b', 'two')"
    )
    version = scene.take()
    scene.run("UPDATE t SET v = 'x' WHERE k = 'a'; UPDATE t SET v = 'ONE' WHERE k = 'b'")
    with scene.planned(version, LiveRequest(keys=(("public.t", ("a",)),))) as plan:
        plan.refused(Conflict)
    scene.run("UPDATE t SET k = 'A' WHERE k = 'a'")
    scene.restored(version)


def test_an_exclusion_by_another_collation_than_the_column_has(scene: Scene) -> None:
    if scene.cluster.major == 18:
        pytest.skip("the embedded server has no ICU")
    scene.as_admin(BLIND)
    scene.run(
        "CREATE TABLE t (id int PRIMARY KEY, v text, EXCLUDE (v COLLATE public.blind WITH =) DEFERRABLE);"
        "INSERT INTO t VALUES (1, 'one'), (2, 'two')"
    )
    version = scene.take()
    scene.run("UPDATE t SET v = 'x' WHERE id = 1; UPDATE t SET v = 'ONE' WHERE id = 2")
    with scene.planned(version, LiveRequest(keys=(("public.t", ("1",)),))) as plan:
        plan.refused(Conflict)


def test_a_constraint_of_one_partition_alone(scene: Scene) -> None:
    scene.run(
        "CREATE TABLE t (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);"
        "CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE t_high PARTITION OF t DEFAULT; INSERT INTO t VALUES (1, 5), (2, 6), (20, 6), (21, 6);"
        "ALTER TABLE t_low ADD UNIQUE (v) DEFERRABLE INITIALLY DEFERRED"
    )
    version = scene.take()
    scene.run("UPDATE t SET v = 7 WHERE id = 1; UPDATE t SET v = 5 WHERE id IN (2, 20)")
    with scene.planned(version, LiveRequest(keys=(("public.t", ("1",)),))) as plan:
        plan.refused(Conflict)
    scene.restored(version)
