"""`cas replicate`: bring replicas up to date."""

from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cas.catalog.replica_model import Replica
from cas.errors import CasError, NotFound
from cas.replicas.model import ReplicationReport
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.faults import Failure, failure_of
from cli.mirroring import bring_up_to_date
from cli.session import Session
from cli.showing_replicas import told
from cli.words import plain


@dataclass(frozen=True, slots=True)
class Replicated:
    """What became of one replica: a report, or why there is none."""

    name: str
    report: ReplicationReport | None
    error: Failure | None


@dataclass(frozen=True, slots=True)
class ReplicateResult:
    """One after the other, by name."""

    replicas: tuple[Replicated, ...]


def add_replicate(app: typer.Typer) -> None:
    command(app, "replicate", examples=["cas replicate", "cas replicate offsite --json"])(replicate)


def replicate(
    cas: Session,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", help="Only this replica, enabled or not; unset: all that are enabled."
        ),
    ] = None,
) -> ExitCode:
    """Copy to the replicas what they lack, and let go there what they keep no more.

    Each object is proven before it is put. A run that is stopped loses nothing: the next one goes on. One
    replica that fails does not keep the others waiting. Exit code 9 where something is damaged or in the way.
    """
    known = cas.catalog.replicating
    everybody = [known.replica(name)] if name is not None else known.replicas()
    if not everybody:
        raise NotFound("there is no replica yet", hint="Add one with `cas replica add NAME URL`")
    replicas = [one for one in everybody if one.new.enabled or name is not None]
    if not replicas:
        raise NotFound("every replica is disabled", hint="Name one, or `cas replica set NAME --enable` it")
    cas.if_stopped = "What was copied so far stays; run it again to go on"
    done = tuple(_replicated(cas, one) for one in replicas)
    cas.terminal.result(ReplicateResult(done), human=Group(*(_told(one) for one in done)))
    codes = [_code(one) for one in done]
    return next((code for code in codes if code is not ExitCode.OK), ExitCode.OK)


def _replicated(cas: Session, replica: Replica) -> Replicated:
    try:
        report = bring_up_to_date(cas, replica)
    except CasError as error:
        return Replicated(replica.name, None, failure_of(error))
    return Replicated(replica.name, report, None)


def _told(one: Replicated) -> RenderableType:
    if one.report is not None:
        return Group(*told(one.report))
    assert one.error is not None
    return Text.assemble((f"{one.name}: failed. ", "bold red"), plain(one.error.line))


def _code(one: Replicated) -> ExitCode:
    if one.error is not None:
        return one.error.exit_code
    return ExitCode.CORRUPT if one.report is not None and one.report.problems else ExitCode.OK
