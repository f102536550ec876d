"""Frozen values as JSON: one way for all commands.

Dataclasses become objects, enumerations their values, bytes hex, times RFC 3339 in UTC, paths text;
what is not ASCII is escaped, so that any terminal and any locale can carry it.
Iterators become arrays, written as they come, so that a long list needs no memory.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import PurePath
from uuid import UUID


def json_text(value: object) -> str:
    """The value on one line."""
    return "".join(json_pieces(value))


def json_pieces(value: object) -> Iterator[str]:
    """The same in pieces. TypeError for a value that is none of ours."""
    if isinstance(value, Mapping):
        yield from _object((str(_scalar(key)), item) for key, item in value.items())
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _object((field.name, getattr(value, field.name)) for field in fields(value))
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes | Enum):
        yield from _array(value)
    else:
        yield json.dumps(_scalar(value), allow_nan=False)


def _object(pairs: Iterable[tuple[str, object]]) -> Iterator[str]:
    yield "{"
    for position, (name, item) in enumerate(pairs):
        yield f"{', ' if position else ''}{json.dumps(name)}: "
        yield from json_pieces(item)
    yield "}"


def _array(values: Iterable[object]) -> Iterator[str]:
    yield "["
    for position, item in enumerate(values):
        if position:
            yield ", "
        yield from json_pieces(item)
    yield "]"


def _scalar(value: object) -> str | int | float | bool | None:
    match value:
        case Enum():
            return _scalar(value.value)
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return value.hex()
        case datetime():
            return value.astimezone(UTC).isoformat()
        case PurePath() | UUID():
            return str(value)
        case _:
            raise TypeError(f"{type(value).__name__} has no form in JSON")
