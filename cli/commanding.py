"""How a function becomes a command: the flags that all share, its session, its errors, its exit code."""

import inspect
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, ParamSpec

import typer

from cas.errors import CasError
from cli.exit_codes import ExitCode
from cli.faults import Failure, failure_of
from cli.operating_system import fault_of_files
from cli.session import Session
from cli.stopping import Stopped
from cli.terminal import Terminal

_P = ParamSpec("_P")
_SHARED_PANEL = "Options of all commands"

Store = Annotated[
    str | None,
    typer.Option(metavar="URL", help="The repository. \\[CAS_STORE]", rich_help_panel=_SHARED_PANEL),
]
Catalog = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="The catalog's database. \\[CAS_CATALOG]", rich_help_panel=_SHARED_PANEL
    ),
]
Home = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Cache, embedded catalog, cas.toml. \\[CAS_HOME]", rich_help_panel=_SHARED_PANEL
    ),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json", help="One JSON result; progress as JSON lines on stderr.", rich_help_panel=_SHARED_PANEL
    ),
]
Debug = Annotated[
    bool, typer.Option("--debug", help="Show the traceback of a failure.", rich_help_panel=_SHARED_PANEL)
]


def _shared(
    store: Store = None, catalog: Catalog = None, home: Home = None, json: Json = False, debug: Debug = False
) -> None:
    """The flags of all commands; only its signature is used."""


def command(
    app: typer.Typer, name: str, *, examples: Sequence[str] = ()
) -> Callable[[Callable[_P, ExitCode]], Callable[_P, ExitCode]]:
    """Register a function as a command. Its first argument is the session; it returns the exit code. An
    argument that is a dataclass stands for its fields, each of which is an option."""

    def register(function: Callable[_P, ExitCode]) -> Callable[_P, ExitCode]:
        given = _parameters(function)[1:]
        own = [option for parameter in given for option in _options(parameter)]
        shared = _parameters(_shared)
        work: Callable[..., ExitCode] = function

        def run(**arguments: object) -> None:
            flags = {parameter.name: arguments.pop(parameter.name) for parameter in shared}
            is_debug = bool(flags.pop("debug"))
            terminal = Terminal(as_json=bool(flags.pop("json")))
            raise typer.Exit(
                _guarded(
                    lambda session: work(session, **_gathered(given, arguments)),
                    terminal,
                    flags,
                    is_debug=is_debug,
                )
            )

        parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*own, *shared)]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        epilog = "\n\n".join(("[bold]Examples[/]", *(f"  [cyan]{line}[/]" for line in examples)))
        app.command(name, help=_flowing(inspect.getdoc(function) or ""), epilog=epilog if examples else None)(
            run
        )
        return function

    return register


def _flowing(text: str) -> str:
    """Paragraphs that break where the terminal ends, and not where the source does."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _parameters(function: Callable[..., object]) -> list[inspect.Parameter]:
    return list(inspect.signature(function, eval_str=True).parameters.values())


def _options(parameter: inspect.Parameter) -> list[inspect.Parameter]:
    """The parameter itself, or one for each field of its dataclass."""
    kind = parameter.annotation
    return _parameters(kind) if isinstance(kind, type) and is_dataclass(kind) else [parameter]


def _gathered(given: Sequence[inspect.Parameter], values: Mapping[str, object]) -> dict[str, object]:
    """The arguments that the function wants."""
    return {
        parameter.name: values[parameter.name]
        if parameter.name in values
        else parameter.annotation(**{option.name: values[option.name] for option in _options(parameter)})
        for parameter in given
    }


def _guarded(
    work: Callable[[Session], ExitCode], terminal: Terminal, flags: dict[str, object], *, is_debug: bool
) -> ExitCode:
    """Do the work; whatever goes wrong becomes one line and an exit code."""
    session = Session(terminal, flags)
    seen: Exception
    try:
        with session:
            return work(session)
    except CasError as error:
        failure, seen = failure_of(error), error
    except Stopped as stop:
        failure = Failure("INTERRUPTED", str(stop), "", session.if_stopped, stop.exit_code)
        terminal.fail(failure)
        return failure.exit_code
    except BrokenPipeError:
        # Nobody reads us any more; the interpreter's own flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return ExitCode.BROKEN_PIPE
    except OSError as error:
        failure, seen = failure_of(fault_of_files(error)), error
    except Exception as error:  # noqa: BLE001 - the last line of defence: a person gets one line, and the log the rest
        failure, seen = _our_mistake(error, session), error
    if is_debug:
        traceback.print_exception(seen)
    terminal.fail(failure)
    return failure.exit_code


def _our_mistake(error: Exception, session: Session) -> Failure:
    """An error that should not exist: the traceback goes to a file, and the line says where."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    what = (
        f"unexpected {type(error).__name__}: {error}" if str(error) else f"unexpected {type(error).__name__}"
    )
    kept = _kept(error, session)
    hint = f"This is a mistake of this program. {kept}run again with --debug to see the traceback"
    place = f"{Path(last.filename).name}, line {last.lineno}"
    return Failure("INTERNAL", " ".join(what.split())[:300], place, hint, ExitCode.FAILURE)


def _kept(error: Exception, session: Session) -> str:
    """Write the traceback below CAS_HOME, where that is possible."""
    try:
        file = session.home / "last-failure.txt"
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as log:
            log.write(f"{datetime.now().astimezone().isoformat()}\n")
            traceback.print_exception(error, file=log)
    except (CasError, OSError):
        return "Please "
    return f"The traceback is in {file}; or "
