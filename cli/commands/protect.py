"""`cas protect`: no rule of retention removes these versions."""

import typer

from cas.format.notes import NoteField
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.saying import Versions, say_of
from cli.session import Session


def add_protect(app: typer.Typer) -> None:
    command(app, "protect", examples=["cas protect 12", "cas protect 12 13 latest"])(protect)


def protect(cas: Session, versions: Versions) -> ExitCode:
    """Let no rule of retention remove these versions, until `cas unprotect`."""
    return say_of(cas, versions, NoteField.PROTECTED, True, "protected: no rule removes it")
