"""`cas cleanup`: versions that no rule wants go, and then their room: what scheduled jobs run."""

from dataclasses import dataclass

import typer
from rich.console import Group
from rich.text import Text

from cas.cleaning_up import let_go_now
from cas.garbage.collecting import MOST_SHARE
from cas.noting import catch_up
from cas.retaining import is_automatic
from cli.commanding import command
from cli.commands.gc import GcResult, MaxShare, collected, require_share
from cli.exit_codes import ExitCode
from cli.letting_go import ForgetResult
from cli.letting_go import done as forgotten
from cli.session import Session
from cli.showing_garbage import done
from cli.watching_faces import watching


@dataclass(frozen=True, slots=True)
class CleanupDone:
    """What was done; nothing of either where cleaning up by itself is off."""

    automatic: bool
    forgotten: ForgetResult | None
    collected: GcResult | None


def add_cleanup(app: typer.Typer) -> None:
    examples = [
        "cas cleanup  # from a scheduler, once a day",
        "cas retention off  # from then on it does nothing",
    ]
    command(app, "cleanup", examples=examples)(cleanup)


def cleanup(cas: Session, max_share: MaxShare = MOST_SHARE) -> ExitCode:
    """Remove the versions that no rule of retention wants, and give back their room: `cas forget`, then
    `cas gc`, without a question.

    For scheduled jobs. `cas retention off` turns it off: then it does nothing, and says so. Protected and
    held versions never go, nor the last good one.
    """
    require_share(max_share)
    catch_up(cas.repository, cas.catalog)
    if not is_automatic(cas.catalog):
        said = "Automatic cleanup is off, so nothing was done. `cas retention on` turns it on"
        cas.terminal.result(CleanupDone(automatic=False, forgotten=None, collected=None), human=Text(said))
        return ExitCode.OK
    cas.if_stopped = "Run it again: it goes on where it was"
    with watching(cas.terminal, "forget") as counters:
        found, report = let_go_now(cas.repository, cas.catalog, cas.restores, counters)
    cas.terminal.show(*forgotten(report, found))  # said before the rest, which may be refused
    plan, made = collected(cas, max_share)
    result = CleanupDone(
        automatic=True,
        forgotten=ForgetResult(found.going, len(found.staying), report),
        collected=GcResult(plan, made),
    )
    cas.terminal.result(result, human=Group(*done(plan, made)))
    return ExitCode.OK
