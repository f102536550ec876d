"""Canonical JSON, and the two-line envelope of documents that stand alone in the store.

Canonical: ASCII, object keys ascending by code point, no white space, no floats, numbers from 0 to
2^63 - 1, escapes as Python's json writes them. Text of a database that is not valid in its encoding
is carried as lone surrogates U+DC80..U+DCFF, one a byte; other lone surrogates and U+0000, which no
database can hold, are refused. Exactly one encoding per value, so equal values have equal bytes.
"""

import json
from collections.abc import Mapping, Sequence
from typing import NoReturn, TypeAlias, TypeGuard

import numpy as np
from blake3 import blake3

from cas.format.malformed import malformed, mismatch, newer, over_limit, truncated
from cas.limits import MAX_DOCUMENT_BYTES, MAX_JSON_BYTES, MAX_JSON_VALUES, MIB

Json: TypeAlias = bool | int | str | Sequence["Json"] | Mapping[str, "Json"] | None

_QUOTE = ord('"')
_BEFORE_VALUES = np.isin(np.arange(256), list(b",:[{"))

_HASH_HEX = 64
MAX_INTEGER = (1 << 63) - 1
_INTEGER_DIGITS = len(str(MAX_INTEGER))


def encode_json(value: Json) -> bytes:
    """The one encoding of a value. CorruptData where text could not be read back: it came from outside."""
    return _encode(value, "")


def _encode(value: Json, where: str) -> bytes:
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":"))
    _check_texts(value, text, where)
    return text.encode("ascii")


def parse_json(data: bytes, where: str = "") -> Json:
    """The value of canonical bytes. Anything that `encode_json` would not write back is malformed."""
    if len(data) > MAX_JSON_BYTES:
        raise over_limit(f"JSON of {len(data)} bytes", where)
    _check_values(data, where)

    def integer(text: str) -> int:
        if len(text) > _INTEGER_DIGITS or not 0 <= int(text) <= MAX_INTEGER:
            raise malformed(f"number {text[:20]} is out of range", where)
        return int(text)

    def no_float(text: str) -> NoReturn:
        raise malformed(f"number {text[:20]} is not an integer", where)

    try:
        value: Json = json.loads(
            data.decode("ascii"), parse_int=integer, parse_float=no_float, parse_constant=no_float
        )
        if _encode(value, where) != data:
            raise malformed("JSON is not in canonical form", where)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise malformed("not canonical JSON", where) from error
    return value


def _check_values(data: bytes, where: str) -> None:
    """Count them before they are made. Each has one of these signs before it, outside of texts."""
    if len(data) <= MAX_JSON_VALUES:
        return
    bare = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    found, in_text = 0, np.False_
    for at in range(0, len(bare), MIB):
        signs = np.frombuffer(bare, np.uint8, min(MIB, len(bare) - at), at)
        in_texts = np.logical_xor.accumulate(signs == _QUOTE) ^ in_text
        found += int(np.count_nonzero(_BEFORE_VALUES[signs] & ~in_texts))
        in_text = in_texts[-1]
    if found > MAX_JSON_VALUES:
        raise over_limit(f"JSON of {found} values", where)


def _check_texts(value: Json, encoded: str, where: str) -> None:
    """Walk the value only where its encoding holds an escape that may be one of those refused."""
    if "\\u0000" not in encoded and "\\ud" not in encoded:
        return
    waiting: list[Json] = [value]
    while waiting:
        match waiting.pop():
            case str(text):
                _check_text(text, where)
            case Mapping() as mapping:
                waiting += mapping.keys()
                waiting += mapping.values()
            case Sequence() as sequence:
                waiting += sequence
            case _:
                pass


def _check_text(text: str, where: str) -> None:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise malformed("text with a lone surrogate that stands for no byte", where) from None
    if "\0" in text:
        raise malformed("text with U+0000", where)


def seal_envelope(body: bytes) -> bytes:
    """`body` LF, the BLAKE3-256 of the body as hex, LF: a document that shows its own damage.
    CorruptData where it would be too large to be read back."""
    data = body + b"\n" + blake3(body).hexdigest().encode("ascii") + b"\n"
    _check_size(data, "")
    return data


def open_envelope(data: bytes, where: str = "") -> bytes:
    """The body. Truncated, damaged or oversized documents are refused before they are parsed."""
    _check_size(data, where)
    if len(data) < _HASH_HEX + 2 or data[-1:] != b"\n" or data[-_HASH_HEX - 2 : -_HASH_HEX - 1] != b"\n":
        raise truncated("document without its hash line", where)
    body, stated = data[: -_HASH_HEX - 2], data[-_HASH_HEX - 1 : -1]
    if blake3(body).hexdigest().encode("ascii") != stated:
        raise mismatch("document does not fit its hash", where)
    return body


def is_natural(value: Json) -> TypeGuard[int]:
    """Whether it is an integer of 0 to 2^63 - 1; true and false, which Python counts among them, are not."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_INTEGER


def _check_size(data: bytes, where: str) -> None:
    if len(data) > MAX_DOCUMENT_BYTES:
        raise over_limit(f"document of {len(data)} bytes", where)


class Fields:
    """Typed access to a parsed JSON object: each field is taken once, and none may be left over."""

    __slots__ = ("_left", "_where")

    def __init__(self, value: Json, where: str = "") -> None:
        if not isinstance(value, Mapping):
            raise malformed("not a JSON object", where)
        self._left = dict(value)
        self._where = where

    def _take(self, name: str) -> Json:
        if name not in self._left:
            raise malformed(f"field {name} is missing", self._where)
        return self._left.pop(name)

    def text(self, name: str) -> str:
        value = self._take(name)
        if not isinstance(value, str):
            raise malformed(f"field {name} is not text", self._where)
        return value

    def optional_text(self, name: str) -> str | None:
        if name in self._left and self._left[name] is None:
            del self._left[name]
            return None
        return self.text(name)

    def integer(self, name: str) -> int:
        """An integer of 0 to 2^63 - 1."""
        value = self._take(name)
        if not is_natural(value):
            raise malformed(f"field {name} is not a natural number", self._where)
        return value

    def optional_integer(self, name: str) -> int | None:
        if name in self._left and self._left[name] is None:
            del self._left[name]
            return None
        return self.integer(name)

    def boolean(self, name: str) -> bool:
        value = self._take(name)
        if not isinstance(value, bool):
            raise malformed(f"field {name} is not true or false", self._where)
        return value

    def binary(self, name: str, length: int) -> bytes:
        """Lower-case hex of exactly `length` bytes."""
        return self._hex(self.text(name), name, length)

    def optional_binary(self, name: str, length: int) -> bytes | None:
        text = self.optional_text(name)
        return None if text is None else self._hex(text, name, length)

    def _hex(self, text: str, name: str, length: int) -> bytes:
        try:
            value = bytes.fromhex(text)
        except ValueError:
            raise malformed(f"field {name} is not hex", self._where) from None
        if len(value) != length or value.hex() != text:
            raise malformed(f"field {name} is not {length} bytes of lower-case hex", self._where)
        return value

    def sequence(self, name: str) -> Sequence[Json]:
        value = self._take(name)
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise malformed(f"field {name} is not a list", self._where)
        return value

    def optional_sequence(self, name: str) -> Sequence[Json] | None:
        if name in self._left and self._left[name] is None:
            del self._left[name]
            return None
        return self.sequence(name)

    def texts(self, name: str) -> tuple[str, ...]:
        values = self.sequence(name)
        if not all(isinstance(value, str) for value in values):
            raise malformed(f"field {name} is not a list of texts", self._where)
        return tuple(str(value) for value in values)

    def text_map(self, name: str) -> dict[str, str]:
        value = self._take(name)
        if not isinstance(value, Mapping) or not all(isinstance(v, str) for v in value.values()):
            raise malformed(f"field {name} is not a map of texts", self._where)
        return {key: str(text) for key, text in value.items()}

    def object(self, name: str) -> "Fields":
        return Fields(self._take(name), self._where)

    def optional_object(self, name: str) -> "Fields | None":
        value = self._take(name)
        return None if value is None else Fields(value, self._where)

    def reserved(self, name: str) -> None:
        """A field that is null in this format; another value is of a newer one."""
        if self._take(name) is not None:
            raise newer(f"field {name} in use", self._where)

    def finish(self) -> None:
        """Unknown fields are refused: what a reader does not know it must not drop silently."""
        if self._left:
            raise malformed(f"unknown field {min(self._left)}", self._where)
