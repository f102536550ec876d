"""A statement of the platform neither fails nor waits because of us; and what we missed for it is known."""

import time
from typing import Any

import pytest

from cas.postgres.capture import pruning
from cas.postgres.capture.seals import standing
from cas.postgres.reading.source import PostgresSource
from cas.records.source import Selection
from tests.postgres.capture.scene import Platform, ids, writer

ITEMS = (
    "CREATE TABLE items (id bigint PRIMARY KEY, name text);"
    " INSERT INTO items SELECT n FROM generate_series(1, 100) n"
)


@pytest.fixture
def base(platform: Platform) -> str:
    return platform.captured(ITEMS)


def log(platform: Platform) -> str:
    (row,) = platform.run("SELECT 'items'::regclass::oid::int8")
    return f"cas_capture.log_{row[0]}"


@pytest.mark.parametrize(
    "game",
    [
        "DROP TABLE {0}",
        "ALTER TABLE {0} RENAME TO other",
        "ALTER TABLE {0} DROP COLUMN k1",
        "ALTER TABLE {0} ADD more int NOT NULL DEFAULT 1; ALTER TABLE {0} ALTER more DROP DEFAULT",
        "ALTER TABLE {0} ADD CHECK (operation <> 'U') NOT VALID",
        "ALTER TABLE {0} ALTER k1 TYPE text",
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END';"
        "CREATE TRIGGER no BEFORE INSERT ON {0} FOR EACH ROW EXECUTE FUNCTION no()",
        "ALTER TABLE {0} ENABLE ROW LEVEL SECURITY; ALTER TABLE {0} FORCE ROW LEVEL SECURITY",
        "REVOKE ALL ON {0} FROM live_owner",
        "REVOKE ALL ON SCHEMA cas_capture FROM live_owner",
        "DROP TABLE {0}; DROP SEQUENCE cas_capture.lost",
        "ALTER TABLE {0} DROP COLUMN seal, DROP COLUMN rows;"
        " ALTER TABLE cas_capture.positions RENAME reader TO who",
    ],
)
def test_a_log_that_cannot_be_written(platform: Platform, base: str, game: str) -> None:
    platform.run(game.format(log(platform)))
    platform.run("UPDATE items SET name = 'x' WHERE id = 1; DELETE FROM items WHERE id = 2")
    platform.run("BEGIN; UPDATE items SET name = 'y' WHERE id = 3; INSERT INTO items VALUES (200); COMMIT")
    assert platform.run("SELECT count(*)::int FROM items WHERE name IN ('x', 'y') OR id = 200") == [(3,)]
    assert isinstance(platform.look("items", base), str)


def test_what_was_lost_is_known_though_all_is_as_before(platform: Platform, base: str) -> None:
    """It is counted where no rollback takes it back."""
    with writer(platform) as other:
        other.execute("BEGIN")
        other.execute(f"LOCK TABLE {log(platform)} IN SHARE MODE".encode())
        began = time.monotonic()
        platform.run("SET statement_timeout = '5s'; UPDATE items SET name = 'x' WHERE id = 1")
        assert time.monotonic() - began < 0.9  # less than any lock's time-out: nobody waited
        other.execute("ROLLBACK")
    assert platform.look("items", base) == "the log could not be written at least once"
    assert platform.look("items", platform.version()) == "it is captured for too short a time"
    base = platform.version()
    platform.run("UPDATE items SET name = 'x' WHERE id = 2")
    assert platform.found("items", base).keys == ids(2)


def test_a_loss_by_a_transaction_that_commits_after_the_seal(platform: Platform, base: str) -> None:
    with writer(platform) as unlucky, writer(platform) as other:
        other.execute("BEGIN")
        other.execute(f"LOCK TABLE {log(platform)} IN SHARE MODE".encode())
        unlucky.execute("BEGIN")
        unlucky.execute("UPDATE items SET name = 'x' WHERE id = 1")
        other.execute("ROLLBACK")
        platform.version()
        base = platform.version()
        unlucky.execute("COMMIT")
    assert platform.look("items", base) == "it is captured for too short a time"


def test_a_loss_between_the_beginning_of_pruning_and_its_seal(
    platform: Platform, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seal says how much was lost; it is not for who has not seen the end of who lost it."""
    with writer(platform) as unlucky, writer(platform) as other:
        other.execute("BEGIN")
        other.execute(f"LOCK TABLE {log(platform)} IN SHARE MODE".encode())
        platform.run("UPDATE items SET name = 'x' WHERE id = 1")
        other.execute("ROLLBACK")

        def late(*given: Any) -> tuple[str, ...]:
            with writer(platform) as another:
                another.execute("BEGIN")
                another.execute(f"LOCK TABLE {log(platform)} IN SHARE MODE".encode())
                unlucky.execute("BEGIN")
                unlucky.execute("UPDATE items SET name = 'y' WHERE id = 2")
                another.execute("ROLLBACK")
            return standing(*given)

        monkeypatch.setattr(pruning, "standing", late)
        platform.version()
        monkeypatch.undo()
        base = platform.version()
        unlucky.execute("COMMIT")
    assert platform.look("items", base) == "it is captured for too short a time"


def test_nothing_may_be_written_for_a_while_and_nothing_be_counted(platform: Platform, base: str) -> None:
    """Neither the log nor the count of what was lost can be reached, and then all is as before."""
    owner = platform.run("SELECT current_user::text")[0][0]
    platform.as_admin(f"REVOKE ALL ON SCHEMA cas_capture FROM {owner}")
    platform.run("UPDATE items SET name = 'x' WHERE id = 1")
    platform.as_admin(f"GRANT ALL ON SCHEMA cas_capture TO {owner}")
    assert platform.look("items", base) == "the log was altered, or who may write it"


def test_a_schema_that_is_dropped_beside_a_writer(platform: Platform, base: str) -> None:
    with writer(platform) as other:
        other.execute("BEGIN")
        other.execute("DROP SEQUENCE cas_capture.lost")
        other.execute(f"DROP TABLE {log(platform)}".encode())
        began = time.monotonic()
        platform.run("SET statement_timeout = '5s'; UPDATE items SET name = 'x' WHERE id = 1")
        assert time.monotonic() - began < 0.9
        other.execute("COMMIT")
    assert platform.look("items", base) == "not captured"


def test_two_phase_commits_work(platform: Platform, base: str) -> None:
    """Rule 22: no NOTIFY."""
    platform.run("BEGIN; UPDATE items SET name = 'x'; PREPARE TRANSACTION 'cas phase'")
    platform.run("COMMIT PREPARED 'cas phase'")
    assert len(platform.found("items", base).keys) == 100


def test_publications_for_all_tables_work(platform: Platform, base: str) -> None:
    """Rule 23: an UPDATE of a table without a replica identity fails, where it is published."""
    platform.as_admin("CREATE PUBLICATION cas_everything FOR ALL TABLES")
    platform.run("UPDATE items SET name = 'x' WHERE id = 1")
    base = platform.version()
    platform.run("UPDATE items SET name = 'x' WHERE id = 2")
    assert platform.found("items", base).keys == ids(2)
    published = platform.as_admin(
        "SELECT tablename FROM pg_publication_tables WHERE schemaname = 'cas_capture'"
    )
    assert published == []


def test_writers_do_not_wait_for_each_other(platform: Platform, base: str) -> None:
    with writer(platform) as one, writer(platform) as two:
        for connection in (one, two):
            connection.execute("SET lock_timeout = '200ms'")
            connection.execute("BEGIN")
        one.execute("UPDATE items SET name = 'x' WHERE id = 1")
        two.execute("UPDATE items SET name = 'x' WHERE id = 2")
        one.execute("UPDATE items SET name = 'x' WHERE id = 3")
        two.execute("COMMIT")
        one.execute("COMMIT")
    assert platform.found("items", base).keys == ids(1, 2, 3)


def test_pruning_does_not_wait_for_writers_nor_they_for_it(platform: Platform, base: str) -> None:
    with writer(platform) as one:
        one.execute("SET lock_timeout = '200ms'")
        platform.run("UPDATE items SET name = 'x' WHERE id = 2")
        one.execute("BEGIN")
        one.execute("UPDATE items SET name = 'x' WHERE id = 1")
        assert platform.prune(platform.now()).deleted == 1
        one.execute("UPDATE items SET name = 'x' WHERE id = 3")
        one.execute("COMMIT")


def test_one_subtransaction_of_a_transaction_however_much_it_writes(platform: Platform, base: str) -> None:
    """More than 64 would slow down the whole server."""
    with writer(platform) as one:
        one.execute("BEGIN")
        for number in range(1, 80):
            one.execute("UPDATE items SET name = 'x' WHERE id = %s", [number])
        one.execute("COMMIT")
    query = (
        f"SELECT count(DISTINCT xmin::text)::int, count(*)::int FROM {log(platform)} WHERE operation = 'U'"
    )
    assert platform.run(query) == [(2, 79)]


def test_a_statement_that_touches_nothing_takes_no_transaction_number(platform: Platform, base: str) -> None:
    with writer(platform) as one:
        one.execute("BEGIN")
        one.execute("UPDATE items SET name = 'x' WHERE id = 1000")
        assert one.execute("SELECT pg_current_xact_id_if_assigned()").fetchall() == [(None,)]
        one.execute("COMMIT")


def test_the_schema_dump_has_nothing_of_it(platform: Platform, base: str) -> None:
    """Rule 36."""
    with PostgresSource(platform.url).snapshot(Selection()) as snapshot:
        assert [entity.name for entity in snapshot.entities] == ["items"]
        text = "\n".join(item.sql for item in snapshot.schema_items())
    assert "items_pkey" in text
    assert "cas_capture" not in text


def test_the_settings_of_hostile_sessions(platform: Platform, base: str) -> None:
    platform.run(
        "CREATE SCHEMA evil;"
        " CREATE FUNCTION evil.cardinality(anyarray) RETURNS int LANGUAGE sql AS 'SELECT 0'"
    )
    with writer(platform) as one:
        one.execute("SET search_path = evil, public, pg_catalog")
        one.execute("CREATE TEMP TABLE cas_new (id int); CREATE TEMP TABLE log_1 (id int)")
        one.execute(
            "SET lock_timeout = '1ms'; SET statement_timeout = '10s'; SET standard_conforming_strings = off"
        )
        one.execute(
            "SET plan_cache_mode = force_custom_plan; SET row_security = off; SET check_function_bodies = off"
        )
        one.execute("UPDATE items SET name = 'x' WHERE id = 1")
        one.execute("UPDATE items SET name = 'x' WHERE id = 2")
        assert one.execute("SHOW lock_timeout").fetchall() == [("1ms",)]
    assert platform.found("items", base).keys == ids(1, 2)
