"""The COPY statement that reads one table, in the byte order of its keys.

Payload columns come first and the key's own expressions behind them: a key is no slice of the payload
(blank-padded types, escapes, generated columns). Types other than integers, uuid and text go through
format('%s'), which calls the type's output function; a cast to text would be another function, with
another result for boolean, "char", inet and blank-padded types.

The order is the column's own where its bytes sort as its values do, so that the primary key's index
can serve it.
"""

import re

from cas.errors import Unsupported
from cas.postgres.quoting import SQL_ASCII, column, conversation_encoding, qualified
from cas.postgres.reading.shapes import KeyColumn, Table
from cas.records.model import EntityKind, KeyPart

ALIAS = b"r."

_WHERE = re.compile(r"^\s*WHERE\b", re.IGNORECASE)


def copy_statement(table: Table, encoding: str, narrowed: bytes = b"") -> bytes:
    """`COPY (SELECT ...) TO STDOUT` for a session with client_encoding = the server's encoding.

    `narrowed`: a condition on rows `r`; only those are read for which it holds.
    """
    entity = table.entity
    only = b"" if entity.kind is EntityKind.PARTITIONED else b"ONLY "
    order = b", ".join(key_order(key, encoding) for key in table.key)
    return b"COPY (SELECT %b FROM %b%b AS r%b%b) TO STDOUT" % (
        selected_columns(table, encoding),
        only,
        qualified(entity.schema, entity.name, encoding),
        row_condition(table, encoding, narrowed),
        b" ORDER BY " + order if order else b"",
    )


def count_statement(table: Table, encoding: str) -> bytes:
    """How many rows `copy_statement` reads. For a session with client_encoding = the server's encoding."""
    entity = table.entity
    only = b"" if entity.kind is EntityKind.PARTITIONED else b"ONLY "
    return b"SELECT pg_catalog.count(*) FROM %b%b AS r%b" % (
        only,
        qualified(entity.schema, entity.name, encoding),
        row_condition(table, encoding, b""),
    )


def selected_columns(table: Table, encoding: str) -> bytes:
    """The payload's columns of a row `r`, and behind them the key's texts."""
    payload = [ALIAS + column(c.name, encoding) for c in table.entity.columns]
    if table.key and not payload:
        payload = [b"''::pg_catalog.text"]  # all columns are generated: an empty payload, and the key
    keys = [key_text(key, ALIAS + column(key.name, encoding)) for key in table.key]
    return b", ".join([*payload, *keys])


def key_text(key: KeyColumn, value: bytes) -> bytes:
    """What COPY prints of a value of the key's column."""
    if key.part is not KeyPart.TEXT or key.sorts_as_text:
        return value
    return b"pg_catalog.format('%%s', %b)" % value


def key_order(key: KeyColumn, encoding: str) -> bytes:
    """By what rows `r` are put in the order of the key's bytes."""
    value = ALIAS + column(key.name, encoding)
    if key.part is KeyPart.TEXT:
        return key_text(key, value) + b' COLLATE pg_catalog."C"'
    return value


def row_condition(table: Table, encoding: str, narrowed: bytes) -> bytes:
    """The extension's own `WHERE ...` (the other rows come with CREATE EXTENSION), and what narrows it."""
    conditions = [narrowed] if narrowed else []
    if table.condition:
        in_names_encoding = encoding == "UTF8" or conversation_encoding(encoding) == SQL_ASCII
        if not (in_names_encoding or table.condition.isascii()):
            raise Unsupported(
                "an extension's condition on its configuration table is not in ASCII",
                where=table.entity.label,
            )
        own = _WHERE.sub("", table.condition, count=1)
        conditions.append(own.encode("utf-8", "surrogateescape"))
    return b" WHERE (" + b") AND (".join(conditions) + b")" if conditions else b""
