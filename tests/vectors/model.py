"""A vector: bytes, what they are meant to be, and what a reader makes of them. And its text form.

name: value lines, then an empty line, then the bytes as the line `body` says:
text   the rest of the file
hex    lines of hex; `00 * 4096` stands for 4096 times these bytes
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from blake3 import blake3

Json: TypeAlias = bool | int | str | Sequence["Json"] | Mapping[str, "Json"] | None

HOME = Path(__file__).parent
EXPECTATIONS = ("success", "malformed", "hash-mismatch", "truncated", "missing", "unsupported", "limit")

_LINE_BYTES = 48
_LONGEST_VALUE = 4000
_RUN = re.compile(rb"(.)\1{255,}", re.DOTALL)

Parts: TypeAlias = Sequence[tuple[bytes, int]]
"""Bytes as units and how often each is repeated: what is large in a vector is always a repetition."""


@dataclass(frozen=True, slots=True)
class Vector:
    """One scenario.

    of: which parser it is for. value: what a success gives, as JSON with bytes in hex; or None where the
    bytes are JSON themselves. given: what the parser needs besides the bytes.
    """

    of: str
    name: str
    expect: str
    about: str
    parts: tuple[tuple[bytes, int], ...]
    value: str | None = None
    given: Mapping[str, Json] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        return b"".join(unit * count for unit, count in self.parts)


def parts_of(data: bytes | Parts) -> tuple[tuple[bytes, int], ...]:
    """Bytes as parts: long runs of one byte become repetitions."""
    if not isinstance(data, bytes):
        return tuple(
            part for unit, count in data for part in (parts_of(unit) if count == 1 else ((unit, count),))
        )
    parts, at = [], 0
    for run in _RUN.finditer(data):
        if run.start() > at:
            parts.append((data[at : run.start()], 1))
        parts.append((run[1], run.end() - run.start()))
        at = run.end()
    if at < len(data) or not parts:
        parts.append((data[at:], 1))
    return tuple(parts)


def stated(value: Json) -> str:
    """How a vector states a value: as JSON, or where that is long as its BLAKE3."""
    text = dumps(value)
    return text if len(text) <= _LONGEST_VALUE else "blake3 " + blake3(text.encode()).hexdigest()


def dumps(value: Json) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def to_text(vector: Vector) -> bytes:
    lines = [f"expect: {vector.expect}", f"about: {vector.about}"]
    lines += [f"{name}: {dumps(value)}" for name, value in vector.given.items()]
    if vector.value is not None:
        lines.append(f"value: {vector.value}")
    whole = vector.parts[0][0] if len(vector.parts) == 1 and vector.parts[0][1] == 1 else b""
    if whole and all(0x20 <= byte < 0x7F or byte == 0x0A for byte in whole):
        return "\n".join([*lines, "body: text", "", ""]).encode("ascii") + whole
    lines += ["body: hex", ""]
    for unit, count in vector.parts:
        if count > 1:
            lines.append(f"{unit.hex()} * {count}")
        else:
            lines += [unit[at : at + _LINE_BYTES].hex() for at in range(0, len(unit), _LINE_BYTES)]
    return ("\n".join(lines) + "\n").encode("ascii")


def from_text(of: str, name: str, text: bytes) -> Vector:
    head, _, body = text.partition(b"\n\n")
    fields = dict(line.split(": ", 1) for line in head.decode("ascii").splitlines())
    expect, about, form = fields.pop("expect"), fields.pop("about"), fields.pop("body")
    value = fields.pop("value", None)
    given = {key: json.loads(stated_json) for key, stated_json in fields.items()}
    parts = parts_of(body) if form == "text" else tuple(_hex_parts(body.decode("ascii")))
    return Vector(of, name, expect, about, parts, value, given)


def _hex_parts(body: str) -> list[tuple[bytes, int]]:
    parts: list[tuple[bytes, int]] = []
    plain = b""
    for line in body.splitlines():
        unit, _, count = line.partition(" * ")
        if not count:
            plain += bytes.fromhex(unit)
            continue
        if plain:
            parts.append((plain, 1))
        parts.append((bytes.fromhex(unit), int(count)))
        plain = b""
    if plain or not parts:
        parts.append((plain, 1))
    return parts


def vector_named(of: str, name: str) -> Vector:
    return from_text(of, name, (HOME / of / f"{name}.vector").read_bytes())


def all_vectors() -> list[Vector]:
    """Those on the disk, ascending by path."""
    return [
        from_text(path.parent.name, path.stem, path.read_bytes()) for path in sorted(HOME.glob("*/*.vector"))
    ]
