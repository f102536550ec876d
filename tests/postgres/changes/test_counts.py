"""What changed is counted alike where every row is read, and known where that is all that can be done."""

import pytest

from cas.records.source import Selection
from tests.postgres.changes.story import Story, changes
from tests.postgres.changes.test_xmin import CHEAP


@pytest.mark.parametrize("name", list(CHEAP))
def test_reading_every_row_counts_what_reading_changes_counts(story: Story, name: str) -> None:
    statements, expected = CHEAP[name]
    story.run(*statements)
    found = story.entity(story.take(scan=True))
    assert (found.read_by, changes(found), found.compared_with) == ("scan", expected, 1)


WHOLE = {
    "truncated": (("TRUNCATE t", "INSERT INTO t VALUES (1, 'row 1'), (2, 'x')"), (0, 1, 1998)),
    "rewritten": (("UPDATE t SET v = 'x' WHERE id < 4", "VACUUM FULL t"), (0, 3, 0)),
    "another column": (("ALTER TABLE t ADD COLUMN more int DEFAULT 7",), (0, 2000, 0)),
    "a column without values": (
        ("ALTER TABLE t ADD COLUMN more int", "UPDATE t SET more = 1 WHERE id = 5"),
        (0, 1, 0),
    ),
    "a column less": (("ALTER TABLE t DROP COLUMN v",), (0, 2000, 0)),
    "wider keys": (("ALTER TABLE t ALTER id TYPE bigint", "DELETE FROM t WHERE id = 9"), (0, 0, 1)),
    "keys of another type": (("ALTER TABLE t ALTER id TYPE text",), (2000, 0, 2000)),
    "no key any more": (("ALTER TABLE t DROP CONSTRAINT t_pkey",), (2000, 0, 2000)),
    "made anew": (
        ("DROP TABLE t", "CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'row 1')"),
        (0, 0, 1999),
    ),
}


@pytest.mark.parametrize("name", list(WHOLE))
def test_a_table_that_is_read_whole_is_counted_by_its_keys(story: Story, name: str) -> None:
    statements, expected = WHOLE[name]
    story.run(*statements)
    found = story.entity(story.take())
    assert (found.read_by, changes(found), found.compared_with) == ("scan", expected, 1)


def test_a_check_of_both_ways_counts_once(story: Story) -> None:
    story.run("UPDATE t SET v = 'x' WHERE id = 3", "INSERT INTO t VALUES (9000, 'y')")
    found = story.entity(story.take(scan_every=1))
    assert (found.read_by, changes(found), found.compared_with) == ("scan", (1, 1, 0), 1)


def test_a_version_of_a_part_holds_a_part_of_the_sequences(story: Story) -> None:
    story.run("CREATE SEQUENCE a", "CREATE SEQUENCE b", "CREATE TABLE s (id serial PRIMARY KEY)")
    story.take()
    part = story.take(selection=Selection(tables=("public.s",)))
    sequences = story.entity(part, "sequences")
    assert (sequences.records, changes(sequences)) == (1, (None, None, None))
    story.run("SELECT nextval('a')")
    sequences = story.entity(story.take(), "sequences")
    assert (sequences.records, changes(sequences), sequences.compared_with) == (3, (0, 1, 0), 2)


def test_large_objects_and_rows_without_a_key(story: Story) -> None:
    story.run(
        "SELECT lo_from_bytea(70001, 'one')",
        "SELECT lo_from_bytea(70002, 'two')",
        "CREATE TABLE b (v text)",
        "INSERT INTO b VALUES ('x'), ('x'), ('y')",
    )
    story.take()
    story.run(
        "SELECT lo_put(70001, 0, 'ONE')",
        "SELECT lo_unlink(70002)",
        "SELECT lo_from_bytea(70003, 'three')",
        "DELETE FROM b WHERE ctid = (SELECT max(ctid) FROM b WHERE v = 'x')",
        "INSERT INTO b VALUES ('z'), ('z')",
    )
    version = story.take()
    large_objects = next(one for one in version.entities if one.kind == "large_objects")
    assert changes(large_objects) == (2, 1, 2), "each object is a record, and each of its pages"
    assert changes(story.entity(version, "public.b")) == (2, 0, 1)
