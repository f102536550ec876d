r"""Statements of a version in a script for psql, which reads a language of its own around SQL.

psql finds the ends of quotes by itself, puts its variables in place of `:name`, and takes a backslash outside
of quotes for a command, `\!` of the shell among them. A version may have been made by hand, so that a quote
ends elsewhere for psql than for us. Only what everybody reads alike stands there as it is; anything else is a
text in hexadecimal, which psql gets back from the server and sends there again unseen (`\gexec`).
"""

import re

_READ_ALIKE = re.compile(
    r"""
    (?>
      [^'"\\$\r\0/:-]
    | / (?!\*) | - (?!-) | :: | : (?=[\s=])
    | '[^'\\]*' | "[^"\\]*"
    | (?<=[ \n\t]) (?P<tag>\$[A-Za-z_]*\$) (?s:.*?) (?P=tag)
    )*+
    """,
    re.VERBOSE | re.ASCII,
)
"""No comments, no backslashes but in dollar quotes, and these where nothing before them can take them in."""


def for_psql(statement: str, *, encoding: bytes) -> bytes:
    """A statement with its end. `encoding`: an SQL expression, that of the script's own text."""
    text = statement.encode("utf-8", "surrogateescape")
    if _READ_ALIKE.fullmatch(statement):
        return text + b";\n"
    return b"SELECT pg_catalog.convert_from('\\x%b'::pg_catalog.bytea, %b)\n\\gexec\n" % (
        text.hex().encode(),
        encoding,
    )
