"""Reading the values that sequences have reached."""

from collections.abc import Iterator, Sequence

import psycopg

from cas.postgres.quoting import qualified
from cas.postgres.reading.copying import copied
from cas.postgres.reading.introspection_sequences import QUOTED_NAME
from cas.postgres.reading.shapes import Sequence as DatabaseSequence
from cas.records.model import RecordBatch
from cas.records.payload import unescape

SEQUENCES_PER_STATEMENT = 200
"""A statement over many relations is planned as a whole; few of them keep it short."""


def sequence_batches(
    connection: psycopg.Connection, sequences: Sequence[DatabaseSequence], encoding: str
) -> Iterator[RecordBatch]:
    """One record per sequence, as cas.records.sequences defines it, ascending by quoted name.

    `sequences` come in that order (sequences_of gives it). SourceChanged where one was dropped.
    """
    for at in range(0, len(sequences), SEQUENCES_PER_STATEMENT):
        for rows in copied(
            connection.pgconn,
            _statement(sequences[at : at + SEQUENCES_PER_STATEMENT], encoding),
            where="sequences",
        ):
            payloads = [bytes(row[:-1]) for row in rows]
            yield RecordBatch([(unescape(p.split(b"\t", 1)[0]) or b"") + b"\0" for p in payloads], payloads)


def _statement(sequences: Sequence[DatabaseSequence], encoding: str) -> bytes:
    values = b" UNION ALL ".join(
        b"SELECT %d::oid, last_value, is_called FROM %b" % (s.oid, qualified(s.schema, s.name, encoding))
        for s in sequences
    )
    name = QUOTED_NAME.encode("ascii")
    return (
        b"COPY (SELECT %b, v.last_value, v.is_called FROM (%b) AS v(oid, last_value, is_called)"
        b" JOIN pg_class c ON c.oid = v.oid JOIN pg_namespace n ON n.oid = c.relnamespace"
        b' ORDER BY %b COLLATE "C") TO STDOUT' % (name, values, name)
    )
