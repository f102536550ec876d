"""The connections that fill a database: their settings, and a stack of them to be used again.

`synchronous_commit` is off while a database is filled: a crash may lose the last transactions, but
the whole is worthless until its last one, which removes the marker (`target_marker`). That one
commits synchronously, and since the log is one stream, it makes everything before it durable.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from cas.errors import CasError
from cas.postgres.connecting import ConnectionOptions, connect
from cas.postgres.faults import faults_of

SETTINGS = (
    "SET search_path = ''",  # as pg_dump's text expects: everything in it is qualified
    "SET synchronous_commit = off",
    "SET default_transaction_read_only = off",
    "SET statement_timeout = 0",
    "SET lock_timeout = 0",
    "SET check_function_bodies = off",  # bodies may speak of what is created later
    "SET client_min_messages = warning",
    "SET default_tablespace = ''",
    "SET default_table_access_method = heap",
    "SET transform_null_equals = off",
)

_AT_WORK = """
SELECT FROM pg_stat_activity WHERE pid = %s AND state IS DISTINCT FROM 'idle in transaction (aborted)'
"""


class Connections:
    """Opens connections to one database and keeps those that are free. Safe from several threads."""

    def __init__(self, url: str, options: ConnectionOptions, maintenance_mib: int) -> None:
        self._url = url
        self._options = options
        self._maintenance_mib = maintenance_mib
        self._free: list[psycopg.Connection] = []
        self._borrowed: set[psycopg.Connection] = set()
        self._lock = threading.Lock()
        self.replica = False
        """Whether connections are opened with session_replication_role = replica."""

    def open(self) -> psycopg.Connection:
        """A new connection, which the caller closes. Raises as `connecting.connect` does."""
        connection = connect(self._url, self._options)
        try:
            with faults_of("preparing a connection"):
                connection.execute("; ".join(SETTINGS).encode())
                connection.execute(
                    "SELECT set_config(name, %s, false) FROM pg_settings"
                    " WHERE name = 'maintenance_work_mem' AND setting::bigint < %s",
                    [f"{self._maintenance_mib}MB", self._maintenance_mib * 1024],
                )
                if self.replica:
                    connection.execute("SET session_replication_role = replica")
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def borrowed(self) -> Iterator[psycopg.Connection]:
        """A connection for the block. After an error it is closed, and not used again."""
        with self._lock:
            connection = self._free.pop() if self._free else None
        connection = connection or self.open()
        with self._lock:
            self._borrowed.add(connection)
        try:
            yield connection
        except BaseException:
            with self._lock:
                self._borrowed.remove(connection)
            connection.close()
            raise
        with self._lock:
            self._borrowed.remove(connection)
            self._free.append(connection)

    def is_at_work(self, process: int) -> bool:
        """Whether the server's process of this number is there, and its transaction has not failed."""
        try:
            with self.borrowed() as connection:
                return connection.execute(_AT_WORK, [process]).fetchone() is not None
        except (CasError, psycopg.Error):
            return True  # who cannot ask learns it in the end from the process itself

    def cancel(self) -> None:
        """Ask the server to end what runs on borrowed connections; their borrowers get the error."""
        with self._lock:
            running = list(self._borrowed)
        for connection in running:
            with suppress(psycopg.Error):
                connection.cancel_safe(timeout=5)

    def close(self) -> None:
        """Close the free ones. Borrowed ones are still their borrowers'."""
        with self._lock:
            free, self._free = self._free, []
        for connection in free:
            connection.close()
