"""Connections to a platform: how they are opened, and the settings that pin what rows look like.

The pins are plain SET statements: `SELECT set_config(...)` would take the snapshot of the
transaction it runs in, before its locks are held.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cas.contacting import ContactPatience, contacted
from cas.errors import InvalidInput, Unsupported
from cas.postgres.faults import faults_of, is_passing
from cas.postgres.quoting import SQL_ASCII, BytesAsText, conversation_encoding
from cas.postgres.reading.copying import run

OLDEST_SERVER = 140000
"""The oldest server version that is read, as server_version_num."""

PINS: Mapping[str, str] = {
    "search_path": "pg_catalog",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "array_nulls": "on",
    "quote_all_identifiers": "off",
    "xmloption": "content",
    "xmlbinary": "base64",
    "lc_monetary": "C",
    "standard_conforming_strings": "on",
    "row_security": "off",
    "synchronous_commit": "on",
    "jit": "off",  # no row's text depends on it; compiling a COPY costs more than it saves
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
}
"""Settings that touch a row's text, what is visible, or how long we may take. A role's or a
database's own settings (ALTER ROLE ... SET) would otherwise decide."""

_NEWER_PINS: Mapping[int, Mapping[str, str]] = {170000: {"transaction_timeout": "0"}}
"""Pins of settings that exist from this server version on."""

_KEEPALIVES: Mapping[str, str | int] = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
"""A server that vanished is noticed after a minute, and not after the kernel's two hours."""

_SECRETS = ("password", "sslpassword", "oauth_client_secret")


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """How to connect. Times are in seconds; 0 means no limit.

    `parameters` are libpq's, by its names (sslmode, sslrootcert, sslcert, sslkey, ...); what the URL
    itself says wins over them.
    """

    connect_timeout: int = 30
    statement_timeout: float = 0.0
    """Of each statement that reads; one COPY of a large table is one statement."""
    application_name: str = "cas"
    parameters: Mapping[str, str] = field(default_factory=dict)
    patience: ContactPatience = field(default_factory=ContactPatience)
    """With a server that cannot be reached."""


def connect(url: str, options: ConnectionOptions) -> psycopg.Connection:
    """A pinned connection in autocommit mode, whose texts arrive as str. Passing faults are tried again.

    Raises InvalidInput for a malformed URL, ConnectionFailed, PermissionDenied, Unsupported for
    servers older than 14.
    """
    where = shown_url(url)
    parameters = connection_parameters(url, options)

    def attempt() -> psycopg.Connection:
        with faults_of(where):
            return psycopg.connect(make_conninfo("", **parameters), autocommit=True, prepare_threshold=None)

    connection = contacted(attempt, is_passing, options.patience)
    try:
        _require_supported(connection, where)
        run(connection.pgconn, pinning(connection, options), where=where)
        if conversation_encoding(server_encoding(connection)) == SQL_ASCII:
            for name in ("text", "name", "varchar", "bpchar"):
                connection.adapters.register_loader(name, BytesAsText)
    except BaseException:
        connection.close()
        raise
    return connection


def _require_supported(connection: psycopg.Connection, where: str) -> None:
    version = connection.info.server_version
    if version < OLDEST_SERVER:
        raise Unsupported(
            f"PostgreSQL {version // 10000} is too old", where=where, hint="Versions 14 to 18 are read"
        )


def connection_parameters(url: str, options: ConnectionOptions) -> dict[str, str | int]:
    """libpq's parameters of the URL, completed by the options."""
    defaults: dict[str, str | int] = {
        **_KEEPALIVES,
        "connect_timeout": options.connect_timeout,
        "application_name": options.application_name,
        **options.parameters,
    }
    return {**defaults, **_parsed(url)}


def pinning(connection: psycopg.Connection, options: ConnectionOptions) -> bytes:
    """The SET statements for this server, as one string."""
    pins = dict(PINS)
    for version, more in _NEWER_PINS.items():
        if connection.info.server_version >= version:
            pins.update(more)
    pins["statement_timeout"] = str(round(options.statement_timeout * 1000))
    pins["client_encoding"] = conversation_encoding(server_encoding(connection))
    return "; ".join(f"SET {name} = '{value}'" for name, value in pins.items()).encode()


def server_encoding(connection: psycopg.Connection) -> str:
    """The database's encoding by PostgreSQL's name, for example UTF8."""
    # Not by connection.info: that one needs a Python codec for the client encoding.
    return (connection.pgconn.parameter_status(b"server_encoding") or SQL_ASCII.encode()).decode("ascii")


def shown_url(url: str) -> str:
    """The URL for people and for the catalog: user, hosts and database, and never a secret.

    Raises InvalidInput for what is no URL of PostgreSQL's, without repeating it.
    """
    parts = _parsed(url)
    hosts = str(parts.get("host", "") or parts.get("hostaddr", "")).split(",")
    ports = str(parts.get("port", "")).split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    user = f"{parts['user']}@" if "user" in parts else ""
    options = [f"service={parts['service']}"] if "service" in parts else []
    if any(host.startswith(("/", "@")) for host in hosts):
        options = [f"host={','.join(hosts)}", *([f"port={','.join(ports)}"] if any(ports) else []), *options]
        places = ""
    else:
        hosts = [f"[{host}]" if ":" in host else host for host in hosts]
        places = ",".join(f"{h}:{p}" if p else h for h, p in zip(hosts, ports, strict=False))
    return (
        f"postgresql://{user}{places}/{parts.get('dbname', '')}"
        + ("?" if options else "")
        + "&".join(options)
    )


def _parsed(url: str) -> dict[str, str | int]:
    try:
        parsed = conninfo_to_dict(url)
    except (psycopg.Error, UnicodeError):
        # The messages quote the part that is not understood, and that may be the password.
        raise InvalidInput(
            "not a connection URL that PostgreSQL's client library understands",
            hint="It looks like postgresql://user:password@host:5432/database?sslmode=require; "
            "special characters in it are percent-encoded",
        ) from None
    return {name: value for name, value in parsed.items() if value is not None and value != ""}


def without_secrets(parameters: Mapping[str, str | int]) -> dict[str, str | int]:
    """Parameters that may stand on a command line."""
    return {name: value for name, value in parameters.items() if name not in _SECRETS}
