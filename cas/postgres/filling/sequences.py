"""The values of sequences: exactly last_value and is_called, as setval sets them.

`ALTER SEQUENCE ... RESTART` would set is_called to false; after it, the next value drawn would be one
that the source has already given out. setval does not roll back, which matters in a live database
and not in one that is being filled.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

import psycopg

from cas.errors import CorruptData
from cas.postgres.filling.faults import refusal
from cas.records.sequences import SequenceState, decode_sequence

_BATCH = 500
"""Sequences that one statement sets."""

_SET = """
SELECT s.name, setval(to_regclass(s.name), s.value, s.called)
FROM (SELECT convert_from(u.name, getdatabaseencoding()) AS name, u.value, u.called
      FROM unnest(%b::bytea[], %b::int8[], %b::bool[]) AS u(name, value, called)) s
"""
# setval is strict: NULL for a sequence that does not exist.


def set_sequences(connection: psycopg.Connection, payloads: Iterable[bytes]) -> list[str]:
    """Set them all. Returns the names of those that the database does not have.

    Raises CorruptData for a malformed payload.
    """
    states = map(_decoded, payloads)
    missing: list[str] = []
    while batch := list(islice(states, _BATCH)):
        values = [[s.name for s in batch], [s.last_value for s in batch], [s.is_called for s in batch]]
        try:
            missing += [str(name) for name, value in connection.execute(_SET, values) if value is None]
        except psycopg.Error as error:
            raise refusal(error, doing="setting sequences", where=_names(batch)) from error
    return missing


def _decoded(payload: bytes) -> SequenceState:
    try:
        return decode_sequence(payload)
    except ValueError as error:
        raise CorruptData("a sequence's record is malformed", kind="malformed", where="sequences") from error


def _names(batch: Iterable[SequenceState]) -> str:
    names: Iterator[str] = (state.name.decode("utf-8", "replace") for state in batch)
    return ", ".join(islice(names, 3)) + ", ..."
