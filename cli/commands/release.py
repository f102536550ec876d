"""`cas release`: the hold of these versions is lifted."""

import typer

from cas.format.notes import NoteField
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.saying import Versions, say_of
from cli.session import Session


def add_release(app: typer.Typer) -> None:
    command(app, "release", examples=["cas release 12"])(release)


def release(cas: Session, versions: Versions) -> ExitCode:
    """Lift the hold of these versions: rules and people decide again."""
    return say_of(cas, versions, NoteField.HOLD, "", "no longer held")
