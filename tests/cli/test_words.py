"""Numbers, sizes and times for people; texts from elsewhere on a terminal."""

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.words import counted, duration, minute, moment, number, offset, plain, saved, shortened, size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (123 * 1024**2, "123 MiB"),
        (5 * 1024**6, "5,120 PiB"),
        (None, "-"),
    ],
)
def test_a_size_is_told_in_the_largest_fitting_unit(count: int | None, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.96, "10 s"), (59.7, "1 min"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (None, "-")],
)
def test_a_duration_is_told_without_false_precision(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_numbers_are_grouped() -> None:
    assert number(1234567) == "1,234,567"
    assert counted(1, "entity", "entities") == "1 entity"
    assert counted(1200, "record") == "1,200 records"


def test_a_saving_is_never_rounded_up_to_everything() -> None:
    assert saved(10**9, 1) == "99.9 %"
    assert saved(100, 30) == "70.0 %"
    assert saved(100, 100) == ""
    assert saved(0, 5) == ""


def test_a_time_carries_its_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        when = datetime(2026, 3, 1, 12, 0, 5, 999999, tzinfo=UTC)
        assert moment(when) == "2026-03-01 17:30:05 +05:30"
        assert (minute(when), offset(when)) == ("2026-03-01 17:30", "+05:30")
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.text())
def test_no_text_can_steer_a_terminal_or_break_a_line(text: str) -> None:
    shown = plain(text)
    assert not {unicodedata.category(sign) for sign in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert len(shown.splitlines()) <= 1


def test_escape_sequences_and_overrides_are_shown_as_escapes() -> None:
    assert plain("a\x1b[31mred\x07") == r"a\x1b[31mred\x07"
    assert plain("\u202egpj.exe") == r"\u202egpj.exe"
    assert plain("Zürich 北京") == "Zürich 北京"


def test_a_long_text_says_that_it_was_cut() -> None:
    assert shortened("abcdef", 4) == "abc…"
    assert shortened("abcd", 4) == "abcd"
