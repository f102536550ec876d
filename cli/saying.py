"""What people say of versions, said and told: the work of several small commands."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from cas.format.notes import Note, NoteField
from cas.noting import say
from cli.exit_codes import ExitCode
from cli.session import Session, whoami
from cli.words import plain

Versions = Annotated[list[str], typer.Argument(metavar="V...", help="Versions: numbers, or latest.")]


def say_of(
    cas: Session, versions: Sequence[str], field: NoteField, value: bool | str | None, told: str
) -> ExitCode:
    """The same of each. `told`: what they are then, for people."""
    numbers = sorted({cas.committed(text).number for text in versions})
    notes = say(cas.repository, cas.catalog, whoami(), [Note(number, field, value) for number in numbers])
    one = len(numbers) == 1
    who = f"{'Version' if one else 'Versions'} {', '.join(map(str, numbers))}"
    human = Text.assemble((who, "bold"), f" {'is' if one else 'are'} {plain(told)}")
    cas.terminal.result(notes, human=human)
    return ExitCode.OK
