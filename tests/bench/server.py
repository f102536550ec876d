"""The database server of a benchmark: an embedded PostgreSQL, set up like a quiet production server."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from cas.postgres.embedded.server import EmbeddedServer

SETTINGS: Mapping[str, str] = {
    "autovacuum": "off",  # it would start in the middle of somebody's measurement
    "wal_level": "replica",  # as on servers that are worth a backup
    "max_wal_senders": "10",
    "max_wal_size": "4GB",
}


class BenchServer:
    """Makes and drops databases, settles between measurements, and counts its own CPU time."""

    def __init__(self, directory: Path) -> None:
        self._server = EmbeddedServer(directory, settings=SETTINGS)
        with psycopg.connect(self._server.url()) as connection:
            row = connection.execute("SHOW data_directory").fetchone()
        assert row is not None
        self._data = Path(str(row[0]))

    @property
    def programs(self) -> Path:
        return self._server.bin_directory

    def url(self, database: str) -> str:
        return self._server.url(database)

    def fresh(self, database: str) -> str:
        """An empty database of this name; one that was there is dropped. Returns its URL."""
        self.drop(database)
        return self._server.ensure_database(database)

    def copy(self, database: str, name: str) -> str:
        """A copy of a database that nobody is connected to; one of this name is dropped. Returns its URL."""
        self.drop(name)
        with psycopg.connect(self._server.url(), autocommit=True) as connection:
            made, of = sql.Identifier(name), sql.Identifier(database)
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(made, of))
        return self._server.url(name)

    @staticmethod
    def database_of(url: str) -> str:
        """The name that a URL of this server ends with."""
        return str(conninfo_to_dict(url)["dbname"])

    def drop(self, database: str) -> None:
        with psycopg.connect(self._server.url(), autocommit=True) as connection:
            name = sql.Identifier(database)
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    def settle(self) -> None:
        """Write out what earlier steps left behind, so that it is not paid for by the next."""
        with psycopg.connect(self._server.url(), autocommit=True) as connection:
            connection.execute("CHECKPOINT")
        os.sync()

    def cpu_seconds(self) -> float | None:
        """CPU time of all backends that have ended so far; None where there is no /proc."""
        try:
            postmaster = (self._data / "postmaster.pid").read_text().splitlines()[0]
            fields = Path("/proc", postmaster, "stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            return None
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")

    def digest(self, database: str, queries: Sequence[str]) -> str:
        """A hash over the rows that these queries give, as COPY text."""
        running = hashlib.sha256()
        with psycopg.connect(self._server.url(database)) as connection:
            for query in queries:
                with connection.cursor().copy(sql.SQL(f"COPY ({query}) TO STDOUT")) as copy:
                    for block in copy:
                        running.update(block)
        return running.hexdigest()

    def stop(self) -> None:
        self._server.stop()
