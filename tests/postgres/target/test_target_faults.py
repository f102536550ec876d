"""What goes wrong while a database is filled: one clear error, and never a half taken for a whole."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cas.errors import CasError, Conflict, ConnectionFailed, InsufficientSpace, PermissionDenied, Unsupported
from cas.postgres.filling.target import PostgresTarget, TargetOptions
from cas.records.source import SchemaItem
from cas.records.target import SchemaParts
from tests.postgres.target.moving import ask, dumped_items, entities_of, move
from tests.servers.postgres import Cluster, Databases, embedded_cluster

MARK = "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = 'cas_restore'"


def items(*texts: tuple[str, str, str]) -> list[SchemaItem]:
    """Items of (type, name, sql); those that make tables stand before the data."""
    return [
        SchemaItem("pre-data" if kind == "TABLE" else "post-data", kind, "public", name, sql)
        for kind, name, sql in texts
    ]


def begun(url: str, *texts: tuple[str, str, str]) -> PostgresTarget:
    target = PostgresTarget(url)
    target.begin("UTF8", items(*texts), SchemaParts(), what="a restore of version 7")
    target.build_before_data()
    return target


TABLE = ("TABLE", "t", "CREATE TABLE public.t (a int, b text)")


@pytest.mark.parametrize(
    ("making", "named"),
    [
        ("CREATE TABLE x ()", "table public.x"),
        ("CREATE VIEW v AS SELECT 1", "view public.v"),
        ("CREATE SEQUENCE s", "sequence public.s"),
        ("CREATE TYPE e AS ENUM ()", "type public.e"),
        ("CREATE TYPE c AS (a int)", "type public.c"),
        ("CREATE DOMAIN d AS int", "type public.d"),
        ("CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'", "function public.f(integer)"),
        ("CREATE SCHEMA q; CREATE MATERIALIZED VIEW q.m AS SELECT 1", "materialized view q.m"),
        ("CREATE PUBLICATION p FOR ALL TABLES", "publication p"),
        ("SELECT lo_create(0), lo_create(0)", "2 large objects"),
        ("CREATE UNLOGGED TABLE x (); CREATE TABLE y (); CREATE TABLE z (); CREATE TABLE z1 ();"
         "CREATE TABLE z2 (); CREATE TABLE z3 ()", "table public.z2 and 1 more"),
    ],
)  # fmt: skip
def test_a_target_that_holds_anything_is_refused(
    making: str, named: str, each_cluster: Cluster, database: Databases
) -> None:
    url = database(each_cluster)
    ask(url, making)
    target = PostgresTarget(url)
    with pytest.raises(Conflict, match="not empty") as caught:
        target.begin("UTF8", items(TABLE), SchemaParts())
    target.close()
    assert named in caught.value.what
    assert "createdb" in caught.value.hint
    assert ask(url, MARK) == []


def test_empty_schemas_extensions_and_temporary_tables_are_no_contents(
    cluster15: Cluster, database: Databases
) -> None:
    url = database(cluster15)
    ask(url, "CREATE SCHEMA app; CREATE EXTENSION hstore; CREATE EXTENSION citext SCHEMA app")
    target = PostgresTarget(url)
    with psycopg.connect(url) as other:
        other.execute("CREATE TEMPORARY TABLE x (a int)")
        target.require_empty()
    target.close()


def test_a_target_in_another_encoding_is_refused(cluster: Cluster, database: Databases) -> None:
    url = database(options="ENCODING 'LATIN1' LOCALE 'C' LOCALE_PROVIDER libc")
    target = PostgresTarget(url)
    with pytest.raises(Conflict, match="version's encoding is UTF8, the target's LATIN1") as caught:
        target.begin("UTF8", items(TABLE), SchemaParts())
    target.close()
    assert "createdb --template=template0 --encoding=UTF8" in caught.value.hint
    assert ask(url, MARK) == []


def test_a_failed_restore_leaves_a_mark_that_names_it(cluster: Cluster, database: Databases) -> None:
    url = database()
    target = begun(url, TABLE, ("INDEX", "i", "CREATE INDEX i ON public.t (nothing)"))
    with pytest.raises(CasError):
        target.build_after_data()
    target.close()
    again = PostgresTarget(url)
    with pytest.raises(Conflict, match="a restore of version 7") as caught:
        again.begin("UTF8", items(TABLE), SchemaParts())
    again.close()
    assert "Drop the database" in caught.value.hint


def test_a_running_restore_is_not_taken_for_a_failed_one(cluster: Cluster, database: Databases) -> None:
    url = database()
    first, second = begun(url, TABLE), PostgresTarget(url)
    with pytest.raises(Conflict, match="another restore is filling this database"):
        second.begin("UTF8", items(TABLE), SchemaParts())
    second.close()
    first.build_after_data()
    first.finish()
    first.close()
    assert ask(url, MARK) == []


def test_two_restores_that_begin_at_once_do_not_both_go_on(cluster: Cluster, database: Databases) -> None:
    """Both saw an empty database; only one can mark it."""
    url = database()
    first, second = PostgresTarget(url), PostgresTarget(url)
    first.require_empty()
    second.require_empty()
    first.begin("UTF8", items(TABLE), SchemaParts())
    with pytest.raises(Conflict, match="another restore"):
        second.begin("UTF8", items(TABLE), SchemaParts())
    first.close()
    second.close()


def test_a_failing_statement_is_named_with_its_item_and_the_servers_words(
    cluster: Cluster, database: Databases
) -> None:
    target = PostgresTarget(database())
    view = "CREATE VIEW public.v AS SELECT a, missing_function(b) FROM public.t;"
    target.begin("UTF8", [*items(TABLE), SchemaItem("pre-data", "VIEW", "public", "v", view)], SchemaParts())
    with pytest.raises(Conflict, match=r"VIEW public\.v: function missing_function\(text\)") as caught:
        target.build_before_data()
    target.close()
    assert caught.value.where.startswith("CREATE VIEW public.v AS SELECT a, missing_function(b)")


def test_what_an_older_server_cannot_parse_is_said_to_be_newer(
    cluster15: Cluster, database: Databases
) -> None:
    virtual = ("TABLE", "v", "CREATE TABLE public.v (a int, b int GENERATED ALWAYS AS (a) VIRTUAL)")
    target = PostgresTarget(database(cluster15))
    target.begin("UTF8", items(virtual), SchemaParts())
    with pytest.raises(Unsupported, match=r"TABLE public\.v: syntax error") as caught:
        target.build_before_data()
    target.close()
    assert "newer PostgreSQL" in caught.value.hint


def test_settings_of_18_do_not_stop_15(cluster: Cluster, cluster15: Cluster, database: Databases) -> None:
    """transaction_timeout, among others, is unknown to 15; so may be what 19 will set."""
    source, restored = database(), database(cluster15)
    ask(source, "CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1)")
    schema = dumped_items(cluster, source)
    assert any("transaction_timeout" in item.sql for item in schema)
    target = PostgresTarget(restored)
    entities = entities_of(source)
    future = SchemaItem("pre-data", "SETTINGS", "", "", "SET shiny_new_setting = on;")
    target.begin("UTF8", [future, *schema], SchemaParts(), entities)
    target.build_before_data()
    target.copy_in(entities[0], [b"1\n"], whole=True)
    target.build_after_data()
    assert target.finish() == ["SETTINGS : this server has no such setting"]
    target.close()


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (("CONSTRAINT", "k", "ALTER TABLE public.t ADD CONSTRAINT k PRIMARY KEY (a)"), r"Key \(a\)=\(1\)"),
        (("INDEX", "i", "CREATE UNIQUE INDEX i ON public.t USING btree (a)"), "is duplicated"),
        (
            ("FK CONSTRAINT", "f", "ALTER TABLE ONLY public.t ADD CONSTRAINT f"
             " FOREIGN KEY (a) REFERENCES public.u(a)"),
            "violates foreign key constraint",
        ),
        (
            ("CHECK CONSTRAINT", "c", "ALTER TABLE public.t ADD CONSTRAINT c CHECK (a > 5)"),
            "is violated by some row",
        ),
    ],
)  # fmt: skip
def test_records_that_break_a_constraint_are_refused(
    key: tuple[str, str, str], words: str, cluster: Cluster, database: Databases
) -> None:
    url = database()
    target = begun(url, TABLE, ("TABLE", "u", "CREATE TABLE public.u (a int PRIMARY KEY)"), key)
    entity = next(entity for entity in entities_of(url) if entity.name == "t")
    target.copy_in(entity, [b"1\tx\n1\ty\n"], whole=True)
    with pytest.raises(Conflict, match=words) as caught:
        target.build_after_data()
    target.close()
    assert f"{key[0]} public.{key[1]}" in caught.value.what
    assert ask(url, MARK) != []


FUNCTIONS = """
CREATE FUNCTION public.slow(a int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1 FROM pg_sleep(300)';
CREATE FUNCTION public.later(a int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
  WHILE NOT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX slow%') LOOP
    PERFORM pg_sleep(0.02), pg_stat_clear_snapshot(); END LOOP;
  RETURN a; END $$;
"""


def test_the_first_failure_ends_what_runs_beside_it(cluster: Cluster, database: Databases) -> None:
    """One index fails while another would take minutes: that one is cancelled, and not waited for."""
    url = database()
    target = begun(
        url,
        ("TABLE", "functions", FUNCTIONS),
        TABLE,
        ("TABLE", "u", "CREATE TABLE public.u (a int)"),
        ("INDEX", "slow", "CREATE INDEX slow ON public.u (public.slow(a))"),
        ("INDEX", "bad", "CREATE UNIQUE INDEX bad ON public.t (public.later(a))"),
    )
    tables = {entity.name: entity for entity in entities_of(url)}
    target.copy_in(tables["t"], [b"1\tx\n1\tx\n"], whole=True)
    target.copy_in(tables["u"], [b"1\n"], whole=True)
    began = time.monotonic()
    with pytest.raises(Conflict, match=r"INDEX public\.bad"):
        target.build_after_data()
    target.close()
    assert time.monotonic() - began < 60


def test_a_full_disk_is_said_to_be_one(cluster: Cluster, database: Databases) -> None:
    """The server's limit for temporary files stands in for the disk's end: the same class of errors."""
    url = database()
    ask(url, f"ALTER DATABASE {url.split('@/')[1].split('?')[0]} SET temp_file_limit = '64kB'")
    options = TargetOptions(maintenance_mib=1)
    target = PostgresTarget(url, options)
    target.begin("UTF8", items(TABLE, ("INDEX", "i", "CREATE INDEX i ON public.t (b)")), SchemaParts())
    target.build_before_data()
    ask(url, f"ALTER DATABASE {url.split('@/')[1].split('?')[0]} SET maintenance_work_mem = '1MB'")
    target.copy_in(entities_of(url)[0], [b"1\t%0200d\n" % n for n in range(30_000)], whole=True)
    with pytest.raises(InsufficientSpace, match=r"INDEX public\.i: temporary file size exceeds"):
        target.build_after_data()
    target.close()


def test_a_role_that_may_not_create_is_told_the_grant(cluster: Cluster, database: Databases) -> None:
    url = database()
    ask(url, "DROP ROLE IF EXISTS target_nobody; CREATE ROLE target_nobody LOGIN")
    target = PostgresTarget(url.replace("postgres@", "target_nobody@"))
    with pytest.raises(PermissionDenied, match="permission denied for database") as caught:
        target.begin("UTF8", items(TABLE), SchemaParts())
    target.close()
    assert "GRANT CREATE ON DATABASE" in caught.value.hint


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """A server that a test may break."""
    with embedded_cluster() as running:
        yield running


def test_a_server_that_dies_under_the_load_leaves_the_mark(own_cluster: Cluster) -> None:
    databases = Databases(own_cluster)
    url = databases()
    target = begun(url, TABLE)
    entity = entities_of(url)[0]

    def lines() -> Iterator[bytes]:
        yield b"1\tx\n" * 100_000
        copying = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'COPY %' AND pid <> pg_backend_pid()"
        ((pid,),) = ask(url, copying)
        os.kill(int(str(pid)), signal.SIGKILL)  # the postmaster ends all others, and recovers
        while True:
            yield b"1\tx\n" * 10_000

    with pytest.raises(ConnectionFailed, match=r"loading public\.t"):
        target.copy_in(entity, lines(), whole=True)
    target.close()
    again = _after_recovery(url)
    with pytest.raises(Conflict, match="did not end"):
        again.require_empty()
    again.close()


def _after_recovery(url: str) -> PostgresTarget:
    for _ in range(100):
        try:
            ask(url, "SELECT 1")
            break
        except psycopg.OperationalError:
            time.sleep(0.1)
    return PostgresTarget(url)


def test_a_restore_that_is_killed_leaves_the_mark(cluster: Cluster, database: Databases) -> None:
    url = database()
    program = """
import sys, time
from tests.postgres.target.test_target_faults import TABLE, begun
from tests.postgres.target.moving import entities_of
target = begun(sys.argv[1], TABLE)
def lines():
    yield b"1\\tx\\n" * 100_000
    print("half", flush=True)
    time.sleep(600)
target.copy_in(entities_of(sys.argv[1])[0], lines(), whole=True)
"""
    root = Path(__file__).parents[3]
    arguments = [sys.executable, "-c", program, url]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=root) as restoring:
        assert restoring.stdout is not None
        assert restoring.stdout.readline() == b"half\n"
        restoring.kill()
    for _ in range(100):  # the server notices within a moment that nobody is there any more
        if ask(url, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]:
            break
        time.sleep(0.1)
    again = PostgresTarget(url)
    with pytest.raises(Conflict, match="did not end, and left a part of the data: a restore of version 7"):
        again.require_empty()
    again.close()


def test_a_restore_that_succeeds_leaves_no_mark(cluster: Cluster, database: Databases) -> None:
    source, restored = database(), database()
    ask(source, "CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1)")
    move(cluster, source, PostgresTarget(restored))
    assert ask(restored, MARK) == []
    assert ask(restored, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]
