"""On a real terminal: nothing is wider than it, colours can be switched off, and somebody is asked."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

import pytest

from cli.exit_codes import ExitCode
from tests.cli.running import COMMAND, Place, rows
from tests.servers.postgres import Databases

_STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Screen:
    """A command on a terminal of its own."""

    def __init__(self, place: Place, *arguments: str, width: int = 80, **more: str) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
        environment = place.full_environment({"TERM": "xterm-256color", **more})
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            if name not in more:
                environment.pop(name, None)
        self._process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=place.directory,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that ^C is a signal
        )
        os.close(theirs)
        self.text = ""

    def read_until(self, words: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while words not in self.text:
            assert time.monotonic() < deadline, self.text
            if not self._read():
                break
        assert words in self.text, self.text

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def end(self, seconds: float = 60) -> int:
        deadline = time.monotonic() + seconds
        while self._read():
            assert time.monotonic() < deadline, self.text
        os.close(self._ours)
        return self._process.wait(seconds)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._ours], [], [], 1)
        if not ready:
            return True
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # the other side is closed
            return False
        self.text += data.decode()
        return bool(data)

    @property
    def lines(self) -> list[str]:
        """All that was drawn, each drawing of a line for itself, without the codes that put it there. A
        carriage return begins a drawing: progress is drawn over and over in the same place."""
        return re.split(r"[\r\n]+", _STEERING.sub("", self.text))


WIDER = [pytest.param(width, marks=pytest.mark.thorough) for width in (80, 120)]


@pytest.mark.parametrize("width", [60, *WIDER])
def test_no_line_is_wider_than_the_terminal(standing: Place, width: int) -> None:
    record = ["products", "7"]
    for arguments in (
        ["versions"], ["show", "1"], ["get", "1", *record], ["history", *record], ["check"], ["doctor"],
    ):  # fmt: skip
        screen = Screen(standing, *arguments, width=width)
        assert screen.end() == 0, screen.text
        assert max(map(len, screen.lines)) <= width, screen.text


def test_colours_are_for_terminals_and_can_be_switched_off(standing: Place) -> None:
    coloured = Screen(standing, "versions")
    coloured.end()
    assert _COLOUR.search(coloured.text)
    plain = Screen(standing, "versions", NO_COLOR="1")
    plain.end()
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", plain.text)
    assert "\x1b" not in standing.process("versions").out


def test_an_error_is_red_on_a_terminal_and_plain_elsewhere(standing: Place) -> None:
    screen = Screen(standing, "show", "99")
    assert screen.end() == ExitCode.NOT_FOUND
    assert "\x1b[1;31mcas: \x1b[0m" in screen.text
    assert "\x1b" not in standing.process("show", "99").err


def test_a_snapshot_shows_its_progress_and_then_only_its_result(cas: Place) -> None:
    screen = Screen(cas, "snapshot")
    assert screen.end() == 0
    assert "Version 1 is complete" in screen.text
    assert "\x1b[?25l" in screen.text, "the cursor was hidden while it was drawn"
    assert "\x1b[?25h" in screen.text, "and is back"


def test_a_restore_asks_and_does_what_was_typed(cas: Place, database: Databases) -> None:
    assert cas("snapshot").code == 0
    target = database()
    declined = Screen(cas, "restore", "1", "--into", target)
    declined.read_until("Type 1 to restore")
    declined.type("no\n")
    assert declined.end() == ExitCode.DECLINED
    assert "Nothing was done" in declined.text
    assert rows(target, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]

    agreed = Screen(cas, "restore", "1", "--into", target)
    agreed.read_until("Type 1 to restore")
    assert "would be restored" in agreed.text
    agreed.type("1\n")
    assert agreed.end() == 0, agreed.text
    assert rows(target, "SELECT count(*) FROM products") == [(200,)]


def test_ctrl_c_at_the_question_does_nothing(cas: Place, database: Databases) -> None:
    assert cas("snapshot").code == 0
    screen = Screen(cas, "restore", "1", "--into", database())
    screen.read_until("Type 1 to restore")
    screen.type("\x03")
    assert screen.end() == ExitCode.INTERRUPTED
    assert "stopped by Ctrl-C" in screen.text
