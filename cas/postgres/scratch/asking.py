"""Running a person's statement so that it can do nothing but read its throwaway database.

What holds it, from the outside in: it runs as a role that may do nothing elsewhere (see `server`), on a
connection that nothing else uses; in a transaction that only reads, which a statement cannot change any
more once it has a snapshot; behind DECLARE CURSOR, which takes SELECT, VALUES and WITH and nothing else;
sent by the extended protocol, in which one message is one statement; and within a time, after which the
server's administrator ends the session, since the statement itself could change its own time-out.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from threading import Timer

import psycopg

from cas.errors import CasError, CorruptData, InvalidInput, TimedOut
from cas.postgres.connecting import ConnectionOptions, connect
from cas.postgres.quoting import shown
from cas.postgres.scratch.refusals import Asked
from cas.postgres.statements import statements
from cas.records.scratch import Form, ReadLimits, ResultColumn, Row

FETCH_ROWS = 500
"""Rows that are asked for at a time."""

PATIENCE_SECONDS = 5.0
"""Beyond a statement's time, until its session is ended."""

TEMP_FILE_KIB = 8 * 1024 * 1024
"""Disk that one statement may fill with what it sorts and joins, where the server lets us set it: 8 GiB."""

_CURSOR = "DECLARE cas_query NO SCROLL CURSOR FOR "
BEFORE = len(_CURSOR)

_FORMS = {
    16: Form.BOOLEAN,
    **dict.fromkeys((20, 21, 23, 26, 700, 701, 1700), Form.NUMBER),
    **dict.fromkeys((114, 3802), Form.JSON),
}
"""By the oid of the type: bool; int8, int2, int4, oid, float4, float8, numeric; json, jsonb."""


def one_statement(sql: str) -> str:
    """The one statement of a text, without comments around it and semicolon. InvalidInput for none, several,
    or a quote that never ends."""
    if "\0" in sql:
        raise InvalidInput("the statement has a zero byte in it")
    try:
        found = list(statements(sql))
    except CorruptData as error:
        raise InvalidInput("a quote or comment in the statement never ends") from error
    if len(found) != 1:
        says = "there is no statement" if not found else f"there are {len(found)} statements"
        raise InvalidInput(says, hint="Give one SELECT, in quotes for the shell")
    return found[0]


def asked(statement: str) -> Asked:
    """The statement as `Reading` sends it, for errors."""
    return Asked(statement, BEFORE)


class Reading:
    """The rows of one statement; made by `reading`."""

    def __init__(
        self, connection: psycopg.Connection, limits: ReadLimits, watch: Callable[[], Timer | None]
    ) -> None:
        self._connection = connection
        self._left = limits.rows
        self._is_bounded = limits.rows > 0
        self._watch = watch
        self._waiting = self._fetched(0)
        self.is_cut = False

    @property
    def columns(self) -> Sequence[ResultColumn]:
        return self._columns

    def batches(self) -> Iterator[list[Row]]:
        """Raises psycopg.Error: `refusals` knows what it means."""
        while rows := self._fetched(FETCH_ROWS):
            if self._is_bounded and len(rows) > self._left:
                rows, self.is_cut = rows[: self._left], True
            self._left -= len(rows)
            if rows:
                yield rows
            if self.is_cut:
                return

    def _fetched(self, count: int) -> list[Row]:
        with self._watched():
            result = self._connection.execute(f"FETCH FORWARD {count} FROM cas_query".encode()).pgresult
        assert result is not None
        self._columns = [
            ResultColumn(_text(result.fname(at)) or "", _FORMS.get(result.ftype(at), Form.TEXT))
            for at in range(result.nfields)
        ]
        places = range(result.nfields)
        return [tuple([_text(result.get_value(row, at)) for at in places]) for row in range(result.ntuples)]

    @contextmanager
    def _watched(self) -> Iterator[None]:
        timer = self._watch()
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()


@contextmanager
def reading(
    own: str, admin: str, options: ConnectionOptions, search_path: Sequence[str], sql: str, limits: ReadLimits
) -> Iterator[Reading]:
    """Run a statement, on a connection of its own that ends with the block. `own` and `admin` are the
    owner's and the administrator's ways to the database. Raises psycopg.Error for what the server refuses;
    TimedOut where the session had to be ended."""
    _bound_files(admin, own, options)
    ended: list[bool] = []
    with closing(connect(own, options)) as connection:
        connection.prepare_threshold = 5  # lets statements be sent by the extended protocol
        process = connection.pgconn.backend_pid

        def watch() -> Timer | None:
            if not limits.seconds:
                return None
            timer = Timer(limits.seconds + PATIENCE_SECONDS, _end_session, (admin, options, process, ended))
            timer.daemon = True
            timer.start()
            return timer

        settle(connection, search_path, limits.seconds)
        timer = watch()
        try:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.execute((_CURSOR + sql).encode("utf-8", "surrogateescape"), prepare=True)
            if timer is not None:
                timer.cancel()
            yield Reading(connection, limits, watch)
        except psycopg.Error as error:
            if ended:
                raise TimedOut(
                    f"the statement did not end when its {limits.seconds:g} s were over",
                    hint="Its session was ended. Give it more time with --timeout, or ask for less",
                ) from error
            raise
        finally:
            if timer is not None:
                timer.cancel()


def settle(connection: psycopg.Connection, search_path: Sequence[str], seconds: float) -> None:
    """As a person on the platform would find it, and with a time for each statement."""
    path = ", ".join(shown(schema) for schema in search_path)
    connection.execute(f"SET search_path = {path}".encode("utf-8", "surrogateescape"))
    connection.execute(f"SET statement_timeout = {round(seconds * 1000)}".encode())


def _end_session(admin: str, options: ConnectionOptions, process: int, ended: list[bool]) -> None:
    """On a thread of its own. Where it fails, the end of the database ends the session."""
    with suppress(psycopg.Error, CasError), closing(connect(admin, options)) as connection:
        ended.append(True)
        connection.execute("SELECT pg_terminate_backend(%s)", [process])


def _bound_files(admin: str, own: str, options: ConnectionOptions) -> None:
    """Only a superuser may set this; the role's own statements cannot change it."""
    role = psycopg.conninfo.conninfo_to_dict(own)["user"]
    with closing(connect(admin, options)) as connection, suppress(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"ALTER ROLE {shown(str(role))} SET temp_file_limit = {TEMP_FILE_KIB}".encode())


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "surrogateescape")
