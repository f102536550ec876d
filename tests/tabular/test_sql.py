"""The SQL file, run by psql on an empty database, and compared by a judge that knows nothing of ours."""

import subprocess
from pathlib import Path

import pytest

from cas.errors import CorruptData
from cas.tabular.psql_text import for_psql
from cas.tabular.sql_script import copy_line
from tests.cli.running import Place
from tests.postgres.target.conftest import CrowdedDatabases
from tests.postgres.target.moving import DATA, ask, differences
from tests.postgres.target.test_round_trip import LARGE_OBJECTS, needs_data, needs_judge
from tests.postgres.torture import load_torture
from tests.servers.postgres import Cluster, Databases


def psql(cluster: Cluster, url: str, file: Path, *, stop: bool = True) -> subprocess.CompletedProcess[str]:
    psql_itself = str(cluster.bin_directory / "psql")
    program = [psql_itself, "-X", "-q", "-v", f"ON_ERROR_STOP={int(stop)}", "-d", url, "-f", str(file)]
    return subprocess.run(program, capture_output=True, text=True, check=False)


def restored(
    cas: Place, cluster: Cluster, source: str, target: str, *options: str
) -> subprocess.CompletedProcess[str]:
    """A version of the source as an SQL file, run on the target."""
    assert cas("snapshot", "--source", source).code == 0
    ran = cas("export", "latest", "--format", "sql", "-o", "all.sql", *options)
    assert ran.code == 0, ran
    done = psql(cluster, target, cas.directory / "all.sql")
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr == ""
    return done


@needs_judge
def test_a_crowded_database_is_the_same_again(
    cas: Place, cluster: Cluster, database: Databases, crowded_databases: CrowdedDatabases
) -> None:
    source, target = crowded_databases.on(cluster), database()
    restored(cas, cluster, source, target)
    assert differences(cluster.bin_directory / "pg_dump", source, target) == ""
    assert ask(target, LARGE_OBJECTS) == ask(source, LARGE_OBJECTS)


@needs_data
@needs_judge
@pytest.mark.parametrize("name", ["northwind", "pagila"])
def test_a_real_database_is_the_same_again(
    name: str, cas: Place, cluster: Cluster, database: Databases
) -> None:
    source, target = database(), database()
    subprocess.run([DATA / name / "load.sh", source], check=True, capture_output=True)
    restored(cas, cluster, source, target)
    assert differences(cluster.bin_directory / "pg_dump", source, target) == ""


@needs_judge
def test_hostile_names_and_every_type_are_the_same_again(
    cas: Place, cluster: Cluster, database: Databases
) -> None:
    source, target = database(), database()
    load_torture(source)
    restored(cas, cluster, source, target)
    assert differences(cluster.bin_directory / "pg_dump", source, target) == ""


def test_a_database_of_another_encoding_is_the_same_again(
    cas: Place, cluster: Cluster, database: Databases
) -> None:
    latin = "ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'"
    source, target = database(options=latin), database(options=latin)
    ask(
        source,
        'CREATE TABLE "Bücher" (id int PRIMARY KEY, "größe" text);'
        """INSERT INTO "Bücher" VALUES (1, 'süß'), (2, 'ä')""",
    )
    restored(cas, cluster, source, target)
    assert ask(target, 'SELECT * FROM "Bücher" ORDER BY 1') == [(1, "süß"), (2, "ä")]
    wrong = database()
    assert (
        "the encoding of this database is UTF8, and not LATIN1"
        in psql(cluster, wrong, cas.directory / "all.sql").stderr
    )
    assert ask(wrong, "SELECT to_regclass('\"Bücher\"')") == [(None,)]


def test_chosen_tables_come_without_what_needs_the_others(
    cas: Place, cluster: Cluster, shop: str, database: Databases
) -> None:
    target = database()
    restored(cas, cluster, shop, target, "--entity", "products")
    assert ask(target, "SELECT count(*), max(id) FROM products") == [(200, 200)]
    assert ask(target, "SELECT to_regclass('suppliers'), to_regclass('products_by_name')::text") == [
        (None, "products_by_name")
    ]
    assert ask(target, "SELECT count(*) FROM pg_constraint WHERE contype = 'f'") == [(0,)]


def test_it_is_one_transaction(cas: Place, cluster: Cluster, shop: str, database: Databases) -> None:
    target = database()
    assert cas("snapshot").code == 0
    assert cas("export", "1", "--format", "sql", "-o", "all.sql").code == 0
    file = cas.directory / "all.sql"
    file.write_bytes(file.read_bytes().replace(b"EUR\t2026-03-01", b"EUR\tnever"))
    assert psql(cluster, target, file).returncode != 0
    assert ask(target, "SELECT count(*) FROM pg_class WHERE relname = 'suppliers'") == [(0,)]


def test_psql_ends_where_a_block_fails(cas: Place, shop: str) -> None:
    """Whatever statements before it have done: its records would be read as commands."""
    assert cas("snapshot", "--source", shop).code == 0
    assert cas("export", "1", "--format", "sql", "-o", "all.sql").code == 0
    lines = (cas.directory / "all.sql").read_bytes().split(b"\n")
    blocks = [at for at, line in enumerate(lines) if line.startswith(b"COPY ")]
    assert {lines[at - 1] for at in blocks} == {b"\\set ON_ERROR_STOP on"}


@pytest.mark.parametrize("payload", [b"\\.", b"a\n\\.\nDROP TABLE t;", b"a\r", b"a\tb\tc"])
def test_no_record_can_end_its_block(payload: bytes) -> None:
    with pytest.raises(CorruptData, match=r"no line of COPY text|more fields"):
        copy_line(payload, 2 if b"\t" in payload else 1, "public.t")


def test_a_record_gets_its_nulls_back() -> None:
    assert copy_line(b"1", 3, "public.t") == b"1\t\\N\t\\N\n"
    assert copy_line(b"\\\\.", 1, "public.t") == b"\\\\.\n"


COMMAND = r"\! touch done"
HOSTILE = [
    f"SELECT 1 {COMMAND}",
    f"SELECT 1\n{COMMAND}\n",
    f"SELECT 1a$a$ {COMMAND}\n$a$",
    f"SELECT \u00a0$a$ {COMMAND}\n$a$",
    f"SELECT \u0663$a$ {COMMAND}\n$a$",
    f"SELECT 1 -- \r {COMMAND}\n",
    f"SELECT :LAST_ERROR_MESSAGE {COMMAND}",
    "SELECT 1a$a$ ' $a$",
    "SELECT '",
    "SELECT /* /* */",
]


@pytest.mark.parametrize("statement", HOSTILE)
def test_no_statement_of_a_version_is_a_command_of_psql(
    statement: str, cluster: Cluster, database: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it leave a quote open, in which what follows would lie."""
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "hostile.sql"
    script.write_bytes(for_psql(statement, encoding=b"'UTF8'") + b"SELECT 'the ' || 'end';\n")
    done = psql(cluster, database(), script, stop=False)
    assert "the end" in done.stdout
    assert not (tmp_path / "done").exists()


def test_ordinary_statements_stand_there_as_they_are() -> None:
    for statement in (
        "CREATE TABLE a (b text DEFAULT 'x''y'::text, \"C\" int)",
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $_$ SELECT $1 ~ '\\d' -- it's $_$",
    ):
        assert for_psql(statement, encoding=b"") == statement.encode() + b";\n"
