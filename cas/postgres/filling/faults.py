"""What a database refuses while it is filled, as our errors.

The same SQLSTATE means another thing here than under a read: a missing relation is no change made
by somebody else, but something that the schema's text needs and this server does not have.
"""

import psycopg

from cas.errors import CasError, Conflict, Unsupported
from cas.postgres.faults import MAX_MESSAGE, fault_of

MAX_STATEMENT = 200
"""Characters of a statement that an error shows."""

_LACKS = "The target lacks what this needs: a role, a tablespace, an extension, or a newer server"
_RECORDS = (
    "The records do not fit the schema as this server understands it; compare versions, locale and extensions"
)

_MEANINGS: dict[str, tuple[type[CasError], str]] = {
    "22": (Conflict, _RECORDS),
    "23": (Conflict, _RECORDS),
    "3F000": (Conflict, _LACKS),
    "42601": (Unsupported, "The schema was written by a newer PostgreSQL; restore into that major version"),
    "42703": (Conflict, _LACKS),
    "42704": (Conflict, _LACKS),
    "42883": (Conflict, _LACKS),
    "42P01": (Conflict, _LACKS),
    "42P06": (Conflict, "Something of this name is there already"),
    "42P07": (Conflict, "Something of this name is there already"),
    "42710": (Conflict, "Something of this name is there already"),
    "42723": (Conflict, "Something of this name is there already"),
    "42P22": (Conflict, _LACKS),
    "42P17": (Unsupported, "The schema was written by a newer PostgreSQL; restore into that major version"),
    "40": (Conflict, "Somebody else changes this database; it must be left alone until the restore ends"),
    "55000": (Conflict, ""),
}
"""By SQLSTATE or its class; everything else means what it means under a read."""


def refusal(error: psycopg.Error, *, doing: str, where: str) -> CasError:
    """The error for one of psycopg's while `doing` something, with the server's words and detail."""
    state = error.sqlstate or ""
    known = _MEANINGS.get(state) or _MEANINGS.get(state[:2])
    if known is None:
        plain = fault_of(error, where=where)
        plain.what = f"{doing}: {plain.what}"
        plain.args = (plain.what,)
        return plain
    kind, hint = known
    words = " ".join(filter(None, (error.diag.message_primary, error.diag.message_detail)))
    return kind(f"{doing}: {cut(words or str(error), MAX_MESSAGE)}", where=where, hint=hint)


def cut(text: str, limit: int) -> str:
    """The text on one line, with at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."
