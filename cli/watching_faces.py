"""Showing the counters of long work: a line that is redrawn, plain lines now and then, or JSON lines."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from cli.terminal import Terminal
from cli.watching import Counters, Reading
from cli.words import counted, duration, number, plain, shortened, size

PLAIN_SECONDS = 5.0
"""Between two lines in a log: often enough to see life, seldom enough to read."""

JSON_SECONDS = 1.0

PACKS = "packs"
"""What long work calls its packs, where it counts these and not the records of an entity."""

FRAMES_PER_SECOND = 8


@contextmanager
def watching(terminal: Terminal, title: str) -> Iterator[Counters]:
    """Counters that are shown until the block ends, by whatever suits the terminal."""
    counters = Counters()
    if terminal.as_json:
        with _ticking(lambda: _tell_json(terminal, counters.read()), JSON_SECONDS):
            yield counters
        _tell_json(terminal, counters.read())
    elif terminal.shows_live:
        drawing = _Drawing(title, counters)
        live = Live(
            get_renderable=drawing.render,
            console=terminal.err,
            transient=True,
            refresh_per_second=FRAMES_PER_SECOND,
        )
        with live:
            yield counters
    else:
        with _ticking(lambda: _tell_line(terminal, title, counters.read()), PLAIN_SECONDS):
            yield counters


@contextmanager
def _ticking(tell: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call `tell` every so many seconds on a thread of its own."""
    ended = Event()

    def run() -> None:
        while not ended.wait(seconds):
            tell()

    thread = Thread(target=run, name="cas-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _tell_json(terminal: Terminal, reading: Reading) -> None:
    terminal.event("progress", progress=reading)


def _tell_line(terminal: Terminal, title: str, reading: Reading) -> None:
    words = [f"{title}: {reading.phase or 'begin'}"]
    if reading.entity:
        words.append(f"{plain(reading.entity)} ({reading.entities_begun} of {reading.entities})")
    words.extend(_figures(reading))
    words.append(f"{duration(reading.seconds)} so far")
    terminal.note(", ".join(words))


def _figures(reading: Reading) -> list[str]:
    """What is known, in words: counts, rates, percentage, remaining time."""
    figures = []
    if reading.records:
        what = "pack" if reading.entity == PACKS else "record"
        figures.append(f"{counted(reading.records, what)}, {size(reading.payload_bytes)}")
    if reading.records_per_second:
        rates = f"{number(round(reading.records_per_second))}/s, {size(round(reading.bytes_per_second))}/s"
        figures.append(rates)
    if reading.stored_bytes:
        figures.append(f"{size(reading.stored_bytes)} stored")
    if reading.share is not None:
        figures.append(f"{reading.share:.0%}")
    if reading.remaining_seconds is not None:
        figures.append(f"{duration(reading.remaining_seconds)} left")
    return figures


class _Drawing:
    """Two lines: what is done and how far, and the figures."""

    def __init__(self, title: str, counters: Counters) -> None:
        self._title = title
        self._counters = counters
        self._spinner = Spinner("dots", style="cyan")

    def render(self) -> RenderableType:
        reading = self._counters.read()
        return Group(self._head(reading), *self._body(reading))

    def _head(self, reading: Reading) -> RenderableType:
        head = Table.grid(padding=(0, 1))
        words = Text.assemble((self._title, "bold"), f"  {reading.phase or 'begin'}")
        if reading.entity:
            words.append(f"  {shortened(plain(reading.entity), 40)}", style="cyan")
        words.append(f"  {duration(reading.seconds)}", style="dim")
        words.no_wrap = True
        head.add_row(self._spinner, words)
        return head

    def _body(self, reading: Reading) -> Iterator[RenderableType]:
        if reading.share is None:
            return
        line = Table.grid(padding=(0, 1))
        left = f"{duration(reading.remaining_seconds)} left" if reading.remaining_seconds is not None else ""
        percent = f"{reading.share:.0%}"
        line.add_row(
            " ", ProgressBar(total=1.0, completed=reading.share, width=32), percent, Text(left, "dim")
        )
        yield line
        figures = [figure for figure in _figures(reading) if not figure.endswith(("%", "left"))]
        yield Text("  " + " · ".join(figures), style="dim", no_wrap=True, overflow="ellipsis")
