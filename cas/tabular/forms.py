"""What of a value's text can be checked without a database, and the one text that PostgreSQL would print."""

import re
from enum import StrEnum

from cas.limits import MIB
from cas.records.model import Column
from cas.tabular.jsonb import canonical, parsed, written_out
from cas.tabular.texts import to_bytes


class Form(StrEnum):
    """How a column's type is checked."""

    INTEGER = "integer"
    BOOLEAN = "boolean"
    JSONB = "jsonb"
    BYTEA = "bytea"
    UUID = "uuid"
    NUMERIC = "numeric"
    CHARACTERS = "characters"
    """Any text will do, but for its length."""
    UNCHECKED = "unchecked"
    """Only the database knows."""


INTEGERS = {"smallint": 16, "integer": 32, "bigint": 64}
"""Types and their bits."""

_OIDS = {"oid": (0, 2**32 - 1)}
_FORMS = {
    **dict.fromkeys((*INTEGERS, *_OIDS), Form.INTEGER),
    "boolean": Form.BOOLEAN,
    "jsonb": Form.JSONB,
    "bytea": Form.BYTEA,
    "uuid": Form.UUID,
    "text": Form.CHARACTERS,
}
_SIZED = re.compile(r"(numeric|character|character varying)(?:\(([0-9]{1,8})(?:,(-?[0-9]{1,4}))?\))?")
_LARGEST = {"numeric": 1000, "character": 10 * MIB, "character varying": 10 * MIB}
"""PostgreSQL's limits of precision, scale and length. What is beyond them is no type of a database, and a
length is the room that a value takes."""
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BYTEA = re.compile(r"\\x(?:[0-9a-f]{2})*")
_NUMERIC = re.compile(r"-?[0-9]+(\.[0-9]+)?(?:[eE]([+-]?[0-9]{1,8}))?")
_NO_NUMBERS = ("NaN", "Infinity", "-Infinity")
_BOOLEANS = {"t": "t", "f": "f", "true": "t", "false": "f"}


def form_of(column: Column) -> Form:
    """By the type as format_type writes it. Domains and enums are the database's to check."""
    found = _sized(column.type)
    if found:
        return Form.NUMERIC if found[1] == "numeric" else Form.CHARACTERS
    return _FORMS.get(column.type, Form.UNCHECKED)


class Check:
    """The check of one column."""

    def __init__(self, column: Column, encoding: str) -> None:
        self.form = form_of(column)
        self._type = column.type
        self._encoding = encoding
        sized = _sized(column.type)
        self._size = int(sized[2]) if sized and sized[2] else None
        self._scale = int(sized[3]) if sized and sized[3] else 0
        self._range = _OIDS.get(column.type) or _range(INTEGERS.get(column.type, 64))

    def __call__(self, text: str) -> bytes:
        """The text that PostgreSQL would print, in the server's encoding. ValueError says what is wrong."""
        match self.form:
            case Form.INTEGER:
                text = self._integer(text)
            case Form.BOOLEAN:
                text = _looked_up(text)
            case Form.JSONB:
                text = canonical(parsed(text), self._encoding)
            case Form.BYTEA:
                text = _matching(_BYTEA, text, "bytes in hexadecimal, as in \\x00ff")
            case Form.UUID:
                text = _matching(_UUID, text, "a uuid")
            case Form.NUMERIC:
                text = self._numeric(text)
            case Form.CHARACTERS:
                text = self._characters(text)
            case Form.UNCHECKED:
                pass
        return to_bytes(text, self._encoding)

    def _integer(self, text: str) -> str:
        least, most = self._range
        if not _INTEGER.fullmatch(text) or len(text) > 20:
            raise ValueError(f"not of type {self._type}")
        if not least <= int(text) <= most:
            raise ValueError(f"outside of the range of {self._type}")
        return "0" if text == "-0" else text

    def _numeric(self, text: str) -> str:
        found = _NUMERIC.fullmatch(text)
        if found is None:
            if text in _NO_NUMBERS:
                return text
            raise ValueError(f"not of type {self._type}")
        plain = written_out(text, len(found[1] or ".") - 1, int(found[2] or 0))
        sign, whole, decimals = _parts(plain)
        if self._size is not None and self._scale >= 0:
            room = max(self._size - self._scale, 0)
            if len(decimals.rstrip("0")) > self._scale or len(whole.lstrip("0")) > room:
                raise ValueError(f"more digits than {self._type} keeps")
            decimals = decimals[: self._scale].ljust(self._scale, "0")
        return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"

    def _characters(self, text: str) -> str:
        # Elsewhere characters may be more than one of ours.
        if self._size is None or self._encoding != "UTF8":
            return text
        if self._type.startswith("character varying"):
            is_long, padded = len(text) > self._size, text
        else:
            is_long, padded = len(text.rstrip(" ")) > self._size, text[: self._size].ljust(self._size)
        if is_long:
            raise ValueError(f"longer than {self._type}")
        return padded


def _sized(kind: str) -> re.Match[str] | None:
    found = _SIZED.fullmatch(kind)
    sizes = [abs(int(text)) for text in found.groups()[1:] if text] if found else []
    return found if found and max(sizes, default=0) <= _LARGEST[found[1]] else None


def _range(bits: int) -> tuple[int, int]:
    return -(1 << bits - 1), (1 << bits - 1) - 1


def _looked_up(text: str) -> str:
    if text not in _BOOLEANS:
        raise ValueError("not a boolean: t or f is one")
    return _BOOLEANS[text]


def _matching(pattern: re.Pattern[str], text: str, what: str) -> str:
    lower = text.lower()
    if not pattern.fullmatch(lower):
        raise ValueError(f"not {what}")
    return lower


def _parts(plain: str) -> tuple[str, str, str]:
    """Sign, digits without leading zeros, decimals."""
    sign = "-" if plain.startswith("-") else ""
    whole, _, decimals = plain.lstrip("-").partition(".")
    return sign, whole.lstrip("0") or "0", decimals
