"""Versions by what change capture has noted: just these rows are read; where it is in doubt, others are."""

import psycopg
import pytest

from cas.errors import ConnectionFailed
from cas.postgres.capture.installing import install
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
