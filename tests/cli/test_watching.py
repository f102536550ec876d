"""Progress: counters add up, shares and remaining time are honest, and every kind of output shows them."""

import io
import json
import time
from threading import Thread

import pytest
from rich.console import Console

from cas.records.source import EntityEstimate
from cli import watching, watching_faces
from cli.terminal import Terminal
from cli.watching import Counters


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that only the test moves."""
    now = [1000.0]
    monkeypatch.setattr(watching, "monotonic", lambda: now[0])
    return now


def test_rates_and_remaining_time_come_from_what_was_counted(clock: list[float]) -> None:
    counters = Counters()
    counters.phase("read")
    counters.expect({"a": EntityEstimate(1000, 10_000), "b": EntityEstimate(1000, 30_000)})
    counters.entity("a", 1000, 10_000)
    clock[0] += 2
    counters.advance("a", 500, 5_000)
    reading = counters.read()
    assert reading.records == 500
    assert reading.records_per_second == 250
    assert reading.bytes_per_second == 2500
    assert reading.share == pytest.approx(0.125), "half of a quarter, by bytes"
    assert reading.remaining_seconds == pytest.approx(14)
    assert (reading.entity, reading.entities_begun, reading.entities) == ("a", 1, 2)


def test_nothing_is_promised_before_there_is_a_pace(clock: list[float]) -> None:
    counters = Counters()
    counters.phase("read")
    counters.entity("a", 1000, 0)
    assert counters.read().share is None
    clock[0] += 0.5
    counters.advance("a", 10, 100)
    assert counters.read().remaining_seconds is None
    assert counters.read().records_per_second == 0


def test_an_estimate_that_was_too_high_does_not_hold_up_the_rest(clock: list[float]) -> None:
    counters = Counters()
    counters.expect({"a": EntityEstimate(10**9, 100), "b": EntityEstimate(100, 100)})
    counters.phase("read")
    counters.entity("a", 10**9, 100)
    counters.advance("a", 5, 50)
    counters.entity("b", 100, 100)
    counters.advance("b", 50, 50)
    share = counters.read().share
    assert share is not None
    assert share > 0.6, "the entity that ended counts as whole"


def test_an_estimate_that_was_too_low_never_says_done(clock: list[float]) -> None:
    counters = Counters()
    counters.phase("read")
    counters.entity("a", 10, 10)
    clock[0] += 5
    counters.advance("a", 1000, 1000)
    assert counters.read().share == 0.99


def test_entities_side_by_side_are_not_taken_for_ended() -> None:
    counters = Counters()
    counters.expect({"a": EntityEstimate(100, 100), "b": EntityEstimate(100, 100)}, is_exact=True)
    counters.phase("records")
    counters.entity("a", 100, 100)
    counters.advance("a", 10, 10)
    counters.entity("b", 100, 100)
    assert counters.read().share == pytest.approx(0.05)


def test_a_phase_begins_at_nought_and_what_is_stored_goes_on() -> None:
    counters = Counters()
    counters.phase("read")
    counters.advance("a", 10, 100)
    counters.stored(5)
    counters.phase("schema")
    reading = counters.read()
    assert (reading.records, reading.stored_bytes, reading.share) == (0, 5, None)


def test_many_threads_lose_no_record() -> None:
    counters = Counters()

    def work() -> None:
        for _ in range(1000):
            counters.advance("a", 1, 2)
            counters.stored(3)

    threads = [Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reading = counters.read()
    assert (reading.records, reading.payload_bytes, reading.stored_bytes) == (8000, 16000, 24000)


def _terminal(*, as_json: bool, is_terminal: bool) -> tuple[Terminal, io.StringIO]:
    written = io.StringIO()
    console = Console(file=written, force_terminal=is_terminal, width=80, highlight=False)
    return Terminal(as_json, out=console, err=console), written


def _work(counters: Counters) -> None:
    counters.expect({"public.products": EntityEstimate(1000, 100_000)})
    counters.phase("read")
    counters.entity("public.products", 1000, 100_000)
    for _ in range(4):
        time.sleep(0.03)
        counters.advance("public.products", 100, 10_000)


def test_a_log_gets_plain_lines_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching_faces, "PLAIN_SECONDS", 0.02)
    terminal, written = _terminal(as_json=False, is_terminal=False)
    with watching_faces.watching(terminal, "snapshot") as counters:
        _work(counters)
    lines = written.getvalue().splitlines()
    assert lines
    assert "\x1b" not in written.getvalue()
    assert any("read, public.products (1 of 1)" in line and "%" in line for line in lines), lines


def test_a_program_gets_an_object_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watching_faces, "JSON_SECONDS", 0.02)
    terminal, _ = _terminal(as_json=True, is_terminal=False)
    with watching_faces.watching(terminal, "snapshot") as counters:
        _work(counters)
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert events[-1]["progress"]["records"] == 400
    assert {"phase", "share", "remaining_seconds", "records_per_second"} <= events[-1]["progress"].keys()


def test_a_terminal_gets_a_bar_that_is_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching_faces, "FRAMES_PER_SECOND", 100)
    monkeypatch.setattr(watching, "SHORTEST_SECONDS", 0.0)
    terminal, written = _terminal(as_json=False, is_terminal=True)
    with watching_faces.watching(terminal, "snapshot") as counters:
        _work(counters)
    drawn = written.getvalue()
    for words in ("snapshot", "public.products", "━", "records", "left", "/s"):
        assert words in drawn
    assert drawn.rstrip().endswith("\x1b[2K"), "the last thing done is to erase the lines"
