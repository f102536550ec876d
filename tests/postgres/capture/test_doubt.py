"""Whatever makes a log doubtful is noticed, and told as a reason to read in another way."""

from dataclasses import replace

import pytest

from cas.errors import InvalidInput
from cas.postgres.capture import reading
from tests.postgres.capture.scene import Platform, ids, writer
from tests.postgres.live.scene import as_role

ITEMS = (
    "CREATE TABLE items (id bigint PRIMARY KEY, name text);"
    " INSERT INTO items SELECT n FROM generate_series(1, 100) n"
)

TRIGGER = "cas_capture_%d_update"


@pytest.fixture
def base(platform: Platform) -> str:
    return platform.captured(ITEMS)


def oid(platform: Platform) -> int:
    return int(str(platform.run("SELECT 'items'::regclass::oid::int8")[0][0]))


def test_not_installed(platform: Platform) -> None:
    platform.run(ITEMS)
    assert platform.look("items", platform.now()) == "not captured"


def test_a_table_without_a_key(platform: Platform) -> None:
    base = platform.captured("CREATE TABLE events (what text)")
    assert platform.look("events", base) == "not captured"
    assert platform.reason("events") == "it has no primary key"


def test_truncate(platform: Platform, base: str) -> None:
    """Also where the same rows come back. The next version sets the seal anew, for the one after it."""
    platform.run("CREATE TABLE kept AS TABLE items; TRUNCATE items; INSERT INTO items TABLE kept")
    assert platform.look("items", base) == "TRUNCATE"
    noted = f"SELECT operation FROM cas_capture.log_{oid(platform)} WHERE operation <> 'S' ORDER BY xid, at"
    assert [row[0] for row in platform.run(noted)] == ["T", "I"]
    platform.version()
    base = platform.version()
    platform.run("DELETE FROM items WHERE id = 3")
    assert platform.found("items", base).keys == ids(3)


def test_truncate_is_told_by_its_own_note_too(
    platform: Platform, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the seal says: a file that changes with TRUNCATE is how PostgreSQL does it today."""
    platform.run("TRUNCATE items")
    monkeypatch.setattr(reading, "moved_part", lambda *_: "")
    assert platform.look("items", base) == "TRUNCATE"


@pytest.mark.parametrize(
    "game",
    [
        "ALTER TABLE items DISABLE TRIGGER {}",
        "ALTER TABLE items DISABLE TRIGGER USER",
        "ALTER TABLE items ENABLE TRIGGER {}",
        "ALTER TABLE items ENABLE REPLICA TRIGGER {}",
        "DROP TRIGGER {} ON items",
        "ALTER TRIGGER {} ON items RENAME TO other",
    ],
)
def test_a_trigger_that_no_longer_acts(platform: Platform, base: str, game: str) -> None:
    platform.run(game.format(TRIGGER % oid(platform)))
    assert "trigger" in str(platform.look("items", base))
    assert "trigger" in platform.reason("items")
    after = platform.version()
    assert "trigger" in str(platform.look("items", after))
    platform.install()
    assert platform.look("items", after) == "it is captured for too short a time"
    base = platform.version()
    platform.run("UPDATE items SET name = 'x' WHERE id = 4")
    assert platform.found("items", base).keys == ids(4)


@pytest.mark.parametrize(
    "game",
    [
        "ALTER TABLE items DISABLE TRIGGER {0}; UPDATE items SET name = 'x';"
        " ALTER TABLE items ENABLE ALWAYS TRIGGER {0}",
        "BEGIN; ALTER TABLE items DISABLE TRIGGER {0}; UPDATE items SET name = 'x' WHERE id = 1;"
        " ALTER TABLE items ENABLE ALWAYS TRIGGER {0}; COMMIT",
    ],
)
def test_a_trigger_that_was_switched_off_and_on_again(platform: Platform, base: str, game: str) -> None:
    """Rule 19. The next version sets the seal anew, and the one after it may rely on the log again."""
    platform.run(game.format(TRIGGER % oid(platform)))
    assert platform.look("items", base) == "a trigger was altered, disabled or dropped"
    assert platform.reason("items").startswith(
        "a trigger was altered, disabled or dropped, and is right again"
    )
    sealing = platform.version()
    assert platform.reason("items") == ""
    assert platform.look("items", sealing) == "it is captured for too short a time"
    base = platform.version()
    platform.run("UPDATE items SET name = 'y' WHERE id = 2")
    assert platform.found("items", base).keys == ids(2)


def test_a_function_that_was_another_for_a_while(platform: Platform, base: str) -> None:
    name = f"cas_capture.note_{oid(platform)}()"
    source = str(platform.run(f"SELECT pg_get_functiondef('{name}'::regprocedure)")[0][0])
    empty = f"CREATE OR REPLACE FUNCTION {name} RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    platform.run(empty)
    assert (
        platform.reason("items") == "a function of the triggers was altered, or is of another release of cas"
    )
    platform.run("UPDATE items SET name = 'x' WHERE id = 1")
    platform.run(source)
    assert platform.look("items", base) == "a function of the triggers was altered"


@pytest.mark.parametrize(
    "game",
    [
        "ALTER TABLE items ALTER name TYPE varchar(10) USING 'other'",
        "ALTER TABLE items ADD more int DEFAULT 7",
        "ALTER TABLE items DROP CONSTRAINT items_pkey; ALTER TABLE items ADD PRIMARY KEY (id) INCLUDE (name)",
        "ALTER TABLE items ALTER id TYPE int",
        "ALTER TABLE items RENAME id TO number; ALTER TABLE items RENAME number TO id",
    ],
)
def test_a_table_that_was_altered(platform: Platform, base: str, game: str) -> None:
    platform.run(game)
    reason = platform.look("items", base)
    assert isinstance(reason, str)
    assert "altered" in reason or "rewritten" in reason


@pytest.mark.parametrize(
    "game",
    [
        "TRUNCATE cas_capture.log_{0}",
        "DELETE FROM cas_capture.log_{0}",
        "DROP TABLE cas_capture.log_{0}",
        "ALTER TABLE cas_capture.log_{0} DROP k1",
        "ALTER TABLE cas_capture.log_{0} RENAME TO other; ALTER TABLE cas_capture.other RENAME TO log_{0}",
        "CREATE TABLE cas_capture.twin (LIKE cas_capture.log_{0}); DROP TABLE cas_capture.log_{0};"
        " ALTER TABLE cas_capture.twin RENAME TO log_{0}",
    ],
)
def test_a_log_that_somebody_touched(platform: Platform, base: str, game: str) -> None:
    platform.run("UPDATE items SET name = 'x' WHERE id = 1")
    platform.run(game.format(oid(platform)))
    assert isinstance(platform.look("items", base), str)
    assert platform.reason("items")


def test_a_crash_empties_the_log(platform: Platform, base: str) -> None:
    """Rule 23. What a crash does to unlogged tables, without one: they are as their first fork is, empty."""
    platform.run("UPDATE items SET name = 'x' WHERE id = 1")
    for table in (f"log_{oid(platform)}", "positions", "watermarks"):
        platform.run(f"DELETE FROM cas_capture.{table}")
    assert str(platform.look("items", base)).startswith("the log lost rows in a crash")
    assert platform.reason("items").startswith("the log lost rows in a crash")
    sealing = platform.version()
    assert platform.look("items", sealing) == "it is captured for too short a time"
    base = platform.version()
    platform.run("UPDATE items SET name = 'x' WHERE id = 2")
    assert platform.found("items", base).keys == ids(2)


def test_a_prepared_transaction_that_survived_a_crash(platform: Platform, base: str) -> None:
    """Its part of the log is gone, and it may still be committed."""
    platform.run("BEGIN; UPDATE items SET name = 'p' WHERE id = 1; PREPARE TRANSACTION 'cas survivor'")
    platform.run(f"DELETE FROM cas_capture.log_{oid(platform)}")
    platform.version()
    younger = platform.version()
    assert platform.look("items", younger) == "it is captured for too short a time"
    platform.run("COMMIT PREPARED 'cas survivor'")
    platform.version()
    base = platform.version()
    platform.run("UPDATE items SET name = 'x' WHERE id = 2")
    assert platform.found("items", base).keys == ids(2)


def test_more_keys_than_are_noted(platform: Platform) -> None:
    """Rule 24."""
    small = replace(platform, options=replace(platform.options, keys_per_statement=10))
    base = small.captured(ITEMS)
    small.run("UPDATE items SET name = 'x' WHERE id <= 10")
    assert len(small.found("items", base).keys) == 10
    small.run("UPDATE items SET name = 'x' WHERE id <= 11")
    assert small.look("items", base) == "more keys in one statement than are noted"
    counts = f"SELECT sum(rows)::int FROM cas_capture.log_{oid(small)} WHERE operation = 'U'"
    assert small.run(counts) == [(21,)]
    base = small.version()
    small.run("DELETE FROM items WHERE id = 1")
    assert small.found("items", base).keys == ids(1)


def test_a_key_that_is_too_long(platform: Platform) -> None:
    """Rule 24: the arrays stay small."""
    base = platform.captured("CREATE TABLE words (word text, number int, PRIMARY KEY (word, number))")
    platform.run("INSERT INTO words VALUES (repeat('ä', 500), 1)")
    assert len(platform.found("words", base).keys) == 1
    platform.run("INSERT INTO words VALUES (repeat('ä', 501), 1)")
    assert platform.look("words", base) == "a key is too long to be noted"


def test_a_target_of_logical_replication(platform: Platform, base: str) -> None:
    """Rule 18."""
    platform.as_admin(
        "CREATE SUBSCRIPTION cas_nobody CONNECTION 'dbname=nowhere' PUBLICATION none WITH (connect = false)"
    )
    platform.as_admin(
        "INSERT INTO pg_subscription_rel (srsubid, srrelid, srsubstate)"
        " SELECT s.oid, 'items'::regclass, 'r' FROM pg_subscription s WHERE s.subname = 'cas_nobody'"
    )
    try:
        reason = "it is the target of logical replication, which fires no statement triggers"
        assert platform.look("items", base) == reason
        assert platform.reason("items") == reason
        during = platform.version()
    finally:
        platform.as_admin(
            "ALTER SUBSCRIPTION cas_nobody DISABLE; ALTER SUBSCRIPTION cas_nobody SET (slot_name = NONE);"
            " DROP SUBSCRIPTION cas_nobody"
        )
    # What it applied after the last version is in no log.
    assert isinstance(platform.look("items", during), str)
    assert isinstance(platform.look("items", platform.version()), str)
    base = platform.version()
    platform.run("UPDATE items SET name = 'x' WHERE id = 2")
    assert platform.found("items", base).keys == ids(2)


def test_a_rewritten_table(platform: Platform, base: str) -> None:
    platform.run("VACUUM FULL items")
    assert platform.look("items", base) == "the table was rewritten"


def test_another_repository(platform: Platform, base: str) -> None:
    """Rule 26: what this one does not know of may be pruned."""
    assert str(platform.look("items", base, "another")).startswith("the log was pruned further")


def test_a_catalog_that_was_rolled_back(platform: Platform, base: str) -> None:
    """Rule 26: it builds upon an older version than the log was pruned for."""
    platform.run("UPDATE items SET name = 'x' WHERE id = 1")
    platform.version()
    assert str(platform.look("items", base)).startswith("the log was pruned further")


def test_a_base_from_the_future(platform: Platform, base: str) -> None:
    """Rule 12: the platform's storage was set back to before it."""
    xmin, xmax, _ = base.split(":")
    future = f"{int(xmin) + 1000}:{int(xmax) + 1000}:"
    assert platform.look("items", future) == "the server was set back to a moment before the last version"


def test_a_base_that_the_platform_never_heard_of(platform: Platform, base: str) -> None:
    """Rule 12: set back, and then on again beyond the base's numbers."""
    platform.run("UPDATE items SET name = 'x' WHERE id = 1")
    unheard = platform.now()
    platform.run("UPDATE items SET name = 'x' WHERE id = 2")
    assert str(platform.look("items", unheard)).startswith("the log was pruned further")


def test_a_base_from_before_the_installation(platform: Platform) -> None:
    platform.run(ITEMS)
    base = platform.now()
    platform.run("UPDATE items SET name = 'x'")
    platform.install()
    platform.prune(base)
    assert platform.look("items", base) == "it is captured for too short a time"


def test_a_writer_from_before_the_installation(platform: Platform) -> None:
    """It is waited for: what it writes is in no log."""
    platform.run(ITEMS)
    with writer(platform) as connection:
        connection.execute("BEGIN")
        connection.execute("UPDATE items SET name = 'x' WHERE id = 1")
        (one,) = platform.install("items").tables
        assert one.outcome.value == "busy"
        connection.execute("COMMIT")
    (one,) = platform.install("items").tables
    assert one.outcome.value == "installed"


def test_a_text_that_is_no_snapshot(platform: Platform, base: str) -> None:
    with pytest.raises(InvalidInput):
        platform.look("items", "1:2:'); DROP TABLE items; --")


def test_a_role_that_may_not_read_the_log(platform: Platform, base: str) -> None:
    platform.run("GRANT SELECT ON items TO live_guest; GRANT USAGE ON SCHEMA public TO live_guest")
    guest = replace(platform, url=as_role(platform.admin, "live_guest"))
    assert guest.look("items", base) == (
        "the connected role may not read the log (cas capture install --reader ROLE)"
    )
