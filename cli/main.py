"""The command `cas`: all commands together, and the ways out that are not theirs."""

import io
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import cas
from cli.commands import Commands
from cli.exit_codes import ExitCode
from cli.faults import Failure
from cli.stopping import Stopped, Stopping
from cli.terminal import Terminal

_CODES = " · ".join(f"{code.value} {code.name.lower().replace('_', ' ')}" for code in ExitCode)
EPILOG = (
    "[bold]Settings[/] come from flags, then CAS_STORE, CAS_SOURCE, CAS_CATALOG, CAS_HOME and other CAS_* "
    "variables, then cas.toml in the current directory and in CAS_HOME.\n\n"
    f"[bold]Exit codes[/]  {_CODES}"
)

app = typer.Typer(
    name="cas",
    cls=Commands,
    help="Versions of the records of a PostgreSQL database: take, compare, bring back.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"cas {cas.__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Versions of the records of a PostgreSQL database: take, compare, bring back."""


def main(arguments: Sequence[str]) -> int:
    """Run one command line. Returns its exit code."""
    try:
        code = app(list(arguments), prog_name="cas", standalone_mode=False)
    except typer.TyperException as error:
        hint = "See `cas --help`, and `cas COMMAND --help`"
        failure = Failure("USAGE", error.format_message().rstrip("."), "", hint, ExitCode.INVALID)
        Terminal(as_json="--json" in arguments).fail(failure)
        return failure.exit_code
    except Stopped as stop:
        return stop.exit_code
    return code if isinstance(code, int) else ExitCode.OK


def run() -> None:
    """What `cli.start` runs when the process is set up."""
    Stopping().install()
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is shown as an escape, and is no reason to fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(main(sys.argv[1:]))
