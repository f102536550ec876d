r"""A value's bytes as text that any program can hold, and back, without loss.

Text is Unicode. A byte that is no text in the database's encoding is the lone surrogate U+DC80..U+DCFF, as
`cas.records.encodings` makes it; where a codec of Python would not give the same bytes back, every byte above
7F is. SQL_ASCII knows bytes only; they are shown as UTF-8 where they are.
"""

import re
from json.encoder import encode_basestring

from cas.errors import InvalidInput
from cas.records.encodings import decode_text, encode_text

_AS_UTF8 = ("UTF8", "SQL_ASCII")
_SURROGATE = re.compile("[\ud800-\udfff]")


def to_text(value: bytes, encoding: str) -> str:
    """For a file."""
    if encoding in _AS_UTF8:
        return value.decode("utf-8", "surrogateescape")
    try:
        text = decode_text(value, encoding)
        if encode_text(text, encoding) == value:
            return text
    except (InvalidInput, UnicodeDecodeError):
        pass
    return value.decode("ascii", "surrogateescape")


def to_bytes(text: str, encoding: str) -> bytes:
    """The inverse of `to_text`. ValueError for what the database cannot hold."""
    if "\0" in text:
        raise ValueError("the character U+0000, which no database holds")
    if encoding not in _AS_UTF8:
        try:
            return encode_text(text, encoding)
        except InvalidInput:
            raise ValueError(f"a character that the encoding {encoding} does not have") from None
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise ValueError("a lone surrogate that stands for no byte") from None


def json_string(text: str) -> str:
    r"""On one line; lone surrogates as `\udcXX`."""
    quoted: str = encode_basestring(text)
    return quoted if quoted.isascii() else escaped_surrogates(quoted)


def escaped_surrogates(text: str) -> str:
    r"""JSON text that UTF-8 can carry: surrogates, which only stand in strings, as `\udcXX`."""
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
