"""`cas unprotect`: the rules of retention decide about these versions again."""

import typer

from cas.format.notes import NoteField
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.saying import Versions, say_of
from cli.session import Session


def add_unprotect(app: typer.Typer) -> None:
    command(app, "unprotect", examples=["cas unprotect 12"])(unprotect)


def unprotect(cas: Session, versions: Versions) -> ExitCode:
    """Let the rules of retention decide about these versions again."""
    return say_of(cas, versions, NoteField.PROTECTED, False, "no longer protected: the rules decide")
