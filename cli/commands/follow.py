"""`cas follow`: a version whenever something changed."""

from typing import Annotated

import typer

from cas.catalog.auto_save_model import Policy, PolicyKind
from cli import flags
from cli.auto_saving import Once, Poll, run_watcher
from cli.commanding import command
from cli.dates import parse_span
from cli.exit_codes import ExitCode
from cli.session import Session


def add_follow(app: typer.Typer) -> None:
    command(app, "follow", examples=["cas follow", "cas follow --every 15m"])(follow)


def follow(
    cas: Session,
    every: Annotated[str, typer.Option(metavar="SPAN", help="At most so often: 60s, 15m, 6h, 1d.")] = "60s",
    source: flags.Platform = None,
    poll: Poll = "5s",
    once: Once = False,
    allow_incomplete: flags.AllowIncomplete = False,
) -> ExitCode:
    """Take a version whenever something changed, at most every 60 seconds, until stopped.

    For an afternoon of risky work. To have it always, and beside other reasons: `cas auto-save on --follow
    60s`, and `cas watch`.
    """
    cas.set(source=source)
    policy = Policy(PolicyKind.FOLLOW, seconds=parse_span(every, "--every"))
    return run_watcher(
        cas,
        lambda: [policy],
        poll,
        once=once,
        allow_incomplete=allow_incomplete,
        if_waiting=f"  That one can do it too: cas auto-save on --follow {every}",
    )
