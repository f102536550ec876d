"""Lines that people edited: JSON, CSV, and the texts of single values."""

import io
from contextlib import suppress

from cas.records.model import Column
from cas.tabular.csv_rows import CsvReader, CsvWriter, csv_lines
from cas.tabular.forms import Check
from cas.tabular.jsonb import canonical, parsed
from cas.tabular.jsonl import JsonReader, JsonWriter
from cas.tabular.names import file_names, is_safe
from cas.tabular.texts import to_bytes, to_text
from tests.fuzz.changing import by_words
from tests.fuzz.model import OF_VALUES, Target

TYPES = (
    *("bigint", "smallint", "oid", "boolean", "jsonb", "bytea", "uuid", "text", "timestamp with time zone"),
    *("numeric", "numeric(10,2)", "numeric(5,-2)", "character(8)", "character varying(12)"),
)
COLUMNS = tuple(Column(f"c{at}", kind, not_null=False) for at, kind in enumerate(TYPES))
ENCODINGS = ("UTF8", "SQL_ASCII", "LATIN1", "EUC_JP", "EUC_KR", "EUC_CN", "WIN1252", "MULE_INTERNAL")

VALUES: tuple[bytes | None, ...] = (
    *(b"-42", b"7", b"4000000000", b"t", b'{"a": [1, 2.50, null], "bb": "x"}', b"\\x00ff"),
    *(b"11111111-2222-3333-4444-555555555555", b'a, "quoted"\nline\xff', b"2026-01-31 12:00:00+00"),
    *(b"1.50", b"12345678.90", b"12300", b"abc     ", None),
)

WORDS = (
    *(b'"', b'""', b",", b"\r\n", b"\n", b"\\", b"{", b"}", b"[", b"]", b": ", b"null", b"true", b"NaN"),
    *(b"\0", b"\\u0000", b"\\udc80", b"\\ud800", b"\xed\xb2\x80", b"\xef\xbb\xbf", b'{"$jsonb": ', b"1e5"),
    *(b"1E-400", b"1e131000", b"1e+00000000999999999", b"-0", b"-0.0", b"00", b"9" * 30, b"[" * 2000),
    *(b"a" * 2000, b"\t", b"numeric(", b"character(", b"character varying(", b"1000000000"),
    *(b"99999999999999999999", b")", b","),
)


def _encoding(data: bytes) -> str:
    return ENCODINGS[(data or b"\0")[0] % len(ENCODINGS)]


def _jsonl(data: bytes) -> None:
    """What is read is written, and read again as the same."""
    encoding = _encoding(data)
    reader, writer = JsonReader(COLUMNS, encoding), JsonWriter(COLUMNS, encoding)
    values = reader.values(data[1:])
    line = writer.line(values)
    assert line.count(b"\n") == 1
    assert reader.values(line) == values, (values, line)


def _csv(data: bytes) -> None:
    """A file with its header."""
    encoding = _encoding(data)
    reader, writer = CsvReader(COLUMNS, encoding), CsvWriter(COLUMNS, encoding)
    lines = csv_lines(io.BytesIO(data[1:]), 1 << 20)
    head = next(lines, None)
    if head is None:
        raise ValueError("no header")
    reader.take_head(head[1])
    found = [reader.values(line) for _, line in lines]
    again = CsvReader(COLUMNS, encoding)
    written = io.BytesIO(writer.head() + b"".join(map(writer.line, found)))
    rest = csv_lines(written, 1 << 20)
    again.take_head(next(rest)[1])
    assert [again.values(line) for _, line in rest] == found


def _jsonb(data: bytes) -> None:
    encoding = _encoding(data)
    once = canonical(parsed(data[1:].decode("utf-8")), encoding)
    assert canonical(parsed(once), encoding) == once


def _form(data: bytes) -> None:
    """A type, a line feed, and a text. The type comes from outside, too: a check can be made for any."""
    kind, _, text = data[1:].decode("utf-8").partition("\n")
    encoding = _encoding(data)
    try:
        check = Check(Column("c", kind, not_null=False), encoding)
    except ValueError as error:
        raise AssertionError("no check for a type") from error
    value = check(text)
    assert check(to_text(value, encoding)) == value


def _text(data: bytes) -> None:
    """Any bytes are shown as text, and come back."""
    encoding, value = _encoding(data), data[1:].replace(b"\0", b"")
    assert to_bytes(to_text(value, encoding), encoding) == value


def _file_name(data: bytes) -> None:
    labels = data.decode("utf-8", "surrogateescape").split("\n")
    names = file_names(labels, "jsonl", ("schema.json",))
    assert all(map(is_safe, names)), names
    assert len({name.lower() for name in names} | {"schema.json"}) == len(labels) + 1


def _json_seeds() -> list[bytes]:
    line = JsonWriter(COLUMNS, "UTF8").line(VALUES)
    empty = JsonWriter(COLUMNS, "UTF8").line([None] * len(COLUMNS))
    return [bytes((at,)) + line.rstrip(b"\n") for at in range(len(ENCODINGS))] + [b"\0" + empty]


def _csv_seeds() -> list[bytes]:
    writer = CsvWriter(COLUMNS, "UTF8")
    lines = writer.head() + writer.line(VALUES) + writer.line([None] * len(COLUMNS))
    return [bytes((at,)) + lines for at in range(len(ENCODINGS))]


def _form_seeds() -> list[bytes]:
    found = []
    for kind, value in zip(TYPES, VALUES, strict=True):
        with suppress(UnicodeDecodeError):
            found.append(b"\0" + kind.encode() + b"\n" + (value or b"x").decode("utf-8").encode())
    return found


_change = by_words(WORDS)

TARGETS = (
    Target("jsonl", _jsonl, _json_seeds, OF_VALUES, _change),
    Target("csv", _csv, _csv_seeds, OF_VALUES, _change),
    Target("jsonb", _jsonb, lambda: [b"\0" + (VALUES[4] or b""), b"\0[1e3, -0.50]"], OF_VALUES, _change),
    Target("form", _form, _form_seeds, OF_VALUES, _change),
    Target("text", _text, lambda: [b"\0abc", b"\3\xa4\xa2\x8f\xff"], (), _change, 1000),
    Target("file-name", _file_name, lambda: [b"public.orders\ncon\n..", b"a/b\nA:b"], (), _change, 1000),
)
