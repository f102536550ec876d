"""`cas history`: one record through all versions."""

from typing import Annotated

import typer

from cas.history import Window, history
from cli.commanding import command
from cli.dates import parse_time
from cli.exit_codes import ExitCode
from cli.session import Session
from cli.showing_history import told_history

_WHICH = "Which states"

KEPT_NODES = "nodes.sqlite"
"""The file of the repository's cache that makes the same question quicker the next time."""


def add_history(app: typer.Typer) -> None:
    examples = [
        "cas history products 4711",
        "cas history products 4711 --limit 3 --full",
        "cas history public.prices EUR 2026-03-01 --since 7d    (a key of two columns)",
        "cas history offsets --json -- -5 | jq '.states[].version'",
    ]
    command(app, "history", examples=examples)(show_history)


def show_history(
    cas: Session,
    entity: Annotated[str, typer.Argument(metavar="ENTITY", help="schema.table, or table.")],
    key: Annotated[list[str], typer.Argument(metavar="KEY...", help="The primary key, column by column.")],
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Begun in a version taken at or after: 2026-03-01, 24h, 7d.",
            rich_help_panel=_WHICH,
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Begun in a version taken before.", rich_help_panel=_WHICH),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="The newest ones; 0: all.", rich_help_panel=_WHICH)] = 0,
    full: Annotated[bool, typer.Option("--full", help="Show values and columns in full.")] = False,
) -> ExitCode:
    """Show when a record was created, changed, deleted and came back, over all versions, newest first."""
    window = Window(
        since=parse_time(since, "--since") if since else None,
        until=parse_time(until, "--until") if until else None,
        limit=limit,
    )
    kept = cas.home / "cache" / cas.repository.id / KEPT_NODES
    found = history(cas.repository, cas.catalog, entity, key, window, kept)
    cas.terminal.result(found, human=told_history(found, cas.terminal.out.width, is_full=full))
    return ExitCode.OK if found.is_whole else ExitCode.CORRUPT
