"""Connections to the catalog: checked before use, with time-outs, and errors of our own.

Every transaction is READ COMMITTED on purpose: after waiting for a row lock, the next statement
must see what the other transaction committed. A repeatable snapshot taken before the wait would
show a session packs that were condemned meanwhile.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from cas.catalog.faults import catalog_faults, is_passing
from cas.contacting import ONCE, ContactPatience, contacted
from cas.errors import ConnectionFailed, InvalidInput, PermissionDenied, TimedOut, Unsupported

Connection = psycopg.Connection[TupleRow]

MIN_SERVER = 140000
MAX_CONNECTIONS = 4
"""One works, one renews the lease, and two or three announce packs."""
CONNECT_SECONDS = 10
STATEMENT_SECONDS = 60
"""A statement, waiting for locks included. All that the catalog does in bulk lifts it."""
IDLE_SECONDS = 60
"""A stopped process must not hold the epoch's lock for ever; the server ends its transaction."""

# Its warnings repeat what our errors say; without this they would go to standard error.
logging.getLogger("psycopg.pool").addHandler(logging.NullHandler())


class Connections:
    """A few connections to one catalog, for several threads."""

    def __init__(
        self, url: str, *, wait_seconds: float = 20, patience: ContactPatience | None = None
    ) -> None:
        """Connect to learn what is wrong, if anything, then keep a pool.

        `wait_seconds`: how long a lost server or a busy pool is waited for. `patience`: with a server that
        cannot be reached at the beginning. Raises InvalidInput,
        ConnectionFailed, PermissionDenied, NotFound (database), TimedOut, Unsupported.
        """
        self.url = public_url(url)
        self._secret_url = url
        given = conninfo_to_dict(url)
        self._arguments = {name: value for name, value in _ARGUMENTS.items() if name not in given}
        self._first_contact(patience or ContactPatience())
        self._wait = wait_seconds
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            make_conninfo(url, **self._arguments),
            kwargs={"prepare_threshold": None},  # plans would outlive another process's migration
            min_size=1,
            max_size=MAX_CONNECTIONS,
            timeout=wait_seconds,
            reconnect_timeout=wait_seconds,
            num_workers=1,
            configure=_configure,
            check=ConnectionPool.check_connection,
            open=True,
        )

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One READ COMMITTED transaction: committed at the end, rolled back on any exception."""
        with catalog_faults(self.url):
            try:
                with self._pool.connection() as connection:
                    yield connection
            except PoolTimeout as error:
                self._first_contact(ONCE)
                raise TimedOut(
                    f"no free connection to the catalog within {self._wait:.0f} s", where=self.url
                ) from error
            except PoolClosed as error:
                raise ConnectionFailed("the catalog is closed", where=self.url) from error

    def close(self) -> None:
        self._pool.close()

    def _first_contact(self, patience: ContactPatience) -> None:
        address = make_conninfo(self._secret_url, **self._arguments)

        def attempt() -> tuple[int, str | None, str | None]:
            with catalog_faults(self.url), psycopg.connect(address) as connection:
                said = connection.info
                return (
                    said.server_version,
                    said.parameter_status("server_encoding"),
                    said.parameter_status("in_hot_standby"),
                )

        version, encoding, standby = contacted(attempt, is_passing, patience)
        if version < MIN_SERVER:
            raise Unsupported(
                f"the catalog's server is PostgreSQL {version // 10000}; 14 is the oldest that will do",
                where=self.url,
            )
        if standby == "on":
            raise PermissionDenied(
                "the catalog's server is a standby and takes no writes",
                where=self.url,
                hint="Name the primary in CAS_CATALOG",
            )
        if encoding != "UTF8":
            raise Unsupported(
                f"the catalog's database is encoded in {encoding}",
                where=self.url,
                hint="Create one with CREATE DATABASE ... TEMPLATE template0 ENCODING 'UTF8'",
            )


def public_url(url: str) -> str:
    """The address without password and options. InvalidInput where libpq cannot read it."""
    try:
        parts = conninfo_to_dict(url)
    except (psycopg.ProgrammingError, UnicodeError):
        # libpq's own words may quote a piece of the password.
        raise InvalidInput("the catalog's URL cannot be read", where="CAS_CATALOG", hint=_ESCAPE) from None
    host, port = (str(parts.get(name) or "") for name in ("host", "port"))
    host = host or str(parts.get("hostaddr") or "")
    user, database = (str(parts.get(name) or "") for name in ("user", "dbname"))
    # With a bare @ or / in the password libpq takes its rest for a host, a port or a database.
    misread = "@" in database and "%40" not in url and "://" in url
    if "@" in host.lstrip("@") or not set(port) <= set("0123456789,") or misread or "\x00" in url:
        raise InvalidInput("the catalog's URL cannot be read", where="CAS_CATALOG", hint=_ESCAPE)
    login = f"{quote(user, safe='')}@" if user else ""
    path = f"/{quote(database, safe='')}" if database else ""
    if host.startswith(("/", "@")):
        return f"postgresql://{login}{path or '/'}?host={host}" + (f"&port={port}" if port else "")
    return f"postgresql://{login}{_hosts(host, port)}{path}"


def _hosts(host: str, port: str) -> str:
    """`h1:1,h2:2` from 'h1,h2' and '1,2' (or one port for all)."""
    names = [f"[{name}]" if ":" in name else name for name in host.split(",")]
    ports = port.split(",")
    ports = ports * len(names) if len(ports) == 1 else ports
    return ",".join(
        f"{name}:{number}" if number else name for name, number in zip(names, ports, strict=False)
    )


_ESCAPE = "In a URL, write special characters of user and password as %XX"

_ARGUMENTS: dict[str, str | int] = {
    "client_encoding": "utf8",
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 30,
    "tcp_user_timeout": 60_000,  # milliseconds
    "application_name": "cas catalog",
}


def _configure(connection: Connection) -> None:
    """What must hold whatever the server's, the database's or the role's defaults are."""
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    connection.read_only = False
    connection.deferrable = False
    connection.execute(
        """
        SELECT set_config(name, value, false) FROM (VALUES
            ('search_path', 'pg_catalog'),
            ('timezone', 'UTC'),
            ('datestyle', 'ISO'),
            ('bytea_output', 'hex'),
            ('extra_float_digits', '1'),
            ('statement_timeout', %s),
            ('lock_timeout', '0'),
            ('idle_in_transaction_session_timeout', %s)) pins (name, value)
        """,
        [f"{STATEMENT_SECONDS}s", f"{IDLE_SECONDS}s"],
    )
    # A commit that was acknowledged must outlive a crash; stricter settings stay.
    connection.execute(
        """
        SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') = 'off'
        """
    )
    connection.commit()
