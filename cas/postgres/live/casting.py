"""Texts of values inside of statements, and what another type makes of them."""

from collections.abc import Sequence
from contextlib import closing

import psycopg

from cas.errors import CasError, Conflict
from cas.postgres.quoting import bytes_literal
from cas.postgres.reading.copying import copied
from cas.records.payload import unescape


def cast_texts(
    connection: psycopg.Connection, type_name: str, texts: Sequence[bytes], encoding: str
) -> list[bytes]:
    """In a session whose client encoding is the server's. Conflict where one is no value of the type."""
    if not texts:
        return []
    statement = b"COPY (SELECT pg_catalog.format('%%s', u.v0::%b) FROM %b ORDER BY u.place) TO STDOUT" % (
        type_name.encode("utf-8", "surrogateescape"),
        listed([(text,) for text in texts], 1, encoding),
    )
    try:
        with closing(copied(connection.pgconn, statement, where=type_name)) as lists:
            return [unescape(bytes(row[:-1])) or b"" for rows in lists for row in rows]
    except CasError as error:
        if type(error) is not CasError:
            raise
        raise Conflict(
            f"a value of the version does not fit: {error.what}",
            where=type_name,
            hint="Nothing was changed. Leave the column out with --columns, or restore with --into",
        ) from error


def listed(values: Sequence[Sequence[bytes]], width: int, encoding: str) -> bytes:
    """`ROWS FROM (unnest(...), ...) AS u(v0, v1, ..., place)` over texts in the server's encoding.
    Places begin at 1."""
    arrays = [
        b"pg_catalog.unnest(ARRAY[%b]::pg_catalog.text[])"
        % b", ".join(bytes_literal(row[at], encoding) for row in values)
        for at in range(width)
    ]
    names = b", ".join(b"v%d" % at for at in range(width))
    return b"ROWS FROM (%b) WITH ORDINALITY AS u(%b, place)" % (b", ".join(arrays), names)
