"""Connections inside of one snapshot, lent to one read at a time.

The first is the one that opened the snapshot; where a second read begins while one is under way (from
another thread, or because an iterator is not finished), a further connection joins.

Each read runs behind a savepoint, which is always rolled back: that undoes the switch of the client
encoding, closes large objects, and revives the transaction after an error or a cancelled COPY. The
snapshot and the locks were taken before it and stay.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Lock

import psycopg
from psycopg.pq import TransactionStatus

from cas.postgres.connecting import ConnectionOptions
from cas.postgres.reading.copying import run
from cas.postgres.reading.opening import Opened, Patience, joined

_BACK = b"ROLLBACK TO SAVEPOINT cas_read; RELEASE SAVEPOINT cas_read"


class Readers:
    """The readers of one opened snapshot. May be used from several threads."""

    def __init__(self, url: str, options: ConnectionOptions, patience: Patience, opened: Opened) -> None:
        self._url = url
        self._options = options
        self._patience = patience
        self._opened = opened
        self._free = [opened.connection]
        self._lock = Lock()
        self._joined = ExitStack()

    def reading(self, where: str) -> AbstractContextManager[psycopg.Connection]:
        """A connection whose client_encoding is the server's, for the duration of one read."""
        encoding = self._opened.identity.encoding.encode()
        return self._lent(b"SAVEPOINT cas_read; SET LOCAL client_encoding = '%b'" % encoding, where)

    def as_they_lie(self, where: str) -> AbstractContextManager[psycopg.Connection]:
        """As `reading`, for a read from a table's first page to its last."""
        encoding = self._opened.identity.encoding.encode()
        return self._lent(
            b"SAVEPOINT cas_read; SET LOCAL client_encoding = '%b'; SET LOCAL synchronize_seqscans = off;"
            b" SET LOCAL max_parallel_workers_per_gather = 0" % encoding,
            where,
        )

    def asking(self, where: str) -> AbstractContextManager[psycopg.Connection]:
        """A connection for psycopg's own queries, whose texts arrive as str."""
        return self._lent(b"SAVEPOINT cas_read", where)

    @contextmanager
    def _lent(self, prologue: bytes, where: str) -> Iterator[psycopg.Connection]:
        connection = self._take()
        pgconn = connection.pgconn
        try:
            run(pgconn, prologue, where=where)
            yield connection
        finally:
            if pgconn.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
                run(pgconn, _BACK, where=where)
                with self._lock:
                    self._free.append(connection)

    def _take(self) -> psycopg.Connection:
        with self._lock:
            if self._free:
                return self._free.pop()
        joining = joined(self._url, self._options, self._patience, self._opened)
        connection = joining.__enter__()
        with self._lock:
            self._joined.push(joining.__exit__)
        return connection

    def close(self) -> None:
        """End the transaction and close all connections. Reads that are under way fail."""
        self._joined.close()
        self._opened.connection.close()
