"""Versions by what change capture has noted: just these rows are read; where it is in doubt, others are."""

import time

import psycopg
import pytest

from cas.errors import ConnectionFailed, SourceChanged
from cas.postgres.capture.installing import install
from cas.postgres.capture.pruning import prune
from cas.postgres.capture.reading import captured
from cas.postgres.capture.removing import remove
from cas.postgres.reading.source import PostgresSource
from cas.records.source import Selection
from tests.postgres.changes.story import Story, changes
from tests.postgres.changes.test_xmin import CHEAP


@pytest.fixture(autouse=True)
def capture(story: Story) -> None:
    """Installed, and a version taken since, of every row: a table that gets triggers is altered."""
    assert install(story.url).is_complete
    assert story.entity(story.take()).read_by == "scan"


@pytest.mark.parametrize("name", list(CHEAP))
def test_what_changed_is_what_is_read(story: Story, name: str) -> None:
    statements, expected = CHEAP[name]
    story.run(*statements)
    found = story.entity(story.checked())
    assert found.read_by == "capture", found.read_reason
    assert changes(found) == expected


def test_no_more_rows_are_read_than_keys_were_written(story: Story) -> None:
    story.run(
        "UPDATE t SET v = 'x' WHERE id IN (3, 900)",
        "DELETE FROM t WHERE id IN (4, 5, 6)",
        "INSERT INTO t VALUES (5000)",
        "UPDATE t SET v = 'y' WHERE id = 3",
    )
    found = story.entity(story.checked())
    assert (found.read_by, found.rows_read, changes(found)) == ("capture", 3, (1, 2, 3))
    assert "all keys" not in found.read_reason


COUNTED = """
SELECT s.seq_scan, s.seq_tup_read, s.idx_scan, coalesce(s.idx_tup_fetch, 0),
       i.heap_blks_read + i.heap_blks_hit, i.idx_blks_read + i.idx_blks_hit
FROM pg_stat_user_tables s JOIN pg_statio_user_tables i USING (relid) WHERE s.relname = 'large'
"""


def counted(story: Story) -> tuple[int, ...]:
    """What the server says was read of the large table by all sessions, once those of the versions are gone:
    whole passes, rows of them, look-ups, rows of them, pages, pages of indexes."""
    with story.session() as session:
        for _ in range(1000):
            query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cas'"
            if session.execute(query).fetchall() == [(0,)]:
                return tuple(session.execute(COUNTED).fetchall()[0])
            time.sleep(0.01)
    pytest.fail("a session of a version is still there")


def test_the_server_reads_no_more_rows_than_keys_were_written(story: Story) -> None:
    """By its own count, of a table of 20,000 rows in some hundred pages."""
    story.run(
        "CREATE TABLE large (id int PRIMARY KEY, v text)",
        "INSERT INTO large SELECT n, repeat('x', 50) FROM generate_series(1, 20000) AS n",
        "VACUUM ANALYZE large",
    )
    install(story.url)
    story.take()
    story.run(
        "UPDATE large SET v = 'y' WHERE id % 500 = 0",
        "DELETE FROM large WHERE id % 1000 = 1",
        "INSERT INTO large VALUES (30000, 'new')",
        "UPDATE large SET v = 'z' WHERE id = 7",
    )
    keys = 40 + 20 + 1 + 1
    before = counted(story)
    version = story.take()
    passes, rows, lookups, found, pages, index_pages = (
        after - then for after, then in zip(counted(story), before, strict=True)
    )
    summary = story.entity(version, "public.large")
    assert (summary.read_by, summary.rows_read, changes(summary)) == ("capture", 42, (1, 41, 20))
    assert (passes, rows) == (0, 0)
    assert lookups == keys
    assert summary.rows_read <= found <= keys
    assert pages <= 2 * keys
    assert index_pages <= 4 * keys
    before = counted(story)
    assert story.take(scan=True).checksum == version.checksum
    scanned = [after - then for after, then in zip(counted(story), before, strict=True)]
    assert scanned[1] + scanned[3] >= 20_000 - 19, "the server counts what is read, else this shows nothing"


LEFT = {
    "for one that is new": ("UPDATE t SET id = 5000 WHERE id = 7", 1, (1, 0, 1)),
    "for one that was deleted": (
        "DELETE FROM t WHERE id = 8; UPDATE t SET id = 8 WHERE id = 7",
        1,
        (0, 1, 1),
    ),
    "one after the other": (
        "UPDATE t SET id = id + 5000 WHERE id IN (7, 9); DELETE FROM t WHERE id = 8",
        2,
        (2, 0, 3),
    ),
    "and written again by somebody": (
        "UPDATE t SET id = 5000 WHERE id = 7; INSERT INTO t VALUES (7, 'another')",
        2,
        (1, 1, 0),
    ),
    "and come back to": (
        "UPDATE t SET id = 5000 WHERE id = 7; UPDATE t SET id = 7 WHERE id = 5000",
        1,
        (0, 0, 0),
    ),
    "all of them": ("UPDATE t SET id = id + 100000", 2000, (2000, 0, 2000)),
    "and its new one deleted": (
        "UPDATE t SET id = 5000 WHERE id = 7; DELETE FROM t WHERE id = 5000",
        0,
        (0, 0, 1),
    ),
}
"""Statements, how many records are read, what changed: a key is left for another one."""


@pytest.mark.parametrize("name", list(LEFT))
def test_a_key_that_is_left_for_another(story: Story, name: str) -> None:
    """It is not noted, and shows by the count: then all keys are read."""
    statements, rows, expected = LEFT[name]
    story.run(*statements.split("; "))
    found = story.entity(story.checked())
    assert (found.read_by, found.rows_read, changes(found)) == ("capture", rows, expected)
    is_left = expected != (0, 0, 0) and expected != (1, 1, 0)
    assert ("all keys, since the noted ones do not account for all" in found.read_reason) == is_left


@pytest.mark.parametrize(("one", "other"), [("1.0", "1.00"), ("2", "2.0")])
def test_a_key_that_is_written_otherwise(story: Story, one: str, other: str) -> None:
    """Equal to the platform's index, and another one to us."""
    story.run("CREATE TABLE n (id numeric PRIMARY KEY)", f"INSERT INTO n VALUES ({one}), (77)")
    install(story.url)
    story.take()
    story.run(f"UPDATE n SET id = {other} WHERE id = {one}")
    found = story.entity(story.checked(), "public.n")
    assert (found.read_by, changes(found)) == ("capture", (1, 0, 1))


def test_a_row_that_is_lost_on_its_way_to_another_partition(story: Story) -> None:
    """The update takes it away, and a trigger of the platform does not let it in."""
    story.run(
        "CREATE TABLE parts (area int, id int, PRIMARY KEY (area, id)) PARTITION BY LIST (area)",
        "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1)",
        "CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2)",
        "INSERT INTO parts SELECT 1 + n % 2, n FROM generate_series(1, 20) n",
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER no BEFORE INSERT ON parts_2 FOR EACH ROW EXECUTE FUNCTION swallow()",
    )
    install(story.url)
    story.take()
    for statement in (
        "UPDATE parts SET area = 2 WHERE id = 4",
        "UPDATE parts SET area = 3 - area, id = id + 100 WHERE id < 9",  # some arrive
        "UPDATE parts SET area = 3 - area",
    ):
        story.run(statement)
        found = story.entity(story.checked(), "public.parts")
        assert (found.read_by, "all keys" in found.read_reason) == ("capture", False)
        assert found.deleted


def test_rows_of_others_that_go_through_a_parent(story: Story) -> None:
    """A statement on the parent counts them as well: more is read, and it is right."""
    story.run(
        "CREATE TABLE parent (id int PRIMARY KEY, v text)",
        "CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent)",
        "CREATE TABLE other (PRIMARY KEY (id)) INHERITS (parent)",
        "INSERT INTO child SELECT n, 'x' FROM generate_series(1, 50) n",
        "INSERT INTO other SELECT n, 'x' FROM generate_series(51, 99) n",
    )
    install(story.url)
    story.take()
    story.run("DELETE FROM parent WHERE id IN (1, 60, 61)", "UPDATE parent SET v = 'y' WHERE id IN (2, 62)")
    version = story.checked()
    child, other = (story.entity(version, f"public.{name}") for name in ("child", "other"))
    assert (child.read_by, changes(child)) == ("capture", (0, 1, 1))
    assert (other.read_by, changes(other)) == ("capture", (0, 1, 2))


def test_version_after_version(story: Story) -> None:
    for number in range(5):
        story.run(f"UPDATE t SET v = 'edition {number}' WHERE id % 100 = {number}")
        version = story.take()
        assert (story.entity(version).read_by, story.entity(version).rows_read) == ("capture", 20)
    assert story.take(scan=True).checksum == version.checksum


def test_a_base_that_is_not_the_newest_position_is_read_by_age(story: Story) -> None:
    """The log was pruned up to the newest version; a plan for an older one reads in another way."""
    story.run("UPDATE t SET v = 'x' WHERE id = 1")
    story.take()
    base = story.world.catalog.bases()[1]
    with PostgresSource(story.url).snapshot(Selection()) as snapshot:
        entity = next(one for one in snapshot.entities if one.name == "t")
        found = snapshot.changed(entity, base.mark, story.repository.id)
        assert not isinstance(found, str)
        assert found.read_by == "xmin"
        assert sum(len(batch.keys) for batch in found.batches) == 1


IN_DOUBT = {
    "truncated": ("TRUNCATE t", "INSERT INTO t VALUES (1, 'row 1')"),
    "a trigger is off for a while": (
        "ALTER TABLE t DISABLE TRIGGER ALL",
        "UPDATE t SET v = 'unseen' WHERE id = 5",
        "ALTER TABLE t ENABLE TRIGGER ALL",
    ),
    "another column": ("ALTER TABLE t ADD COLUMN more int DEFAULT 7",),
}


@pytest.mark.parametrize("name", list(IN_DOUBT))
def test_where_it_is_in_doubt_rows_are_read_in_another_way(story: Story, name: str) -> None:
    story.run(*IN_DOUBT[name])
    found = story.entity(story.checked())
    assert found.read_by != "capture"
    story.run("UPDATE t SET v = 'later' WHERE id = 1")
    assert changes(story.entity(story.checked()))[1] == 1


SWAPS = {
    "by their names": (
        ("CREATE TABLE u (id int PRIMARY KEY, v text)", "INSERT INTO u VALUES (1, 'another')"),
        (
            "ALTER TABLE t RENAME TO x",
            "ALTER TABLE u RENAME TO t",
            "ALTER TABLE x RENAME TO u",
        ),
    ),
    "by their schemas": (
        (
            "CREATE SCHEMA aside",
            "CREATE SCHEMA mid",
            "CREATE TABLE aside.t (id int PRIMARY KEY, v text)",
            "INSERT INTO aside.t VALUES (1, 'another')",
        ),
        (
            "ALTER TABLE t SET SCHEMA mid",
            "ALTER TABLE aside.t SET SCHEMA public",
            "ALTER TABLE mid.t SET SCHEMA aside",
        ),
    ),
    "by the names of their schemas": (
        (
            "CREATE SCHEMA aside",
            "CREATE TABLE aside.t (id int PRIMARY KEY, v text)",
            "INSERT INTO aside.t VALUES (1, 'another')",
        ),
        (
            "ALTER SCHEMA public RENAME TO mid",
            "ALTER SCHEMA aside RENAME TO public",
            "ALTER SCHEMA mid RENAME TO aside",
        ),
    ),
}


@pytest.mark.parametrize("name", list(SWAPS))
def test_two_captured_tables_that_are_swapped(story: Story, name: str) -> None:
    """Each has a log that says that nothing was written, and a position in it of the same version."""
    before, swap = SWAPS[name]
    story.run(*before)
    install(story.url)
    assert story.entity(story.checked()).read_by == "capture"
    story.take()
    story.run(*swap)
    found = story.entity(story.checked())
    assert (found.read_by, found.records) == ("scan", 1)
    story.run(*swap)
    assert story.entity(story.checked()).records == 2000


def test_a_swap_between_two_versions_of_which_one_saw_it(story: Story) -> None:
    """What is read is the other table; then the names come back, and the seal is that of before."""
    before, swap = SWAPS["by their names"]
    story.run(*before)
    install(story.url)
    story.take()
    story.run(*swap)
    with PostgresSource(story.url).snapshot(Selection()) as snapshot:
        moment = snapshot.mark().snapshot
    story.run(*swap)
    prune(story.url, story.repository.id, moment)
    with PostgresSource(story.url).snapshot(Selection()) as snapshot:
        entity = next(one for one in snapshot.entities if one.name == "t")
        with snapshot._readers.asking("t") as connection:
            found = captured(connection, snapshot._table(entity), moment, story.repository.id)
    assert isinstance(found, str)


def test_a_log_that_is_emptied_after_it_was_looked_at(story: Story) -> None:
    """For a snapshot from before it is as if nothing had been written."""
    story.run("UPDATE t SET v = 'x' WHERE id = 1")
    base = story.world.catalog.bases()[0]
    with PostgresSource(story.url).snapshot(Selection()) as snapshot:
        entity = next(one for one in snapshot.entities if one.name == "t")
        found = snapshot.changed(entity, base.mark, story.repository.id)
        assert not isinstance(found, str)
        oid = snapshot._table(entity).oid
        story.run(f"CREATE TABLE kept AS TABLE cas_capture.log_{oid}", f"TRUNCATE cas_capture.log_{oid}")
        story.run(f"INSERT INTO cas_capture.log_{oid} TABLE kept")
        assert found.touched is not None
        with pytest.raises(SourceChanged):
            list(found.batches)
        with pytest.raises(SourceChanged):
            list(found.touched)


def test_after_it_was_removed_and_installed_again(story: Story) -> None:
    remove(story.url)
    story.run("UPDATE t SET v = 'x' WHERE id = 1")
    assert story.entity(story.checked()).read_by != "capture"
    install(story.url)
    story.run("UPDATE t SET v = 'y' WHERE id = 1")
    assert story.entity(story.checked()).read_by != "capture"
    story.run("UPDATE t SET v = 'z' WHERE id = 1")
    assert story.entity(story.checked()).read_by == "capture"


def test_a_version_that_could_not_tell_the_platform_is_a_version(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies after its commit, before the platform knows: nothing is missed, nothing counted twice."""

    def refuse(*_: object) -> None:
        raise ConnectionFailed("gone", where="here")

    story.run("UPDATE t SET v = 'x' WHERE id = 1")
    with monkeypatch.context() as patch:
        patch.setattr(PostgresSource, "kept", refuse)
        assert changes(story.entity(story.take())) == (0, 1, 0)
    story.run("UPDATE t SET v = 'y' WHERE id = 2")
    after = story.entity(story.checked())
    assert (after.read_by, changes(after)) == ("xmin", (0, 1, 0))
    story.run("UPDATE t SET v = 'z' WHERE id = 3")
    assert story.entity(story.checked()).read_by == "capture"


def test_a_version_that_fails_leaves_the_position_where_it_was(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.run("UPDATE t SET v = 'x' WHERE id = 1")
    with monkeypatch.context() as patch:
        patch.setattr("cas.snapshot.commit_version", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            story.take()
    story.run("UPDATE t SET v = 'y' WHERE id = 2")
    found = story.entity(story.checked())
    assert (found.read_by, changes(found)) == ("capture", (0, 2, 0))


def test_concurrent_writers_that_commit_in_another_order(story: Story) -> None:
    with story.session() as early, story.session() as late:
        early.execute("BEGIN; UPDATE t SET v = 'early' WHERE id = 1")
        late.execute("UPDATE t SET v = 'late' WHERE id = 2")
        assert changes(story.entity(story.take())) == (0, 1, 0)
        early.execute("DELETE FROM t WHERE id = 3; COMMIT")
    found = story.entity(story.checked())
    assert (found.read_by, changes(found)) == ("capture", (0, 1, 1))


def test_a_plan_of_the_newest_version_reads_what_was_noted(story: Story) -> None:
    story.run("UPDATE t SET v = 'damage' WHERE id IN (1, 2)", "DELETE FROM t WHERE id = 9")
    with psycopg.connect(story.url) as connection:
        count = connection.execute("SELECT count(*) FROM t").fetchall()
    assert count == [(1999,)]
    base = story.world.catalog.bases()[0]
    with PostgresSource(story.url).snapshot(Selection()) as snapshot:
        entity = next(one for one in snapshot.entities if one.name == "t")
        found = snapshot.changed(entity, base.mark, story.repository.id)
        assert not isinstance(found, str)
        assert found.read_by == "capture"
        assert sum(len(batch.keys) for batch in found.batches) == 2
        assert found.touched is not None
        assert sum(map(len, found.touched)) == 3
