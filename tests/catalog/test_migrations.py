"""The migrations: equal to the schema, applied once, refused when edited or unknown, in the wheel."""

import re
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from cas.catalog.connecting import Connections
from cas.catalog.migrating import Migration, migrate, shipped_migrations
from cas.catalog.postgres import PostgresCatalog
from cas.catalog.restore_model import RestoreState
from cas.errors import CasError, Conflict, NotFound, Unsupported
from tests.catalog.restore_values import brought
from tests.catalog.stages import PostgresStage
from tests.catalog.values import REPOSITORY, STORE, new_version
from tests.servers.postgres import Cluster, Databases

ROOT = Path(__file__).parents[2]


def dump(cluster: Cluster, url: str) -> str:
    """Schema and the rows that migrations make, without what pg_dump makes up."""
    program = cluster.bin_directory / "pg_dump"
    options = ["--inserts", "--no-owner", "--exclude-table-data=cas.migrations"]
    done = subprocess.run([program, *options, url], capture_output=True, text=True, check=True)
    return re.sub(r"(?m)^(--.*|\\(un)?restrict .*)\n", "", done.stdout)


def test_migrations_and_schema_are_equal(database: Databases, each_cluster: Cluster) -> None:
    migrated, at_once = database(each_cluster), database(each_cluster)
    with closing(Connections(migrated)) as connections:
        assert migrate(connections, shipped_migrations(), create=True) == len(shipped_migrations())
    with psycopg.connect(at_once) as connection:
        connection.execute((ROOT / "infra" / "schema.sql").read_bytes())
    schema = dump(each_cluster, migrated)
    assert schema == dump(each_cluster, at_once)
    assert schema.count("CREATE TABLE cas.") == 30
    assert schema.count("INSERT INTO cas.") == 4


def test_an_empty_database_is_left_empty_unless_told(database: Databases) -> None:
    url = database()
    with closing(PostgresCatalog(url)) as catalog:
        with pytest.raises(NotFound):
            catalog.attach(REPOSITORY, STORE)
        with pytest.raises(CasError):
            catalog.known_numbers()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT to_regnamespace('cas')").fetchone() == (None,)
        catalog.attach(REPOSITORY, STORE, create=True)
        assert catalog.begin(new_version()).number == 1


def test_tables_without_a_repository_are_claimed_only_when_told(database: Databases) -> None:
    url = database()
    with closing(Connections(url)) as connections:
        migrate(connections, shipped_migrations(), create=True)
    with closing(PostgresCatalog(url)) as catalog:
        with pytest.raises(NotFound):
            catalog.attach(REPOSITORY, STORE)
        with pytest.raises(Conflict):
            catalog.begin(new_version())
        catalog.attach(REPOSITORY, STORE, create=True)


def test_many_that_start_at_once_migrate_once(database: Databases, each_cluster: Cluster) -> None:
    url = database(each_cluster)

    def start(_: int) -> None:
        with closing(PostgresCatalog(url)) as catalog:
            catalog.attach(REPOSITORY, STORE, create=True)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(start, range(6)))
    with psycopg.connect(url) as connection:
        ledger = connection.execute("SELECT number, name FROM cas.migrations ORDER BY number").fetchall()
    assert ledger == [(file.number, file.name) for file in shipped_migrations()]


def test_two_that_claim_at_once_have_one_winner(database: Databases) -> None:
    url = database()

    def claim(repository_id: str) -> str:
        with closing(PostgresCatalog(url)) as catalog:
            try:
                catalog.attach(repository_id, STORE, create=True)
            except Conflict:
                return "refused"
            return repository_id

    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(claim, ["a", "b", "c", "d"]))
    assert outcomes.count("refused") == 3


def test_a_catalog_of_a_newer_program_is_refused(database: Databases) -> None:
    url = database()
    files = shipped_migrations()
    newer = Migration(len(files) + 1, "9999_newer.sql", "CREATE TABLE cas.newer ()", "0" * 64)
    with closing(Connections(url)) as connections:
        migrate(connections, [*files, newer], create=True)
    with closing(PostgresCatalog(url)) as catalog, pytest.raises(Unsupported) as caught:
        catalog.attach(REPOSITORY, STORE, create=True)
    assert "9999_newer.sql" in caught.value.what
    assert caught.value.hint


def test_an_older_catalog_is_brought_up_to_date_without_create(database: Databases) -> None:
    url = database()
    with closing(PostgresCatalog(url)) as catalog:
        with closing(Connections(url)) as connections:
            migrate(connections, shipped_migrations()[:1], create=True)
        with psycopg.connect(url) as connection:
            connection.execute(
                "INSERT INTO cas.repository (id, store_url, format) VALUES (%s, 'x', 1)", [REPOSITORY]
            )
        catalog.attach(REPOSITORY, STORE)
        assert catalog.begin(new_version()).number == 1


def test_a_repository_of_a_newer_format_is_refused(database: Databases) -> None:
    url = database()
    with closing(PostgresCatalog(url)) as catalog:
        catalog.attach(REPOSITORY, STORE, create=True)
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE cas.repository SET format = 2")
        with pytest.raises(Unsupported):
            catalog.attach(REPOSITORY, STORE)


def test_an_edited_migration_is_noticed(database: Databases) -> None:
    files = list(shipped_migrations())
    with closing(Connections(database())) as connections:
        migrate(connections, files, create=True)
        files[1] = replace(files[1], checksum="0" * 64)
        with pytest.raises(Conflict) as caught:
            migrate(connections, files, create=False)
    assert files[1].name in caught.value.what


def test_a_migration_that_fails_leaves_nothing_and_can_be_repeated(database: Databases) -> None:
    url = database()
    good = shipped_migrations()[0]
    text = "CREATE TABLE cas.half (); SELECT 1 / 0"
    broken = Migration(2, "0002_broken.sql", text, "1" * 64)
    with closing(Connections(url)) as connections:
        with pytest.raises(CasError):
            migrate(connections, [good, broken], create=True)
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT number FROM cas.migrations").fetchall() == [(1,)]
            assert connection.execute("SELECT to_regclass('cas.half')").fetchone() == (None,)
        mended = replace(broken, sql="CREATE TABLE cas.half ()", checksum="2" * 64)
        assert migrate(connections, [good, mended], create=False) == 1


def test_a_schema_of_somebody_else_is_left_alone(database: Databases) -> None:
    url = database()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE SCHEMA cas; CREATE TABLE cas.theirs ()")
    with closing(PostgresCatalog(url)) as catalog, pytest.raises(Conflict):
        catalog.attach(REPOSITORY, STORE, create=True)


def test_the_tables_refuse_what_no_version_can_be(database: Databases) -> None:
    """A second line of defence, for hands at psql and for our own mistakes."""
    url = database()
    with closing(PostgresCatalog(url)) as catalog:
        catalog.attach(REPOSITORY, STORE, create=True)
        catalog.begin(new_version())
    pack = "INSERT INTO cas.packs (name, state, stored_bytes, chunks, holds_nodes) VALUES"
    with psycopg.connect(url, autocommit=True) as connection:
        for impossible in (
            "UPDATE cas.versions SET state = 'complete', finished_at = now()",
            "UPDATE cas.versions SET state = 'failed', finished_at = now()",
            "UPDATE cas.versions SET finished_at = now()",
            "UPDATE cas.versions SET records = 1",
            "UPDATE cas.versions SET state = 'lost'",
            "UPDATE cas.versions SET trigger_type = 'CRON'",
            "UPDATE cas.versions SET kind = 'half'",
            "UPDATE cas.versions SET parent = number",
            "UPDATE cas.versions SET metadata = '[]'",
            "UPDATE cas.versions SET tags = '{NULL}'",
            "UPDATE cas.sessions SET state = 'ended'",
            "INSERT INTO cas.epoch (single) VALUES (true)",
            "INSERT INTO cas.epoch (single) VALUES (false)",
            f"{pack} ('x', 'live', 1, 1, true)",
            f"{pack} (repeat('a', 64), 'uploading', 1, 1, true)",
            f"{pack} (repeat('a', 64), 'condemned', 1, 1, true)",
        ):
            with pytest.raises(psycopg.IntegrityError):
                connection.execute(impossible.encode())


def test_the_tables_refuse_what_no_restore_can_be(postgres_stage: PostgresStage) -> None:
    brought(postgres_stage, RestoreState.VERIFYING)
    connection = postgres_stage.other
    ended = "finished_at = now(), duration_seconds = 1, renewed_at = NULL, lease_until = NULL"
    for impossible in (
        "state = 'lost'",
        "state = 'planned'",
        "state = 'pending'",
        "state = 'completed'",
        f"state = 'completed', {ended}",
        f"state = 'failed', {ended}",
        f"state = 'failed', error_code = 'ERROR', {ended}, records_inserted = 1",
        f"state = 'cancelled', {ended}, transaction_id = 7",
        f"state = 'cancelled', {ended}, started_at = NULL",
        f"state = 'undone', {ended}",
        "kind = 'schema-only'",
        "mode = 'newest'",
        "finished_at = now()",
        "duration_seconds = 1",
        "started_at = NULL",
        "planned_at = NULL",
        "plan_hash = ''",
        "renewed_at = NULL, lease_until = NULL",
        "lease_until = renewed_at",
        "safety_version = NULL",
        "error_code = 'ERROR'",
        "records_inserted = 1",
        "transaction_id = 7",
        "undoes = number",
        "undone_by = number",
        "version = 77",
        "plan = '[]'",
        "request = '1'",
        "warnings = '{NULL}'",
    ):
        with pytest.raises(psycopg.IntegrityError):
            connection.execute(f"UPDATE cas.restores SET {impossible}".encode())
    with pytest.raises(psycopg.IntegrityError):
        connection.execute(
            """
            INSERT INTO cas.restore_steps (restore, ordinal, name, started_at)
            VALUES (1, 8, 'a', now()), (1, 9, 'b', now())
            """
        )


def test_the_wheel_carries_the_migrations(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(installed)
    script = (
        "import cas.catalog.migrating as m\n"
        "print(m.__file__)\n"
        "for file in m.shipped_migrations(): print(file.name, file.checksum)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(installed)!r})\n{script}"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    place, *files = done.stdout.splitlines()
    assert place.startswith(str(installed))
    assert files == [f"{file.name} {file.checksum}" for file in shipped_migrations()]
