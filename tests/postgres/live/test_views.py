"""Materialized views over written tables show what is there; one that cannot takes nothing back."""

from tests.postgres.live.scene import SUPERUSER, Scene, session

MADE = """
CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'old'), (2, 'old');
CREATE VIEW between_them AS SELECT id, v FROM t;
CREATE MATERIALIZED VIEW one AS SELECT id, v FROM between_them; CREATE UNIQUE INDEX ON one (id);
CREATE MATERIALIZED VIEW "On ""one"" it" AS SELECT id, v FROM one;
CREATE UNIQUE INDEX ON "On ""one"" it" (id);
CREATE MATERIALIZED VIEW plain AS SELECT count(*) AS n, min(v) AS v FROM one;
CREATE MATERIALIZED VIEW on_plain AS SELECT n, v FROM plain; CREATE UNIQUE INDEX ON on_plain (n);
CREATE MATERIALIZED VIEW empty AS SELECT * FROM t WITH NO DATA
"""
ALL = ("one", '"On ""one"" it"', "plain", "on_plain")


def test_all_are_refreshed(scene: Scene) -> None:
    scene.run(MADE)
    version = scene.take()
    scene.run("UPDATE t SET v = 'new'")
    scene.run("; ".join(f"REFRESH MATERIALIZED VIEW {name}" for name in ALL))
    receipt = scene.restored(version)
    assert receipt.notes == ()
    for name in ALL:
        assert scene.run(f"SELECT DISTINCT v FROM {name}") == [("old",)]
    assert scene.run("SELECT relispopulated FROM pg_class WHERE relname = 'empty'") == [(False,)]


def test_one_that_fails_is_a_note(scene: Scene) -> None:
    scene.run(
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, '0'), (2, '5');"
        "CREATE MATERIALIZED VIEW bad AS SELECT id, 1 / (v::int + 0 * id) AS n FROM t WHERE v <> '0';"
        "CREATE UNIQUE INDEX ON bad (id); CREATE MATERIALIZED VIEW good AS SELECT id, v FROM t;"
        "CREATE UNIQUE INDEX ON good (id); CREATE TABLE u (a int)"
    )
    scene.run("UPDATE t SET v = 'word' WHERE id = 1")
    version = scene.take()
    scene.run("UPDATE t SET v = '0' WHERE id = 1")
    receipt = scene.restored(version)
    assert len(receipt.notes) == 1
    assert "bad" in receipt.notes[0]
    assert scene.run("SELECT v FROM good WHERE id = 1") == [("word",)]


def test_one_of_another_role_stays_and_is_told(scene: Scene) -> None:
    scene.run("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'old')")
    scene.as_admin("CREATE MATERIALIZED VIEW theirs AS SELECT * FROM t; CREATE UNIQUE INDEX ON theirs (id)")
    version = scene.take()
    scene.run("UPDATE t SET v = 'new'")
    with scene.planned(version) as plan:
        told = any("theirs" in note for note in plan.notes)
        receipt = plan.execute()
    assert told == (scene.actor != SUPERUSER)
    assert len(receipt.notes) == (scene.actor != SUPERUSER)


def test_readers_of_a_view_do_not_hold_it_up_for_ever(super_scene: Scene) -> None:
    scene = super_scene
    scene.run("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'old')")
    scene.run("CREATE MATERIALIZED VIEW m AS SELECT * FROM t")
    version = scene.take()
    scene.run("UPDATE t SET v = 'new'")
    with session(scene.admin) as reader:
        reader.execute("BEGIN; SELECT * FROM m")
        receipt = scene.restored(version)
        reader.execute("COMMIT")
    assert len(receipt.notes) == 1
