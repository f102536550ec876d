"""`cas expire`: until when these versions stay, whatever the rules say."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from cas.errors import InvalidInput
from cas.format.notes import NoteField
from cli.commanding import command
from cli.dates import parse_time
from cli.exit_codes import ExitCode
from cli.saying import Versions, say_of
from cli.session import Session
from cli.words import moment


def add_expire(app: typer.Typer) -> None:
    command(app, "expire", examples=["cas expire 12 --at 2027-01-31", "cas expire 12 --never"])(expire)


def expire(
    cas: Session,
    versions: Versions,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="2027-01-31, or 2027-01-31T14:00+02:00.")
    ] = None,
    never: Annotated[bool, typer.Option("--never", help="No date any more: the rules decide.")] = False,
) -> ExitCode:
    """Keep these versions until a date, and no longer, whatever the rules say."""
    if (at is None) != never:
        raise InvalidInput("give a date or --never", where="--at", hint="Write for example --at 2027-01-31")
    if at is None:
        return say_of(cas, versions, NoteField.EXPIRES_AT, None, "without a date: the rules decide")
    until = parse_time(at, "--at").astimezone(UTC)
    if until <= datetime.now(UTC):
        raise InvalidInput(f"{at[:40]} has passed", where="--at", hint="`cas delete` removes a version now")
    value = until.isoformat(timespec="microseconds")
    return say_of(cas, versions, NoteField.EXPIRES_AT, value, f"kept until {moment(until)}")
