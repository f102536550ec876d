"""What PostgreSQL and libpq report, as our errors: one table of SQLSTATEs, in one place.

Messages are the server's own first line, cut to MAX_MESSAGE characters. They never hold a password:
libpq does not print one, except when it quotes a URL that it cannot parse (see `connecting`).
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.pq import DiagnosticField
from psycopg.pq.abc import PGresult

from cas.contacting import passes
from cas.errors import (
    CasError,
    ConnectionFailed,
    CorruptData,
    InsufficientSpace,
    PermissionDenied,
    SourceChanged,
    TimedOut,
    Unsupported,
)

MAX_MESSAGE = 300
"""Characters of a server's message that an error carries: user data may stand in it."""


@dataclass(frozen=True, slots=True)
class _Meaning:
    kind: type[CasError]
    hint: str = ""


_AGAIN = "Try again; if it goes on, look for a migration or a maintenance job that runs at the same time"
_LOCKS = "Raise max_locks_per_transaction on the server, or read fewer tables at once"
_DAMAGED = (
    "The server cannot read its own storage: check its log, its disk and pg_amcheck before anything else"
)

_MEANINGS: dict[str, _Meaning] = {
    "08": _Meaning(ConnectionFailed),
    "28": _Meaning(PermissionDenied, "Check user, password and pg_hba.conf"),
    "3D000": _Meaning(ConnectionFailed, "Check the database's name in the URL"),
    "3F000": _Meaning(SourceChanged, _AGAIN),
    "0A": _Meaning(Unsupported),
    "25P03": _Meaning(TimedOut, "The server ends idle transactions: idle_in_transaction_session_timeout"),
    "25P04": _Meaning(TimedOut, "The server ends long transactions: transaction_timeout"),
    "40": _Meaning(SourceChanged, _AGAIN),
    "42501": _Meaning(PermissionDenied),
    "42704": _Meaning(SourceChanged, _AGAIN),
    "42703": _Meaning(SourceChanged, _AGAIN),
    "42883": _Meaning(SourceChanged, _AGAIN),
    "42P01": _Meaning(SourceChanged, _AGAIN),
    "53": _Meaning(InsufficientSpace),
    "53200": _Meaning(InsufficientSpace, _LOCKS),
    "53300": _Meaning(ConnectionFailed, "The server has no connection left: max_connections"),
    "53400": _Meaning(InsufficientSpace, "A limit of the server was reached, for example temp_file_limit"),
    "54": _Meaning(Unsupported, "A value is larger than PostgreSQL can put out as text (1 GiB)"),
    "55P03": _Meaning(TimedOut, "Somebody holds or awaits an exclusive lock on a table that is read"),
    "57014": _Meaning(TimedOut, "The statement was cancelled: by statement_timeout, or by an administrator"),
    "57P": _Meaning(ConnectionFailed, "The server ended the connection"),
    "58": _Meaning(CorruptData, _DAMAGED),
    "58000": _Meaning(CasError),
    "XX001": _Meaning(CorruptData, _DAMAGED),
    "XX002": _Meaning(CorruptData, _DAMAGED),
}
"""By SQLSTATE or its beginning; the longest one counts."""

_REFUSED = re.compile(
    "password authentication failed|authentication failed for user|no pg_hba.conf entry|no password supplied"
    '|role ".*" does not exist|role ".*" is not permitted|permission denied|requires a valid client cert'
)


def fault(sqlstate: str, message: str, *, where: str = "") -> CasError:
    """The error for a SQLSTATE; where it says nothing to us, a plain CasError with the server's words."""
    what = _first_line(message)
    if sqlstate == "XX000" and _VALUE_TOO_LARGE.search(what):
        return Unsupported(what, where=where, hint=_MEANINGS["54"].hint)
    if sqlstate == "XX000" and _GONE.search(what):
        return SourceChanged(what, where=where, hint=_AGAIN)
    for length in range(len(sqlstate), 1, -1):
        meaning = _MEANINGS.get(sqlstate[:length])
        if meaning is None:
            continue
        if meaning.kind is CorruptData:
            return CorruptData(what, kind="malformed", where=where, hint=meaning.hint)
        return meaning.kind(what, where=where, hint=meaning.hint)
    return CasError(what or "the server failed and gave no reason", where=where)


_VALUE_TOO_LARGE = re.compile("invalid memory alloc request size|string buffer|exceeds? the limit")
_GONE = re.compile("could not open relation|cache lookup failed|could not find (tuple|attribute)")
"""Internal errors of a server whose catalog changes under a statement. English, as `lc_messages` of
servers mostly is; in another language they stay plain errors, which end the work just as well."""


def fault_of_result(result: PGresult, *, where: str = "") -> CasError:
    """The error that a failed result of libpq carries."""
    state = result.error_field(DiagnosticField.SQLSTATE) or b""
    text = result.error_field(DiagnosticField.MESSAGE_PRIMARY) or result.error_message
    if not state:
        return ConnectionFailed(_first_line(text.decode(errors="replace")), where=where)
    return fault(state.decode("ascii", "replace"), text.decode(errors="replace"), where=where)


def fault_of(error: psycopg.Error, *, where: str = "") -> CasError:
    """The error for one of psycopg's. Without a SQLSTATE it is about the connection."""
    if error.sqlstate:
        return fault(error.sqlstate, error.diag.message_primary or str(error), where=where)
    text = str(error)
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        if _REFUSED.search(text):
            return PermissionDenied(_first_line(text), where=where, hint=_MEANINGS["28"].hint)
        return ConnectionFailed(_first_line(text), where=where)
    if isinstance(error, psycopg.NotSupportedError):
        return Unsupported(_first_line(text), where=where)
    return CasError(_first_line(text), where=where)


def is_passing(error: CasError) -> bool:
    """Whether a connection that failed with this error may come up the next time."""
    cause = error.__cause__
    return isinstance(cause, psycopg.OperationalError) and passes(cause.sqlstate, str(cause))


@contextmanager
def faults_of(where: str = "") -> Iterator[None]:
    """Raise psycopg's errors of the block as ours. `where` names the table or the server."""
    try:
        yield
    except psycopg.Error as error:
        raise fault_of(error, where=where) from error


def _first_line(text: str) -> str:
    line = text.strip().split("\n", 1)[0]
    return line if len(line) <= MAX_MESSAGE else line[: MAX_MESSAGE - 3] + "..."
