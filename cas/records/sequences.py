"""The entity of all sequences: one record per sequence, with the value it has reached.

Payload, as COPY text fields: `name TAB last_value TAB is_called`. The name is schema and sequence,
each quoted as SQL demands and joined by a dot, so that it is SQL for a regclass; `is_called` is `t`
or `f`, as setval takes it. Values are read outside the snapshot's visibility (sequences have none),
never older than the rows that use them.
"""

from dataclasses import dataclass

from cas.records.model import Column, Entity, EntityKind, KeyPart
from cas.records.payload import escape, fields

COLUMNS = (
    Column("name", "text", not_null=True),
    Column("last_value", "bigint", not_null=True),
    Column("is_called", "boolean", not_null=True),
)

SEQUENCES = Entity(
    kind=EntityKind.SEQUENCES, schema="", name="sequences", columns=COLUMNS, key=(("name", KeyPart.TEXT),)
)


@dataclass(frozen=True, slots=True)
class SequenceState:
    """What setval needs: the quoted name in the server's encoding, the value, and whether it was drawn."""

    name: bytes
    last_value: int
    is_called: bool


def encode_sequence(state: SequenceState) -> bytes:
    """The payload of one sequence."""
    return b"%b\t%d\t%b" % (escape(state.name), state.last_value, b"t" if state.is_called else b"f")


def decode_sequence(payload: bytes) -> SequenceState:
    """The state in a payload. ValueError where it is none, or not the one encoding of it."""
    name, value, called = fields(payload, len(COLUMNS))
    if name is None or value is None or called not in (b"t", b"f"):
        raise ValueError("not a sequence's payload")
    state = SequenceState(name, int(value), called == b"t")
    if encode_sequence(state) != payload or not -(1 << 63) <= state.last_value < 1 << 63:
        raise ValueError("not the one encoding of a sequence, or beyond 64 bits")
    return state
