"""`cas check`: prove that what the versions need is there and undamaged."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from time import monotonic
from typing import Annotated

import typer
from rich.console import Group

from cas.catalog.interface import Catalog
from cas.check import CheckLevel, check_repository
from cas.check_turns import Budget
from cas.engine.repository import Repository
from cas.errors import Conflict, ConnectionFailed, InvalidInput, NotFound
from cas.pinning import pinned
from cli.commanding import command
from cli.dates import parse_span
from cli.exit_codes import ExitCode
from cli.session import Session
from cli.showing_check import told
from cli.watching_faces import watching

SHOWN_FINDINGS = 20
"""Findings that a person sees; JSON has all."""


def add_check(app: typer.Typer) -> None:
    command(
        app,
        "check",
        examples=["cas check", "cas check 12 --level bytes", "cas check --budget 10m", "cas check --json"],
    )(check)


def check(
    cas: Session,
    version: Annotated[
        str | None, typer.Argument(metavar="[V]", help="Only this version; unset: everything.")
    ] = None,
    level: Annotated[
        CheckLevel | None,
        typer.Option(
            help="structure: all trees, and where each record lies; packs: also every trailer; "
            "bytes: also every stored byte. \\[default: structure; with --budget: bytes]",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Only for so long: 30s, 10m, 2h. What was checked the longest ago comes first, so run after "
            "run covers everything.",
        ),
    ] = None,
) -> ExitCode:
    """Prove that the versions hold what they say. Any damage is told with whom it touches; exit code 9.

    What is found is kept: `cas versions` and `cas show` say of every version when it was checked last.
    """
    if budget is not None and version is not None:
        raise InvalidInput(
            "a budget is for all versions, and one was named", where="--budget", hint="Leave one of them out"
        )
    limit = None if budget is None else Budget(parse_span(budget, "--budget"), monotonic)
    depth = level or (CheckLevel.STRUCTURE if limit is None else CheckLevel.BYTES)
    wanted = cas.number(version) if version is not None else None
    repository = cas.repository
    cas.if_stopped = "Nothing was changed in the store; what was found by then is kept"
    catalog = cas.catalog if limit is not None else _catalog(cas)
    with watching(cas.terminal, "check") as counters, _pinned(cas.repository, catalog, wanted):
        report = check_repository(
            repository, catalog=catalog, version=wanted, level=depth, budget=limit, progress=counters
        )
    if report.not_kept:
        cas.terminal.warn(f"not all that was found is kept: {report.not_kept}")
    cas.terminal.result(report, human=Group(*told(report)))
    return ExitCode.OK if report.is_clean else ExitCode.CORRUPT


def _catalog(cas: Session) -> Catalog | None:
    """A store is checked without its catalog too, if that must be."""
    try:
        return cas.catalog
    except (ConnectionFailed, NotFound) as error:
        cas.terminal.warn(
            f"lost documents cannot be noticed and nothing is kept, since the catalog was not asked: {error}"
        )
        return None


@contextmanager
def _pinned(repository: Repository, catalog: Catalog | None, version: int | None) -> Iterator[None]:
    """The version stays while it is looked at. One that is not there, or is about to go, is looked at as far
    as the store has it."""
    with ExitStack() as stack:
        if catalog is not None and version is not None:
            with suppress(NotFound, Conflict):
                stack.enter_context(pinned(repository.environment, catalog, version, "a check"))
        yield
