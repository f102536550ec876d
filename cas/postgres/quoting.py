"""SQL identifiers and texts as bytes, in whatever encoding the server has.

Names travel as `str`. A conversation with a server runs in UTF8, which every encoding converts to,
except with SQL_ASCII servers: there bytes are not text, and they come and go unchanged, bytes that
are no UTF-8 as surrogates ("surrogateescape").

Records are read with client_encoding = server_encoding, and then a name in a statement would have to
be in that encoding, for which Python may have no codec. Unicode escapes avoid the question.
"""

from psycopg.adapt import Buffer, Loader

SQL_ASCII = "SQL_ASCII"


def identifier(name: str) -> bytes:
    """A quoted identifier for a session with any client_encoding, on servers other than SQL_ASCII."""
    if name.isascii():
        return b'"%b"' % name.replace('"', '""').encode()
    escaped = "".join(
        c if " " <= c < "\x7f" and c not in '\\"' else '""' if c == '"' else f"\\+{ord(c):06x}" for c in name
    )
    return b'U&"%b"' % escaped.encode("ascii")


def raw_identifier(name: str) -> bytes:
    """A quoted identifier for a SQL_ASCII server: the name's own bytes."""
    return b'"%b"' % name.replace('"', '""').encode("utf-8", "surrogateescape")


def qualified(schema: str, name: str, encoding: str) -> bytes:
    """`"schema"."name"` for a server with this encoding."""
    quote = raw_identifier if encoding == SQL_ASCII else identifier
    return quote(schema) + b"." + quote(name)


def column(name: str, encoding: str) -> bytes:
    """A quoted column's name for a server with this encoding."""
    return raw_identifier(name) if encoding == SQL_ASCII else identifier(name)


def literal(text: str) -> bytes:
    """A string constant in UTF8, for statements that run before the encoding is switched."""
    return b"'%b'" % text.replace("'", "''").encode("utf-8", "surrogateescape")


def shown(*names: str) -> str:
    """One identifier, or several joined by dots, as SQL for people to copy."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


class BytesAsText(Loader):
    """Loads texts of a SQL_ASCII server: UTF-8 where it is, surrogates where it is not."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode("utf-8", "surrogateescape")
