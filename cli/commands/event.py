"""`cas event`: the application says that something is done, and a version is taken for it."""

import re
from dataclasses import replace
from typing import Annotated

import typer

from cas.errors import InvalidInput
from cli import flags
from cli.auto_saving import auto_request
from cli.commanding import command
from cli.commands.snapshot import take
from cli.exit_codes import ExitCode
from cli.mirroring import destinations_of
from cli.session import Session

_KIND = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
MAX_KIND = 64


def add_event(app: typer.Typer) -> None:
    examples = ['cas event bulk-import-finished --note "catalogue of spring, 12,000 articles"']
    command(app, "event", examples=examples)(event)


def event(
    cas: Session,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="What happened, like bulk-import-finished.")],
    note: Annotated[str, typer.Option(metavar="TEXT", help="More about it, for people.")] = "",
    source: flags.Platform = None,
    allow_incomplete: flags.AllowIncomplete = False,
    to: flags.To = None,
) -> ExitCode:
    """Take a version now, because the application says that something happened.

    For import jobs and deployments: the version has trigger AUTO, and the event as its reason. `cas watch`
    does not take another one for the same.
    """
    cas.set(source=source)
    metadata = {"auto-save": "event", "event": kind}
    request = auto_request(cas, reason_of(kind, note), metadata, allow_incomplete=allow_incomplete)
    return take(cas, replace(request, destinations=destinations_of(cas, to)))


def reason_of(kind: str, note: str) -> str:
    """`bulk-import-finished` and a note: `Bulk import finished: note`. InvalidInput for what is no kind."""
    if not _KIND.fullmatch(kind) or len(kind) > MAX_KIND:
        raise InvalidInput(
            f"{kind[:40]!r} is no kind of event",
            where="cas event",
            hint="Write it in small letters, digits and single hyphens, like bulk-import-finished",
        )
    words = kind.replace("-", " ").capitalize()
    return f"{words}: {' '.join(note.split())}" if note.strip() else words
