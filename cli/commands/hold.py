"""`cas hold`: nobody removes these versions."""

from typing import Annotated

import typer

from cas.errors import InvalidInput
from cas.format.notes import NoteField
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.saying import Versions, say_of
from cli.session import Session


def add_hold(app: typer.Typer) -> None:
    command(app, "hold", examples=['cas hold 12 --reason "case 4711"'])(hold)


def hold(
    cas: Session,
    versions: Versions,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why: a case, a request, a law.")],
) -> ExitCode:
    """Let nobody remove these versions, by a rule or by hand, until `cas release`."""
    why = reason.strip()
    if not why:
        raise InvalidInput("a hold needs a reason", where="--reason", hint="Say why, for who finds it later")
    return say_of(cas, versions, NoteField.HOLD, why, f"held: {why}")
