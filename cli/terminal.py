"""Where output goes: results to standard output, everything else to standard error.

With `--json` standard output carries exactly one line, the result or the error, and standard error
one JSON object a line while the work goes on.
"""

import select
import sys
from dataclasses import dataclass, field

from rich.console import Console, RenderableType
from rich.text import Text

from cli.faults import Failure
from cli.serialising import json_pieces, json_text
from cli.words import plain

WIDTH_OF_NO_TERMINAL = 120
"""Columns for files and pipes: wide enough that no table is cut."""

ASK_SECONDS = 0.3
"""How soon a signal is noticed while somebody is asked."""


class _Console(Console):
    """A console that lets its command end in its own way when nobody reads any more."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else WIDTH_OF_NO_TERMINAL
    return _Console(stderr=stderr, highlight=False, emoji=False, markup=False, width=width)


@dataclass(frozen=True, slots=True)
class Terminal:
    """Both streams, and the choice between people and programs."""

    as_json: bool = False
    out: Console = field(default_factory=lambda: _console(stderr=False))
    err: Console = field(default_factory=lambda: _console(stderr=True))

    @property
    def is_interactive(self) -> bool:
        """Whether somebody can be asked."""
        return not self.as_json and sys.stdin.isatty() and self.err.is_terminal

    @property
    def shows_live(self) -> bool:
        """Whether lines on standard error may be redrawn."""
        return not self.as_json and self.err.is_terminal and not self.err.is_dumb_terminal

    def result(self, value: object, *, human: RenderableType | None = None) -> None:
        """The one result: the value as JSON, or its human form."""
        if self.as_json:
            for piece in json_pieces(value):
                sys.stdout.write(piece)
            sys.stdout.write("\n")
            sys.stdout.flush()
        elif human is not None:
            self.out.print(human)

    def show(self, *parts: RenderableType) -> None:
        """More of the result, for people only."""
        if not self.as_json:
            for part in parts:
                self.out.print(part)

    def whole(self, text: str) -> None:
        """A line of the result that people copy: never wrapped or cut, however long. Programs have it in
        their result."""
        if not self.as_json:
            self.out.print(Text(plain(text)), soft_wrap=True)

    def note(self, text: str, *, style: str = "") -> None:
        """One line beside the result, on standard error."""
        if self.as_json:
            self.event("note", text=text)
        else:
            self.err.print(Text(plain(text), style=style), soft_wrap=True)

    def beside(self, part: RenderableType) -> None:
        """Something for people beside the result, on standard error."""
        if not self.as_json:
            self.err.print(part)

    def ask(self, question: str) -> str:
        """The line that a person types; empty at the end of input. Only where `is_interactive`.

        Not by input(), and not by waiting in one go: both pass over a Ctrl-C that comes just before they
        begin to wait.
        """
        self.err.print(Text(plain(question), style="bold"), end="")
        while not select.select([sys.stdin], [], [], ASK_SECONDS)[0]:
            pass
        return sys.stdin.readline()

    def warn(self, text: str) -> None:
        """One line about something that a person should know."""
        if self.as_json:
            self.event("warning", text=text)
        else:
            self.err.print(Text.assemble(("warning: ", "yellow"), plain(text)), soft_wrap=True)

    def event(self, kind: str, **fields: object) -> None:
        """A line for programs on standard error; nothing for people."""
        if self.as_json:
            sys.stderr.write(json_text({"event": kind, **fields}) + "\n")
            sys.stderr.flush()

    def fail(self, failure: Failure) -> None:
        """The one line of an error; with --json also the one result."""
        if self.as_json:
            sys.stdout.write(json_text({"error": failure}) + "\n")
            sys.stdout.flush()
            self.event("error", text=failure.line)
            return
        line = Text.assemble(("cas: ", "bold red"), failure.what)
        if failure.where:
            line.append(f" ({failure.where})")
        if failure.hint:
            line.append(".")
            line.append(f" {failure.hint}", style="dim")
        self.err.print(line, soft_wrap=True)
