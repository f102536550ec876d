r"""Records as JSON lines: one object a line, from column to value.

Integers are numbers, booleans true and false, jsonb is JSON as it stands; every other value is its text. NULL
is null. JSON's own null in a jsonb column is `{"$jsonb": null}`, so that it is not NULL; a jsonb object that
begins with that key is wrapped once more.
"""

import re
from collections.abc import Sequence
from json import JSONDecoder
from typing import NoReturn

from cas.records.model import Column
from cas.tabular.forms import INTEGERS, Check, Form, form_of
from cas.tabular.jsonb import Node, Scanner, canonical, parsed
from cas.tabular.texts import escaped_surrogates, json_string, to_bytes, to_text

_WRAPPING = "$jsonb"
_WRAPPED = f'{{"{_WRAPPING}": '
_WORDS = {"true": "t", "false": "f"}
_BOOLEANS = {b"t": "true", b"f": "false"}
_INTEGER = re.compile(rb"-?(?:0|[1-9][0-9]*)")


class JsonWriter:
    """Writes the lines of one entity. What is written as it stands is looked at before: a version may have
    been made by hand, and a value must not become another column or another line."""

    def __init__(self, columns: Sequence[Column], encoding: str) -> None:
        self._encoding = encoding
        self._kinds = [_kind(column) for column in columns]
        self._names = [f"{json_string(column.name)}: " for column in columns]

    def head(self) -> bytes:
        return b""

    def line(self, values: Sequence[bytes | None]) -> bytes:
        """One record. ValueError where a value is none of its column's type."""
        pairs = [
            name + self._value(kind, value)
            for name, kind, value in zip(self._names, self._kinds, values, strict=True)
        ]
        return f"{{{', '.join(pairs)}}}\n".encode()

    def _value(self, kind: Form, value: bytes | None) -> str:
        if value is None:
            return "null"
        match kind:
            case Form.INTEGER:
                if not _INTEGER.fullmatch(value):
                    raise ValueError("not an integer")
                return value.decode("ascii")
            case Form.BOOLEAN:
                if value not in _BOOLEANS:
                    raise ValueError("not a boolean")
                return _BOOLEANS[value]
            case Form.JSONB:
                text = escaped_surrogates(to_text(value, self._encoding))
                _require_json(text)
                wraps = text == "null" or text.startswith(_WRAPPED[:-1])
                return f"{_WRAPPED}{text}}}" if wraps else text
            case _:
                return json_string(to_text(value, self._encoding))


class JsonReader:
    """Reads the lines of one entity. ValueError says what is wrong with one."""

    def __init__(self, columns: Sequence[Column], encoding: str) -> None:
        self._encoding = encoding
        self._columns = {column.name: place for place, column in enumerate(columns)}
        self._names = [column.name for column in columns]
        self._kinds = [_kind(column) for column in columns]
        self._checks = [Check(column, encoding) for column in columns]

    def values(self, line: bytes) -> list[bytes | None]:
        """The values of one record, in the order of the columns."""
        scanner = Scanner(line.decode("utf-8"))
        found: list[bytes | None] = [None] * len(self._names)
        seen: set[int] = set()
        scanner.expect("{")
        if not scanner.skip("}"):
            while True:
                place = self._place(scanner.string(), seen)
                scanner.expect(":")
                try:
                    found[place] = self._value(scanner, place)
                except ValueError as error:
                    raise ValueError(f"column {self._names[place][:80]}: {error}") from error
                if not scanner.skip(","):
                    break
            scanner.expect("}")
        scanner.end()
        if len(seen) < len(found):
            missing = next(name for place, name in enumerate(self._names) if place not in seen)
            raise ValueError(f"column {missing[:80]} is missing")
        return found

    def _place(self, name: str, seen: set[int]) -> int:
        place = self._columns.get(name)
        if place is None:
            raise ValueError(f"there is no column {name[:80]}")
        if place in seen:
            raise ValueError(f"column {name[:80]} stands twice")
        seen.add(place)
        return place

    def _value(self, scanner: Scanner, place: int) -> bytes | None:
        kind, check = self._kinds[place], self._checks[place]
        if kind is Form.JSONB:
            node = scanner.value()
            if node == "null":
                return None
            return to_bytes(canonical(_unwrapped(node), self._encoding), self._encoding)
        if scanner.is_before('"'):
            if kind in (Form.INTEGER, Form.BOOLEAN):
                raise ValueError("a string where a number or true or false is wanted")
            return check(scanner.string())
        if scanner.is_before("{["):
            raise ValueError("an object or a list where one value is wanted")
        text = scanner.scalar()
        if text == "null":
            return None
        if kind is Form.INTEGER and text not in _WORDS:
            return check(text)
        if kind is Form.BOOLEAN and text in _WORDS:
            return check(_WORDS[text])
        wanted = "string" if kind is Form.UNCHECKED else "value of its type"
        raise ValueError(f"{text[:40]}, where a {wanted} is wanted")


def _require_json(text: str) -> None:
    if "\n" in text or "\r" in text:
        raise ValueError("not JSON on one line")
    try:
        _decoder.decode(text)
    except RecursionError:
        parsed(text)


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


_decoder = JSONDecoder(parse_int=str, parse_float=str, parse_constant=_no_number)
"""Reads a megabyte in 17 ms, numbers of any length, and what is not too deep."""


def _kind(column: Column) -> Form:
    """What is not text in JSON; everything else is UNCHECKED here."""
    form = form_of(column)
    is_bare = column.type in INTEGERS or form in (Form.BOOLEAN, Form.JSONB)
    return form if is_bare else Form.UNCHECKED


def _unwrapped(node: Node) -> Node:
    if isinstance(node, dict) and list(node) == [_WRAPPING]:
        return node[_WRAPPING]
    return node
