"""What both feeds of auto-save have: a connection that is opened when it is wanted, and again when it
broke."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from cas.errors import CasError
from cas.postgres.capture.schema_state import schema_state
from cas.postgres.connecting import ConnectionOptions, connect, shown_url
from cas.postgres.faults import faults_of
from cas.records.changes import PlatformName

_NAME = "SELECT system_identifier::text, current_database()::text FROM pg_control_system()"


class PolledPlatform:
    """A platform that one caller asks again and again. `close` ends the connection."""

    def __init__(self, url: str, options: ConnectionOptions | None = None) -> None:
        """InvalidInput for a malformed URL. Nothing is connected yet."""
        self._where = shown_url(url)
        self._url = url
        self._options = options or ConnectionOptions()
        self._connection: psycopg.Connection | None = None

    def name(self) -> PlatformName:
        with self._connected() as connection:
            return PlatformName(*connection.execute(_NAME).fetchall()[0])

    def schema_state(self) -> str:
        with self._connected() as connection:
            return schema_state(connection)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection]:
        """A connection in autocommit mode; after any error a new one is made for the next call."""
        try:
            with faults_of(self._where):
                if self._connection is None or self._connection.closed:
                    self._connection = connect(self._url, self._options)
                yield self._connection
        except CasError:
            self.close()
            raise
