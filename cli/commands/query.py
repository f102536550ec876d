"""`cas query`: ask a version by SQL, without touching the platform."""

import sys
from contextlib import ExitStack
from typing import Annotated

import typer

from cas.contents import open_contents
from cas.errors import InvalidInput
from cas.query import DEFAULT_ROWS, QueryRequest, query
from cas.records.scratch import ReadLimits
from cli import flags
from cli.commanding import command
from cli.commands.show import VersionArgument
from cli.exit_codes import ExitCode
from cli.scratch import scratch_server
from cli.session import Session
from cli.showing_rows import show_csv, show_json, show_tables
from cli.watching_faces import watching
from cli.words import counted

MAX_SQL_BYTES = 1 << 20
"""A statement from standard input. Anything larger is no question that somebody asks."""

STANDARD_INPUT = "-"


def add_query(app: typer.Typer) -> None:
    examples = [
        'cas query latest "select count(*) from products where price > 100"',
        'cas query 12 "select * from products order by price desc" --limit 20 --csv',
        'cas query 12 "select * from report()" --entity products --entity suppliers --json',
    ]
    command(app, "query", examples=examples)(run_query)


def run_query(
    cas: Session,
    version: VersionArgument,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT; - reads it from standard input.")],
    entity: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Load this one; may be repeated. Unset: what the statement is found to read."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Most rows; 0 is all.")] = DEFAULT_ROWS,
    csv: Annotated[bool, typer.Option("--csv", help="Rows as CSV; with --json as JSON lines.")] = False,
    timeout: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Time for the statement; 0 is any time.")
    ] = 60.0,
    scratch: flags.Scratch = None,
) -> ExitCode:
    """Run one SELECT on a version, in a throwaway database that holds what it reads."""
    terminal = cas.terminal
    if csv and terminal.as_json:
        raise InvalidInput("rows come as CSV or as JSON", where="--csv --json", hint="Drop one of them")
    cas.set(scratch=scratch)
    cas.if_stopped = "The throwaway database is dropped; nothing else was touched"
    request = QueryRequest(_statement(sql), tuple(entity or ()), ReadLimits(seconds=timeout, rows=limit))
    contents = open_contents(cas.repository, cas.reading(version).number)
    with ExitStack() as stack:
        server = stack.enter_context(scratch_server(cas))
        with watching(terminal, "query") as counters:
            answer = stack.enter_context(query(contents, server, request, counters))
        for note in answer.notes:
            terminal.warn(note)
        if terminal.as_json:
            shown = show_json(answer.rows)
        elif csv:
            shown = show_csv(answer.rows)
        else:
            shown = show_tables(terminal, answer.rows)
        if answer.rows.is_cut:
            terminal.warn(f"there are more than {counted(shown, 'row')}: --limit gives more, --limit 0 all")
        if not (terminal.as_json or csv):
            terminal.note(f"{counted(shown, 'row')} of version {contents.document.number}", style="dim")
    return ExitCode.OK


def _statement(sql: str) -> str:
    if sql != STANDARD_INPUT:
        return sql
    content = sys.stdin.buffer.read(MAX_SQL_BYTES + 1)
    if len(content) > MAX_SQL_BYTES:
        raise InvalidInput("the statement is too long", where="standard input")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput("not text in UTF-8", where="standard input") from error
