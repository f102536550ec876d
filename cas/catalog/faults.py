"""PostgreSQL's refusals as our errors: by SQLSTATE, and by words where there is none."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from cas.contacting import passes
from cas.errors import (
    CasError,
    Conflict,
    ConnectionFailed,
    CorruptData,
    InsufficientSpace,
    NotFound,
    PermissionDenied,
    TimedOut,
    Unsupported,
)

_BY_STATE: tuple[tuple[tuple[str, ...], type[CasError], str, str], ...] = (
    (("28",), PermissionDenied, "the catalog's server refuses the login", "Check user and password"),
    (("42501",), PermissionDenied, "the catalog's user lacks a right", ""),
    (("25006",), PermissionDenied, "the catalog is read-only", "It may be a standby; name the primary"),
    (("3D000",), NotFound, "the catalog's database does not exist", "Create it: CREATE DATABASE"),
    (("57014", "55P03", "40"), TimedOut, "the catalog took too long", "Another try may succeed"),
    (("53100",), InsufficientSpace, "the catalog's disk is full", "Make room on its server"),
    (("53200", "53400"), InsufficientSpace, "the catalog's server is out of memory or over a limit", ""),
    (("53300",), ConnectionFailed, "the catalog's server has no connection left", "Raise max_connections"),
    (("08", "57P", "25P03", "25P04"), ConnectionFailed, "the connection to the catalog was lost", ""),
    (("42P01", "42703", "3F000"), Conflict, "the catalog's tables are not those of this program", ""),
)
"""Beginnings of SQLSTATEs, the error, what it says, the hint. The first that fits counts."""

_BY_WORDS: tuple[tuple[str, type[CasError], str, str], ...] = (
    (
        "password authentication failed|no password supplied|authentication failed|pg_hba.conf"
        "|role .* (does not exist|is not permitted)|permission denied for database",
        PermissionDenied,
        "the catalog's server refuses the login",
        "Check user and password",
    ),
    (
        'database ".*" does not exist',
        NotFound,
        "the catalog's database does not exist",
        "Create it: CREATE DATABASE",
    ),
    ("timeout expired|timed out", TimedOut, "the catalog's server did not answer in time", ""),
    (
        "too many clients|remaining connection slots|too many connections",
        ConnectionFailed,
        "the catalog's server has no connection left",
        "Raise max_connections",
    ),
)
"""For a connection that never came up: libpq then gives a text and no SQLSTATE."""


@contextmanager
def catalog_faults(where: str) -> Iterator[None]:
    """Raise what psycopg raises as our errors; `where` is the catalog's URL without password."""
    try:
        yield
    except psycopg.Error as error:
        raise fault_of(error, where) from error


def is_passing(error: CasError) -> bool:
    """Whether a connection that failed with this error may come up the next time."""
    cause = error.__cause__
    return isinstance(cause, psycopg.OperationalError) and passes(cause.sqlstate, str(cause))


def fault_of(error: psycopg.Error, where: str) -> CasError:
    """The error that this one means. psycopg's texts carry no password; URLs are never in them."""
    state = error.sqlstate
    said = (error.diag.message_primary or str(error)).strip().splitlines()
    told = [line.strip(" \t-") for line in said if "Is the server running" not in line]
    words = told[-1].removeprefix("connection is bad: ") if told else type(error).__name__
    if state is None:
        return _without_state(error, words, where)
    if state in ("XX001", "XX002"):
        return CorruptData(f"the catalog's database is damaged: {words}", kind="malformed", where=where)
    for beginnings, kind, what, hint in _BY_STATE:
        if state.startswith(beginnings):
            return kind(f"{what}: {words}", where=where, hint=hint)
    return CasError(f"the catalog's server refused: {words} [{state}]", where=where)


def _without_state(error: psycopg.Error, words: str, where: str) -> CasError:
    text = str(error)
    for pattern, kind, what, hint in _BY_WORDS:
        if re.search(pattern, text):
            return kind(f"{what}: {words}", where=where, hint=hint)
    if isinstance(error, psycopg.NotSupportedError):
        return Unsupported(f"the catalog's server cannot do this: {words}", where=where)
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return ConnectionFailed(
            f"the catalog does not answer: {words}",
            where=where,
            hint="Check that PostgreSQL runs there and that CAS_CATALOG is right",
        )
    return CasError(f"the catalog's server refused: {words}", where=where)
