"""What auto-save gets to see: each committed transaction once, by capture; and sums, by statistics."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing

import pytest

import cas.postgres.capture.feed as feed_module
from cas.errors import ConnectionFailed, InvalidInput
from cas.postgres.capture.feed import CaptureFeed
from cas.postgres.capture.platform_feed import PlatformFeed
from cas.postgres.capture.statistics_feed import StatisticsFeed
from cas.records.changes import ChangeFeed, Happened, MovedRows, PlatformTransaction
from tests.postgres.capture.scene import Platform, writer

WATCHER = "a repository"

SHOP = """
CREATE TABLE items (id int PRIMARY KEY, name text);
CREATE TABLE parts (area int, id int, PRIMARY KEY (area, id)) PARTITION BY RANGE (area);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE goods (id int PRIMARY KEY); CREATE TABLE books (PRIMARY KEY (id)) INHERITS (goods);
CREATE TABLE events (what text);
INSERT INTO items SELECT generate_series(1, 50); INSERT INTO books VALUES (1);
"""


def happened(feed: ChangeFeed) -> list[PlatformTransaction]:
    """Since the last look, of which nothing was missed."""
    found = feed.poll()
    assert found.missed == ""
    return list(found.transactions)


def test_each_transaction_once(platform: Platform) -> None:
    platform.captured(SHOP)
    with closing(CaptureFeed(platform.url, WATCHER)) as feed:
        assert feed.sees == "change capture"
        assert feed.poll() == Happened()
        assert feed.poll() == Happened([])
        platform.run("BEGIN; INSERT INTO items VALUES (100), (101); DELETE FROM items WHERE id < 4; COMMIT")
        platform.run("BEGIN; DELETE FROM items; ROLLBACK")
        platform.run("INSERT INTO parts_1 VALUES (1, 1); INSERT INTO parts VALUES (2, 2)")
        assert happened(feed) == [
            PlatformTransaction((MovedRows("public", "items", inserted=2, deleted=3),)),
            PlatformTransaction((MovedRows("public", "parts", inserted=2),)),
        ]
        assert happened(feed) == []
        platform.run("TRUNCATE items")
        assert happened(feed) == [PlatformTransaction((MovedRows("public", "items", truncated=True),))]


def test_who_commits_later_with_a_lower_number(platform: Platform) -> None:
    platform.captured(SHOP)
    with closing(CaptureFeed(platform.url, WATCHER)) as feed, writer(platform) as early:
        feed.poll()
        early.execute("BEGIN")
        early.execute("DELETE FROM items WHERE id = 1")
        platform.run("DELETE FROM items WHERE id IN (2, 3)")
        assert [one.moved[0].deleted for one in happened(feed)] == [2]
        early.execute("COMMIT")
        assert [one.moved[0].deleted for one in happened(feed)] == [1]
        assert happened(feed) == []


def test_rows_that_were_written_through_a_parent_count_once(platform: Platform) -> None:
    platform.captured(SHOP)
    with closing(CaptureFeed(platform.url, WATCHER)) as feed:
        feed.poll()
        platform.run("DELETE FROM goods")
        (one,) = happened(feed)
        assert one.moved == (MovedRows("public", "goods", deleted=1),)


def test_a_version_does_not_prune_what_was_not_seen(platform: Platform) -> None:
    platform.captured(SHOP)
    with closing(CaptureFeed(platform.url, WATCHER)) as feed:
        feed.poll()
        platform.run("DELETE FROM items WHERE id = 1")
        platform.version()
        assert len(happened(feed)) == 1


def test_who_comes_back_goes_on_where_it_was(platform: Platform) -> None:
    """Also where it was killed, and versions were taken meanwhile; and once more, until it has settled it."""
    platform.captured(SHOP)
    first = CaptureFeed(platform.url, WATCHER)
    first.poll()
    position = first.position()
    platform.run("DELETE FROM items WHERE id = 1")
    assert len(happened(first)) == 1
    first._connection = None  # as if it were killed
    platform.version()
    for _ in range(2):
        with closing(CaptureFeed(platform.url, WATCHER, position=position)) as feed:
            assert [one.moved for one in happened(feed)] == [(MovedRows("public", "items", deleted=1),)]
            assert happened(feed) == []
            later = feed.position()
    with closing(CaptureFeed(platform.url, WATCHER, position=position)) as feed:
        feed.poll()
        feed.settled(feed.position())
    platform.version()
    with closing(CaptureFeed(platform.url, WATCHER, position=position)) as feed:
        assert "does not reach back" in feed.poll().missed
        assert happened(feed) == []
    assert later != position


def test_transactions_have_their_numbers(platform: Platform) -> None:
    platform.captured(SHOP)
    with closing(CaptureFeed(platform.url, WATCHER)) as feed, writer(platform) as early:
        feed.poll()
        early.execute("BEGIN")
        early.execute("DELETE FROM items WHERE id = 1")
        number = early.execute("SELECT pg_current_xact_id()::text::int8").fetchall()[0][0]
        early.execute("COMMIT")
        assert [one.number for one in happened(feed)] == [number]


@pytest.mark.parametrize(
    "lost",
    [
        "TRUNCATE cas_capture.positions",
        "DELETE FROM cas_capture.positions",
    ],
)
def test_a_log_that_may_have_lost_something_is_told_once(platform: Platform, lost: str) -> None:
    """A crash empties the logs and the positions together; too large a log is kept for nobody."""
    platform.captured(SHOP)
    with closing(CaptureFeed(platform.url, WATCHER)) as feed:
        feed.poll()
        platform.run(lost)
        platform.run("DELETE FROM items WHERE id = 1")
        found = feed.poll()
        assert found.missed == "the change log was emptied or pruned since the last look"
        assert len(found.transactions) == 1
        assert happened(feed) == []


def test_capture_that_is_installed_later(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """What happened until it was noticed, here by the very next poll, is known from statistics."""
    monkeypatch.setattr(feed_module, "LOOK_SHARE", 0)
    platform.run(SHOP)
    with closing(PlatformFeed(platform.url, WATCHER)) as feed:
        settled(feed)
        platform.run("DELETE FROM items WHERE id < 4")
        platform.install()
        assert waited(feed, bool) == [MovedRows("public", "items", deleted=3)]
        platform.run("DELETE FROM items WHERE id < 6")
        (one,) = happened(feed)
        assert one.moved == (MovedRows("public", "items", deleted=2),)
        assert one.number is not None


def test_what_capture_does_not_see(platform: Platform) -> None:
    platform.captured(SHOP)
    with closing(CaptureFeed(platform.url, WATCHER)) as feed:
        assert list(feed.blind_spots()) == ["Changes of public.events are not seen: it has no primary key"]


def test_statistics(platform: Platform) -> None:
    platform.run(SHOP)
    with closing(StatisticsFeed(platform.url)) as feed:
        assert feed.sees == "the server's statistics"
        assert "TRUNCATE" in " ".join(feed.blind_spots())
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


@pytest.mark.parametrize(
    ("statement", "moved"),
    [
        ("DELETE FROM items WHERE id < 4", MovedRows("public", "items", deleted=3)),
        ("TRUNCATE items", MovedRows("public", "items", truncated=True)),
    ],
)
def test_statistics_go_on_in_another_process(platform: Platform, statement: str, moved: MovedRows) -> None:
    platform.run(SHOP)
    with closing(StatisticsFeed(platform.url)) as feed:
        settled(feed)
        position = feed.position()
    platform.run(statement)
    with closing(StatisticsFeed(platform.url, position=position)) as feed:
        assert waited(feed, bool) == [moved]


@pytest.mark.parametrize("then", ["", "INSERT INTO items VALUES (1), (2)", "ANALYZE items"])
def test_statistics_see_a_table_that_was_emptied(platform: Platform, then: str) -> None:
    """Also where the new table has rows again before anybody looks."""
    platform.run(SHOP)
    with closing(StatisticsFeed(platform.url)) as feed:
        settled(feed)
        platform.run(f"TRUNCATE items; {then}")
        moved = waited(feed, lambda rows: any(row.truncated for row in rows))
        assert [(row.label, row.truncated) for row in moved if row.truncated] == [("public.items", True)]
        assert sum(row.inserted for row in moved) == (2 if "INSERT" in then else 0)
        assert happened(feed) == []


def test_statistics_see_an_emptied_partition(platform: Platform) -> None:
    platform.run(SHOP + "INSERT INTO parts SELECT 1, generate_series(1, 30)")
    with closing(StatisticsFeed(platform.url)) as feed:
        settled(feed)
        platform.run("TRUNCATE parts_1")
        assert waited(feed, bool) == [MovedRows("public", "parts", partitions=1)]


@pytest.mark.parametrize(
    "rewrite",
    [
        "VACUUM FULL items",
        "CLUSTER items USING items_pkey",
        "ALTER TABLE items ALTER id TYPE int8",
        "BEGIN; TRUNCATE items; ROLLBACK",
    ],
)
def test_rows_that_were_written_anew_are_still_there(platform: Platform, rewrite: str) -> None:
    platform.run(SHOP)
    with closing(StatisticsFeed(platform.url)) as feed:
        settled(feed)
        platform.run(rewrite)
        platform.run("UPDATE items SET name = 'new' WHERE id = 7")
        assert waited(feed, bool) == [MovedRows("public", "items", updated=1)]
        settled(feed)
        assert happened(feed) == []


def test_a_queue_that_is_written_anew_was_not_emptied(platform: Platform) -> None:
    """More rows came than are there, and all that went were deleted."""
    platform.run(SHOP)
    with closing(StatisticsFeed(platform.url)) as feed:
        settled(feed)
        platform.run("VACUUM FULL items")
        platform.run("INSERT INTO items SELECT generate_series(101, 200); DELETE FROM items WHERE id < 131")
        assert waited(feed, bool) == [MovedRows("public", "items", inserted=100, deleted=80)]
        settled(feed)
        assert happened(feed) == []


def test_counters_that_were_reset_are_told(platform: Platform) -> None:
    platform.run(SHOP)
    with closing(StatisticsFeed(platform.url)) as feed:
        settled(feed)
        platform.as_admin("SELECT pg_stat_reset()")
        ends = time.monotonic() + 20
        missed = ""
        while not missed and time.monotonic() < ends:
            time.sleep(0.1)
            missed = feed.poll().missed
        assert missed == "the server's counters were reset since the last look"


def test_both_together_count_nothing_twice(platform: Platform) -> None:
    platform.captured(SHOP)
    with closing(PlatformFeed(platform.url, WATCHER)) as feed:
        settled(feed)
        assert feed.sees == "change capture and the server's statistics"
        assert "public.events (it has no primary key)" in feed.blind_spots()[0]
        platform.run("DELETE FROM items WHERE id < 4; INSERT INTO events VALUES ('x'), ('y')")
        moved = waited(feed, lambda rows: len(rows) == 2)
        assert moved == [MovedRows("public", "items", deleted=3), MovedRows("public", "events", inserted=2)]
        position = feed.position()
    platform.run("DELETE FROM items WHERE id < 6; INSERT INTO events VALUES ('z')")
    with closing(PlatformFeed(platform.url, WATCHER, position=position)) as feed:
        moved = waited(feed, lambda rows: len(rows) == 2)
        assert moved == [MovedRows("public", "items", deleted=2), MovedRows("public", "events", inserted=1)]


@pytest.mark.parametrize("position", ["", "x", "[]", "[1]", '["x", ""]', '["", "x"]', '["", "[1]"]', "{}"])
def test_what_is_no_position(platform: Platform, position: str) -> None:
    if position:
        with pytest.raises(InvalidInput):
            PlatformFeed(platform.url, WATCHER, position=position)
    else:
        with closing(PlatformFeed(platform.url, WATCHER, position=position)) as feed:
            assert feed.poll() == Happened([])


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
        rows += [row for one in feed.poll().transactions for row in one.moved]
    return rows


def test_the_schema(platform: Platform) -> None:
    platform.run(SHOP)
    with closing(CaptureFeed(platform.url, WATCHER)) as feed:
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
            "DROP TABLE events; CREATE TABLE events (what text)",
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
            "REINDEX TABLE CONCURRENTLY items",
        ):
            platform.run(nothing)
            assert feed.schema_state() == seen[-1], nothing
        platform.install()
        assert feed.schema_state() == seen[-1]


def test_a_platform_that_does_not_answer(platform: Platform) -> None:
    feed = CaptureFeed("postgresql://nobody@/nothing?host=%2Fnowhere", WATCHER)
    with pytest.raises(ConnectionFailed):
        feed.poll()
