"""What a server says to a statement or predicate of a person, as our errors: its words, and the place."""

from dataclasses import dataclass

import psycopg

from cas.errors import CasError, InvalidInput, PermissionDenied, TimedOut, Unsupported
from cas.postgres.faults import MAX_MESSAGE, fault_of
from cas.postgres.filling.faults import cut
from cas.records.scratch import is_lack

_DENIED = frozenset({"25006", "42501"})
"""A write in a transaction that only reads; a privilege that the role lacks."""

_READS_ONLY = "Only statements that read are run, as a role that may nothing but read this copy"
_LONGER = "Give it more time with --timeout, or ask for less"
_ABOUT_IT = frozenset({"21", "22", "23", "2F", "34", "38", "39", "3F", "42", "44", "54", "55", "P0", "25"})
"""Classes of SQLSTATEs that are about the statement itself."""

_UNDEFINED = frozenset({"3F000", "42703", "42704", "42883", "42P01"})

SHOWN_BEFORE, SHOWN_AFTER = 30, 30
"""Characters around the place of an error."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person typed, as it is sent: `before` are the characters that we put in front of it."""

    text: str
    before: int
    what: str = "the statement"


def refusal_of(error: psycopg.Error, asked: Asked, *, lacks: str = "", hint: str = "") -> CasError:
    """The error. `lacks` says what this server could not build, `hint` what to do about that."""
    state = error.sqlstate or ""
    said = " ".join(filter(None, (error.diag.message_primary or str(error), error.diag.message_detail)))
    words, where = cut(said, MAX_MESSAGE), _place(error, asked)
    advice = (error.diag.message_hint or "").strip().rstrip(".")
    if state in _DENIED:
        return PermissionDenied(f"{asked.what} was refused: {words}", where=where, hint=_READS_ONLY)
    if state == "57014":
        return TimedOut(f"{asked.what} took too long", where=where, hint=_LONGER)
    if state == "0A000":
        unsupported = Unsupported(f"{asked.what} does not work here: {words}", where=where, hint=advice)
        unsupported.hint = hint if is_lack(unsupported) else advice
        return unsupported
    if state == "08P01":  # what a server says to a parameter without a value
        return InvalidInput(f"{asked.what} has parameters: {words}", hint="Write values in place of $1")
    if state[:2] in _ABOUT_IT:
        if state in _UNDEFINED and lacks:
            advice = f"This server could not build {lacks}. {hint}"
        return InvalidInput(f"{asked.what} does not work: {words}", where=where, hint=advice)
    return fault_of(error, where=where)


def _place(error: psycopg.Error, asked: Asked) -> str:
    """Line and column, and the text around them; "" where the server named none."""
    at = int(error.diag.statement_position or 0) - 1 - asked.before
    if not 0 <= at <= len(asked.text):
        return ""
    head = asked.text[:at]
    line, column = head.count("\n") + 1, at - (head.rfind("\n") + 1) + 1
    near = f"{asked.text[max(0, at - SHOWN_BEFORE) : at]} >>> {asked.text[at : at + SHOWN_AFTER]}"
    return f"line {line}, column {column}: {' '.join(near.split())}"
