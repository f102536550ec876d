"""A version is asked by SQL: only what the statement reads is loaded, and a statement can only read."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cas.contents import Contents, open_contents
from cas.errors import CasError, InvalidInput, NotFound, PermissionDenied, TimedOut, Unsupported
from cas.postgres.connecting import ConnectionOptions, connect
from cas.postgres.reading.source import PostgresSource
from cas.postgres.scratch.marking import Maker, Mark, encode_mark, new_mark, new_name, read_mark
from cas.postgres.scratch.server import PostgresScratchServer, drop_abandoned
from cas.query import Answer, QueryRequest, query
from cas.records.scratch import Form, ReadLimits
from cas.records.source import SourceIdentity
from cas.snapshot import SnapshotRequest, take_version
from tests.engine.scenes import World
from tests.operations.scratching import HINT, execute, left_behind, scratch_on, version_of
from tests.servers.postgres import Cluster, Databases

PLATFORM = (
    "CREATE TYPE mood AS ENUM ('calm', 'wild')",
    "CREATE TABLE suppliers (id integer PRIMARY KEY, name text NOT NULL)",
    "CREATE TABLE products (id integer PRIMARY KEY, name text, price numeric(10,2), feel mood, data jsonb,"
    " supplier integer REFERENCES suppliers, double numeric GENERATED ALWAYS AS (price * 2) STORED)",
    "CREATE TABLE unrelated (id integer PRIMARY KEY)",
    "CREATE TABLE notes (text text)",
    "CREATE TABLE animals (id integer PRIMARY KEY)",
    "CREATE TABLE dogs (name text) INHERITS (animals)",
    "CREATE TABLE sales (day date, amount integer, PRIMARY KEY (day)) PARTITION BY RANGE (day)",
    "CREATE TABLE sales_2026 PARTITION OF sales FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
    "INSERT INTO suppliers VALUES (1, 'one'), (2, 'two')",
    "INSERT INTO products SELECT n, 'product ' || n, n, 'calm', jsonb_build_object('n', n), 1 + n % 2"
    " FROM generate_series(1, 100) n",
    "INSERT INTO products VALUES (101, NULL, 'NaN', NULL, NULL, NULL)",
    "INSERT INTO unrelated VALUES (1)",
    "INSERT INTO notes VALUES ('a'), ('a'), ('b')",
    "INSERT INTO animals VALUES (1)",
    "INSERT INTO dogs VALUES (2, 'rex')",
    "INSERT INTO sales VALUES ('2026-03-01', 5), ('2026-03-02', 6)",
    "CREATE VIEW dear AS SELECT p.*, s.name AS by FROM products p JOIN suppliers s ON s.id = p.supplier"
    " WHERE price > 90",
    "CREATE VIEW dearest AS SELECT * FROM dear WHERE price > 99",
    "CREATE VIEW grouped AS SELECT id, name, count(*) FROM products GROUP BY id",
    "CREATE MATERIALIZED VIEW totals AS SELECT sum(price) AS total FROM products WHERE id <= 100",
    "CREATE FUNCTION cheap(most numeric) RETURNS bigint LANGUAGE plpgsql STABLE AS"
    " $$ BEGIN RETURN (SELECT count(*) FROM products WHERE price <= most); END $$",
    "CREATE FUNCTION named() RETURNS bigint STABLE BEGIN ATOMIC SELECT count(*) FROM suppliers; END",
    "CREATE FUNCTION own_rows() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER AS"
    " 'SELECT count(*) FROM products'",
    "CREATE FUNCTION writes() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DELETE FROM products; END $$",
    "CREATE FUNCTION stubborn() RETURNS void LANGUAGE plpgsql AS $$ BEGIN LOOP BEGIN PERFORM pg_sleep(60);"
    " EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$",
    "CREATE FUNCTION runs(command text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS"
    " $$ BEGIN EXECUTE command; END $$",
    "CREATE SCHEMA other",
    "CREATE TABLE other.things (id integer PRIMARY KEY, what text)",
    "INSERT INTO other.things VALUES (1, 'chair')",
    "ALTER TABLE products ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE products FORCE ROW LEVEL SECURITY",
    "CREATE POLICY nobody ON products USING (false)",
    "CREATE INDEX ON products (name)",
)


@pytest.fixture(scope="module")
def contents(cluster: Cluster) -> Iterator[Contents]:
    databases = Databases(cluster)
    try:
        yield version_of(databases(), *PLATFORM)
    finally:
        databases.drop_all()


def ask(
    contents: Contents,
    server: PostgresScratchServer,
    sql: str,
    *entities: str,
    rows: int = 0,
    seconds: float = 60,
) -> tuple[list[tuple[str | None, ...]], Answer]:
    request = QueryRequest(sql, entities, ReadLimits(seconds=seconds, rows=rows))
    with query(contents, server, request) as answer:
        return [row for batch in answer.rows.batches() for row in batch], answer


@pytest.mark.parametrize(
    ("sql", "expected", "loaded"),
    [
        ("SELECT count(*) FROM products", [("101",)], ["products"]),
        ("select name from products where id = 7;  -- that one", [("product 7",)], ["products"]),
        ("WITH s AS (SELECT * FROM suppliers) SELECT count(*) FROM s", [("2",)], ["suppliers"]),
        ("VALUES (1, NULL, 'x;y')", [("1", None, "x;y")], []),
        ("TABLE notes ORDER BY 1", [("a",), ("a",), ("b",)], ["notes"]),
        ("SELECT 1 AS same, 2 AS same", [("1", "2")], []),
        ("SELECT by FROM dearest", [("one",)], ["products", "suppliers"]),
        ("SELECT count(*) FROM grouped", [("101",)], ["products"]),
        ("SELECT total FROM totals", [("5050.00",)], ["products"]),
        ("SELECT cheap(3)", [("3",)], ["products"]),
        ("SELECT own_rows()", [("101",)], ["products"]),
        ("SELECT named()", [("2",)], ["suppliers"]),
        ("SELECT count(*) FROM animals", [("2",)], ["animals", "dogs"]),
        ("SELECT count(*) FROM ONLY animals", [("1",)], ["animals", "dogs"]),
        ("SELECT sum(amount) FROM sales", [("11",)], ["sales"]),
        ("SELECT sum(amount) FROM sales_2026", [("11",)], ["sales"]),
        ("SELECT what FROM things", [("chair",)], ["things"]),
        ("SELECT double FROM products WHERE id = 4", [("8.00",)], ["products"]),
        ("SELECT count(*) FROM notes WHERE EXISTS (SELECT FROM unrelated)", [("3",)], ["notes", "unrelated"]),
        ("SELECT count(*) FROM products WHERE false", [("0",)], ["products"]),
    ],
)  # fmt: skip
def test_what_a_statement_reads_is_found_and_loaded(
    contents: Contents,
    scratch: PostgresScratchServer,
    sql: str,
    expected: list[tuple[str | None, ...]],
    loaded: list[str],
) -> None:
    rows, answer = ask(contents, scratch, sql)
    assert rows == expected
    assert [label.split(".")[1] for label in answer.loaded] == loaded


def test_what_was_guessed_is_said(contents: Contents, scratch: PostgresScratchServer) -> None:
    _, answer = ask(contents, scratch, "SELECT cheap(3)")
    (note,) = [note for note in answer.notes if "guessed" in note]
    assert "cheap(numeric)" in note
    assert "public.products" in note
    _, answer = ask(contents, scratch, "SELECT cheap(3)", "products")
    assert not [note for note in answer.notes if "guessed" in note]


def test_entities_may_be_named_and_must_then_be_all(
    contents: Contents, scratch: PostgresScratchServer
) -> None:
    rows, answer = ask(contents, scratch, "SELECT by FROM dearest", "products", "public.suppliers")
    assert rows == [("one",)]
    assert answer.loaded == ("public.products", "public.suppliers")
    with pytest.raises(InvalidInput, match=r"public\.suppliers") as caught:
        ask(contents, scratch, "SELECT by FROM dearest", "products")
    assert caught.value.where == "--entity"
    with pytest.raises(NotFound, match="nothere"):
        ask(contents, scratch, "SELECT 1", "nothere")


def test_rows_are_bounded_and_come_in_batches(contents: Contents, scratch: PostgresScratchServer) -> None:
    rows, answer = ask(contents, scratch, "SELECT id FROM products ORDER BY id", rows=10)
    assert [row[0] for row in rows] == [str(n) for n in range(1, 11)]
    assert answer.rows.is_cut
    rows, answer = ask(contents, scratch, "SELECT id FROM products", rows=101)
    assert len(rows) == 101
    assert not answer.rows.is_cut
    request = QueryRequest("SELECT n FROM generate_series(1, 1200) n", (), ReadLimits())
    with query(contents, scratch, request) as answer:
        assert [len(batch) for batch in answer.rows.batches()] == [500, 500, 200]


def test_columns_say_what_they_are(contents: Contents, scratch: PostgresScratchServer) -> None:
    sql = "SELECT 1 AS a, 1.5 AS b, true AS c, '{}'::jsonb AS d, 'x' AS e, feel FROM products LIMIT 1"
    _, answer = ask(contents, scratch, sql)
    assert [column.form for column in answer.rows.columns] == [
        *(Form.NUMBER, Form.NUMBER, Form.BOOLEAN, Form.JSON, Form.TEXT, Form.TEXT),
    ]
    assert [column.name for column in answer.rows.columns] == ["a", "b", "c", "d", "e", "feel"]


@pytest.mark.parametrize(
    ("sql", "error", "words"),
    [
        # More than one statement, or none.
        ("SELECT 1; DROP TABLE products", InvalidInput, "2 statements"),
        ("SELECT 1; SELECT 2", InvalidInput, "2 statements"),
        ("", InvalidInput, "no statement"),
        ("-- nothing", InvalidInput, "no statement"),
        ("SELECT 'never ends", InvalidInput, "never ends"),
        # What is no question.
        ("DROP TABLE products", InvalidInput, "syntax error"),
        ("INSERT INTO notes VALUES ('c')", InvalidInput, "syntax error"),
        ("DELETE FROM products RETURNING *", InvalidInput, "syntax error"),
        ("COPY products TO PROGRAM 'cat > {file}'", InvalidInput, "syntax error"),
        ("COPY (SELECT 1) TO '{file}'", InvalidInput, "syntax error"),
        ("DO $$ BEGIN COPY (SELECT 1) TO PROGRAM 'touch {file}'; END $$", InvalidInput, "syntax error"),
        ("CALL anything()", InvalidInput, "syntax error"),
        ("SET ROLE postgres", InvalidInput, "syntax error"),
        ("RESET SESSION AUTHORIZATION", InvalidInput, "syntax error"),
        ("SET TRANSACTION READ WRITE", InvalidInput, "syntax error"),
        ("COMMIT", InvalidInput, "syntax error"),
        ("CREATE EXTENSION dblink", InvalidInput, "syntax error"),
        ("LOAD 'anything'", InvalidInput, "syntax error"),
        ("SELECT * INTO copied FROM products", (InvalidInput, Unsupported), "INTO"),
        ("WITH gone AS (DELETE FROM products RETURNING *) SELECT * FROM gone", Unsupported, "data-modifying"),
        ("SELECT * FROM products FOR UPDATE", PermissionDenied, "read-only transaction"),
        # What a superuser might.
        ("SELECT pg_read_file('/etc/passwd')", PermissionDenied, "permission denied for function"),
        ("SELECT pg_read_binary_file('/etc/passwd')", PermissionDenied, "permission denied for function"),
        ("SELECT pg_ls_dir('/')", PermissionDenied, "permission denied for function"),
        ("SELECT lo_export(1, '{file}')", PermissionDenied, "permission denied for function"),
        ("SELECT lo_import('/etc/passwd')", PermissionDenied, "permission denied for function|read-only"),
        ("SELECT lo_from_bytea(0, 'x')", PermissionDenied, "read-only"),
        ("SELECT pg_reload_conf()", PermissionDenied, "permission denied for function"),
        ("SELECT pg_switch_wal()", PermissionDenied, "permission denied for function"),
        ("SELECT rolpassword FROM pg_authid", PermissionDenied, "permission denied for table"),
        ("SELECT query_to_xml('COPY t TO PROGRAM ''touch {file}''', true, true, '')", CasError, "COPY"),
        ("SELECT query_to_xml('SELECT pg_ls_dir(''/'')', true, true, '')", PermissionDenied, "function"),
        ("SELECT set_config('role', 'none', false), query_to_xml('SELECT pg_ls_dir(''/'')', true, true, '')",
         PermissionDenied, "function"),
        ("SELECT set_config('temp_file_limit', '-1', false)", PermissionDenied, "set parameter"),
        ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres' AND pid <> 0",
         PermissionDenied, "permission denied"),
        # Back to who we might be.
        ("SELECT set_config('role', 'postgres', false)", PermissionDenied, "permission denied to set role"),
        ("SELECT set_config('session_authorization', 'postgres', false)", PermissionDenied, "denied"),
        # Writing after all.
        ("SELECT set_config('transaction_read_only', 'off', false)", InvalidInput, "before any query"),
        ("SELECT set_config('transaction_read_only', 'off', false), writes()", CasError, "read"),
        ("SELECT writes()", PermissionDenied, "read-only transaction"),
        ("SELECT nextval('anything')", InvalidInput, "does not exist"),
        # Mistakes, with the place.
        ("SELECT nam FROM products", InvalidInput, 'column "nam" does not exist'),
        ("SELECT * FROM nothing", InvalidInput, 'relation "nothing" does not exist'),
        ("SELECT 1/0", InvalidInput, "division by zero"),
        ("SELECT $1", InvalidInput, "parameter"),
        # Out of the parentheses of our own statements.
        ("SELECT 1) AS x, (SELECT 2", InvalidInput, "syntax error"),
    ],
)  # fmt: skip
def test_a_statement_can_do_nothing_but_read(
    contents: Contents,
    scratch: PostgresScratchServer,
    tmp_path: Path,
    sql: str,
    error: type[CasError] | tuple[type[CasError], ...],
    words: str,
) -> None:
    file = tmp_path / "written"
    tmp_path.chmod(0o777)
    with pytest.raises(error, match=words):
        ask(contents, scratch, sql.replace("{file}", str(file)), "products")
    assert not file.exists()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            "COPY (SELECT 1) TO PROGRAM 'cat > {file}'",
            "permission denied to COPY to or from an external program",
        ),
        ("COPY (SELECT 1) TO '{file}'", "permission denied to COPY to a file"),
        ("COPY notes FROM '/etc/passwd'", "permission denied|read-only"),
        ("SET TRANSACTION READ WRITE", "before any query"),
        ("COMMIT", "not supported|invalid transaction|EXECUTE of transaction commands"),
        ("SET ROLE postgres", "permission denied|within security-definer"),
        ("SET SESSION AUTHORIZATION postgres", "permission denied|within security-definer"),
        ("CREATE TABLE kept (id integer)", "read-only"),
        ("CREATE TEMPORARY TABLE kept (id integer)", "read-only"),
        ("ALTER ROLE CURRENT_USER SUPERUSER", "read-only|permission denied"),
        ("ALTER SYSTEM SET fsync = off", "transaction block|from a function|permission denied"),
        ("CREATE EXTENSION dblink", "read-only|permission denied|not available"),
        ("DROP DATABASE postgres", "read-only|from a function|transaction block|owner"),
        ("LOAD 'dblink'", "access to library"),
        ("DO LANGUAGE plpgsql $do$ BEGIN EXECUTE 'CREATE TABLE kept ()'; END $do$", "read-only"),
    ],
)
def test_the_code_of_a_schema_can_do_no_more_than_a_statement(
    contents: Contents, scratch: PostgresScratchServer, tmp_path: Path, command: str, words: str
) -> None:
    tmp_path.chmod(0o777)
    file = tmp_path / "written"
    sql = f"SELECT runs($command${command}$command$)".replace("{file}", str(file))
    with pytest.raises(CasError, match=words):
        ask(contents, scratch, sql, "products")
    assert not file.exists()


SLY = (
    "CREATE FUNCTION sly() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF current_database() LIKE 'cas%'"
    " THEN COPY (SELECT 1) TO PROGRAM 'cat > {file}'; END IF; RETURN true; END $$",
    "CREATE TABLE things (id integer PRIMARY KEY, CHECK (public.sly()))",
    "INSERT INTO things VALUES (1)",
)


def test_a_check_has_no_rights_while_its_table_is_loaded(
    database: Databases, scratch: PostgresScratchServer, tmp_path: Path
) -> None:
    tmp_path.chmod(0o777)
    file = tmp_path / "written"
    version = version_of(database(), *[statement.replace("{file}", str(file)) for statement in SLY])
    with pytest.raises(PermissionDenied, match="COPY to or from an external program"):
        ask(version, scratch, "SELECT * FROM things")
    assert not file.exists()


def test_other_databases_of_the_server_cannot_be_entered(
    contents: Contents, scratch: PostgresScratchServer
) -> None:
    rows, _ = ask(
        contents, scratch, "SELECT session_user = current_user, current_user::text = current_database()"
    )
    assert rows == [("t", "t")]
    rows, _ = ask(
        contents,
        scratch,
        "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls,"
        " EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid)"
        " FROM pg_roles r WHERE rolname = current_user",
    )
    assert rows == [("f", "f")]
    rows, _ = ask(contents, scratch, "SELECT current_setting('temp_file_limit')")
    assert rows == [("8GB",)]
    for function in ("dblink_connect('dbname=postgres')", "postgres_fdw_get_connections()"):
        with pytest.raises(InvalidInput, match="does not exist"):
            ask(contents, scratch, f"SELECT {function}")


def test_an_error_has_its_place_and_what_to_do(contents: Contents, scratch: PostgresScratchServer) -> None:
    with pytest.raises(InvalidInput) as caught:
        ask(contents, scratch, "SELECT id,\n  nam\nFROM products")
    assert caught.value.where.startswith("line 2, column 3")
    assert "Perhaps you meant to reference" in caught.value.hint


def test_a_statement_has_a_time_even_if_it_resists(
    contents: Contents, scratch: PostgresScratchServer
) -> None:
    with pytest.raises(TimedOut, match="too long"):
        ask(contents, scratch, "SELECT pg_sleep(30)", seconds=0.5)
    with pytest.raises(TimedOut, match=r"too long|did not end"):
        ask(
            contents, scratch, "SELECT set_config('statement_timeout', '0', false), pg_sleep(30)", seconds=0.5
        )


def test_a_session_that_catches_its_time_out_is_ended(
    contents: Contents, scratch: PostgresScratchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cas.postgres.scratch.asking.PATIENCE_SECONDS", 0.5)
    with pytest.raises(TimedOut, match=r"did not end when its 0\.5 s were over"):
        ask(contents, scratch, "SELECT stubborn()", "products", seconds=0.5)


def test_nothing_is_left_where_the_work_fails(contents: Contents, cluster: Cluster) -> None:
    server = scratch_on(cluster)
    request = QueryRequest("SELECT id FROM products", (), ReadLimits())

    def stopped() -> None:
        with query(contents, server, request) as answer:
            next(answer.rows.batches())
            assert len(left_behind(cluster)) == 2, "a database and a role"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert left_behind(cluster) == []


VICTIM = """
import sys, time
from cas.postgres.connecting import ConnectionOptions
from cas.postgres.scratch.server import PostgresScratchServer, ScratchOptions
from cas.records.source import SourceIdentity
from cas.snapshot import SnapshotRequest, take_version
platform = SourceIdentity("shop", "18", 180000, "1", 1, "UTF8", "provider=libc collate=C ctype=C locale=", ())
server = PostgresScratchServer(lambda: sys.argv[1], ScratchOptions(ConnectionOptions()), hint="")
with server.database(platform, "a test") as database:
    print("made", flush=True)
    time.sleep(600)
"""


def test_what_a_killed_run_left_is_dropped_by_the_next_and_what_is_in_use_is_not(
    contents: Contents, cluster: Cluster
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", VICTIM, cluster.url()], stdout=subprocess.PIPE, text=True
    ) as victim:
        try:
            assert victim.stdout is not None
            assert victim.stdout.readline() == "made\n"
            theirs = left_behind(cluster)
            assert len(theirs) == 2
            ask(contents, scratch_on(cluster), "SELECT 1")
            assert left_behind(cluster) == theirs, "its maker lives"
        finally:
            victim.kill()
    assert left_behind(cluster) == theirs
    ask(contents, scratch_on(cluster), "SELECT 1")
    assert left_behind(cluster) == []


def _role(url: str, name: str, comment: str) -> None:
    execute(url, f'CREATE ROLE "{name}"', f"COMMENT ON ROLE \"{name}\" IS '{comment}'")


def test_nothing_is_dropped_that_is_not_certainly_ours(cluster: Cluster) -> None:
    url = cluster.url()
    gone = Maker(new_mark("x", "").maker.place, 2**22 + 5, "1")
    elsewhere = Maker("another host", 1, "1")
    names = [new_name() for _ in range(6)]
    marks = {
        names[0]: encode_mark(Mark(names[0], "ours, abandoned", "2026-01-01T00:00:00+00:00", gone)),
        names[1]: "",
        names[2]: encode_mark(Mark(names[0], "the mark of another", "2026-01-01T00:00:00+00:00", gone)),
        names[3]: encode_mark(new_mark(names[3], "at work")),
        names[4]: encode_mark(Mark(names[4], "of elsewhere, old", "2020-01-01T00:00:00+00:00", elsewhere)),
        names[5]: encode_mark(Mark(names[5], "not the owner", "2026-01-01T00:00:00+00:00", gone)),
    }  # fmt: skip
    young = new_name()
    marks[young] = encode_mark(Mark(young, "of elsewhere, young", new_mark(young, "").made, elsewhere))
    databases = [names[0], names[1], names[5]]
    try:
        for name, comment in marks.items():
            _role(url, name, comment)
        for name in databases:
            owner = name if name != names[5] else "postgres"
            execute(url, f'CREATE DATABASE "{name}" OWNER "{owner}"')
        with closing(connect(url, ConnectionOptions())) as admin:
            assert sorted(drop_abandoned(admin)) == sorted([names[0], names[4]])
        there = left_behind(cluster)
        assert sorted(there) == sorted([*names[1:4], names[5], young, names[1], names[5]])
    finally:
        for name in databases:
            execute(url, f'DROP DATABASE IF EXISTS "{name}"')
        for name in marks:
            execute(url, f'DROP ROLE IF EXISTS "{name}"')


@pytest.mark.parametrize(
    "comment",
    [
        "",
        "a throwaway database",
        encode_mark(new_mark("cas_scratch_0123456789abcdef", "")).replace("process", "prozess"),
        encode_mark(new_mark("cas_scratch_0123456789abcdef", ""))[:-1],
        encode_mark(new_mark("cas_scratch_fedcba9876543210", "")),
    ],
)
def test_a_mark_is_read_down_to_its_last_field(comment: str) -> None:
    assert read_mark("cas_scratch_0123456789abcdef", comment) is None
    good = encode_mark(new_mark("cas_scratch_0123456789abcdef", "a test"))
    mark = read_mark("cas_scratch_0123456789abcdef", good)
    assert mark is not None
    assert mark.what == "a test"
    assert mark.maker.process == os.getpid()
    assert read_mark("cas_scratch_0123456789abcdeF", good) is None


@pytest.mark.parametrize(
    ("encoding", "locale", "noted"),
    [
        ("UTF8", "provider=libc collate=C ctype=C locale=", False),
        ("UTF8", "provider=builtin collate=C ctype=C locale=C.UTF-8", False),
        ("UTF8", "provider=libc collate=xx_YY.UTF-8 ctype=xx_YY.UTF-8 locale=", True),
        ("UTF8", "provider=icu collate=C ctype=C locale=de-DE", True),
        ("LATIN1", "provider=libc collate=xx_YY ctype=xx_YY locale=", True),
        ("SQL_ASCII", "provider=libc collate=C ctype=C locale=", False),
    ],
)
def test_the_database_is_as_like_the_platform_as_it_can_be(
    scratch: PostgresScratchServer, encoding: str, locale: str, noted: bool
) -> None:
    platform = SourceIdentity("shop", "18", 180000, "1", 1, encoding, locale, ())
    with scratch.database(platform, "a test") as database:
        assert database.server.encoding == encoding
        if not noted:
            assert database.server.locale == locale
        assert bool(database.notes) is noted
        assert all("texts are ordered" in note for note in database.notes)


def test_an_encoding_that_no_server_has_is_refused(scratch: PostgresScratchServer) -> None:
    platform = SourceIdentity("shop", "18", 180000, "1", 1, "KLINGON", "", ())
    with pytest.raises((Unsupported, CasError), match="KLINGON"), scratch.database(platform, "a test"):
        pass


def test_a_server_that_refuses_says_what_it_wants(cluster: Cluster) -> None:
    execute(cluster.url(), "CREATE ROLE nobody_much LOGIN")
    try:
        url = cluster.url().replace("postgres@", "nobody_much@")
        server = scratch_on(cluster)
        server._url = lambda: url
        platform = SourceIdentity("shop", "18", 180000, "1", 1, "UTF8", "", ())
        with pytest.raises(PermissionDenied) as caught, server.database(platform, "a test"):
            pass
        assert "CREATEROLE" in caught.value.hint
    finally:
        execute(cluster.url(), "DROP ROLE nobody_much")


def test_a_maker_of_databases_who_is_no_superuser_will_do(contents: Contents, cluster: Cluster) -> None:
    execute(cluster.url(), "CREATE ROLE maker LOGIN CREATEDB CREATEROLE")
    try:
        url = cluster.url().replace("postgres@", "maker@")
        server = scratch_on(cluster)
        server._url = lambda: url
        rows, _ = ask(contents, server, "SELECT by FROM dearest")
        assert rows == [("one",)]
        assert left_behind(cluster) == []
    finally:
        execute(cluster.url(), "DROP ROLE maker")


RICH = (
    "CREATE SCHEMA ext",
    "CREATE EXTENSION hstore SCHEMA ext",
    "CREATE TABLE tagged (id integer PRIMARY KEY, tags ext.hstore)",
    "CREATE TABLE documents (id integer PRIMARY KEY, body xml)",
    "CREATE TABLE plain (id integer PRIMARY KEY, made timestamptz DEFAULT now())",
    "CREATE FUNCTION ext.number() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "INSERT INTO tagged VALUES (1, 'a=>1')",
    "INSERT INTO documents VALUES (1, '<a>text</a>')",
    "INSERT INTO plain VALUES (1), (2)",
)


def test_what_the_embedded_server_lacks_is_named_and_the_rest_works(
    cluster15: Cluster, database: Databases, scratch: PostgresScratchServer
) -> None:
    rich = version_of(database(cluster15), *RICH)
    assert ask(rich, scratch, "SELECT count(*) FROM plain")[0] == [("2",)]
    with pytest.raises(InvalidInput, match="tagged") as caught:
        ask(rich, scratch, "SELECT * FROM tagged")
    assert "hstore" in caught.value.hint
    assert "--scratch" in caught.value.hint
    with pytest.raises(Unsupported, match="XML") as refused:
        ask(rich, scratch, "SELECT * FROM documents")
    assert refused.value.hint == HINT
    able = scratch_on(cluster15)
    assert ask(rich, able, "SELECT tags::text FROM tagged")[0] == [('"a"=>"1"',)]
    assert ask(rich, able, "SELECT body FROM documents")[0] == [("<a>text</a>",)]
    assert left_behind(cluster15) == []


def test_a_default_that_cannot_be_built_does_not_cost_its_table(
    cluster15: Cluster, database: Databases, scratch: PostgresScratchServer
) -> None:
    version = version_of(
        database(cluster15),
        'CREATE EXTENSION "uuid-ossp"',
        "CREATE TABLE things (id uuid PRIMARY KEY DEFAULT uuid_generate_v4(), n integer)",
        "INSERT INTO things (n) VALUES (1), (2)",
        "CREATE VIEW sums AS SELECT sum(n) FROM things",
    )
    assert ask(version, scratch, "SELECT * FROM sums")[0] == [("3",)]


def test_a_version_without_a_schema_has_tables_all_the_same(
    database: Databases, scratch: PostgresScratchServer
) -> None:
    world = World()
    execute(
        url := database(),
        "CREATE TABLE things (id integer PRIMARY KEY, n numeric)",
        "INSERT INTO things VALUES (1, 2.5)",
    )
    request = SnapshotRequest(with_schema=False)
    take_version(world.open(), world.catalog, PostgresSource(url), request)
    assert ask(open_contents(world.open(), 1), scratch, "SELECT n FROM things")[0] == [("2.5",)]


def test_a_version_of_some_tables_says_what_it_lacks(
    database: Databases, scratch: PostgresScratchServer
) -> None:
    version = version_of(database(), *PLATFORM, tables=("products",))
    assert ask(version, scratch, "SELECT count(*) FROM products")[0] == [("101",)]
    with pytest.raises((NotFound, InvalidInput), match="suppliers"):
        ask(version, scratch, "SELECT count(*) FROM suppliers")


def test_psycopg_is_not_what_a_caller_sees(contents: Contents, scratch: PostgresScratchServer) -> None:
    """An error while rows are read is ours, too."""
    sql = "SELECT 1 / (50 - id) FROM products ORDER BY id LIMIT 100"
    request = QueryRequest(sql, (), ReadLimits())
    with pytest.raises(InvalidInput, match="division"), query(contents, scratch, request) as answer:
        for _ in answer.rows.batches():
            pass
