"""PostgreSQL clusters for tests: the embedded 18, and Debian's 15 where it is installed."""

import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote
from uuid import uuid4

import psycopg
from psycopg import sql

from cas.postgres.embedded.server import EmbeddedServer
from cas.postgres.embedded.server_user import server_user

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")

TEST_SETTINGS: Mapping[str, str] = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "100",
    "max_prepared_transactions": "20",
    "wal_level": "logical",
    "max_wal_senders": "4",
    "min_wal_size": "32MB",
    "max_wal_size": "128MB",
}
"""Fast and small, since nothing here must survive a power loss; and able to do what platforms do."""

MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 8 << 30


class Cluster(Protocol):
    """A running server, its superuser being `postgres`."""

    @property
    def major(self) -> int: ...

    @property
    def bin_directory(self) -> Path:
        """pg_dump, pg_restore and psql of the server's own version."""

    def url(self, database: str = "postgres") -> str: ...


@dataclass(frozen=True, slots=True)
class Embedded:
    """The embedded server, as the product starts it."""

    server: EmbeddedServer
    major: int = 18

    @property
    def bin_directory(self) -> Path:
        return self.server.bin_directory

    def url(self, database: str = "postgres") -> str:
        return self.server.url(database)


@dataclass(frozen=True, slots=True)
class Debian:
    """A server started from Debian's programs."""

    major: int
    bin_directory: Path
    socket: Path

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{quote(database)}?host={quote(str(self.socket), safe='')}&port=5432"


def _place() -> Path:
    """Where servers lie: in memory, where there is enough. Tests make thousands of databases, each of 300
    files, and some disks take ten times as long for them."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        available = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
        room = min(available, shutil.disk_usage(MEMORY).free)
    except (OSError, StopIteration):
        room = 0
    return MEMORY if room >= ENOUGH_BYTES else Path("/tmp")


@contextmanager
def temporary_directory() -> Iterator[Path]:
    """A directory with a short path, since a socket's path has at most 107 bytes."""
    directory = Path(tempfile.mkdtemp(prefix="cas-", dir=_place()))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@contextmanager
def embedded_cluster(settings: Mapping[str, str] = TEST_SETTINGS) -> Iterator[Embedded]:
    with temporary_directory() as directory, EmbeddedServer(directory, settings=settings) as server:
        yield Embedded(server)


@contextmanager
def debian_cluster(programs: Path, settings: Mapping[str, str] = TEST_SETTINGS) -> Iterator[Debian]:
    """Initialise, start and stop a cluster with these programs, not as root."""
    with temporary_directory() as directory:
        data = directory / "data"
        data.mkdir(mode=0o700)
        user = server_user(data).admitted(directory)
        user.own(data)
        options = {**settings, "listen_addresses": "", "port": "5432", "unix_socket_directories": str(data)}
        words = " ".join(shlex.quote(f"--{name}={value}") for name, value in options.items())

        def run(program: str, *arguments: str) -> None:
            code, output = user.run([programs / program, "-D", data, *arguments], seconds=60)
            assert code == 0, output

        run("initdb", "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
        run("pg_ctl", "start", "-w", "-l", str(data / "log"), "-o", words)
        try:
            major = int((data / "PG_VERSION").read_text())
            yield Debian(major, programs, data)
        finally:
            run("pg_ctl", "stop", "-w", "-m", "fast")


class Databases:
    """Makes empty databases and drops them all at the end, with whoever is still connected."""

    def __init__(self, default: Cluster) -> None:
        self._default = default
        self._made: list[tuple[Cluster, str]] = []

    def __call__(
        self, cluster: Cluster | None = None, *, options: str = "", template: str = "template0"
    ) -> str:
        """The URL of a new database: empty, or a copy of the database `template` that nobody is connected
        to. `options` is SQL for CREATE DATABASE, for example
        `ENCODING 'SQL_ASCII' LOCALE 'C' LOCALE_PROVIDER libc` (18)."""
        chosen = cluster or self._default
        name = f"test_{uuid4().hex[:12]}"
        with psycopg.connect(chosen.url(), autocommit=True) as connection:
            named = (sql.Identifier(name), sql.Identifier(template))
            command = sql.SQL("CREATE DATABASE {} TEMPLATE {} ").format(*named)
            connection.execute(command + sql.SQL(options))
        self._made.append((chosen, name))
        return chosen.url(name)

    def drop_all(self) -> None:
        for cluster, name in self._made:
            with psycopg.connect(cluster.url(), autocommit=True) as connection:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        self._made.clear()
