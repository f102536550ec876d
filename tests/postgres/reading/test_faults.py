"""What goes wrong on the way to a platform, and what it is called then."""

import socket
import threading
import time
from collections.abc import Callable

import psycopg
import pytest

from cas.errors import (
    CasError,
    ConnectionFailed,
    CorruptData,
    InsufficientSpace,
    InvalidInput,
    PermissionDenied,
    SourceChanged,
    TimedOut,
    Unsupported,
)
from cas.postgres.connecting import ConnectionOptions, connect, connection_parameters, shown_url
from cas.postgres.faults import fault
from cas.postgres.reading.source import PostgresSource
from cas.records.source import Selection
from tests.postgres.reading.platform import (
    ask,
    entity_of,
    login,
    meanwhile,
    new_role,
    read,
    run,
    source,
)
from tests.servers.postgres import Cluster, Databases, embedded_cluster

SECRET = "se%cret"


@pytest.fixture
def url(each_cluster: Cluster, database: Databases) -> str:
    url = database(each_cluster)
    run(
        url,
        "CREATE TABLE t (id int PRIMARY KEY, v text)",
        "INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 30000) AS g",
    )
    return url


def disturb_a_read(url: str, disturbance: Callable[[], None], statement_timeout: float = 0) -> CasError:
    """Begin to read, disturb, go on. The error that comes of it."""
    with source(url, statement_timeout=statement_timeout).snapshot(Selection()) as snapshot:
        batches = snapshot.batches(entity_of(snapshot, "public.t"))
        next(batches)
        disturbance()
        with pytest.raises(CasError) as raised:
            for _ in batches:
                pass
        assert raised.value.where == "public.t"
        return raised.value


def backends(url: str, action: str) -> None:
    done = ask(
        url,
        f"SELECT {action}(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND pid <> pg_backend_pid()",
    )
    assert done == [(True,)]


def test_an_administrator_who_ends_our_connection(url: str) -> None:
    assert isinstance(disturb_a_read(url, lambda: backends(url, "pg_terminate_backend")), ConnectionFailed)


def test_an_administrator_who_cancels_our_statement(url: str) -> None:
    error = disturb_a_read(url, lambda: backends(url, "pg_cancel_backend"))
    assert isinstance(error, TimedOut)
    assert "cancel" in error.what


def test_a_statement_that_takes_longer_than_it_may(url: str) -> None:
    error = disturb_a_read(url, lambda: time.sleep(1.2), statement_timeout=1)
    assert isinstance(error, TimedOut)
    assert "statement timeout" in error.what


def test_a_server_that_stops_in_the_middle_of_a_read() -> None:
    with embedded_cluster() as cluster:
        run(
            cluster.url(),
            "CREATE TABLE t (id int PRIMARY KEY, v text)",
            "INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 30000) AS g",
        )
        error = disturb_a_read(cluster.url(), cluster.server.stop)
        assert isinstance(error, ConnectionFailed)
        with pytest.raises(ConnectionFailed), source(cluster.url()).snapshot(Selection()):
            pass


def test_a_statement_that_is_interrupted_leaves_the_connection_usable(url: str) -> None:
    """Ctrl-C arrives in the middle of a read; whoever catches it can go on with the snapshot."""
    with source(url).snapshot(Selection()) as snapshot:
        entity = entity_of(snapshot, "public.t")
        batches = snapshot.batches(entity)
        next(batches)
        with pytest.raises(KeyboardInterrupt):
            batches.throw(KeyboardInterrupt())
        assert len(read(snapshot, entity).payloads) == 30000


def test_a_row_that_is_too_large_for_text_is_named(database: Databases) -> None:
    """PostgreSQL's limit is 1 GiB; a bytea of 540 MB is stored, and cannot be put out as hex."""
    url = database()
    run(
        url,
        "CREATE UNLOGGED TABLE huge (id int PRIMARY KEY, b bytea)",
        "ALTER TABLE huge ALTER b SET STORAGE EXTERNAL",  # compressing it would take longer than the rest
        "INSERT INTO huge VALUES (1, repeat('x', 540000000)::bytea)",
    )
    with source(url).snapshot(Selection()) as snapshot:
        with pytest.raises(Unsupported, match="1 GiB") as raised:
            read(snapshot, entity_of(snapshot, "public.huge"))
        assert raised.value.where == "public.huge"


def test_nobody_listens_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(ConnectionFailed) as raised:
        connect(f"postgresql://user:{SECRET.replace('%', '%25')}@127.0.0.1:{port}/db", ConnectionOptions())
    assert raised.value.where == f"postgresql://user@127.0.0.1:{port}/db"
    assert time.monotonic() - started < 10


def test_somebody_listens_and_never_answers() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        started = time.monotonic()
        with pytest.raises(ConnectionFailed):
            connect(
                f"postgresql://user@127.0.0.1:{silent.getsockname()[1]}/db",
                ConnectionOptions(connect_timeout=2),
            )
        assert time.monotonic() - started < 10


def test_a_database_that_does_not_exist_and_a_role_that_does_not(url: str) -> None:
    with pytest.raises(ConnectionFailed, match="does not exist"):
        connect(url.replace("/test_", "/no_"), ConnectionOptions())
    with pytest.raises(PermissionDenied, match="does not exist"):
        connect(login(url, "nobody_of_that_name"), ConnectionOptions())


def test_a_role_that_may_not_connect(url: str) -> None:
    with new_role(url, "outsider") as outsider:
        run(url, f"REVOKE CONNECT ON DATABASE {ask(url, 'SELECT current_database()')[0][0]} FROM PUBLIC")
        with pytest.raises(PermissionDenied):
            connect(outsider, ConnectionOptions())


def test_too_many_connections(url: str) -> None:
    with new_role(url, "lonely") as lonely:
        run(url, "ALTER ROLE lonely CONNECTION LIMIT 0")
        with pytest.raises(ConnectionFailed, match="too many connections"):
            connect(lonely, ConnectionOptions())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"postgresql://u:{SECRET.replace('%', '%25')}@h:5/db?sslmode=require", "postgresql://u@h:5/db"),
        (f"host=h user=u password='{SECRET}' dbname=db", "postgresql://u@h/db"),
        ("host=/run/pg port=5433 user=u dbname=db", "postgresql://u@/db?host=/run/pg&port=5433"),
        (
            f"postgresql://u:p@a:1,b:2/db?sslpassword={SECRET.replace('%', '%25')}",
            "postgresql://u@a:1,b:2/db",
        ),
        (f"postgresql:///db?host=::1&password={SECRET.replace('%', '%25')}", "postgresql://[::1]/db"),
        ("service=prod", "postgresql:///?service=prod"),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    assert shown_url(url) == shown
    assert PostgresSource(url).url == shown


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{SECRET}@h/db",
        f"postgres:u:{SECRET}@h",
        f"{SECRET}",
        "postgresql://u@h/db?nonsense=1",
    ],
)
def test_a_malformed_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        PostgresSource(url)
    assert SECRET not in str(raised.value)
    assert SECRET not in repr(raised.value.__cause__)


def test_what_the_url_says_wins_over_the_options() -> None:
    options = ConnectionOptions(
        connect_timeout=9, parameters={"sslmode": "verify-full", "sslrootcert": "/ca"}
    )
    parameters = connection_parameters("postgresql://h/db?sslmode=disable&keepalives_idle=5", options)
    assert parameters["sslmode"] == "disable"
    assert parameters["sslrootcert"] == "/ca"
    assert parameters["connect_timeout"] == 9
    assert parameters["keepalives_idle"] == "5"
    assert parameters["keepalives_count"] == 3


def test_tls_that_the_server_does_not_speak_is_a_failed_connection() -> None:
    def refuse_tls(listening: socket.socket) -> None:
        client, _ = listening.accept()
        with client:
            assert client.recv(8)[4:] == bytes.fromhex("04d2162f"), "the request for TLS comes first"
            client.sendall(b"N")
            client.recv(1)

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        with meanwhile(lambda: refuse_tls(listening)), pytest.raises(ConnectionFailed, match="SSL"):
            connect(f"postgresql://u@127.0.0.1:{port}/db?sslmode=require", ConnectionOptions())


@pytest.mark.parametrize("setting", ["zero_damaged_pages", "ignore_checksum_failure"])
def test_a_server_that_is_told_to_pass_over_damage_is_not_read(url: str, setting: str) -> None:
    with new_role(url, "careless") as careless:
        run(url, "ALTER ROLE careless SUPERUSER", f"ALTER ROLE careless SET {setting} = on")
        with pytest.raises(Unsupported, match=setting), source(careless).snapshot(Selection()):
            pass


@pytest.mark.parametrize(
    ("sqlstate", "message", "kind"),
    [
        ("42501", "permission denied for table t", PermissionDenied),
        ("28P01", "password authentication failed", PermissionDenied),
        ("57P01", "terminating connection due to administrator command", ConnectionFailed),
        ("57P03", "the database system is starting up", ConnectionFailed),
        ("08006", "connection failure", ConnectionFailed),
        ("53300", "too many connections", ConnectionFailed),
        ("57014", "canceling statement due to statement timeout", TimedOut),
        ("55P03", "canceling statement due to lock timeout", TimedOut),
        ("25P04", "transaction timeout", TimedOut),
        ("40001", "canceling statement due to conflict with recovery", SourceChanged),
        ("40P01", "deadlock detected", SourceChanged),
        ("42P01", 'relation "t" does not exist', SourceChanged),
        ("XX000", "cache lookup failed for type 5", SourceChanged),
        ("XX000", "could not open relation with OID 5", SourceChanged),
        ("53100", "could not write to file: No space left on device", InsufficientSpace),
        ("53400", "temporary file size exceeds temp_file_limit", InsufficientSpace),
        ("53200", "out of shared memory", InsufficientSpace),
        ("54000", "out of memory", Unsupported),
        ("XX000", "invalid memory alloc request size 1200000003", Unsupported),
        ("0A000", "not supported", Unsupported),
        ("XX001", "invalid page in block 0", CorruptData),
        ("58030", "could not read block 0", CorruptData),
        ("22012", "division by zero", CasError),
        ("", "", CasError),
    ],
)
def test_a_sqlstate_has_one_meaning(sqlstate: str, message: str, kind: type[CasError]) -> None:
    error = fault(sqlstate, message, where="public.t")
    assert type(error) is kind
    assert error.where == "public.t"
    assert str(error).startswith(message)


def test_a_long_message_is_cut() -> None:
    assert len(fault("22000", "x" * 5000).what) == 300


def test_a_connection_that_is_lost_while_another_reader_joins(url: str) -> None:
    """The joined reader's failure is its own; the snapshot's first connection goes on."""
    with source(url).snapshot(Selection()) as snapshot:
        entity = entity_of(snapshot, "public.t")
        first = snapshot.batches(entity)
        count = len(next(first).payloads)
        second = snapshot.batches(entity)
        next(second)
        with psycopg.connect(url, autocommit=True) as admin:
            ended = admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%'"
                " ORDER BY backend_start DESC LIMIT 1"
            ).fetchall()
        assert ended == [(True,)]
        with pytest.raises(ConnectionFailed):
            list(second)
        assert count + sum(len(batch.payloads) for batch in first) == 30000
        snapshot.finish()


def test_two_snapshots_of_one_database_at_the_same_time(url: str) -> None:
    counts: list[int] = []

    def take() -> None:
        with source(url).snapshot(Selection()) as snapshot:
            counts.append(len(read(snapshot, entity_of(snapshot, "public.t")).payloads))
            snapshot.finish()

    threads = [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert counts == [30000, 30000]
