"""What auto-save gets to see where somebody, or something, is in the way: nothing of it goes unsaid."""

from contextlib import closing

import psycopg
import pytest

from cas.postgres.capture import feed as feed_module
from cas.postgres.capture import log_rows
from cas.postgres.capture.feed import CaptureFeed
from cas.postgres.capture.platform_feed import PlatformFeed
from cas.postgres.capture.removing import remove
from cas.records.changes import Happened, MovedRows
from tests.postgres.capture.scene import Platform, writer
from tests.postgres.capture.test_feeds import SHOP, WATCHER, happened, settled, waited
from tests.postgres.capture.test_never_in_the_way import log
from tests.postgres.changes.test_crashed import crash
from tests.postgres.live.scene import as_role
from tests.servers.postgres import Cluster, Databases, embedded_cluster
from tests.servers.standby import standby_of

ALTERED = "change capture was removed or altered since the last look"


@pytest.fixture(autouse=True)
def _looks_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, too, where looking takes its time."""
    monkeypatch.setattr(feed_module, "LOOK_SHARE", 0)


def moved(found: Happened) -> list[MovedRows]:
    return [row for one in found.transactions for row in one.moved]


def watching(platform: Platform) -> PlatformFeed:
    """A feed that knows where it is."""
    feed = PlatformFeed(platform.url, WATCHER)
    settled(feed)
    return feed


def test_what_no_version_holds_is_no_change(platform: Platform) -> None:
    platform.run(SHOP + "CREATE MATERIALIZED VIEW seen AS SELECT * FROM items")
    with closing(watching(platform)) as feed, writer(platform) as session:
        session.execute("CREATE TEMP TABLE scratch AS SELECT generate_series(1, 5000)")
        session.execute("INSERT INTO scratch SELECT generate_series(1, 5000)")
        session.execute("SELECT pg_stat_force_next_flush()" if platform.cluster.major >= 15 else "SELECT 1")
        session.execute("REFRESH MATERIALIZED VIEW seen")
        session.execute("INSERT INTO events VALUES ('the last')")
        assert waited(feed, bool) == [MovedRows("public", "events", inserted=1)]


def test_large_objects_are_counted(platform: Platform) -> None:
    platform.captured(SHOP)
    with closing(watching(platform)) as feed:
        platform.run("SELECT lo_create(0) FROM generate_series(1, 7)")
        (one,) = waited(feed, bool)
        assert (one.label, one.inserted) == ("large_objects", 7)


def test_a_partition_that_is_read_alone_is_counted_alone(platform: Platform) -> None:
    """As versions hold it: where another partition belongs to another server."""
    platform.as_admin(
        "CREATE FOREIGN DATA WRAPPER far; CREATE SERVER away FOREIGN DATA WRAPPER far;"
        " GRANT USAGE ON FOREIGN SERVER away TO live_owner"
    )
    platform.run(
        "CREATE TABLE parts (id int, v text) PARTITION BY RANGE (id);"
        " CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);"
        " CREATE FOREIGN TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20) SERVER away"
    )
    with closing(watching(platform)) as feed:
        platform.run("INSERT INTO parts SELECT generate_series(1, 5)")
        assert waited(feed, bool) == [MovedRows("public", "parts_1", inserted=5)]


def test_rows_that_go_through_a_parent_without_a_log(platform: Platform) -> None:
    """They stand in the log of each child; how many of whom, statistics say."""
    platform.captured(
        "CREATE TABLE things (what text); CREATE TABLE books (id int PRIMARY KEY) INHERITS (things);"
        " CREATE TABLE toys (id int PRIMARY KEY) INHERITS (things);"
        " INSERT INTO books SELECT 'book', generate_series(1, 30);"
        " INSERT INTO toys SELECT 'toy', generate_series(1, 20)"
    )
    with closing(watching(platform)) as feed:
        platform.run("DELETE FROM things")
        assert waited(feed, lambda rows: len(rows) == 2) == [
            MovedRows("public", "books", deleted=30),
            MovedRows("public", "toys", deleted=20),
        ]


def test_one_partition_that_is_emptied_is_not_the_whole_table(platform: Platform) -> None:
    platform.captured(SHOP + "CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20)")
    with closing(watching(platform)) as feed:
        platform.run("BEGIN; TRUNCATE parts_1; INSERT INTO parts VALUES (11, 1); COMMIT")
        assert moved(feed.poll()) == [MovedRows("public", "parts", inserted=1, partitions=1)]
        platform.run("TRUNCATE parts")
        assert moved(feed.poll()) == [MovedRows("public", "parts", truncated=True)]


@pytest.mark.parametrize("done", ["TRUNCATE items", "VACUUM FULL items", "CLUSTER items USING items_pkey"])
def test_what_rewrites_a_table_does_not_let_it_be_counted_twice(platform: Platform, done: str) -> None:
    """A version does not believe the log any more; its rows are there all the same."""
    platform.captured(SHOP)
    with closing(watching(platform)) as feed:
        platform.run(done)
        feed.poll()
        platform.run(
            "INSERT INTO items SELECT generate_series(1001, 1040); INSERT INTO events VALUES ('last')"
        )
        found = waited(feed, lambda rows: rows[-1].name == "events" if rows else False)
        assert [one for one in found if one.name == "items"] == [MovedRows("public", "items", inserted=40)]


@pytest.mark.parametrize(
    "done",
    [
        "ALTER TABLE items DISABLE TRIGGER ALL; DELETE FROM items; ALTER TABLE items ENABLE TRIGGER ALL",
        "ALTER TABLE items DISABLE TRIGGER USER; DELETE FROM items",
        "DROP TABLE {log}; DELETE FROM items",
        "REVOKE ALL ON SCHEMA cas_capture FROM live_owner; DELETE FROM items",
        "REVOKE INSERT ON cas_capture.positions FROM live_owner; DELETE FROM items",
        "REVOKE ALL ON {log} FROM live_owner; DELETE FROM items",
        "ALTER TABLE {log} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; DELETE FROM items",
        "DROP SEQUENCE cas_capture.lost; DELETE FROM items",
        "DROP TRIGGER cas_capture_{oid}_delete ON items; DELETE FROM items; INSERT INTO items VALUES (1)",
    ],
)
def test_whoever_disturbs_capture_is_noticed_once(platform: Platform, done: str) -> None:
    """And from then on all is told, by what is left."""
    platform.captured(SHOP)
    ((oid,),) = platform.run("SELECT 'items'::regclass::oid::int8")
    with closing(watching(platform)) as feed:
        platform.run(done.format(log=log(platform), oid=oid))
        found = feed.poll()
        assert found.missed != ""
        platform.run("INSERT INTO items SELECT generate_series(1001, 1040)")
        assert waited(feed, lambda rows: any(one.inserted == 40 for one in rows)) != []
        assert feed.poll().missed == ""
        position = feed.position()
    with closing(PlatformFeed(platform.url, WATCHER, position=position)) as feed:
        assert feed.poll().missed == ""


def test_whoever_disturbs_capture_while_nobody_looks_is_noticed(platform: Platform) -> None:
    platform.captured(SHOP)
    with closing(watching(platform)) as feed:
        position = feed.position()
    platform.run("ALTER TABLE items DISABLE TRIGGER ALL; DELETE FROM items")
    platform.install()
    with closing(PlatformFeed(platform.url, WATCHER, position=position)) as feed:
        assert "change capture was removed or altered" in feed.poll().missed


def test_a_table_that_is_dropped_leaves_nothing_unseen(platform: Platform) -> None:
    platform.captured(SHOP)
    with closing(watching(platform)) as feed:
        platform.run("DROP TABLE items; ALTER TABLE parts RENAME TO pieces; INSERT INTO pieces VALUES (2, 2)")
        (one,) = happened(feed)
        assert one.moved == (MovedRows("public", "pieces", inserted=1),)


def test_capture_that_is_removed_meanwhile(platform: Platform) -> None:
    platform.captured(SHOP)
    with closing(watching(platform)) as feed:
        platform.run("DELETE FROM items WHERE id < 10")
        remove(platform.url, (), platform.options)
        assert feed.poll().missed == ALTERED
        platform.run("DELETE FROM items")
        assert sum_of(feed, 41) >= 41
        assert feed.sees == "the server's statistics"


def test_a_log_that_cannot_be_written_for_long_is_told_once(platform: Platform) -> None:
    """Else each statement of the platform would be a reason for a version."""
    platform.captured(SHOP)
    with closing(watching(platform)) as feed:
        found = []
        for number in range(3):
            with writer(platform) as other:
                other.execute("BEGIN")
                other.execute(f"LOCK TABLE {log(platform)} IN SHARE MODE".encode())
                platform.run(f"DELETE FROM items WHERE id = {number + 1}")
                other.execute("ROLLBACK")
            found.append(feed.poll())
        assert [one.missed for one in found] == [
            "a change log could not be written since the last look",
            "",
            "",
        ]
        platform.run("DELETE FROM items WHERE id > 40")
        told = sum(row.deleted for one in found for row in moved(one))
        assert told + sum_of(feed, 13 - told) == 13


def test_a_role_that_may_only_read(platform: Platform) -> None:
    """It cannot keep anybody from pruning: so it does not go by the log, and says so."""
    platform.captured(SHOP)
    platform.run(
        "GRANT USAGE ON SCHEMA cas_capture TO live_guest;"
        " GRANT SELECT ON ALL TABLES IN SCHEMA cas_capture TO live_guest;"
        " GRANT SELECT ON ALL SEQUENCES IN SCHEMA cas_capture TO live_guest"
    )
    guest = as_role(platform.admin, "live_guest")
    with closing(PlatformFeed(guest, WATCHER)) as feed:
        assert "--reader" in feed.blind_spots()[0]
        assert feed.sees == "the server's statistics"
        settled(feed)
        platform.run("DELETE FROM items WHERE id < 4")
        assert waited(feed, bool) == [MovedRows("public", "items", deleted=3)]


def test_a_role_whose_transactions_are_read_only(platform: Platform) -> None:
    """Unless it says something else, as roles for backups often are made."""
    platform.captured(SHOP)
    platform.as_admin(
        "ALTER ROLE live_owner IN DATABASE {} SET default_transaction_read_only = on".format(
            platform.run("SELECT quote_ident(current_database())")[0][0]
        )
    )
    with closing(CaptureFeed(platform.url, WATCHER)) as feed:
        feed.poll()
        platform.as_admin("DELETE FROM items WHERE id < 4")
        (one,) = happened(feed)
        feed.settled(feed.position())
        assert one.moved == (MovedRows("public", "items", deleted=3),)


def test_more_logs_than_are_read_at_once(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_rows, "LOGS_AT_ONCE", 2)
    platform.captured("".join(f"CREATE TABLE t{n} (id int PRIMARY KEY);" for n in range(7)))
    with closing(CaptureFeed(platform.url, WATCHER)) as feed:
        feed.poll()
        for number in range(7):
            platform.run(f"INSERT INTO t{number} SELECT generate_series(1, {number + 1})")
        platform.run("BEGIN; DELETE FROM t6; DELETE FROM t0; COMMIT")
        found = happened(feed)
        assert [[(row.name, row.inserted, row.deleted) for row in one.moved] for one in found] == [
            *[[(f"t{n}", n + 1, 0)] for n in range(7)],
            [("t0", 0, 1), ("t6", 0, 7)],
        ]
        assert happened(feed) == []


def test_more_transactions_than_are_told_apart(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was away for long gets sums: nobody has room for millions."""
    monkeypatch.setattr(feed_module, "MOST_TRANSACTIONS", 5)
    platform.captured(SHOP)
    with closing(CaptureFeed(platform.url, WATCHER)) as feed:
        feed.poll()
        for number in range(8):
            platform.run(f"DELETE FROM items WHERE id = {number + 1}; INSERT INTO parts VALUES (1, {number})")
        (one,) = happened(feed)
        assert one.number is None
        assert one.moved == (
            MovedRows("public", "items", deleted=8),
            MovedRows("public", "parts", inserted=8),
        )
        platform.run("DELETE FROM items WHERE id = 20")
        assert [one.number is not None for one in happened(feed)] == [True]


@pytest.mark.parametrize(
    "name", ['a"b.c', "%s %d {0}", "x'; DROP TABLE items; --", "line\nbreak", "\x1b[31m", "ß" * 31]
)
def test_hostile_names(platform: Platform, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    platform.captured(
        f"CREATE SCHEMA {quoted}; CREATE TABLE {quoted}.{quoted} (id int PRIMARY KEY);"
        f" CREATE TABLE {quoted} ({quoted} int)"
    )
    with closing(watching(platform)) as feed:
        assert name in feed.blind_spots()[0]
        platform.run(f"INSERT INTO {quoted}.{quoted} VALUES (1), (2); INSERT INTO {quoted} VALUES (1)")
        assert waited(feed, lambda rows: len(rows) == 2) == [
            MovedRows(name, name, inserted=2),
            MovedRows("public", name, inserted=1),
        ]


def test_bytes_that_are_no_text(each_cluster: Cluster, database: Databases) -> None:
    provider = " LOCALE_PROVIDER libc" if each_cluster.major >= 15 else ""
    url = database(each_cluster, options=f"ENCODING 'SQL_ASCII' LOCALE 'C'{provider}")
    with psycopg.connect(url, autocommit=True, client_encoding="SQL_ASCII") as connection:
        connection.execute(b'CREATE TABLE "caf\xe9" (id int)')
        with closing(PlatformFeed(url, WATCHER)) as feed:
            settled(feed)
            connection.execute(b'INSERT INTO "caf\xe9" VALUES (1)')
            assert waited(feed, bool) == [MovedRows("public", "caf\udce9", inserted=1)]


def test_two_repositories_watch_one_platform(platform: Platform) -> None:
    platform.captured(SHOP)
    with (
        closing(PlatformFeed(platform.url, "one")) as one,
        closing(PlatformFeed(platform.url, "other")) as other,
    ):
        for feed in (one, other):
            settled(feed)
        for number in range(3):
            platform.run(f"DELETE FROM items WHERE id = {number + 1}")
            assert [row.deleted for row in moved(one.poll())] == [1]
            one.settled(one.position())
            platform.version("one")
        assert [row.deleted for row in moved(other.poll())] == [1, 1, 1]
        assert other.poll() == Happened([])


def test_a_server_that_crashed(database: Databases) -> None:
    with embedded_cluster() as cluster:
        with psycopg.connect(cluster.url(), autocommit=True) as connection:
            connection.execute(SHOP.encode())
        platform = Platform(cluster, cluster.url(), cluster.url())
        platform.install()
        platform.version()
        with closing(PlatformFeed(cluster.url(), WATCHER)) as feed:
            settled(feed)
            platform.run("DELETE FROM items WHERE id < 10")
            crash(cluster.url())
            missed = polled_again(feed).missed
            assert "emptied" in missed
            assert "reset" in missed
            platform.version()
            assert feed.poll().missed == ""


def polled_again(feed: PlatformFeed) -> Happened:
    """A first look finds the connection broken."""
    try:
        return feed.poll()
    except Exception:
        return feed.poll()


def test_a_standby_says_that_it_sees_nothing(cluster15: Cluster, database: Databases) -> None:
    """Neither its logs can be read, nor does it count; and when it has become a primary, it goes on."""
    url = database(cluster15)
    platform = Platform(cluster15, url, url)
    platform.captured(SHOP)
    with standby_of(cluster15, url) as (replica, promote), closing(PlatformFeed(replica, WATCHER)) as feed:
        assert feed.sees == "its schema and the time alone"
        assert "standby" in " ".join(feed.blind_spots())
        assert feed.poll() == Happened([])
        assert len(feed.schema_state()) == 32
        promote()
        settled(feed)
        Platform(cluster15, replica, replica).run("DELETE FROM items WHERE id < 10")
        assert waited(feed, bool)[0].deleted == 9


def test_a_failover_is_noticed(cluster15: Cluster, database: Databases) -> None:
    """The same name, another server: its logs are empty, its counters are others."""
    url = database(cluster15)
    platform = Platform(cluster15, url, url)
    platform.captured(SHOP)
    with closing(PlatformFeed(url, WATCHER)) as feed:
        settled(feed)
        position = feed.position()
    with standby_of(cluster15, url) as (replica, promote):
        promote()
        with closing(PlatformFeed(replica, WATCHER, position=position)) as feed:
            assert feed.poll().missed != ""
            platform = Platform(cluster15, replica, replica)
            platform.version()
            feed.poll()
            assert feed.poll().missed == ""
            platform.run("DELETE FROM items WHERE id < 10")
            assert sum_of(feed, 9) == 9


def sum_of(feed: PlatformFeed, expected: int) -> int:
    """Rows that were deleted, as soon as so many are told."""
    return sum(row.deleted for row in waited(feed, lambda rows: sum(row.deleted for row in rows) >= expected))
