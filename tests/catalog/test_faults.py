"""A server that is down, refuses, is full or slow: one clear error each, and no password in it."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from cas.catalog import connecting
from cas.catalog.connecting import public_url
from cas.catalog.model import VersionFilter
from cas.catalog.postgres import PostgresCatalog
from cas.contacting import ONCE
from cas.errors import (
    CasError,
    Conflict,
    ConnectionFailed,
    CorruptData,
    InsufficientSpace,
    InvalidInput,
    NotFound,
    PermissionDenied,
    TimedOut,
    Unsupported,
)
from cas.postgres.embedded.server import EmbeddedServer
from tests.catalog.stages import PostgresStage
from tests.catalog.values import REPOSITORY, STORE, new_version
from tests.servers.postgres import TEST_SETTINGS, Cluster, Databases, embedded_cluster, temporary_directory

SECRET = "hunter2"


def told(error: BaseException | None) -> str:
    """All that an error and its causes say."""
    words = []
    while error is not None:
        words.append(f"{error} {error.args}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(words)


def test_no_server_at_this_address(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    for url in (f"postgresql://cas:{SECRET}@127.0.0.1:{port}/cas", f"postgresql:///cas?host={tmp_path}"):
        with pytest.raises(ConnectionFailed) as caught:
            PostgresCatalog(url, patience=ONCE)
        assert caught.value.hint
        assert SECRET not in told(caught.value)


def test_a_server_that_accepts_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://cas:{SECRET}@127.0.0.1:{silent.getsockname()[1]}/cas?connect_timeout=2"
        with pytest.raises(TimedOut):
            PostgresCatalog(url, patience=ONCE)


@dataclass(frozen=True, slots=True)
class Guarded:
    """A server that asks the user `guarded` for a password."""

    url: str
    socket: str


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    with temporary_directory() as directory:
        rules = directory / "hba.conf"
        rules.write_text("local all postgres trust\nlocal all guarded scram-sha-256\n")
        directory.chmod(0o755)
        rules.chmod(0o644)
        with embedded_cluster({**TEST_SETTINGS, "hba_file": str(rules)}) as cluster:
            with psycopg.connect(cluster.url(), autocommit=True) as connection:
                connection.execute(
                    sql.SQL("CREATE ROLE guarded LOGIN PASSWORD {}").format(sql.Literal(SECRET))
                )
            yield Guarded(cluster.url(), cluster.url().split("host=")[1].split("&")[0])


@pytest.mark.parametrize("login", ["guarded:mistaken", "guarded", "nobody:hunter2"])
def test_a_wrong_or_missing_password_or_an_unknown_user(guarded: Guarded, login: str) -> None:
    with pytest.raises(PermissionDenied) as caught:
        PostgresCatalog(f"postgresql://{login}@/postgres?host={guarded.socket}&port=5432&passfile=/dev/null")
    assert "mistaken" not in told(caught.value)
    assert SECRET not in told(caught.value)


def test_a_user_without_the_right_to_make_tables(guarded: Guarded) -> None:
    url = f"postgresql://guarded:{SECRET}@/postgres?host={guarded.socket}&port=5432"
    catalog = PostgresCatalog(url)
    try:
        assert SECRET not in catalog.url
        with pytest.raises(PermissionDenied) as caught:
            catalog.attach(REPOSITORY, STORE, create=True)
        assert "permission denied for database" in caught.value.what
    finally:
        catalog.close()


def test_no_such_database(cluster: Cluster) -> None:
    with pytest.raises(NotFound):
        PostgresCatalog(cluster.url("no_such_database"))


def test_a_database_in_another_encoding(database: Databases) -> None:
    url = database(options="ENCODING 'SQL_ASCII' LOCALE 'C' LOCALE_PROVIDER libc")
    with pytest.raises(Unsupported) as caught:
        PostgresCatalog(url)
    assert "SQL_ASCII" in caught.value.what


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("postgresql://me:pw@db.example:5433/cas?sslmode=require", "postgresql://me@db.example:5433/cas"),
        ("host=db.example user=me password=pw dbname=cas", "postgresql://me@db.example/cas"),
        ("postgresql://me:p%40w@/cas?host=/run/pg&port=6000", "postgresql://me@/cas?host=/run/pg&port=6000"),
        ("postgresql:///cas?host=%2Frun%2Fpg", "postgresql:///cas?host=/run/pg"),
        ("postgresql://a%20b@h1:1,h2:2/c%2Fd", "postgresql://a%20b@h1:1,h2:2/c%2Fd"),
        ("host=h1,h2 port=7 dbname=a@b", "postgresql://h1:7,h2:7/a%40b"),
        ("postgresql://me@[::1]:7/cas", "postgresql://me@[::1]:7/cas"),
        ("postgresql://db", "postgresql://db"),
    ],
)
def test_the_address_that_people_see(url: str, public: str) -> None:
    assert public_url(url) == public


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:pa@hunter2@db/cas",  # the rest of the password would become the host
        "postgresql://me:pa/hunter2@db/cas",
        "postgresql://me:123/hunter2@db/cas",
        "postgresql://me:pa@db:hunter2/cas",
        "postgresql://me:%hunter2@db/cas",
        "host=db password='hunter2",
        "hunter2",
        "postgresql://db/cas?hunter2=1",
        "postgresql://db/\x00hunter2",
        "postgresql://db/\ud800hunter2",
    ],
)
def test_a_malformed_url_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        PostgresCatalog(url, wait_seconds=1)
    assert SECRET not in told(caught.value)


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("53100", InsufficientSpace),
        ("53200", InsufficientSpace),
        ("53300", ConnectionFailed),
        ("57014", TimedOut),
        ("55P03", TimedOut),
        ("40001", TimedOut),
        ("40P01", TimedOut),
        ("42501", PermissionDenied),
        ("25006", PermissionDenied),
        ("57P01", ConnectionFailed),
        ("08006", ConnectionFailed),
        ("XX001", CorruptData),
        ("42P01", Conflict),
        ("P0001", CasError),
    ],
)
def test_what_the_server_raises_becomes_our_error(
    postgres_stage: PostgresStage, state: str, error: type[CasError]
) -> None:
    refuse = sql.SQL(
        """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN RAISE 'no' USING ERRCODE = {}; END$$;
        CREATE TRIGGER refuse BEFORE INSERT ON cas.sessions EXECUTE FUNCTION refuse()
        """
    ).format(sql.Literal(state))
    postgres_stage.other.execute(refuse)
    try:
        with pytest.raises(error) as caught:
            postgres_stage.catalog.begin(new_version())
    finally:
        postgres_stage.other.execute("DROP FUNCTION refuse CASCADE")
    assert type(caught.value) is error
    # Nothing of the refused transaction stays, not even the number.
    assert postgres_stage.catalog.begin(new_version()).number == 1


def test_a_statement_that_takes_too_long(
    postgres_stage: PostgresStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "STATEMENT_SECONDS", 1)
    impatient = PostgresCatalog(postgres_stage.url)
    impatient.attach(REPOSITORY, STORE)
    try:
        with psycopg.connect(postgres_stage.url) as holder:
            holder.execute("SELECT FROM cas.epoch FOR UPDATE")
            with pytest.raises(TimedOut):
                impatient.begin(new_version())
        assert impatient.begin(new_version()).number == 1
    finally:
        impatient.close()


def test_every_connection_is_busy(postgres_stage: PostgresStage) -> None:
    busy = connecting.Connections(postgres_stage.url, wait_seconds=0.3)
    try:
        with ExitStack() as held:
            for _ in range(connecting.MAX_CONNECTIONS):
                held.enter_context(busy.transaction())
            with pytest.raises(TimedOut), busy.transaction():
                pass
    finally:
        busy.close()


def test_a_server_that_goes_away_and_comes_back() -> None:
    with temporary_directory() as directory:
        server = EmbeddedServer(directory, settings=TEST_SETTINGS)
        catalog = PostgresCatalog(server.ensure_database("c"), wait_seconds=1)
        try:
            catalog.attach(REPOSITORY, STORE, create=True)
            session = catalog.begin(new_version())
            server.stop()
            for _ in range(2):
                with pytest.raises(ConnectionFailed):
                    catalog.renew(session.id)
            server = EmbeddedServer(directory, settings=TEST_SETTINGS)
            catalog.renew(session.id)
            assert catalog.begin(new_version()).number == 2
        finally:
            catalog.close()
            server.stop()


def test_a_closed_catalog_says_so(postgres_stage: PostgresStage) -> None:
    closed = PostgresCatalog(postgres_stage.url)
    closed.close()
    with pytest.raises(ConnectionFailed):
        closed.now()
    closed.close()


def test_defaults_of_the_database_do_not_matter(database: Databases, each_cluster: Cluster) -> None:
    url = database(each_cluster)
    name = conninfo_to_dict(url)["dbname"]
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in (
            "default_transaction_isolation = 'serializable'",
            "default_transaction_read_only = on",
            "timezone = 'Asia/Kathmandu'",
            "datestyle = 'German'",
            "intervalstyle = 'iso_8601'",
            "bytea_output = 'escape'",
            "synchronous_commit = off",
            "search_path = 'evil'",
            "statement_timeout = '1ms'",
            "client_encoding = 'LATIN1'",
        ):
            connection.execute(f"ALTER DATABASE {name} SET {setting}".encode())
    stage = PostgresStage(url)
    try:
        stage.catalog.begin(new_version("Grüße, 世界"))
        assert [version.reason for version in stage.catalog.versions(VersionFilter(text="世"))] == [
            "Grüße, 世界"
        ]
        pins = connecting.Connections(url)
        with pins.transaction() as connection:
            shown = connection.execute(
                "SELECT current_setting('transaction_isolation'), current_setting('synchronous_commit')"
            ).fetchone()
        pins.close()
        assert shown == ("read committed", "on")
    finally:
        stage.close()
