"""What auto-save gets to see: each committed transaction once, by capture; and sums, by statistics."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing

import pytest

from cas.errors import ConnectionFailed
from cas.postgres.capture.feed import CaptureFeed
from cas.postgres.capture.statistics_feed import StatisticsFeed
from cas.records.changes import ChangeFeed, MovedRows, PlatformTransaction
from tests.postgres.capture.scene import Platform, writer

SHOP = """
CREATE TABLE items (id int PRIMARY KEY, name text);
CREATE TABLE parts (area int, id int, PRIMARY KEY (area, id)) PARTITION BY RANGE (area);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE goods (id int PRIMARY KEY); CREATE TABLE books (PRIMARY KEY (id)) INHERITS (goods);
CREATE TABLE events (what text);
INSERT INTO items SELECT generate_series(1, 50); INSERT INTO books VALUES (1);
"""


def test_each_transaction_once(platform: Platform) -> None:
    platform.captured(SHOP)
    with closing(CaptureFeed(platform.url)) as feed:
        assert feed.sees == "capture"
        assert feed.poll() == ()
        assert list(feed.poll()) == []
        platform.run("BEGIN; INSERT INTO items VALUES (100), (101); DELETE FROM items WHERE id < 4; COMMIT")
        platform.run("BEGIN; DELETE FROM items; ROLLBACK")
        platform.run("INSERT INTO parts_1 VALUES (1, 1); INSERT INTO parts VALUES (2, 2)")
        assert list(feed.poll()) == [
            PlatformTransaction((MovedRows("public", "items", inserted=2, deleted=3),)),
            PlatformTransaction((MovedRows("public", "parts", inserted=2),)),
        ]
        assert list(feed.poll()) == []
        platform.run("TRUNCATE items")
        assert list(feed.poll()) == [PlatformTransaction((MovedRows("public", "items", truncated=True),))]


def test_who_commits_later_with_a_lower_number(platform: Platform) -> None:
    platform.captured(SHOP)
    with closing(CaptureFeed(platform.url)) as feed, writer(platform) as early:
        feed.poll()
        early.execute("BEGIN")
        early.execute("DELETE FROM items WHERE id = 1")
        platform.run("DELETE FROM items WHERE id IN (2, 3)")
        assert [one.moved[0].deleted for one in feed.poll()] == [2]
        early.execute("COMMIT")
        assert [one.moved[0].deleted for one in feed.poll()] == [1]
        assert list(feed.poll()) == []


def test_rows_that_were_written_through_a_parent_count_once(platform: Platform) -> None:
    platform.captured(SHOP)
    with closing(CaptureFeed(platform.url)) as feed:
        feed.poll()
        platform.run("DELETE FROM goods")
        (one,) = feed.poll()
        assert one.moved == (MovedRows("public", "goods", deleted=1),)


def test_a_version_does_not_prune_what_was_not_seen(platform: Platform) -> None:
    platform.captured(SHOP)
    with closing(CaptureFeed(platform.url)) as feed:
        feed.poll()
        platform.run("DELETE FROM items WHERE id = 1")
        platform.version()
        assert len(feed.poll()) == 1
    assert platform.run("SELECT count(*)::int FROM cas_capture.positions WHERE reader LIKE 'feed:%'") == [
        (0,)
    ]


def test_capture_that_is_installed_later(platform: Platform) -> None:
    platform.run(SHOP)
    with closing(CaptureFeed(platform.url)) as feed:
        feed.poll()
        platform.install()
        platform.run("DELETE FROM items WHERE id = 1")
        assert len(feed.poll()) == 1


def test_what_capture_does_not_see(platform: Platform) -> None:
    platform.captured(SHOP)
    with closing(CaptureFeed(platform.url)) as feed:
        assert list(feed.blind_spots()) == ["Changes of public.events are not seen: it has no primary key"]


def test_statistics(platform: Platform) -> None:
    platform.run(SHOP)
    with closing(StatisticsFeed(platform.url)) as feed:
        assert feed.sees == "statistics"
        assert len(feed.blind_spots()) > 3
        settled(feed)
        platform.run(
            "INSERT INTO items VALUES (100), (101); DELETE FROM items WHERE id < 4;"
            " INSERT INTO parts VALUES (1, 1)"
        )
        moved = waited(feed, lambda rows: len(rows) == 2)
        assert moved == [
            MovedRows("public", "items", inserted=2, deleted=3),
            MovedRows("public", "parts", inserted=1),
        ]


def settled(feed: ChangeFeed) -> None:
    """All that was counted before has been reported."""
    feed.poll()
    for _ in range(3):
        time.sleep(0.4)
        feed.poll()


def waited(feed: ChangeFeed, enough: Callable[[Sequence[MovedRows]], bool]) -> list[MovedRows]:
    rows: list[MovedRows] = []
    ends = time.monotonic() + 20
    while not enough(rows) and time.monotonic() < ends:
        time.sleep(0.1)
        rows += [row for one in feed.poll() for row in one.moved]
    return rows


@pytest.mark.parametrize("kind", [CaptureFeed, StatisticsFeed])
def test_the_schema(platform: Platform, kind: type[CaptureFeed] | type[StatisticsFeed]) -> None:
    platform.run(SHOP)
    with closing(kind(platform.url)) as feed:
        seen = [feed.schema_state()]
        for change in (
            "ALTER TABLE items ADD price numeric",
            "ALTER TABLE items ALTER price TYPE int",
            "ALTER TABLE items ALTER price SET DEFAULT 3",
            "ALTER TABLE items ALTER price SET DEFAULT 4",
            "ALTER TABLE items ADD CHECK (price > 0)",
            "CREATE TYPE mood AS ENUM ('ok')",
            "ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'",
            "CREATE INDEX ON items (name)",
            "CREATE VIEW seen AS SELECT id FROM items",
            "CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20)",
            "DROP TABLE events",
        ):
            platform.run(change)
            seen.append(feed.schema_state())
        assert len(set(seen)) == len(seen)
        for nothing in (
            "VACUUM",
            "ANALYZE",
            "INSERT INTO items VALUES (1000)",
            "REINDEX TABLE items",
            "VACUUM FULL items",
        ):
            platform.run(nothing)
            assert feed.schema_state() == seen[-1], nothing
        platform.install()
        assert feed.schema_state() == seen[-1]
        platform.run("ANALYZE")
        assert feed.records("public", "items") == 51
        assert feed.records("public", "nothing") == 0


def test_a_platform_that_does_not_answer(platform: Platform) -> None:
    feed = CaptureFeed("postgresql://nobody@/nothing?host=%2Fnowhere")
    with pytest.raises(ConnectionFailed):
        feed.poll()
