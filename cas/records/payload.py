r"""A record's canonical bytes: its row as one line of COPY text, without what may vary.

The encoding is PostgreSQL's own (documentation, "COPY", text format): fields joined by TAB,
NULL as `\N`, backslash escapes. The line end is left out, and so are trailing NULL fields except
the first field, so that a nullable column that is added later changes no record.
"""

from cas.errors import CorruptData

NULL = rb"\N"
TAB = b"\t"


def strip_trailing_nulls(line: bytes) -> bytes:
    r"""The payload of a COPY line that has no line end. `a\t\N\t\N` -> `a`; `\N\t\N` -> `\N`."""
    while line.endswith(b"\t\\N"):
        line = line[:-3]
    return line


def pad_with_nulls(payload: bytes, columns: int, where: str = "") -> bytes:
    """The COPY line with all `columns` fields. CorruptData where there are more already."""
    missing = columns - 1 - payload.count(TAB) if columns else 0
    if missing < 0:
        raise CorruptData("a record has more fields than columns", kind="malformed", where=where)
    return payload + b"\t\\N" * missing if missing else payload


_ESCAPES = {
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
}
_UNESCAPES = {value[0]: b"\\" + key for key, value in _ESCAPES.items()} | {ord("\\"): b"\\\\"}


def unescape(field: bytes) -> bytes | None:
    r"""The value's text of one field; None for NULL. Octal and hex escapes are never emitted by COPY TO."""
    if field == NULL:
        return None
    if b"\\" not in field:
        return field
    parts = field.split(b"\\")
    out = [parts[0]]
    index = 1
    while index < len(parts):
        part = parts[index]
        if part:
            out.append(_ESCAPES.get(part[:1], part[:1]) + part[1:])
        else:
            index += 1
            out.append(b"\\" + (parts[index] if index < len(parts) else b""))
        index += 1
    return b"".join(out)


def escape(text: bytes | None) -> bytes:
    """One field of a COPY line for a value's text, as COPY TO writes it."""
    if text is None:
        return NULL
    if not any(byte in text for byte in b"\b\f\n\r\t\v\\"):
        return text
    return b"".join(_UNESCAPES.get(byte, bytes((byte,))) for byte in text)


def fields(payload: bytes, columns: int) -> list[bytes | None]:
    """The texts of all columns of a record; stripped NULLs come back."""
    if columns == 0:
        return []
    found = payload.count(TAB) + 1  # counted first: a gigabyte of them is no list
    if found > columns:
        raise ValueError(f"{found} fields for {columns} columns")
    texts = [unescape(field) for field in payload.split(TAB)]
    return texts + [None] * (columns - len(texts))
