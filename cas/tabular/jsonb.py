r"""JSON text as PostgreSQL's jsonb writes it: what a jsonb column's field would be for the same value.

Keys ascend by length and then by bytes, the last of equal ones counts, numbers are written out as numeric
writes them. Nothing here recurses: a database may hold thousands of levels.
"""

import re
from decimal import Decimal
from json.decoder import scanstring  # type: ignore[attr-defined]  # there since Python 2.6
from json.encoder import encode_basestring
from typing import TypeAlias

from cas.tabular.texts import to_bytes

Node: TypeAlias = "str | list[Node] | dict[str, Node]"
"""A scalar as jsonb writes it, a list, or an object."""

MAX_WHOLE_DIGITS = 131072
MAX_DECIMALS = 16383
"""PostgreSQL's limits of numeric."""

_EXPONENT_DIGITS = 6
"""More are beyond those limits, whatever stands before them."""

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORD = re.compile(r"true|false|null")


class Scanner:
    """Takes JSON from the front of a text. ValueError says what stands where it may not."""

    def __init__(self, text: str, at: int = 0) -> None:
        self._text = text
        self.at = at

    def skip(self, sign: str) -> bool:
        """Step over white space and this sign, or stay before it."""
        found = _SPACE.match(self._text, self.at)
        self.at = found.end() if found else self.at
        if not self._text.startswith(sign, self.at):
            return False
        self.at += len(sign)
        return True

    def expect(self, sign: str) -> None:
        if not self.skip(sign):
            raise ValueError(f"no {sign} at character {self.at + 1}")

    def string(self) -> str:
        self.expect('"')
        text, self.at = scanstring(self._text, self.at, True)
        return str(text)

    def end(self) -> None:
        self.skip("")
        if self.at != len(self._text):
            raise ValueError(f"more text at character {self.at + 1}")

    def scalar(self) -> str:
        """A number or a word, as it stands."""
        self.skip("")
        found = _NUMBER.match(self._text, self.at) or _WORD.match(self._text, self.at)
        if found is None:
            raise ValueError(f"no JSON value at character {self.at + 1}")
        self.at = found.end()
        return found[0]

    def is_before(self, signs: str) -> bool:
        """Whether one of these signs comes next."""
        self.skip("")
        return self._text[self.at : self.at + 1] in tuple(signs)

    def value(self) -> Node:
        """Any value."""
        open_ones: list[tuple[list[Node], None] | tuple[dict[str, Node], str]] = []
        while True:
            if self.skip("{"):
                if not self.skip("}"):
                    open_ones.append(({}, self._key()))
                    continue
                node: Node = {}
            elif self.skip("["):
                if not self.skip("]"):
                    open_ones.append(([], None))
                    continue
                node = []
            else:
                node = self._leaf()
            while open_ones:
                container, key = open_ones.pop()
                closed = self._put(container, key, node)
                if not closed:
                    break
                node = container
            else:
                return node
            open_ones.append((container, self._key()) if isinstance(container, dict) else (container, None))

    def _put(self, container: list[Node] | dict[str, Node], key: str | None, node: Node) -> bool:
        """Whether it was the container's last one."""
        if isinstance(container, list):
            container.append(node)
        else:
            assert key is not None, "what stands in an object has a key"
            container[key] = node
        if self.skip(","):
            return False
        self.expect("]" if isinstance(container, list) else "}")
        return True

    def _key(self) -> str:
        key = _storable(self.string())
        self.expect(":")
        return key

    def _leaf(self) -> str:
        if self.is_before('"'):
            return str(encode_basestring(_storable(self.string())))
        text = self.scalar()
        return text if text[0] in "tfn" else number(text)


def canonical(node: Node, encoding: str) -> str:
    """As jsonb writes it."""
    pieces: list[str] = []
    waiting: list[Node] = [node]
    while waiting:
        match waiting.pop():
            case str(text):
                pieces.append(text)
            case list(items):
                pieces.append("[")
                waiting.append("]")
                for place, item in reversed(list(enumerate(items))):
                    waiting += [item, ", "] if place else [item]
            case dict(pairs):
                pieces.append("{")
                waiting.append("}")
                for place, key in reversed(
                    list(enumerate(sorted(pairs, key=lambda key: _order(key, encoding))))
                ):
                    waiting += [pairs[key], f"{encode_basestring(key)}: "]
                    waiting += [", "] if place else []
    return "".join(pieces)


def parsed(text: str) -> Node:
    """The value of a text that holds nothing else."""
    scanner = Scanner(text)
    node = scanner.value()
    scanner.end()
    return node


def number(text: str) -> str:
    """A JSON number as numeric writes it."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise ValueError("not a number")
    return written_out(text, len(found[1] or ".") - 1, _exponent(found[2] or "e0"))


def _exponent(text: str) -> int:
    """`e-05` as a number. It is looked at before it is believed: whoever writes ten digits names a text of
    gigabytes, and leading zeros hide them."""
    digits = text.lstrip("eE+-0")
    if len(digits) > _EXPONENT_DIGITS:
        raise ValueError("a number beyond the limits of numeric")
    return -int(digits or 0) if "-" in text else int(digits or 0)


def written_out(text: str, decimals: int, exponent: int) -> str:
    """A number without an exponent, with the decimals that numeric would keep."""
    whole = len(text) + max(exponent, 0)
    if whole > MAX_WHOLE_DIGITS + MAX_DECIMALS + 20 or decimals - exponent > MAX_DECIMALS:
        raise ValueError("a number beyond the limits of numeric")
    plain = text if exponent == 0 and "e" not in text.lower() else format(Decimal(text), "f")
    if len(plain.partition(".")[0].lstrip("-")) > MAX_WHOLE_DIGITS:
        raise ValueError("a number beyond the limits of numeric")
    return plain[1:] if plain.startswith("-") and not plain.strip("-0.") else plain


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("the character U+0000, which jsonb does not hold")
    return text


def _order(key: str, encoding: str) -> tuple[int, bytes]:
    data = to_bytes(key, encoding)
    return len(data), data
