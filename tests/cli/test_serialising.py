"""Frozen values as JSON: for programs, on one line, in any locale."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum, StrEnum
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.serialising import json_pieces, json_text


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


@dataclass(frozen=True, slots=True)
class Inner:
    id: bytes
    when: datetime


@dataclass(frozen=True, slots=True)
class Outer:
    name: str
    colour: Colour
    level: Level
    inner: tuple[Inner, ...]
    path: Path
    key: UUID
    nothing: None
    mapping: dict[str, int]


def test_every_kind_of_field_has_one_form() -> None:
    when = datetime(2026, 3, 1, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    value = Outer(
        "ü\x1b", Colour.RED, Level.HIGH, (Inner(b"\x00\xff", when),), Path("/a"), UUID(int=1), None, {"a": 1}
    )
    text = json_text(value)
    assert text.isascii()
    assert "\x1b" not in text
    assert json.loads(text) == {
        "name": "ü\x1b",
        "colour": "red",
        "level": 3,
        "inner": [{"id": "00ff", "when": "2026-03-01T12:00:00+00:00"}],
        "path": "/a",
        "key": "00000000-0000-0000-0000-000000000001",
        "nothing": None,
        "mapping": {"a": 1},
    }


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_json)
def test_what_is_json_already_comes_back_equal(value: object) -> None:
    text = json_text(value)
    assert "\n" not in text
    assert json.loads(text) == value


def test_an_endless_iterator_is_written_as_it_comes() -> None:
    def forever() -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1

    pieces = json_pieces({"numbers": forever()})
    assert "".join(next(pieces) for _ in range(8)) == '{"numbers": [0, 1, 2'


def test_a_value_of_nobodys_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no form"):
        json_text({"x": object()})
    with pytest.raises(ValueError, match="JSON"):
        json_text(float("nan"))


def test_times_are_in_utc() -> None:
    assert json_text(datetime(2026, 1, 1, tzinfo=UTC)) == '"2026-01-01T00:00:00+00:00"'
