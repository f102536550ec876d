"""Whatever writes a row, its key is in the log, once it is committed and not before."""

import pytest

from tests.postgres.capture.scene import Found, Platform, ids, looked, writer
from tests.postgres.live.scene import as_role
from tests.postgres.target.moving import ask

ITEMS = """
CREATE TABLE items (id bigint PRIMARY KEY, name text, price numeric);
INSERT INTO items SELECT n, 'item ' || n, n FROM generate_series(1, 100) n;
"""


def test_nothing_was_written(any_platform: Platform) -> None:
    base = any_platform.captured(ITEMS)
    any_platform.run("UPDATE items SET name = '' WHERE false; DELETE FROM items WHERE id > 1000")
    assert any_platform.found("items", base) == Found({}, [], 0, 0)
    assert any_platform.run(f"SELECT count(*) FROM cas_capture.log_{oid(any_platform, 'items')}") == [(1,)]


def test_inserts_updates_and_deletes(any_platform: Platform) -> None:
    base = any_platform.captured(ITEMS)
    any_platform.run("INSERT INTO items VALUES (-5, 'new'), (500, NULL)")
    any_platform.run("UPDATE items SET price = 0 WHERE id IN (7, 8)")
    any_platform.run("DELETE FROM items WHERE id BETWEEN 10 AND 12")
    found = any_platform.found("items", base)
    assert found.records == {
        ("-5",): "-5\tnew",
        ("7",): "7\titem 7\t0",
        ("8",): "8\titem 8\t0",
        ("500",): "500",
    }
    assert list(found.records) == ids(-5, 7, 8, 500)
    assert found.keys == ids(-5, 7, 8, 10, 11, 12, 500)
    assert found.gone == set(ids(10, 11, 12))
    assert found.more == 2 - 3


def test_a_key_that_is_left_for_another_shows_by_the_count(platform: Platform) -> None:
    """Two records are new, and there are as many as before: two went."""
    base = platform.captured(ITEMS)
    platform.run("UPDATE items SET id = id + 1000 WHERE id IN (1, 2)")
    found = platform.found("items", base)
    assert found.keys == list(found.records) == ids(1001, 1002)
    assert found.more == 0


def test_keys_that_change_places(platform: Platform) -> None:
    base = platform.captured(
        "CREATE TABLE items (id int, name text, PRIMARY KEY (id) DEFERRABLE);"
        " INSERT INTO items VALUES (1, 'a'), (2, 'b')"
    )
    platform.run("UPDATE items SET id = 3 - id")
    assert platform.found("items", base).records == {("1",): "1\tb", ("2",): "2\ta"}


def test_merge_conflict_copy_and_writing_with(platform: Platform) -> None:
    base = platform.captured(ITEMS)
    platform.run("""
        MERGE INTO items i USING (VALUES (1, 'm'), (2, ''), (300, 'x')) AS v(id, name) ON v.id = i.id
        WHEN MATCHED AND v.name = '' THEN DELETE WHEN MATCHED THEN UPDATE SET name = v.name
        WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.name)""")
    platform.run("INSERT INTO items VALUES (3, 'c'), (301, 'y') ON CONFLICT (id) DO UPDATE SET name = 'c'")
    platform.run(
        "WITH gone AS (DELETE FROM items WHERE id = 4 RETURNING id) INSERT INTO items SELECT id"
        " + 400 FROM gone"
    )
    with (
        writer(platform) as connection,
        connection.cursor() as cursor,
        cursor.copy("COPY items (id) FROM STDIN") as copy,
    ):
        copy.write(b"600\n601\n")
    found = platform.found("items", base)
    assert found.keys == ids(1, 2, 3, 4, 300, 301, 404, 600, 601)
    assert found.gone == set(ids(2, 4))
    assert found.more == 5 - 2


def test_cascades_reach_the_child(platform: Platform) -> None:
    base = platform.captured("""
        CREATE TABLE parents (id int PRIMARY KEY);
        CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents ON DELETE CASCADE
                               ON UPDATE CASCADE);
        CREATE TABLE orphans (id int PRIMARY KEY, parent int REFERENCES parents ON DELETE SET NULL
                              ON UPDATE CASCADE);
        INSERT INTO parents SELECT generate_series(1, 9);
        INSERT INTO children SELECT n, 1 + n % 9 FROM generate_series(1, 30) n;
        INSERT INTO orphans SELECT * FROM children""")
    platform.run("DELETE FROM parents WHERE id IN (1, 2); UPDATE parents SET id = 90 WHERE id = 3")
    assert platform.found("parents", base).keys == ids(1, 2, 90)
    assert platform.found("parents", base).more == -2
    children = platform.found("children", base)
    assert children.gone == set(ids(9, 18, 27, 1, 10, 19, 28))
    assert list(children.records) == ids(2, 11, 20, 29)
    assert children.more == -7
    assert list(platform.found("orphans", base).records) == ids(1, 2, 9, 10, 11, 18, 19, 20, 27, 28, 29)


def test_what_triggers_of_the_platform_make_of_it(platform: Platform) -> None:
    platform.run(ITEMS)
    platform.run("""
        CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN NEW.id := NEW.id + 10000; RETURN NEW; END $$;
        CREATE TRIGGER a_other BEFORE INSERT OR UPDATE ON items FOR EACH ROW EXECUTE FUNCTION other();
        CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
        CREATE TRIGGER swallow BEFORE DELETE ON items FOR EACH ROW EXECUTE FUNCTION swallow()""")
    platform.install()
    base = platform.version()
    platform.run(
        "INSERT INTO items VALUES (5); UPDATE items SET name = 'x' WHERE id = 6;"
        " DELETE FROM items WHERE id = 7"
    )
    found = platform.found("items", base)
    assert found.keys == ids(10005, 10006)
    assert found.more == 1


def test_savepoints(platform: Platform) -> None:
    base = platform.captured(ITEMS)
    platform.run("""
        BEGIN;
        UPDATE items SET name = 'a' WHERE id = 1;
        SAVEPOINT one; UPDATE items SET name = 'b' WHERE id = 2; RELEASE one;
        SAVEPOINT two; UPDATE items SET name = 'c' WHERE id = 3; ROLLBACK TO two;
        UPDATE items SET name = 'd' WHERE id = 4;
        COMMIT""")
    assert platform.found("items", base).keys == ids(1, 2, 4)


def test_a_first_write_that_is_rolled_back_to_a_savepoint(platform: Platform) -> None:
    """The setting that says that the log was written goes with it, and so does the lock."""
    base = platform.captured(ITEMS)
    platform.run("""
        BEGIN; SAVEPOINT one; UPDATE items SET name = 'a' WHERE id = 1; ROLLBACK TO one;
        UPDATE items SET name = 'b' WHERE id = 2; COMMIT""")
    assert platform.found("items", base).keys == ids(2)


def test_a_transaction_that_is_rolled_back(platform: Platform) -> None:
    base = platform.captured(ITEMS)
    platform.run("BEGIN; DELETE FROM items; ROLLBACK")
    assert platform.found("items", base).keys == []


def test_prepared_transactions_count_when_they_are_committed(platform: Platform) -> None:
    base = platform.captured(ITEMS)
    platform.run("BEGIN; UPDATE items SET name = 'p' WHERE id = 1; PREPARE TRANSACTION 'cas one'")
    platform.run("BEGIN; UPDATE items SET name = 'p' WHERE id = 2; PREPARE TRANSACTION 'cas two'")
    assert platform.found("items", base).keys == []
    middle = platform.version()
    platform.run("COMMIT PREPARED 'cas one'")
    platform.run("ROLLBACK PREPARED 'cas two'")
    assert platform.found("items", middle).keys == ids(1)


def test_who_commits_later_with_a_lower_number(platform: Platform) -> None:
    base = platform.captured(ITEMS)
    with writer(platform) as early, writer(platform) as late:
        early.execute("BEGIN")
        early.execute("UPDATE items SET name = 'early' WHERE id = 1")
        late.execute("UPDATE items SET name = 'late' WHERE id = 2")
        assert platform.found("items", base).keys == ids(2)
        middle = platform.version()
        late.execute("UPDATE items SET name = 'late' WHERE id = 3")
        assert platform.found("items", middle).keys == ids(3)
        early.execute("COMMIT")
    assert platform.found("items", middle).keys == ids(1, 3)


def test_what_is_committed_while_a_version_is_read(platform: Platform) -> None:
    base = platform.captured(ITEMS)
    with platform.reading() as connection:
        connection.execute("SELECT 1")
        platform.run("UPDATE items SET name = 'after' WHERE id = 1")
        found = looked(connection, "items", base)
        assert isinstance(found, Found)
        assert found.keys == []


def test_a_role_without_any_right_on_the_log_writes(platform: Platform) -> None:
    base = platform.captured(ITEMS)
    platform.run(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON items TO live_guest;"
        " GRANT USAGE ON SCHEMA public TO live_guest"
    )
    ask(as_role(platform.admin, "live_guest"), "UPDATE items SET name = 'guest' WHERE id = 1")
    assert platform.found("items", base).keys == ids(1)


@pytest.mark.parametrize("setting", ["DateStyle = 'German, DMY'", "TimeZone = 'Asia/Tokyo'"])
def test_the_writers_own_settings_change_no_key(platform: Platform, setting: str) -> None:
    """Rule 20."""
    base = platform.captured("CREATE TABLE days (day date, at timestamptz, PRIMARY KEY (day, at))")
    with writer(platform) as connection:
        connection.execute(f"SET {setting}".encode())
        connection.execute(
            "INSERT INTO days VALUES (make_date(2026, 3, 1), make_timestamptz(2026,3,1,0,0,0,'UTC'))"
        )
    assert platform.found("days", base).keys == [("2026-03-01", "2026-03-01 00:00:00+00")]


def test_in_a_replicas_role(platform: Platform) -> None:
    """Rule 19."""
    base = platform.captured(ITEMS)
    platform.as_admin("SET session_replication_role = replica; DELETE FROM items WHERE id = 1")
    assert platform.found("items", base).keys == ids(1)


def test_lookups_read_no_more_rows_than_were_written(platform: Platform) -> None:
    platform.run("CREATE TABLE items (id bigint PRIMARY KEY, name text)")
    platform.run(
        "INSERT INTO items SELECT n, repeat('x', 50) FROM generate_series(1, 20000) n; ANALYZE items"
    )
    platform.install()
    base = platform.version()
    platform.run("UPDATE items SET name = 'y' WHERE id % 100 = 0")
    with platform.reading() as connection:
        counters = (
            "SELECT seq_scan, seq_tup_read, idx_tup_fetch FROM pg_stat_xact_user_tables WHERE"
            " relname = 'items'"
        )
        before = connection.execute(counters).fetchall()[0]
        found = looked(connection, "items", base)
        after = connection.execute(counters).fetchall()[0]
    assert isinstance(found, Found)
    assert len(found.records) == 200
    assert after[:2] == before[:2]
    assert after[2] - before[2] <= found.written == 200


def oid(platform: Platform, table: str) -> int:
    return int(str(platform.run(f"SELECT '{table}'::regclass::oid::int8")[0][0]))
