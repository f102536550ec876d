r"""Records as CSV (RFC 4180): a header, UTF-8, lines that end with CR LF. NULL is an empty field without
quotes, the empty text is `""`, as PostgreSQL's COPY does it.

A byte that is no text in the database's encoding is a lone surrogate (`cas.tabular.texts`) in the three bytes
that UTF-8 would give it.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from cas.records.model import Column
from cas.tabular.forms import Check
from cas.tabular.texts import to_text

_QUOTED = re.compile(r'[",\r\n]|\A[ \t]|[ \t]\Z|\A\\\.\Z|\A\Z')
_FIELD = re.compile(r'"([^"]*(?:""[^"]*)*)"(?=,|\Z)|([^",]*)(?=,|\Z)')
_ERRORS = "surrogatepass"


class CsvWriter:
    """Writes the lines of one entity."""

    def __init__(self, columns: Sequence[Column], encoding: str) -> None:
        self._encoding = encoding
        self._names = [column.name for column in columns]

    def head(self) -> bytes:
        return _joined([_quoted(name) for name in self._names])

    def line(self, values: Sequence[bytes | None]) -> bytes:
        """One record."""
        return _joined(["" if v is None else _quoted(to_text(v, self._encoding)) for v in values])


def _joined(fields: Sequence[str]) -> bytes:
    return f"{','.join(fields)}\r\n".encode("utf-8", _ERRORS)


def _quoted(text: str) -> str:
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if _QUOTED.search(text) else text


class CsvReader:
    """Reads the lines of one entity. ValueError says what is wrong with one."""

    def __init__(self, columns: Sequence[Column], encoding: str) -> None:
        self._names = [column.name for column in columns]
        self._checks = [Check(column, encoding) for column in columns]
        self._order = list(range(len(columns)))

    def take_head(self, line: bytes) -> None:
        """The header: the columns, in any order."""
        names = [name or "" for name in _fields(line, len(self._names))]
        if sorted(names) != sorted(self._names):
            wrong = (set(names) ^ set(self._names)) or {"one of them twice"}
            raise ValueError(f"the header does not name the entity's columns: {min(wrong)[:80]}")
        self._order = [self._names.index(name) for name in names]

    def values(self, line: bytes) -> list[bytes | None]:
        """The values of one record, in the order of the columns."""
        texts = _fields(line, len(self._order))
        if len(texts) != len(self._order):
            raise ValueError(f"{len(texts)} fields for {len(self._order)} columns")
        found: list[bytes | None] = [None] * len(texts)
        for place, text in zip(self._order, texts, strict=True):
            try:
                found[place] = None if text is None else self._checks[place](text)
            except ValueError as error:
                raise ValueError(f"column {self._names[place][:80]}: {error}") from error
        return found


def _fields(line: bytes, wanted: int) -> list[str | None]:
    """Those of one record, at most one too many: a gigabyte of commas is no list of as many fields."""
    text = line.decode("utf-8", _ERRORS)
    if wanted == 0 and not text:
        return []
    found: list[str | None] = []
    at = 0
    while True:
        match = _FIELD.match(text, at)
        if match is None:
            raise ValueError(f"a quote inside of a field, in field {len(found) + 1}")
        quoted, bare = match.groups()
        found.append(quoted.replace('""', '"') if quoted is not None else bare or None)
        at = match.end()
        if at == len(text):
            return found
        if len(found) > wanted:
            raise ValueError(f"more than {wanted} fields")
        at += 1


class Lines(Protocol):
    """What has lines: as files have them."""

    def readline(self, limit: int, /) -> bytes: ...


def csv_lines(stream: Lines, longest: int) -> Iterator[tuple[int, bytes]]:
    """Records without their line ends, and the number of the first line of each. A quoted field may hold line
    ends. ValueError where one is longer than `longest` bytes, or a quote stays open."""
    number = 1
    while line := stream.readline(longest):
        record, lines, quotes = bytearray(line), 1, line.count(b'"')
        while quotes % 2 or not record.endswith(b"\n"):
            more = stream.readline(longest)
            if not more:
                if quotes % 2:
                    raise ValueError(f"line {number}: a quote that never ends")
                break
            record += more
            lines, quotes = lines + 1, quotes + more.count(b'"')
            if len(record) > longest:
                raise ValueError(f"line {number}: a record of more than {longest} bytes")
        whole = bytes(record.removesuffix(b"\n").removesuffix(b"\r"))
        yield number, whole.removeprefix(b"\xef\xbb\xbf") if number == 1 else whole
        number += lines
