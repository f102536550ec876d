r"""What the writers of records write, the readers read: for any text that a database can hold."""

import csv
import io
import json
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cas.records.model import Column
from cas.records.payload import fields
from cas.tabular.csv_rows import CsvReader, CsvWriter, csv_lines
from cas.tabular.jsonb import canonical, parsed
from cas.tabular.jsonl import JsonReader, JsonWriter
from cas.tabular.texts import to_bytes, to_text

ENCODINGS = ["UTF8", "SQL_ASCII", "LATIN1", "WIN1252", "EUC_JP", "EUC_JIS_2004", "EUC_TW", "MULE_INTERNAL"]

BYTES = st.one_of(
    st.binary(max_size=40).map(lambda data: data.replace(b"\0", b"")),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40).map(str.encode),
    st.sampled_from(
        [b"", b"\\N", b"\\.", b'"', b",", b"\r\n", b"\r", b" a ", b"null", b"\xed\xb2\x80", b"\x8f\x41"]
    ),
)
LONGEST = 1 << 20


def columns(*types: str) -> list[Column]:
    return [Column(f"c{place}", kind, not_null=False) for place, kind in enumerate(types)]


def csv_read(lines: bytes, made: list[Column], encoding: str) -> list[list[bytes | None]]:
    reader = CsvReader(made, encoding)
    (_, head), *rest = csv_lines(io.BytesIO(lines), LONGEST)
    reader.take_head(head)
    return [reader.values(line) for _, line in rest]


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(value=BYTES)
@example(value=b"\xa4\xa2\xff")
def test_no_byte_is_lost_whatever_the_encoding(encoding: str, value: bytes) -> None:
    assert to_bytes(to_text(value, encoding), encoding) == value


@given(rows=st.lists(st.lists(st.none() | BYTES, min_size=2, max_size=2), max_size=4), wide=st.booleans())
@settings(max_examples=150)
@pytest.mark.parametrize("encoding", ["UTF8", "EUC_JP"])
def test_any_texts_go_through_csv_and_back(encoding: str, rows: list[list[bytes | None]], wide: bool) -> None:
    made = columns("text", "text") if wide else columns("text")
    rows = rows if wide else [row[:1] for row in rows]
    writer = CsvWriter(made, encoding)
    data = writer.head() + b"".join(writer.line(row) for row in rows)
    assert csv_read(data, made, encoding) == rows
    independent = csv.reader(io.StringIO(data.decode("utf-8", "surrogatepass"), newline=""), strict=True)
    found = [line or [""] for line in independent][1:]  # one NULL alone is an empty line
    assert found == [[to_text(v or b"", encoding) for v in row] for row in rows]


@given(rows=st.lists(st.lists(st.none() | BYTES, min_size=2, max_size=2), min_size=1, max_size=4))
@settings(max_examples=150)
@pytest.mark.parametrize("encoding", ["UTF8", "EUC_JP"])
def test_any_texts_go_through_json_lines_and_back(encoding: str, rows: list[list[bytes | None]]) -> None:
    made = columns("text", "json")
    writer, reader = JsonWriter(made, encoding), JsonReader(made, encoding)
    for row in rows:
        line = writer.line(row)
        assert line.count(b"\n") == 1
        assert reader.values(line) == row
        independent = json.loads(line.decode("utf-8"))
        assert list(independent.values()) == [None if v is None else to_text(v, encoding) for v in row]


@given(number=st.integers(-(2**63), 2**63 - 1), flag=st.booleans(), data=st.binary(max_size=20))
def test_numbers_and_booleans_are_what_they_are_in_json(number: int, flag: bool, data: bytes) -> None:
    made = columns("bigint", "boolean", "bytea")
    row = [str(number).encode(), b"t" if flag else b"f", b"\\x" + data.hex().encode()]
    line = JsonWriter(made, "UTF8").line(row)
    assert json.loads(line) == {"c0": number, "c1": flag, "c2": "\\x" + data.hex()}
    assert JsonReader(made, "UTF8").values(line) == row


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
NUMBERS = st.from_regex(r"\A-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?\Z").filter(
    lambda text: not text.startswith("-") or text.strip("-0.")
)


class Raw(float):
    """A number with the digits that it was given."""

    def __new__(cls, text: str) -> "Raw":
        made = super().__new__(cls, text)
        made.text = text
        return made

    text: str

    def __repr__(self) -> str:
        return self.text


def as_jsonb(value: object) -> str:
    """Python's writer, which puts blanks where jsonb does, with keys in jsonb's order."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        return "{" + ", ".join(f"{as_jsonb(key)}: {as_jsonb(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_jsonb, value)) + "]"
    return value.text if isinstance(value, Raw) else json.dumps(value, ensure_ascii=False)


JSONB = st.recursive(
    st.none() | st.booleans() | TEXTS | NUMBERS.map(Raw),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.just("$jsonb"), inner, max_size=3),
    max_leaves=8,
).map(as_jsonb)


@given(text=JSONB)
@example(text="null")
@example(text='{"$jsonb": null}')
@example(text='{"$jsonb": {"$jsonb": 1}}')
@example(text='{"$jsonb": 1, "longer one": 2}')
@example(text='"null"')
@example(text="1" + "0" * 400 + ".50")
@settings(max_examples=300)
def test_jsonb_stands_in_a_line_as_json_and_comes_back_as_it_was(text: str) -> None:
    made = columns("jsonb", "jsonb")
    line = JsonWriter(made, "UTF8").line([text.encode(), None])
    assert JsonReader(made, "UTF8").values(line) == [text.encode(), None]
    assert json.loads(line)["c1"] is None
    assert csv_read(
        CsvWriter(made, "UTF8").head() + CsvWriter(made, "UTF8").line([text.encode(), None]), made, "UTF8"
    )


def test_jsonb_may_be_nested_deeper_than_any_stack() -> None:
    text = "[" * 200_000 + '{"a": 1}' + "]" * 200_000
    assert canonical(parsed(text), "UTF8") == text


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        ('{ "bb":1,"a" : 2, "a":3}', '{"a": 3, "bb": 1}'),
        ("1e3", "1000"),
        ("1.50e1", "15.0"),
        ("-0.00", "0.00"),
        ("1E-2", "0.01"),
        ('"\\u00e9\\/\\u0001"', '"é/\\u0001"'),
        ('{"\\u00e9": 1, "zz": 2, "a": 3}', '{"a": 3, "zz": 2, "é": 1}'),
    ],
)
def test_json_that_a_person_wrote_becomes_what_jsonb_prints(given: str, printed: str) -> None:
    """The expected texts are PostgreSQL's: tests/tabular/test_real_types.py asks it for others."""
    assert canonical(parsed(given), "UTF8") == printed


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("smallint", "32768"),
        ("integer", "-2147483649"),
        ("bigint", "9223372036854775808"),
        ("integer", "1.5"),
        ("integer", "01"),
        ("oid", "-1"),
        ("boolean", "yes"),
        ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1"),
        ("bytea", "\\x0"),
        ("bytea", "00ff"),
        ("numeric", "1,5"),
        ("numeric(4,2)", "123"),
        ("numeric(4,2)", "1.234"),
        ("numeric", "1e999999999"),
        ("jsonb", "{'a': 1}"),
        ("jsonb", '{"a": 01}'),
        ("jsonb", '["a",]'),
        ("jsonb", '"\\u0000"'),
        ("jsonb", "NaN"),
        ("jsonb", "1 2"),
        ("character varying(3)", "four"),
        ("character(3)", "four"),
        ("text", "\0"),
        ("text", "\ud800"),
    ],
)
def test_what_is_not_of_its_type_is_refused(kind: str, text: str) -> None:
    made = columns(kind)
    line = f'"{text.replace(chr(34), chr(34) * 2)}"'.encode("utf-8", "surrogatepass")
    with pytest.raises(ValueError, match="column c0: "):
        CsvReader(made, "UTF8").values(line)


@pytest.mark.parametrize(
    ("kind", "text", "printed"),
    [
        ("numeric(6,2)", "1.5", "1.50"),
        ("numeric(2,4)", "0.01", "0.0100"),
        ("numeric", "1e3", "1000"),
        ("numeric", "NaN", "NaN"),
        ("numeric(6,2)", "-0.00", "0.00"),
        ("character(4)", "ab", "ab  "),
        ("uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("boolean", "true", "t"),
        ("integer", "-0", "0"),
    ],
)
def test_what_a_person_typed_becomes_what_postgresql_prints(kind: str, text: str, printed: str) -> None:
    assert CsvReader(columns(kind), "UTF8").values(text.encode()) == [printed.encode()]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b'{"c0": 1}', "column c1 is missing"),
        (b'{"c0": 1, "c1": "a", "c2": 1}', "there is no column c2"),
        (b'{"c0": 1, "c1": "a", "c0": 1}', "column c0 stands twice"),
        (b'{"c0": "1", "c1": "a"}', "column c0: a string where a number"),
        (b'{"c0": 1, "c1": 2}', "column c1: 2, where a string is wanted"),
        (b'{"c0": 1, "c1": ["a"]}', "column c1: an object or a list"),
        (b'{"c0": true, "c1": "a"}', "column c0: true, where"),
        (b'{"c0": 1.0, "c1": "a"}', "column c0: not of type integer"),
        (b'{"c0": 1, "c1": "a"} {}', "more text"),
        (b'["c0"]', "no {"),
        (b'{"c0": 1, "c1": "\xff"}', "utf-8"),
    ],
)
def test_a_json_line_that_is_none_is_refused_with_its_reason(line: bytes, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        JsonReader(columns("integer", "text"), "UTF8").values(line)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"c0,c2\r\n", "does not name the entity's columns: c1"),
        (b"c0,c0\r\n", "does not name"),
        (b"c0,c1\r\n1\r\n", "1 fields for 2 columns"),
        (b"c0,c1\r\n1,a,\r\n", "3 fields for 2 columns"),
        (b'c0,c1\r\n1,a"b"\r\n', "a quote inside of a field"),
        (b'c0,c1\r\n1,"a\r\n', "line 2: a quote that never ends"),
        (b"c0,c1\r\n1," + b"a" * LONGEST + b"\r\n", "line 2: a record of more than"),
    ],
)
def test_csv_that_is_none_is_refused_with_its_reason(data: bytes, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        csv_read(data, columns("integer", "text"), "UTF8")


def test_csv_of_a_spreadsheet_is_read() -> None:
    """A mark at the start, columns in another order, lines that end with LF, none at the end of the last."""
    data = b'\xef\xbb\xbfc1,c0\n"a\nb",1\n,2'
    assert csv_read(data, columns("integer", "text"), "UTF8") == [[b"1", b"a\nb"], [b"2", None]]


def test_a_text_of_many_lines_takes_its_own_room() -> None:
    data = io.BytesIO(b'"' + b"ab\n" * 1_000_000 + b'"\r\n')
    tracemalloc.start()
    try:
        ((number, line),) = csv_lines(data, LONGEST + 10_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (number, len(line)) == (1, 3_000_002)
    assert peak < 5 * len(line)


@pytest.mark.parametrize(
    "read",
    [
        lambda: CsvReader(columns("integer", "text"), "UTF8").values(b"," * 4_000_000),
        lambda: fields(b"\t" * 4_000_000, 2),
    ],
    ids=["csv", "copy"],
)
def test_fields_that_are_too_many_take_no_room(read: Callable[[], object]) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="fields"):
            read()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12_000_000


@pytest.mark.parametrize(
    ("kind", "value"),
    [("boolean", b"maybe"), ("integer", b"1, 2"), ("integer", b""), ("jsonb", b"NaN"), ("jsonb", b"[1")],
)
def test_a_stored_value_that_is_none_of_its_type_is_not_written(kind: str, value: bytes) -> None:
    with pytest.raises(ValueError, match=r"not|delimiter"):
        JsonWriter(columns(kind), "UTF8").line([value])


def test_jsonb_may_be_deeper_than_the_stack_and_hold_numbers_of_any_length() -> None:
    deep = b"[" * 20_000 + b"1" * 20_000 + b"]" * 20_000
    assert deep in JsonWriter(columns("jsonb"), "UTF8").line([deep])
