"""What goes wrong, as one line for people and one object for programs."""

from dataclasses import dataclass

from cas.errors import CasError, CorruptData
from cas.store.interface import StoreFault
from cli.exit_codes import ExitCode, exit_code_of
from cli.words import plain

MAX_PART = 600
"""Characters of each part of an error: it stays a line that somebody reads."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure. `code` is the error's; `kind` narrows it where the error has kinds."""

    code: str
    what: str
    where: str
    hint: str
    exit_code: ExitCode
    kind: str = ""

    @property
    def line(self) -> str:
        """What, where, what to do."""
        place = f" ({self.where})" if self.where else ""
        advice = f". {self.hint}" if self.hint else ""
        return f"{self.what}{place}{advice}"


def failure_of(error: CasError) -> Failure:
    """The failure that an error of ours means."""
    kind = ""
    if isinstance(error, CorruptData):
        kind = error.kind
    elif isinstance(error, StoreFault):
        kind = error.fault.value
    return Failure(
        error.code, _part(error.what), _part(error.where), _part(error.hint), exit_code_of(error), kind
    )


def _part(text: str) -> str:
    """On one line, of bounded length, without control characters."""
    flat = plain(" ".join(text.split()))
    return flat if len(flat) <= MAX_PART else flat[: MAX_PART - 1] + "…"
