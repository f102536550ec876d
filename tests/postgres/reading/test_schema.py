"""The schema by pg_dump: its text byte for byte, in items, and only the platform's (rules 35 to 37)."""

import re
import subprocess
from pathlib import Path

import psycopg
import pytest

from cas.errors import CasError, InvalidInput, PermissionDenied, Unsupported
from cas.postgres.dumping.programs import find_pg_dump
from cas.postgres.dumping.schema import ROLE, schema_text
from cas.postgres.dumping.text import SETTINGS, entries
from cas.postgres.filling.filled_views import REFRESH
from cas.postgres.reading.source import PostgresSource, SourceOptions
from cas.records.source import SchemaItem, Selection
from tests.postgres.reading.platform import new_role, run, source
from tests.servers.postgres import Cluster, Databases


def pg_dump(cluster: Cluster, url: str, *options: str) -> str:
    """What the server's own pg_dump prints, without its first and last lines for psql."""
    command = [str(cluster.bin_directory / "pg_dump"), "--schema-only", *options, f"--dbname={url}"]
    done = subprocess.run(command, capture_output=True, check=True, env={"PGTZ": "UTC"})
    text = done.stdout.decode()
    text = re.sub(r"^\\restrict .*\n\n", "", text, count=1, flags=re.MULTILINE)
    return re.sub(r"\\unrestrict .*\n\n\Z", "", text)


def items_of(url: str, selection: Selection | None = None) -> list[SchemaItem]:
    with source(url).snapshot(selection or Selection()) as snapshot:
        return list(snapshot.schema_items())


def names(items: list[SchemaItem], *types: str) -> set[str]:
    return {item.name for item in items if item.type in types}


def test_the_items_joined_are_pg_dumps_text_byte_for_byte(each_cluster: Cluster, torture: str) -> None:
    assert schema_text(items_of(torture)) == pg_dump(each_cluster, torture)


def test_two_dumps_of_one_database_are_equal(torture: str) -> None:
    assert items_of(torture) == items_of(torture)


def test_the_schema_is_of_the_moment_of_the_rows(each_cluster: Cluster, database: Databases) -> None:
    url = database(each_cluster)
    run(url, "CREATE TABLE before (id int)", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    with source(url).snapshot(Selection()) as snapshot:
        run(url, "CREATE TABLE after (id int)", "DROP FUNCTION f()")
        items = list(snapshot.schema_items())
    assert names(items, "TABLE") == {"before"}


def test_the_sections_are_pg_dumps_but_for_privileges_which_come_last(
    each_cluster: Cluster, torture: str
) -> None:
    ours = {
        section: {
            i.sql
            for i in items_of(torture)
            if i.section == section and i.type not in (SETTINGS, "ACL", REFRESH)
        }
        for section in ("pre-data", "post-data")
    }
    for section, texts in ours.items():
        text = pg_dump(each_cluster, torture, f"--section={section}")
        for sql in texts:
            assert sql.strip() in text
    assert all(i.section == "post-data" for i in items_of(torture) if i.type in ("ACL", "DEFAULT ACL"))


def test_an_item_begins_at_its_header_even_where_a_body_looks_like_one(torture: str) -> None:
    items = items_of(torture)
    assert not names(items, "TABLE") & {"fake"}
    body = next(i for i in items if i.type == "FUNCTION" and i.name.startswith("looks_like_a_dump"))
    assert "Name: fake; Type: TABLE" in body.sql
    assert "\\unrestrict nonsense" in body.sql
    comment = next(i for i in items if i.type == "COMMENT" and "looks_like_a_dump" in i.name)
    assert "\\restrict x" in comment.sql
    assert names(items, "TABLE") >= {
        "order",
        "tablé ; -- DROP TABLE x; Type: TABLE; Schema: public; Owner: n",
    }
    assert all(i.sql.startswith("--\n-- Name: ") for i in items if i.type not in (SETTINGS, ROLE, REFRESH))


def test_settings_between_items_stay_when_their_neighbours_go(torture: str) -> None:
    settings = "".join(i.sql for i in items_of(torture) if i.type == SETTINGS)
    assert "SET default_table_access_method = heap;" in settings
    assert "SET client_encoding = 'UTF8';" in settings
    assert not any("SET default_table" in i.sql for i in items_of(torture) if i.type != SETTINGS)


def test_roles_that_own_or_are_granted_something_are_named(torture: str) -> None:
    expected = ["postgres", 'torture "quoted" role', "torture_owner", "torture_reader"]
    with source(torture).snapshot(Selection()) as snapshot:
        assert list(snapshot.roles()) == expected
        assert [i.name for i in snapshot.schema_items() if i.type == ROLE] == expected
        assert not any(i.sql for i in snapshot.schema_items() if i.type == ROLE)
    with source(torture).snapshot(Selection(tables=("torture.storage",))) as snapshot:
        assert "torture_owner" in snapshot.roles(), "it owns the schema"
        assert 'torture "quoted" role' in snapshot.roles(), "it may use the schema"


def test_a_selected_table_comes_with_all_it_needs_and_nothing_else(
    each_cluster: Cluster, database: Databases
) -> None:
    url = database(each_cluster)
    run(
        url,
        "CREATE SCHEMA s",
        "CREATE TYPE s.mood AS ENUM ('a')",
        "CREATE TYPE s.unused AS ENUM ('a')",
        "CREATE DOMAIN s.moods AS s.mood[]",
        "CREATE SEQUENCE s.numbers",
        "CREATE FUNCTION s.twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2'",
        "CREATE FUNCTION s.unused() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION s.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TABLE s.parent (id int)",
        "CREATE TABLE s.other (id int PRIMARY KEY)",
        "CREATE TABLE s.wanted (m s.moods, n int DEFAULT nextval('s.numbers'), k serial PRIMARY KEY,"
        " o int CONSTRAINT to_other REFERENCES s.other, w int CONSTRAINT to_self REFERENCES s.wanted)"
        " INHERITS (s.parent)",
        "CREATE INDEX by_twice ON s.wanted (s.twice(n))",
        "CREATE TRIGGER noting AFTER INSERT ON s.wanted FOR EACH ROW EXECUTE FUNCTION s.note()",
        "CREATE VIEW s.view AS SELECT * FROM s.wanted",
        "COMMENT ON COLUMN s.wanted.m IS 'mood'",
        "COMMENT ON TABLE s.other IS 'other'",
        "CREATE PUBLICATION p FOR TABLE s.wanted",
    )
    with source(url).snapshot(Selection(tables=("s.wanted",))) as snapshot:
        items = list(snapshot.schema_items())
        assert [o.name for o in snapshot.omissions] == ["fk constraint s.wanted to_other"]
    assert names(items, "TABLE") == {"wanted", "parent"}
    assert names(items, "TYPE", "DOMAIN", "SEQUENCE") == {"mood", "moods", "numbers", "wanted_k_seq"}
    assert names(items, "FUNCTION") == {"twice(integer)", "note()"}
    assert names(items, "FK CONSTRAINT") == {"wanted to_self"}
    assert names(items, "INDEX", "TRIGGER", "VIEW", "PUBLICATION") == {"by_twice", "wanted noting"}
    assert names(items, "COMMENT") == {"COLUMN wanted.m"}
    assert names(items, "SCHEMA") == {"s"}
    assert replayed(url, items, database(each_cluster)) == []


def test_an_excluded_table_takes_with_it_what_cannot_be_without_it(
    each_cluster: Cluster, database: Databases
) -> None:
    url = database(each_cluster)
    run(
        url,
        "CREATE TABLE kept (id int PRIMARY KEY)",
        "CREATE TABLE gone (id serial PRIMARY KEY, v text)",
        "CREATE TABLE refers (id int CONSTRAINT fk REFERENCES gone)",
        "CREATE TABLE draws (id int DEFAULT nextval('gone_id_seq'))",
        "CREATE VIEW on_gone AS SELECT * FROM gone",
        "CREATE VIEW on_view AS SELECT count(*) FROM on_gone",
        "CREATE VIEW on_kept AS SELECT * FROM kept",
        "CREATE FUNCTION takes(gone) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE INDEX gone_v ON gone (v)",
        "COMMENT ON VIEW on_gone IS 'x'",
        "CREATE TABLE below () INHERITS (gone)",
    )
    with source(url).snapshot(Selection(exclude=("gone", "below"))) as snapshot:
        items = list(snapshot.schema_items())
        left_out = {omission.name for omission in snapshot.omissions}
    assert names(items, "TABLE") == {"kept", "refers", "draws"}
    assert names(items, "VIEW") == {"on_kept"}
    assert names(items, "SEQUENCE") == {"gone_id_seq"}
    assert names(items, "FK CONSTRAINT", "FUNCTION", "COMMENT", "INDEX", "SEQUENCE OWNED BY") == set()
    assert left_out == {
        "fk constraint public.refers fk",
        "view public.on_gone",
        "view public.on_view",
        "function public.takes(public.gone)",
    }
    assert replayed(url, items, database(each_cluster)) == []
    with source(url).snapshot(Selection(exclude=("gone",))) as snapshot:
        assert names(list(snapshot.schema_items()), "TABLE") >= {"below", "gone"}, "a child needs its parent"


def test_every_table_of_the_torture_can_be_selected_alone(torture: str, each_cluster: Cluster) -> None:
    """The items of each selection run on an empty database: nothing they need is missing."""
    if each_cluster.major < 18:
        chosen = [
            "torture.contrib",
            "torture.key_german",
            "torture.rooms",
            "torture.by_range",
            "torture.own_types",
        ]
    else:
        chosen = [
            "torture.own_types",
            "torture.grandchild",
            "torture.refers",
            "torture.typed",
            "torture.by_list",
        ]
    for label in chosen:
        databases = Databases(each_cluster)
        try:
            assert replayed(torture, items_of(torture, Selection(tables=(label,))), databases()) == [], label
        finally:
            databases.drop_all()


def replayed(_url: str, items: list[SchemaItem], target: str) -> list[str]:
    """What fails when the items are run."""
    failed = []
    with psycopg.connect(target, autocommit=True) as connection:
        for item in items:
            try:
                connection.execute(item.sql.encode())
            except psycopg.Error as error:
                failed.append(f"{item.type} {item.name}: {error}")
    return failed


def test_schema_only_needs_no_more_than_the_tables_privileges(
    each_cluster: Cluster, database: Databases
) -> None:
    """pg_dump locks every table that it dumps; those that nobody asked for are not in its way."""
    url = database(each_cluster)
    run(
        url,
        "CREATE TABLE a (id int)",
        "CREATE TABLE secret (id int)",
        "CREATE VIEW v AS SELECT * FROM secret",
    )
    with new_role(url, "schema_reader") as reader:
        run(url, "GRANT SELECT ON a TO schema_reader", "GRANT USAGE ON SCHEMA public TO schema_reader")
        assert names(items_of(reader, Selection(tables=("a",))), "TABLE") == {"a"}
        with pytest.raises(PermissionDenied):
            items_of(reader)
        with source(reader).snapshot(Selection(), allow_incomplete=True) as snapshot:
            assert names(list(snapshot.schema_items()), "TABLE", "VIEW") == {"a"}
            assert {o.name: o.is_failure for o in snapshot.omissions} == {
                "public.secret": True,
                "view public.v": False,
            }


def test_the_password_stands_on_no_command_line(
    each_cluster: Cluster, database: Databases, tmp_path: Path
) -> None:
    url = database(each_cluster) + "&password=s3cret"
    run(url, "CREATE TABLE t (id int)")
    spy = tmp_path / "pg_dump"
    spy.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/arguments\necho "$PGPASSWORD" >> {tmp_path}/password\n'
        f'exec {each_cluster.bin_directory}/pg_dump "$@"\n'
    )
    spy.chmod(0o755)
    with PostgresSource(url, SourceOptions(pg_dump=spy)).snapshot(Selection()) as snapshot:
        assert names(list(snapshot.schema_items()), "TABLE") == {"t"}
    assert "s3cret" not in (tmp_path / "arguments").read_text()
    assert "s3cret" in (tmp_path / "password").read_text()


def test_a_pg_dump_of_the_servers_major_version_is_preferred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for major in (13, 15, 17):
        place = tmp_path / str(major)
        place.mkdir()
        program = place / "pg_dump"
        program.write_text(f'#!/bin/sh\necho "pg_dump (PostgreSQL) {major}.1 (Somebody {major})"\n')
        program.chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setattr("cas.postgres.dumping.programs._PLACES", (f"{str(tmp_path)[1:]}/*",))
        patched.setenv("PATH", str(tmp_path / "13"))
        assert find_pg_dump(15).path == tmp_path / "15" / "pg_dump"
        assert find_pg_dump(16).path == tmp_path / "17" / "pg_dump"
        assert find_pg_dump(18).major == 18, "the embedded one"
        with pytest.raises(Unsupported, match="no pg_dump for a PostgreSQL 19 server; found: 13, 15, 17, 18"):
            find_pg_dump(19)
        assert find_pg_dump(15, tmp_path / "17" / "pg_dump").major == 17
        with pytest.raises(Unsupported, match="found: 13"):
            find_pg_dump(15, tmp_path / "13" / "pg_dump")
        with pytest.raises(InvalidInput):
            find_pg_dump(15, tmp_path / "nothing")


@pytest.mark.parametrize("cut", [0, 40, 1200, -60])
def test_a_dump_that_ends_in_the_middle_is_no_dump(each_cluster: Cluster, torture: str, cut: int) -> None:
    text = pg_dump(each_cluster, torture, "--verbose")
    list(entries(text))
    with pytest.raises(CasError, match=r"ends in the middle|never ends"):
        list(entries(text[:cut]))
