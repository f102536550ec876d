"""A restore leaves no trace but its records: the schema's text is the same, and little is written."""

import re
import subprocess

from tests.postgres.live.scene import Scene
from tests.postgres.live.test_acting import NOISE, rules, triggers

CHILDREN = """
CREATE TABLE c (id int PRIMARY KEY, t int CONSTRAINT "T key" REFERENCES t ON UPDATE CASCADE ON DELETE SET NULL
  DEFERRABLE INITIALLY DEFERRED, again int REFERENCES t);
ALTER TABLE c ADD CONSTRAINT unproven FOREIGN KEY (again) REFERENCES t NOT VALID;
COMMENT ON CONSTRAINT "T key" ON c IS 'it''s a \\ comment'
"""


def schema(scene: Scene) -> str:
    program = [str(scene.cluster.bin_directory / "pg_dump"), "--schema-only", "-d", scene.admin]
    text = subprocess.run(program, check=True, capture_output=True, text=True).stdout
    return re.sub(r"(?m)^\\(un)?restrict .*$", "", text)


def test_the_schema_is_the_same_text(scene: Scene) -> None:
    scene.run(
        "CREATE TABLE t (id int PRIMARY KEY, note text, u text UNIQUE DEFERRABLE, EXCLUDE (u WITH =));"
        f"INSERT INTO t SELECT generate_series(1, 5), 'old'; {CHILDREN}"
    )
    version = scene.take()
    scene.run("UPDATE t SET note = 'new'; INSERT INTO c VALUES (1, 1, 2)")
    scene.run(NOISE + triggers("t") + ";" + rules("t") + ";" + rules("c"))
    before = schema(scene)
    scene.restore(version)
    assert scene.run("SELECT DISTINCT note FROM t") == [("old",)]
    assert schema(scene) == before


def test_little_is_logged(scene: Scene) -> None:
    """One record of 5,000 costs what one record costs."""
    scene.run(
        "CREATE TABLE t (id int PRIMARY KEY, note text);"
        f"INSERT INTO t SELECT n, repeat('x', 200) FROM generate_series(1, 5000) AS n; {CHILDREN};"
        "INSERT INTO c SELECT n, n FROM generate_series(1, 500) AS n"
    )
    version = scene.take()
    scene.run("UPDATE t SET note = 'new' WHERE id = 7")
    scene.as_admin("CHECKPOINT")
    assert scene.restored(version).wal_bytes < 200_000


def test_nothing_of_ours_stays(scene: Scene) -> None:
    scene.run("CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t VALUES (1, 'old')")
    version = scene.take()
    scene.run("UPDATE t SET note = 'new'")
    scene.restored(version)
    assert scene.as_admin("SELECT relname FROM pg_class WHERE relname ~ '^cas_'") == []
