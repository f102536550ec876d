"""Connections that fail for a passing reason are tried again, and no others: to catalogs and to platforms."""

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import psycopg
import pytest
from psycopg import sql

from cas.catalog.connecting import Connections
from cas.contacting import Contact, ContactPatience, passes
from cas.errors import CasError, ConnectionFailed, InvalidInput, NotFound, PermissionDenied
from cas.postgres.connecting import ConnectionOptions, connect
from cas.postgres.embedded.server import EmbeddedServer
from tests.servers.postgres import TEST_SETTINGS, Cluster, Databases, embedded_cluster, temporary_directory
from tests.servers.refusing import refusing

Knock = Callable[[str, ContactPatience], None]


def knock_at_catalog(url: str, patience: ContactPatience) -> None:
    Connections(url, patience=patience).close()


def knock_at_platform(url: str, patience: ContactPatience) -> None:
    connect(url, ConnectionOptions(connect_timeout=2, patience=patience)).close()


@pytest.fixture(params=[knock_at_catalog, knock_at_platform], ids=["catalog", "platform"])
def knock(request: pytest.FixtureRequest) -> Knock:
    chosen: Knock = request.param
    return chosen


@dataclass(slots=True)
class Waiting:
    """Somebody who does not wait, and remembers. `meanwhile`: what happens during the first wait."""

    meanwhile: Callable[[], object] = lambda: None
    waits: list[float] = field(default_factory=list)
    told: list[Contact] = field(default_factory=list)

    def patience(self, attempts: int = 3) -> ContactPatience:
        return ContactPatience(attempts, on_retry=self.told.append, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        if len(self.waits) == 1:
            self.meanwhile()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port: int = unused.getsockname()[1]
    return port


def test_a_port_that_refuses(knock: Knock) -> None:
    waiting = Waiting()
    with pytest.raises(ConnectionFailed) as caught:
        knock(f"postgresql://cas:hunter2@127.0.0.1:{closed_port()}/cas", waiting.patience())
    assert [one.failures for one in waiting.told] == [1, 2]
    assert [one.wait_seconds for one in waiting.told] == waiting.waits
    assert 0 <= waiting.waits[0] <= 0.5
    assert 0 <= waiting.waits[1] <= 1
    for one in waiting.told:
        assert isinstance(one.fault, ConnectionFailed)
        assert "hunter2" not in str(one.fault)
    assert "refused" in caught.value.what


def test_as_usual_it_costs_about_a_second(knock: Knock) -> None:
    began = time.monotonic()
    with pytest.raises(ConnectionFailed):
        knock(f"postgresql://127.0.0.1:{closed_port()}/cas", ContactPatience())
    assert time.monotonic() - began < 3, "1.5 seconds of waiting at most"


@pytest.mark.parametrize(
    "refusal",
    [
        ("57P03", "the database system is starting up"),
        ("57P03", "the database system is shutting down"),
        ("57P03", "the database system is in recovery mode"),
        ("57P03", "the database system is not yet accepting connections"),
        ("57P01", "terminating connection due to administrator command"),
        ("53300", "sorry, too many clients already"),
        ("53300", 'too many connections for role "cas"'),
        None,
    ],
)
def test_what_may_pass_is_tried_as_often_as_is_set(knock: Knock, refusal: tuple[str, str] | None) -> None:
    waiting = Waiting()
    with refusing(refusal) as server:
        with pytest.raises(CasError):
            knock(server.url + "&sslmode=disable", waiting.patience(4))
        assert server.came == 4
    assert len(waiting.told) == 3


@pytest.mark.parametrize(
    ("refusal", "options"),
    [
        (("28P01", 'password authentication failed for user "cas"'), "&sslmode=disable"),
        (
            ("28000", 'no pg_hba.conf entry for host "127.0.0.1", no encryption'),
            "&sslmode=disable",
        ),
        (("28000", 'role "cas" does not exist'), "&sslmode=disable"),
        (("3D000", 'database "cas" does not exist'), "&sslmode=disable"),
        (("42501", 'permission denied for database "cas"'), "&sslmode=disable"),
        (("57P03", "never said: TLS is refused"), "&sslmode=require"),
        (("XX000", "something that nobody knows"), "&sslmode=disable"),
    ],
)
def test_what_lasts_is_tried_once(knock: Knock, refusal: tuple[str, str], options: str) -> None:
    waiting = Waiting()
    with refusing(refusal) as server:
        with pytest.raises(CasError) as caught:
            knock(server.url + options, waiting.patience())
        assert server.came == 1
    assert (waiting.told, waiting.waits) == ([], [])
    assert "hunter2" not in str(caught.value)


def test_a_host_that_is_unknown_and_a_url_that_is_none(knock: Knock) -> None:
    waiting = Waiting()
    with pytest.raises(ConnectionFailed):
        knock("postgresql://no-such-host.invalid/cas", waiting.patience())
    with pytest.raises(InvalidInput):
        knock("postgresql://cas:%hunter2@127.0.0.1/cas", waiting.patience())
    assert waiting.told == []


def test_a_server_that_says_nothing(knock: Knock) -> None:
    waiting = Waiting()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://127.0.0.1:{silent.getsockname()[1]}/cas?connect_timeout=2"
        with pytest.raises(CasError):
            knock(url, waiting.patience(2))
    assert len(waiting.told) == 1


def test_a_server_that_is_started_again_meanwhile(knock: Knock) -> None:
    with temporary_directory() as directory:
        server = EmbeddedServer(directory, settings=TEST_SETTINGS)
        url = server.ensure_database("c")
        server.stop()
        again: list[EmbeddedServer] = []
        waiting = Waiting(lambda: again.append(EmbeddedServer(directory, settings=TEST_SETTINGS)))
        try:
            knock(url, waiting.patience())
        finally:
            for one in again:
                one.stop()
    assert len(waiting.told) == 1


@pytest.fixture(scope="module")
def narrow() -> Iterator[Cluster]:
    """A server for few."""
    few = {"max_connections": "8", "superuser_reserved_connections": "0", "max_wal_senders": "2"}
    with embedded_cluster({**TEST_SETTINGS, **few}) as running:
        yield running


def connections_to(cluster: Cluster) -> Iterator[psycopg.Connection]:
    """As many as it gives."""
    while True:
        try:
            yield psycopg.connect(cluster.url())
        except psycopg.OperationalError:
            return


def test_all_connections_are_taken_for_a_moment(knock: Knock, narrow: Cluster) -> None:
    held = list(connections_to(narrow))

    def let_go() -> None:
        for one in held:
            one.close()

    waiting = Waiting(let_go)
    knock(narrow.url(), waiting.patience(8))
    assert waiting.told
    assert "too many clients" in waiting.told[0].fault.what


def test_a_database_that_does_not_exist_or_may_not_be_used(cluster: Cluster, database: Databases) -> None:
    waiting = Waiting()
    with pytest.raises(NotFound):
        knock_at_catalog(cluster.url("no_such_database"), waiting.patience())
    with pytest.raises(ConnectionFailed):
        knock_at_platform(cluster.url("no_such_database"), waiting.patience())
    url = database()
    name = url.split("@/")[1].split("?")[0]
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
        connection.execute("CREATE ROLE kept_out LOGIN")
    try:
        for knock in (knock_at_catalog, knock_at_platform):
            with pytest.raises(PermissionDenied):
                knock(url.replace("postgres@", "kept_out@"), waiting.patience())
    finally:
        with psycopg.connect(cluster.url(), autocommit=True) as connection:
            connection.execute("DROP ROLE kept_out")
    assert waiting.told == []


def test_a_transaction_that_has_begun_is_not_repeated(database: Databases) -> None:
    waiting = Waiting()
    connections = Connections(database(), patience=waiting.patience())
    begun = []

    def work() -> None:
        with connections.transaction() as connection:
            begun.append(connection)
            connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    try:
        with pytest.raises(ConnectionFailed):
            work()
        assert len(begun) == 1
        assert waiting.told == []
    finally:
        connections.close()


@pytest.mark.parametrize(
    ("state", "text", "passing"),
    [
        ("57P03", "das Datenbanksystem startet", True),
        ("28P01", "timeout expired", False),
        (None, "SSL SYSCALL error: Connection reset by peer", True),
        (None, "SSL error: certificate verify failed", False),
        (None, 'could not open certificate file "x": No such file or directory', False),
        (None, 'server closed the connection unexpectedly\nFATAL: role "x" does not exist', False),
        (None, "something else", False),
    ],
)
def test_what_is_passing(state: str | None, text: str, passing: bool) -> None:
    assert passes(state, text) is passing
