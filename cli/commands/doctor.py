"""`cas doctor`: is everything there, reachable, allowed, roomy and on time."""

from collections.abc import Callable, Iterator, Sequence

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cas.errors import CasError
from cli import flags
from cli.commanding import command
from cli.doctor.databases import grants_of, look_at_catalog, look_at_source
from cli.doctor.machine import look_at_machine
from cli.doctor.model import Diagnosis, Health, Observation
from cli.doctor.program import look_at_program
from cli.doctor.store import look_at_store
from cli.exit_codes import ExitCode
from cli.faults import failure_of
from cli.session import Session
from cli.tables import indented
from cli.words import plain

Look = Callable[[Session], Iterator[Observation]]

_LOOKS: Sequence[tuple[str, Look]] = (
    ("program", look_at_program),
    ("machine", look_at_machine),
    ("store", look_at_store),
    ("catalog", look_at_catalog),
    ("source", look_at_source),
)

_MARKS = {Health.OK: ("ok", "green"), Health.WARN: ("warn", "yellow"), Health.FAIL: ("FAIL", "bold red")}


def add_doctor(app: typer.Typer) -> None:
    command(app, "doctor", examples=["cas doctor", "cas doctor --source postgresql://reader@db/shop --json"])(
        doctor
    )


def doctor(cas: Session, source: flags.Source = None) -> ExitCode:
    """Check dependencies, settings, store, catalog, source, rights, room and clocks; say what to do."""
    cas.set(source=source)
    _ = cas.settings  # a mistake in the settings is an error of its own
    observations = tuple(_observations(cas))
    diagnosis = Diagnosis(observations, _grants(cas, observations))
    cas.terminal.result(diagnosis)
    cas.terminal.show(*_told(diagnosis))
    return ExitCode.OK if diagnosis.is_healthy else ExitCode.NOT_HEALTHY


def _observations(session: Session) -> Iterator[Observation]:
    """What does not even answer is a observation too."""
    for group, look in _LOOKS:
        if group == "source" and not session.settings.source.get_secret_value():
            advice = "Name it by --source or CAS_SOURCE to have it looked at"
            yield Observation(group, "database", Health.WARN, "no database is named", advice)
            continue
        try:
            yield from look(session)
        except CasError as error:
            failure = failure_of(error)
            place = f" ({failure.where})" if failure.where else ""
            yield Observation(group, "reachable", Health.FAIL, f"{failure.what}{place}", failure.hint)


def _grants(session: Session, observations: Sequence[Observation]) -> tuple[str, ...]:
    """Where the platform answers; what does not work there was told already."""
    answers = any(
        one.group == "source" and one.name == "reachable" and one.health is not Health.FAIL
        for one in observations
    )
    if not answers:
        return ()
    try:
        return grants_of(session)
    except CasError:
        return ()


def _told(diagnosis: Diagnosis) -> Iterator[RenderableType]:
    group = ""
    for observation in diagnosis.observations:
        if observation.group != group:
            group = observation.group
            yield Text(f"\n{group}", style="bold")
        yield indented(_line(observation))
    if diagnosis.grants:
        yield Text("\na role that may read everything and write nothing", style="bold")
        for statement in diagnosis.grants:
            yield Text(f"  {plain(statement)}", style="cyan")
    failed = sum(observation.health is Health.FAIL for observation in diagnosis.observations)
    warned = sum(observation.health is Health.WARN for observation in diagnosis.observations)
    yield Text()
    if failed:
        yield Text(f"{failed} to mend, {warned} to consider", style="bold red")
    else:
        yield Text("Everything works" + (f", {warned} to consider" if warned else ""), style="bold green")


def _line(observation: Observation) -> Table:
    word, style = _MARKS[observation.health]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=4, style=style)
    grid.add_column(width=20)
    grid.add_column(overflow="fold")
    words = Text(plain(observation.found))
    if observation.advice and observation.health is not Health.OK:
        words.append(f"\n→ {plain(observation.advice)}", style=style)
    grid.add_row(word, Text(plain(observation.name)), words)
    return grid
