"""`cas restores`: the history of restores into the running platform, whatever became of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Group
from rich.text import Text

from cas.catalog.restore_model import Restore, RestoreFilter, RestoreMode, RestoreState
from cas.errors import CasError, InvalidInput
from cas.live.restoring import resolve_outcomes
from cli import flags
from cli.commanding import command
from cli.dates import parse_time
from cli.exit_codes import ExitCode
from cli.session import Session
from cli.showing_restores import restore_state, told_restore, told_restores

_WHICH = "Which restores"
SHOW, CANCEL = "show", "cancel"


@dataclass(frozen=True, slots=True)
class RestoresPage:
    """`before`: what the next page is asked with; None where there is none."""

    restores: Sequence[Restore]
    before: int | None


@dataclass(frozen=True, slots=True)
class Which:
    """The filters of the list."""

    state: Annotated[
        list[RestoreState] | None, typer.Option(help="In this state.", rich_help_panel=_WHICH)
    ] = None
    mode: Annotated[RestoreMode | None, typer.Option(help="Of this mode.", rich_help_panel=_WHICH)] = None
    of: Annotated[
        str | None, typer.Option("--version", metavar="V", help="Of this version.", rich_help_panel=_WHICH)
    ] = None
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Begun at or after: 2026-03-01, 24h, 7d.", rich_help_panel=_WHICH),
    ] = None
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Begun before.", rich_help_panel=_WHICH)
    ] = None
    text: Annotated[
        str, typer.Option(help="In number, name, description or who asked.", rich_help_panel=_WHICH)
    ] = ""
    limit: Annotated[int, typer.Option(help="Restores on one page.", rich_help_panel=_WHICH)] = 20
    before: Annotated[
        int | None, typer.Option(help="Only numbers below: the next page.", rich_help_panel=_WHICH)
    ] = None


def add_restores(app: typer.Typer) -> None:
    examples = [
        "cas restores --state completed --since 7d",
        "cas restores 3",
        "cas restores cancel 3",
        "cas restores show 3 --json",
    ]
    command(app, "restores", examples=examples)(restores)


def restores(
    cas: Session,
    which: Which,
    what: Annotated[
        str | None,
        typer.Argument(metavar="show|cancel", help="One as a whole, or stop one.", show_default=False),
    ] = None,
    number: Annotated[str | None, typer.Argument(metavar="N", help="Its number.", show_default=False)] = None,
    source: flags.Platform = None,
) -> ExitCode:
    """List restores into the running platform, newest first; show one as a whole; or stop one.

    Where a connection was lost during COMMIT, the platform is asked first what became of it.
    """
    cas.set(source=source)
    if what is None:
        return _list(cas, which)
    verb, text = (what, number) if what in (SHOW, CANCEL) else (SHOW, what)
    if text is None or (verb == SHOW and what != SHOW and number is not None):
        raise InvalidInput(
            f"not to be understood: {what[:40]}",
            where="restores",
            hint="Write `cas restores [show|cancel] N`",
        )
    if which != Which():
        raise InvalidInput("filters are for the list", where="restores", hint="Drop them, or the number")
    wanted = restore_number(text)
    if verb == CANCEL:
        return _cancel(cas, wanted)
    _resolve(cas)
    restore = cas.restores.restore(wanted)
    cas.terminal.result(restore, human=Group(*told_restore(restore, cas.terminal.out.width)))
    return ExitCode.OK


def restore_number(text: str) -> int:
    """The restore that a person means."""
    if not text.isascii() or not text.isdigit() or len(text) > 18 or int(text) < 1:
        raise InvalidInput(f"{text[:40]} is no restore", hint="Give a number of `cas restores`")
    return int(text)


def _list(cas: Session, which: Which) -> ExitCode:
    where = RestoreFilter(
        states=tuple(which.state or ()),
        mode=which.mode,
        version=None if which.of is None else cas.number(which.of),
        since=parse_time(which.since, "--since") if which.since else None,
        until=parse_time(which.until, "--until") if which.until else None,
        text=which.text,
        limit=which.limit,
        before=which.before,
    )
    _resolve(cas)
    found = cas.restores.restores(where)
    page = RestoresPage(
        found, found[-1].number if len(found) == which.limit and found[-1].number > 1 else None
    )
    cas.terminal.result(page, human=told_restores(found, cas.terminal.out.width))
    if page.before is not None:
        cas.terminal.note(f"There may be more: add --before {page.before}", style="dim")
    return ExitCode.OK


def _cancel(cas: Session, number: int) -> ExitCode:
    restore = cas.restores.request_cancel(number)
    told = Text.assemble((f"Restore {number}", "bold"), " is ", restore_state(restore))
    if restore.state is not RestoreState.CANCELLED:
        told.append(": whoever executes it was asked to stop, and takes everything back")
    cas.terminal.result(restore, human=told)
    return ExitCode.OK


def _resolve(cas: Session) -> None:
    """Ask the platform for outcomes that nobody knows, where both are there to be asked."""
    if not cas.settings.source.get_secret_value() or not cas.restores.unresolved():
        return
    try:
        resolve_outcomes(cas.restores, cas.platform())
    except CasError as error:
        cas.terminal.warn(f"the platform could not be asked what became of a restore: {error}")
