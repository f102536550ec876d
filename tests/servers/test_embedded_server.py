"""The embedded server: shared, stopped by the last, and never stuck after a kill."""

import fcntl
import importlib.util
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from cas.errors import ConnectionFailed, PermissionDenied, TimedOut, Unsupported
from cas.postgres.embedded import server as embedded
from cas.postgres.embedded.server import EmbeddedServer
from cas.postgres.embedded.server_user import server_user
from tests.servers.postgres import TEST_SETTINGS, temporary_directory

USER = """
import sys, time
from pathlib import Path
from cas.postgres.embedded.server import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]), settings={"fsync": "off"})
print(server.url(), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def empty_directory() -> Iterator[Path]:
    with temporary_directory() as made:
        yield made
        patience = time.monotonic() + 10  # its last children may be on their way out
        while lives(made / "data"):
            assert time.monotonic() < patience, "a server was left running"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def model() -> Iterator[Path]:
    with temporary_directory() as made:
        started(made).stop()
        yield made


@pytest.fixture
def directory(empty_directory: Path, model: Path) -> Path:
    """With a cluster, copied since that is faster than making one."""
    subprocess.run(["cp", "-a", model / "data", empty_directory], check=True)
    return empty_directory


def started(directory: Path) -> EmbeddedServer:
    return EmbeddedServer(directory, settings=TEST_SETTINGS)


def another_user(directory: Path) -> subprocess.Popen[str]:
    """A process that uses the server until a line arrives."""
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("postgresql://")
    return process


def postmaster(data: Path) -> int:
    return int((data / "postmaster.pid").read_text().split("\n", 1)[0])


def lives(data: Path) -> bool:
    """By the lock that the server's processes hold."""
    if not (data.parent / "server.lock").exists():
        return False
    with (data.parent / "server.lock").open("r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def socket_of(server: EmbeddedServer) -> Path:
    return Path(str(conninfo_to_dict(server.url())["host"]))


def answers(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def test_its_programs_accept_its_url(directory: Path) -> None:
    with started(directory) as server:
        url = server.ensure_database("with space, 'quote' and ü")
        assert server.ensure_database("with space, 'quote' and ü") == url
        for program in (["psql", "-c", "SELECT 1", url], ["pg_dump", url], ["pg_dump", "-Fc", url]):
            subprocess.run(
                [server.bin_directory / program[0], *program[1:]],
                check=True,
                capture_output=True,
                env={**os.environ, "PGPORT": "1", "PGHOST": "nowhere", "PGUSER": "nobody"},
            )
        assert (server.bin_directory / "pg_restore").exists()


def test_settings_of_the_environment_do_not_move_it(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("PGPORT", "6000"),
        ("PGDATA", "/nowhere"),
        ("PGHOST", "nowhere"),
        ("LC_ALL", "xx_YY"),
    ):
        monkeypatch.setenv(name, value)
    with started(directory) as server:
        assert answers(server.url())


def test_the_catalog_s_settings_are_safe(directory: Path) -> None:
    with EmbeddedServer(directory) as server, psycopg.connect(server.url()) as connection:
        for name, expected in (
            ("fsync", "on"),
            ("full_page_writes", "on"),
            ("synchronous_commit", "on"),
            ("data_checksums", "on"),
            ("max_connections", "100"),
            ("listen_addresses", ""),
            ("server_encoding", "UTF8"),
        ):
            assert connection.execute("SELECT current_setting(%s)", [name]).fetchone() == (expected,)
        assert connection.execute("SELECT upper('ä')").fetchone() == ("Ä",)


def test_nobody_but_the_owner_reaches_data_and_socket(directory: Path) -> None:
    with started(directory):
        assert stat.S_IMODE((directory / "data").stat().st_mode) == 0o700
        assert stat.S_IMODE((directory / "data" / "server.log").stat().st_mode) == 0o600


def test_the_last_to_leave_stops_it_and_nobody_is_cut_off(directory: Path) -> None:
    first = started(directory)
    second = another_user(directory)
    third = started(directory)
    with psycopg.connect(third.url()) as connection:
        first.stop()
        first.stop()
        second.communicate("\n")
        assert second.returncode == 0
        assert connection.execute("SELECT 1").fetchone() == (1,)
    third.stop()
    assert not lives(directory / "data")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(third.url())


def test_a_process_that_forgets_to_stop_it_stops_it_at_its_exit(directory: Path) -> None:
    user = another_user(directory)
    user.communicate("\n")
    assert not lives(directory / "data")


def test_a_killed_user_leaves_a_server_that_the_next_one_joins_and_stops(directory: Path) -> None:
    user = another_user(directory)
    number = postmaster(directory / "data")
    os.kill(user.pid, signal.SIGKILL)
    user.communicate()
    assert lives(directory / "data")
    with started(directory) as server:
        assert postmaster(directory / "data") == number
        assert answers(server.url())
    assert not lives(directory / "data")


def test_many_that_start_at_once_share_one_server(empty_directory: Path) -> None:
    with ThreadPoolExecutor(6) as threads:
        servers = list(threads.map(lambda _: started(empty_directory), range(6)))
        assert all(threads.map(lambda server: answers(server.ensure_database("same")), servers))
        list(threads.map(lambda server: server.stop(), servers))
    assert not lives(empty_directory / "data")


def test_a_killed_server_is_started_again(directory: Path) -> None:
    first = started(directory)
    with psycopg.connect(first.url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (i int)")
        connection.execute("CHECKPOINT")
    os.kill(postmaster(directory / "data"), signal.SIGKILL)
    # Its children need a moment to notice; whoever starts now waits for them.
    with started(directory) as second:
        with psycopg.connect(second.url()) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
        first.stop()
        assert answers(second.url())


def test_the_last_user_of_a_killed_server_leaves_at_once(directory: Path) -> None:
    server = started(directory)
    os.kill(postmaster(directory / "data"), signal.SIGKILL)
    while lives(directory / "data"):
        time.sleep(0.02)
    before = time.monotonic()
    server.stop()
    assert time.monotonic() - before < 5


def test_a_pid_file_whose_number_went_to_another_process_is_no_obstacle(directory: Path) -> None:
    started(directory).stop()
    user = server_user(directory / "data")
    sleeper = subprocess.Popen(["sleep", "60"], user=user.uid)
    try:
        leftover = directory / "data" / "postmaster.pid"
        leftover.write_text(
            f"{sleeper.pid}\n{directory / 'data'}\n1\n5432\n{directory / 'data'}\n\n 1 1\nready\n"
        )
        with started(directory) as server:
            assert answers(server.url())
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_kill_during_the_very_first_start_leaves_nothing_stuck(empty_directory: Path) -> None:
    for delay in (0.15, 0.3, 0.45):
        process = subprocess.Popen(
            [sys.executable, "-c", USER, str(empty_directory)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
        )
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    with started(empty_directory) as server:
        assert answers(server.url())
    assert [path.name for path in empty_directory.glob("new-*")] == []


def test_a_path_too_long_for_a_socket(empty_directory: Path) -> None:
    deep = empty_directory / ("long" * 25)
    with started(deep) as server:
        assert answers(server.url())
        host = socket_of(server)
        assert host.parent == Path("/tmp")
        assert stat.S_IMODE(host.stat().st_mode) == 0o700
        with started(deep) as joined:
            assert joined.url() == server.url()
    assert not host.exists()


def test_a_socket_directory_that_others_can_enter_is_refused(empty_directory: Path) -> None:
    deep = empty_directory / ("long" * 25)
    server = started(deep)
    place = socket_of(server)
    server.stop()
    place.mkdir(mode=0o777)
    try:
        with pytest.raises(PermissionDenied):
            started(deep)
    finally:
        place.rmdir()


def test_a_path_with_spaces_quotes_and_commas(empty_directory: Path) -> None:
    with started(empty_directory / "a b, \"c\" 'd' $e") as server:
        assert answers(server.url())


def test_a_cluster_of_another_version_is_named(directory: Path) -> None:
    started(directory).stop()
    (directory / "data" / "PG_VERSION").write_text("16\n")
    with pytest.raises(Unsupported) as caught:
        started(directory)
    assert "16" in caught.value.what


def test_a_server_that_cannot_start_says_why(directory: Path) -> None:
    with pytest.raises(ConnectionFailed) as caught:
        EmbeddedServer(directory, settings={"shared_buffers": "1kB"})
    assert "shared_buffers" in caught.value.what
    assert caught.value.hint
    # The failure holds nothing: better settings work.
    with started(directory) as server:
        assert answers(server.url())


def test_a_damaged_cluster_says_why(directory: Path) -> None:
    started(directory).stop()
    (directory / "data" / "global" / "pg_control").write_bytes(b"")
    with pytest.raises(ConnectionFailed) as caught:
        started(directory)
    assert "pg_control" in caught.value.what
    assert caught.value.where.endswith("server.log")


def test_a_directory_that_cannot_be_used(empty_directory: Path) -> None:
    (empty_directory / "file").write_text("")
    with pytest.raises(ConnectionFailed):
        started(empty_directory / "file" / "below")


def test_somebody_who_starts_for_ever(empty_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "INITDB_SECONDS", 0)
    with (empty_directory / "starting.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TimedOut):
            EmbeddedServer(empty_directory, wait_seconds=0.2)


def test_a_machine_without_the_wheel(monkeypatch: pytest.MonkeyPatch, empty_directory: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Unsupported) as caught:
        started(empty_directory)
    assert "CAS_CATALOG" in caught.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as somebody else")
def test_root_opens_a_private_directory_to_the_group_alone(empty_directory: Path) -> None:
    private = empty_directory / "home"
    private.mkdir(mode=0o700)
    with started(private / "cas") as server:
        assert answers(server.url())
        assert stat.S_IMODE(private.stat().st_mode) == 0o710
        assert (private / "cas" / "data").stat().st_uid != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as somebody else")
def test_programs_that_only_root_may_run_are_opened_to_the_group_alone(empty_directory: Path) -> None:
    """As pip installs them under umask 077."""
    programs = empty_directory / "package" / "bin"
    programs.mkdir(parents=True)
    for place in (empty_directory, programs.parent, programs):
        place.chmod(0o700)
    for name, mode in (("program", 0o700), ("data", 0o600)):
        (programs / name).write_text("#!/bin/sh\ncat $0.d 2>/dev/null || echo no\n")
        (programs / name).chmod(mode)
    user = server_user(empty_directory / "none")
    before = user.run(["cat", programs / "program"], seconds=10)
    admitted = user.admitted_tree(programs.parent, programs / "program")
    assert before[0] != 0
    assert admitted.run([programs / "program"], seconds=10) == (0, "no\n")
    assert admitted.run(["cat", programs / "data"], seconds=10)[0] == 0
    assert stat.S_IMODE((programs / "program").stat().st_mode) == 0o750
    assert stat.S_IMODE((programs / "data").stat().st_mode) == 0o640
    assert stat.S_IMODE(empty_directory.stat().st_mode) == 0o710


def test_a_url_is_known_by_its_socket_also_when_nothing_runs() -> None:
    with temporary_directory() as directory, temporary_directory() as other:
        place = directory / ("long" * 30)  # the socket lies elsewhere
        for home in (directory / "short", place):
            with EmbeddedServer(home) as server:
                url = server.url("shop")
            assert EmbeddedServer.serves(home, url)
            assert not EmbeddedServer.serves(other, url)
            assert not EmbeddedServer.serves(home, "postgresql://db.internal/shop")
            assert not EmbeddedServer.serves(home, "no url")
