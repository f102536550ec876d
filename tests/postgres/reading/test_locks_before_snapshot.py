"""A table that changes while the read begins: never half of it, never nothing of it (rule 1)."""

import threading

import psycopg
import pytest

from cas.errors import SourceChanged, TimedOut
from cas.postgres.reading.opening import Patience
from cas.records.source import Selection
from tests.postgres.reading.platform import (
    HASTY,
    Records,
    ask,
    entity_of,
    meanwhile,
    read,
    run,
    source,
    wait_for_waiter,
)
from tests.servers.postgres import Cluster, Databases

PATIENT = Patience(lock_timeout=600)


@pytest.fixture
def url(each_cluster: Cluster, database: Databases) -> str:
    url = database(each_cluster)
    run(
        url,
        "CREATE TABLE a (id int PRIMARY KEY, v int)",
        "INSERT INTO a SELECT g, g FROM generate_series(1, 1000) AS g",
        "CREATE TABLE b (id int PRIMARY KEY)",
        "INSERT INTO b VALUES (7)",
    )
    return url


_UNLOCKED = """
SELECT relname FROM pg_class c WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND NOT EXISTS (
    SELECT FROM pg_locks l WHERE l.relation = c.oid AND l.mode = 'AccessShareLock' AND l.granted)
"""


def read_while(url: str, *changes: str) -> dict[str, Records]:
    """What is read when these changes commit while the read waits for its locks."""
    found: dict[str, Records] = {}

    def reading() -> None:
        with source(url).snapshot(Selection()) as snapshot:
            assert ask(url, _UNLOCKED) == []
            for entity in snapshot.entities:
                found[entity.label] = read(snapshot, entity)
            snapshot.finish()

    with psycopg.connect(url) as other:
        for change in changes:
            other.execute(change.encode())
        with meanwhile(reading):
            wait_for_waiter(url, "a", "AccessShareLock")
            other.commit()
    return found


def test_truncate_and_insert_is_not_read_as_an_empty_table(url: str) -> None:
    found = read_while(url, "TRUNCATE a", "INSERT INTO a SELECT g, -g FROM generate_series(1, 1000) AS g")
    assert len(found["public.a"].payloads) == 1000
    assert found["public.a"].payloads[0] == b"1\t-1"


def test_a_rewriting_alter_is_read_with_its_new_columns(url: str) -> None:
    found = read_while(url, "ALTER TABLE a ALTER v TYPE text USING 'x' || v, ADD COLUMN w int DEFAULT 3")
    assert len(found["public.a"].payloads) == 1000
    assert found["public.a"].payloads[0] == b"1\tx1\t3"


def test_a_table_that_is_created_while_the_read_waits_belongs_to_it(url: str) -> None:
    found = read_while(url, "LOCK TABLE a", "CREATE TABLE late AS SELECT 5 AS id")
    assert found["public.late"].payloads == [b"5"]


def test_a_table_that_is_dropped_while_the_read_waits_is_not_missed(url: str) -> None:
    found = read_while(url, "DROP TABLE a")
    assert sorted(found) == ["public.b"]


def test_a_lock_that_is_never_given_back_ends_in_an_error_that_names_it(url: str) -> None:
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE a IN ACCESS EXCLUSIVE MODE")
        with (
            pytest.raises(TimedOut, match="exclusive lock") as raised,
            source(url, HASTY).snapshot(Selection()),
        ):
            pass
        assert "public.a by process" in raised.value.where


def test_ddl_that_waits_for_us_makes_a_second_reader_give_up_and_not_hang(url: str) -> None:
    """Rule 2: a worker that joined without a time-out would wait for the ALTER, and it for us. However
    patient we are with others: the platform stands still behind the ALTER."""
    with source(url, PATIENT).snapshot(Selection()) as snapshot:
        first = snapshot.batches(entity_of(snapshot, "public.a"))
        next(first)
        with psycopg.connect(url) as other:
            altering = threading.Thread(target=other.execute, args=(b"ALTER TABLE b ADD COLUMN x int",))
            altering.start()
            wait_for_waiter(url, "b", "AccessExclusiveLock")
            with pytest.raises(SourceChanged, match="waits to alter"):
                read(snapshot, entity_of(snapshot, "public.b"))
            with pytest.raises(SourceChanged, match="waits to alter"):
                snapshot.schema_items()
            first.close()
            assert len(read(snapshot, entity_of(snapshot, "public.a")).payloads) == 1000
            snapshot._readers.close()
            altering.join(20)
            other.commit()
    assert ask(url, "SELECT count(*) FROM b WHERE x IS NULL") == [(1,)]


def test_ddl_that_waits_for_us_does_not_make_us_wait_for_it(url: str) -> None:
    """The text of a default is had under a lock; who asks for it from outside stands behind the ALTER."""
    run(url, "ALTER TABLE b ADD COLUMN v int DEFAULT 3 + 4")
    with source(url).snapshot(Selection()) as snapshot:
        assert entity_of(snapshot, "public.b").columns[1].default == "(3 + 4)"
        with psycopg.connect(url) as other:
            altering = threading.Thread(target=other.execute, args=(b"ALTER TABLE b ADD COLUMN x int",))
            altering.start()
            wait_for_waiter(url, "b", "AccessExclusiveLock")
            finishing = threading.Thread(target=snapshot.finish)
            finishing.start()
            finishing.join(20)
            is_hanging = finishing.is_alive()
            snapshot._readers.close()
            altering.join(20)
            other.rollback()
    assert not is_hanging


def test_a_table_that_was_not_asked_for_may_be_locked_by_whomever(url: str) -> None:
    run(url, "ALTER TABLE b ADD COLUMN v int DEFAULT 3 + 4")
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE b IN ACCESS EXCLUSIVE MODE")
        with source(url, HASTY, statement_timeout=5).snapshot(Selection(tables=("a",))) as snapshot:
            assert len(read(snapshot, entity_of(snapshot, "public.a")).payloads) == 1000
            snapshot.finish()


def test_a_type_that_somebody_alters_without_end_is_not_waited_for_without_end(url: str) -> None:
    run(
        url,
        "CREATE TYPE pair AS (a int, b int)",
        "CREATE TABLE c (id int PRIMARY KEY, p pair)",
        "INSERT INTO c VALUES (1, '(1,2)')",
    )
    with psycopg.connect(url) as other:
        other.execute("ALTER TYPE pair RENAME ATTRIBUTE a TO c")
        with source(url, HASTY, statement_timeout=20).snapshot(Selection()) as snapshot:
            with pytest.raises(TimedOut, match="lock"):
                read(snapshot, entity_of(snapshot, "public.c"))
            assert read(snapshot, entity_of(snapshot, "public.b")).payloads == [b"7"]


def test_readers_in_several_threads_see_the_same_moment(url: str) -> None:
    with source(url).snapshot(Selection()) as snapshot:
        entity = entity_of(snapshot, "public.a")
        found: list[Records] = []
        before = read(snapshot, entity)
        run(url, "DELETE FROM a WHERE id % 2 = 0", "INSERT INTO a VALUES (5000, 1)")
        threads = [threading.Thread(target=lambda: found.append(read(snapshot, entity))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert found == [before] * 4
        snapshot.finish()


def test_a_thousand_tables_are_locked_and_read(database: Databases) -> None:
    url = database()
    run(
        url,
        """DO $$ BEGIN FOR i IN 1..1100 LOOP EXECUTE format('CREATE TABLE t%s AS SELECT %s AS v', i, i);
           END LOOP; END $$""",
    )
    with source(url).snapshot(Selection()) as snapshot:
        assert len(snapshot.entities) == 1100
        assert read(snapshot, entity_of(snapshot, "public.t1033")).payloads == [b"1033"]
        assert ask(
            url, "SELECT count(*) FROM pg_locks WHERE mode = 'AccessShareLock' AND relation >= 16384"
        ) == [(1100,)]
        snapshot.finish()
