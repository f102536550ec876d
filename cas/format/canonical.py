"""Canonical JSON, and the two-line envelope of documents that stand alone in the store.

Canonical: ASCII, object keys ascending, no white space, no floats, escapes as Python's json
writes them. Text of a database that is not valid in its encoding is carried as lone surrogates
U+DC80..U+DCFF, one a byte. Exactly one encoding per value, so equal values have equal bytes.
"""

import json
from collections.abc import Mapping, Sequence
from typing import NoReturn, TypeAlias

from blake3 import blake3

from cas.format.malformed import malformed, mismatch, over_limit, truncated
from cas.limits import MAX_DOCUMENT_BYTES

Json: TypeAlias = bool | int | str | Sequence["Json"] | Mapping[str, "Json"] | None

_HASH_HEX = 64


def encode_json(value: Json) -> bytes:
    """The one encoding of a value."""
    return json.dumps(
        value, ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":")
    ).encode("ascii")


def parse_json(data: bytes, where: str = "") -> Json:
    """The value of canonical bytes. Anything that `encode_json` would not write back is malformed."""

    def no_float(text: str) -> NoReturn:
        raise malformed(f"number {text[:20]} is not an integer", where)

    try:
        value: Json = json.loads(data.decode("ascii"), parse_float=no_float, parse_constant=no_float)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise malformed("not canonical JSON", where) from error
    if encode_json(value) != data:
        raise malformed("JSON is not in canonical form", where)
    return value


def seal_envelope(body: bytes) -> bytes:
    """`body` LF, the BLAKE3-256 of the body as hex, LF: a document that shows its own damage."""
    return body + b"\n" + blake3(body).hexdigest().encode("ascii") + b"\n"


def open_envelope(data: bytes, where: str = "") -> bytes:
    """The body. Truncated, damaged or oversized documents are refused before they are parsed."""
    if len(data) > MAX_DOCUMENT_BYTES:
        raise over_limit(f"document of {len(data)} bytes", where)
    if len(data) < _HASH_HEX + 2 or data[-1:] != b"\n" or data[-_HASH_HEX - 2 : -_HASH_HEX - 1] != b"\n":
        raise truncated("document without its hash line", where)
    body, stated = data[: -_HASH_HEX - 2], data[-_HASH_HEX - 1 : -1]
    if blake3(body).hexdigest().encode("ascii") != stated:
        raise mismatch("document does not fit its hash", where)
    return body


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
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
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

    def finish(self) -> None:
        """Unknown fields are refused: what a reader does not know it must not drop silently."""
        if self._left:
            raise malformed(f"unknown field {min(self._left)}", self._where)
