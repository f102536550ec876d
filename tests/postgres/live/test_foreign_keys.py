"""Foreign keys of every kind: a restore brings rows back across them, and takes no more than it says."""

import pytest

from cas.errors import Conflict
from cas.live.request import LiveRequest
from tests.postgres.live.scene import Scene

ACTIONS = ("NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT")


@pytest.mark.parametrize("action", ACTIONS)
def test_children_outside_of_the_plan_stay_when_their_parent_is_written_anew(
    scene: Scene, action: str
) -> None:
    scene.run(
        "CREATE TABLE parent (id int PRIMARY KEY, note text);"
        f"CREATE TABLE child (id int PRIMARY KEY, parent int DEFAULT 0 REFERENCES parent ON DELETE {action}"
        f" ON UPDATE CASCADE);"
        "INSERT INTO parent SELECT n, 'old' FROM generate_series(0, 5) AS n;"
        "INSERT INTO child SELECT n, n FROM generate_series(1, 5) AS n"
    )
    version = scene.take()
    scene.run("UPDATE parent SET note = 'new' WHERE id < 4; INSERT INTO parent VALUES (9)")
    receipt = scene.restored(version)
    assert (receipt.inserted, receipt.updated, receipt.deleted) == (0, 4, 1)


def test_rows_that_refer_to_themselves_come_back_and_go(scene: Scene) -> None:
    scene.run(
        "CREATE TABLE tree (id int PRIMARY KEY, up int REFERENCES tree ON DELETE CASCADE, note text);"
        "INSERT INTO tree SELECT n, nullif(n / 2, 0), 'old' FROM generate_series(1, 20) AS n;"
        "INSERT INTO tree VALUES (21, 21, 'its own')"
    )
    version = scene.take()
    scene.run(
        "DELETE FROM tree WHERE id IN (2, 21); UPDATE tree SET note = 'new' WHERE id = 1;"
        "INSERT INTO tree VALUES (50, 51, 'x'), (51, 50, 'y')"
    )
    scene.restored(version)


@pytest.mark.parametrize("deferrable", ["", "DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED"])
def test_keys_in_a_circle(scene: Scene, deferrable: str) -> None:
    scene.run(
        "CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL);"
        f"ALTER TABLE a ADD CONSTRAINT a_b FOREIGN KEY (b) REFERENCES b {deferrable};"
        f"ALTER TABLE b ADD CONSTRAINT b_a FOREIGN KEY (a) REFERENCES a ON DELETE RESTRICT {deferrable};"
        "INSERT INTO a VALUES (1), (2); INSERT INTO b VALUES (1, 1), (2, 2); UPDATE a SET b = 3 - id"
    )
    version = scene.take()
    scene.run("UPDATE a SET b = NULL; DELETE FROM b; DELETE FROM a; INSERT INTO a VALUES (7)")
    scene.restored(version)


def test_keys_of_several_columns_and_match_full(scene: Scene) -> None:
    scene.run(
        'CREATE TABLE parent (a int, "B c" text, PRIMARY KEY (a, "B c"));'
        "CREATE TABLE child (id int PRIMARY KEY, x int, y text, z int,"
        ' CONSTRAINT "full" FOREIGN KEY (x, y) REFERENCES parent MATCH FULL,'
        ' CONSTRAINT simple FOREIGN KEY (z, y) REFERENCES parent (a, "B c"));'
        "INSERT INTO parent VALUES (1, 'one'), (2, 'two');"
        "INSERT INTO child VALUES (1, 1, 'one', NULL), (2, NULL, NULL, 5), (3, 2, 'two', 2)"
    )
    version = scene.take()
    scene.run("DELETE FROM child; DELETE FROM parent; INSERT INTO child (id) VALUES (8)")
    scene.restored(version)


def test_keys_from_and_to_partitioned_tables(scene: Scene) -> None:
    scene.run(
        "CREATE TABLE parent (id int PRIMARY KEY, note text) PARTITION BY HASH (id);"
        "CREATE TABLE parent_0 PARTITION OF parent FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE parent_1 PARTITION OF parent FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
        "CREATE TABLE child (id int, day date, parent int REFERENCES parent ON DELETE CASCADE,"
        " PRIMARY KEY (id, day)) PARTITION BY RANGE (day);"
        "CREATE TABLE child_a PARTITION OF child FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');"
        "CREATE TABLE child_b PARTITION OF child DEFAULT;"
        "INSERT INTO parent SELECT n, 'old' FROM generate_series(1, 9) AS n;"
        "INSERT INTO child SELECT n, date '2024-10-01' + n * 30, n FROM generate_series(1, 9) AS n"
    )
    version = scene.take()
    scene.run("UPDATE parent SET note = 'new' WHERE id < 4; DELETE FROM parent WHERE id > 7")
    scene.restored(version)


def test_a_key_of_one_partition_alone_says_nothing_of_the_others(scene: Scene) -> None:
    scene.run(
        "CREATE TABLE parent (id int PRIMARY KEY);"
        "CREATE TABLE child (id int PRIMARY KEY, parent int, note text) PARTITION BY LIST (id);"
        "CREATE TABLE child_1 PARTITION OF child FOR VALUES IN (1);"
        "CREATE TABLE child_2 PARTITION OF child FOR VALUES IN (2);"
        "ALTER TABLE child_1 ADD CONSTRAINT alone FOREIGN KEY (parent) REFERENCES parent;"
        "INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1, 1), (2, 77)"
    )
    version = scene.take()
    scene.run("UPDATE child SET note = 'new' WHERE id = 2")
    scene.run("DELETE FROM child WHERE id = 1; DELETE FROM parent")
    scene.restored(version)


def test_a_key_to_one_partition_alone(scene: Scene) -> None:
    scene.run(
        "CREATE TABLE parent (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);"
        "CREATE TABLE parent_low PARTITION OF parent FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE parent_high PARTITION OF parent FOR VALUES FROM (10) TO (20);"
        "CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent_low ON DELETE CASCADE);"
        "INSERT INTO parent VALUES (1, 'old'), (11, 'old'); INSERT INTO child VALUES (1, 1)"
    )
    version = scene.take()
    scene.run("UPDATE parent SET note = 'new'")
    scene.restored(version)


def test_keys_keep_their_state_and_their_comments(scene: Scene) -> None:
    """What the owner's way drops and adds again is what it was: the scene compares it all."""
    scene.run(
        "CREATE TABLE parent (id int PRIMARY KEY, note text);"
        "CREATE TABLE child (id int PRIMARY KEY, a int, b int, c int);"
        "INSERT INTO parent VALUES (1, 'old'); INSERT INTO child VALUES (1, 1, 77, 1);"
        'ALTER TABLE child ADD CONSTRAINT "it\'s a" FOREIGN KEY (a) REFERENCES parent'
        " ON DELETE SET NULL (a) DEFERRABLE INITIALLY DEFERRED;"
        "ALTER TABLE child ADD CONSTRAINT b_old FOREIGN KEY (b) REFERENCES parent NOT VALID;"
        "ALTER TABLE child ADD CONSTRAINT c_key FOREIGN KEY (c) REFERENCES parent;"
        "COMMENT ON CONSTRAINT \"it's a\" ON child IS E'it''s \\\\ é \\n two lines'"
    )
    version = scene.take()
    scene.run("UPDATE parent SET note = 'new'; UPDATE child SET c = NULL")
    scene.restored(version)


def test_a_key_that_is_not_enforced_stays_so(scene18: Scene) -> None:
    scene18.run(
        "CREATE TABLE parent (id int PRIMARY KEY, note text);"
        "CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent NOT ENFORCED, note text);"
        "INSERT INTO parent VALUES (1, 'old'), (2, 'old'); INSERT INTO child VALUES (1, 77, 'x'), (2, 2, 'y')"
    )
    version = scene18.take()
    scene18.run("UPDATE parent SET note = 'new'; DELETE FROM child WHERE id = 1; UPDATE child SET p = 99")
    scene18.run("INSERT INTO parent VALUES (5); INSERT INTO child VALUES (5, 5)")
    scene18.restored(version)


def test_keys_between_columns_of_other_types(scene: Scene) -> None:
    """A value that does not fit the parent's type has no parent; a shorter type must not make it another."""
    scene.run(
        "CREATE TABLE small (id smallint PRIMARY KEY); CREATE TABLE short (code varchar(3) PRIMARY KEY);"
        "CREATE TABLE child (id int PRIMARY KEY, s bigint REFERENCES small,"
        " c text REFERENCES short DEFERRABLE);"
        "INSERT INTO small VALUES (1), (2); INSERT INTO short VALUES ('abc'), ('b');"
        "INSERT INTO child VALUES (1, 1, 'abc'), (2, 2, 'b')"
    )
    version = scene.take()
    scene.run("DELETE FROM child; DELETE FROM short WHERE code = 'b'; INSERT INTO small VALUES (3)")
    scene.restored(version)
    scene.run(
        "ALTER TABLE child DROP CONSTRAINT child_s_fkey, DROP CONSTRAINT child_c_fkey;"
        "INSERT INTO child VALUES (5, 5000000000, 'abcdef')"
    )
    version = scene.take()
    scene.run(
        "DELETE FROM child WHERE id = 5; ALTER TABLE child ADD FOREIGN KEY (s) REFERENCES small;"
        "ALTER TABLE child ADD FOREIGN KEY (c) REFERENCES short"
    )
    with scene.planned(version) as plan:
        assert len(plan.blocks) == 2


def test_a_key_over_texts_whose_case_does_not_matter(scene: Scene) -> None:
    """The operator of citext lives in another schema than the `=` that pg_catalog would find."""
    if scene.cluster.major == 18:
        pytest.skip("the embedded server has no contrib")
    scene.as_admin("CREATE EXTENSION citext SCHEMA public")
    scene.run(
        "CREATE TABLE parent (name citext PRIMARY KEY, v text);"
        "CREATE TABLE child (id int PRIMARY KEY, name citext REFERENCES parent, UNIQUE (name) DEFERRABLE);"
        "INSERT INTO parent VALUES ('Ann', 'old'), ('Bob', 'old');"
        " INSERT INTO child VALUES (1, 'ANN'), (2, 'bob')"
    )
    version = scene.take()
    scene.run("DELETE FROM child; UPDATE parent SET v = 'new'")
    scene.restored(version)
    scene.run(
        "BEGIN; UPDATE child SET name = NULL WHERE id = 1; UPDATE child SET name = 'ann' WHERE id = 2; COMMIT"
    )
    with scene.planned(version, LiveRequest(keys=(("public.child", ("1",)),))) as plan:
        plan.refused(Conflict)


def test_a_parent_key_that_is_equal_in_another_spelling(scene: Scene) -> None:
    scene.run(
        "CREATE TABLE parent (id numeric PRIMARY KEY, note text);"
        "CREATE TABLE child (id int PRIMARY KEY, p numeric REFERENCES parent);"
        "INSERT INTO parent VALUES (1.0, 'a'), (2.0, 'b'); INSERT INTO child VALUES (1, 1.000)"
    )
    version = scene.take()
    scene.run("UPDATE parent SET note = 'new' WHERE id = 1; INSERT INTO parent VALUES (3.00, 'c')")
    scene.restored(version)
