"""SQL identifiers and texts as bytes, in whatever encoding the server has.

Names travel as `str`. A conversation with a server runs in UTF8, which all encodings but two convert
to: a SQL_ASCII server knows bytes and no characters, and MULE_INTERNAL has no conversion. With these,
client_encoding is SQL_ASCII, bytes come and go unchanged, and those that are no UTF-8 are surrogates
in Python ("surrogateescape").

Records are read with client_encoding = server_encoding, and then a name in a statement would have to
be in that encoding, for which Python may have no codec. Unicode escapes avoid the question.
"""

from psycopg.adapt import Buffer, Loader

SQL_ASCII = "SQL_ASCII"

_UNCONVERTED = (SQL_ASCII, "MULE_INTERNAL")


def conversation_encoding(server_encoding: str) -> str:
    """The client_encoding in which statements and names are exchanged with such a server."""
    return SQL_ASCII if server_encoding in _UNCONVERTED else "UTF8"


def _identifier(name: str) -> bytes:
    """For a session with any client_encoding, where the server converts from Unicode."""
    if name.isascii():
        return b'"%b"' % name.replace('"', '""').encode()
    escaped = "".join(
        c if " " <= c < "\x7f" and c not in '\\"' else '""' if c == '"' else f"\\+{ord(c):06x}" for c in name
    )
    return b'U&"%b"' % escaped.encode("ascii")


def _raw_identifier(name: str) -> bytes:
    """For servers that convert nothing: the name's own bytes."""
    return b'"%b"' % name.replace('"', '""').encode("utf-8", "surrogateescape")


def qualified(schema: str, name: str, encoding: str) -> bytes:
    """`"schema"."name"` for a server with this encoding."""
    return column(schema, encoding) + b"." + column(name, encoding)


def column(name: str, encoding: str) -> bytes:
    """A quoted column's name for a server with this encoding, whatever the client_encoding."""
    return _raw_identifier(name) if encoding in _UNCONVERTED else _identifier(name)


def literal(text: str) -> bytes:
    """A string constant, for a session in the conversation's encoding."""
    return b"'%b'" % text.replace("'", "''").encode("utf-8", "surrogateescape")


def bytes_literal(text: bytes, encoding: str) -> bytes:
    """A text by its own bytes, whatever the client encoding."""
    if text.isascii() or conversation_encoding(encoding) == "SQL_ASCII":
        return b"'%b'" % text.replace(b"'", b"''")
    return b"pg_catalog.convert_from('\\x%b'::pg_catalog.bytea, '%b')" % (
        text.hex().encode(),
        encoding.encode(),
    )


def shown(*names: str) -> str:
    """One identifier, or several joined by dots, as SQL for people to copy."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


class BytesAsText(Loader):
    """Loads texts of a conversation in SQL_ASCII: UTF-8 where it is, surrogates where it is not."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode("utf-8", "surrogateescape")
