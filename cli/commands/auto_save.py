"""`cas auto-save on | show | off`: when versions are taken without being asked for."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated, TypeVar

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cas.auto_save.occasions import reasons
from cas.auto_save.words import span
from cas.catalog.auto_save_model import (
    DEFAULT_HOURS,
    DEFAULT_PERCENT,
    DEFAULT_ROWS,
    Policy,
    PolicyKind,
)
from cas.catalog.model import Version
from cas.errors import InvalidInput
from cli.commanding import command
from cli.dates import parse_span
from cli.exit_codes import ExitCode
from cli.session import LATEST, Session, whoami
from cli.tables import cells, indented, table
from cli.words import number, plain

_TITLES = {
    PolicyKind.BULK_IMPORT: "bulk import",
    PolicyKind.MASS_CHANGE: "mass update or delete",
    PolicyKind.STRUCTURE: "structural change",
    PolicyKind.SCHEMA: "schema change",
    PolicyKind.EVERY: "by time",
    PolicyKind.FOLLOW: "continuous",
    PolicyKind.LEAVE_OUT: "no reason",
}


def add_auto_save(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
    examples = [
        "cas auto-save on",
        "cas auto-save on --structure tree_nodes --every 6h",
        "cas auto-save on --bulk-import 5000 --mass-percent 5",
        "cas auto-save on --leave-out 'logs.*' --leave-out sessions",
    ]
    command(group, "on", examples=examples)(turn_on)
    command(group, "show", examples=["cas auto-save show", "cas auto-save show --json"])(show)
    command(group, "off", examples=["cas auto-save off", "cas auto-save off every schema"])(turn_off)
    app.add_typer(
        group, name="auto-save", help="When versions are taken by themselves; `cas watch` takes them."
    )


def turn_on(
    cas: Session,
    bulk_import: Annotated[
        int | None,
        typer.Option(metavar="ROWS", help=f"After so many rows were inserted; usually {DEFAULT_ROWS:,}."),
    ] = None,
    mass_rows: Annotated[
        int | None,
        typer.Option(
            metavar="ROWS",
            help=f"After so many rows of a table were updated, or deleted; usually {DEFAULT_ROWS:,}.",
        ),
    ] = None,
    mass_percent: Annotated[
        float | None,
        typer.Option(metavar="PERCENT", help=f"Or so much of a table; usually {DEFAULT_PERCENT:g}."),
    ] = None,
    structure: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TABLE", help="After any change of a table that others hang on; may be repeated."
        ),
    ] = None,
    every: Annotated[
        str | None,
        typer.Option(
            metavar="SPAN", help=f"When the last version is so old: 15m, 6h, 1d; usually {DEFAULT_HOURS}h."
        ),
    ] = None,
    follow: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="When anything changed and the last version is so old: 60s."),
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help="After a change of the schema.")] = False,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TABLE",
            help="Whatever happens to this table is no reason, as with a log of events; may be repeated.",
        ),
    ] = None,
) -> ExitCode:
    """Let versions be taken after bulk imports, mass updates and deletions, changes of the schema, and every
    6 hours; or change when.

    What is said here is added to what is on already. The first time, what is not said is on as usual.
    """
    standing = {policy.kind: policy for policy in reasons(cas.catalog.auto_saving.policies())}
    wanted: list[Policy] = []
    if bulk_import is not None or not standing:
        wanted.append(Policy(PolicyKind.BULK_IMPORT, rows=_first(bulk_import, DEFAULT_ROWS)))
    if mass_rows is not None or mass_percent is not None or not standing:
        now = standing.get(PolicyKind.MASS_CHANGE, Policy(PolicyKind.MASS_CHANGE))
        rows = _first(mass_rows, now.rows, DEFAULT_ROWS)
        percent = _first(mass_percent, now.percent, DEFAULT_PERCENT)
        wanted.append(Policy(PolicyKind.MASS_CHANGE, rows=rows, percent=percent))
    if structure:
        _demand_known(cas, structure, "--structure")
        wanted.append(Policy(PolicyKind.STRUCTURE, entities=tuple(dict.fromkeys(structure))))
    if schema or not standing:
        wanted.append(Policy(PolicyKind.SCHEMA))
    if every is not None or not standing:
        wanted.append(Policy(PolicyKind.EVERY, seconds=parse_span(every or f"{DEFAULT_HOURS}h", "--every")))
    if follow is not None:
        wanted.append(Policy(PolicyKind.FOLLOW, seconds=parse_span(follow, "--follow")))
    if leave_out:
        _demand_known(cas, leave_out, "--leave-out")
        wanted.append(Policy(PolicyKind.LEAVE_OUT, entities=tuple(dict.fromkeys(leave_out))))
    cas.catalog.auto_saving.set_policies(wanted, set_by=whoami())
    return show(cas)


_Number = TypeVar("_Number", int, float)


def _first(*given: _Number | None) -> _Number | None:
    """The first that says something."""
    return next((one for one in given if one is not None), None)


def show(cas: Session) -> ExitCode:
    """List when versions are taken by themselves."""
    policies = cas.catalog.auto_saving.policies()
    cas.terminal.result({"policies": policies}, human=Group(*told(policies)))
    return ExitCode.OK


def turn_off(
    cas: Session,
    kinds: Annotated[
        list[PolicyKind] | None, typer.Argument(metavar="[KIND]...", help="Only these; unset: all.")
    ] = None,
) -> ExitCode:
    """Let no versions be taken by themselves any more, or not for these reasons."""
    gone = cas.catalog.auto_saving.drop_policies(kinds or list(PolicyKind))
    if not gone:
        cas.terminal.note("Nothing of it was on")
    return show(cas)


def told(policies: Sequence[Policy]) -> list[RenderableType]:
    """For people: what is on, and what to do next."""
    if not reasons(policies):
        return [Text("Auto-save is off", style="bold yellow"), Text("  Turn it on: cas auto-save on", "dim")]
    rows = table("reason", "a version is taken", "name")
    for policy in policies:
        rows.add_row(*cells([_TITLES[policy.kind], plain(_when(policy)), policy.kind.value]))
    next_step = Text("  `cas watch` takes them, as long as it runs", style="dim")
    return [Text("Auto-save is on", style="bold green"), indented(rows), next_step]


def _when(policy: Policy) -> str:
    match policy.kind:
        case PolicyKind.BULK_IMPORT:
            return f"after {number(policy.rows)} rows were inserted"
        case PolicyKind.MASS_CHANGE:
            return f"after {number(policy.rows)} rows, or {policy.percent:g} %, of a table"
        case PolicyKind.STRUCTURE:
            return f"after any change of {', '.join(policy.entities)}"
        case PolicyKind.SCHEMA:
            return "after tables, columns, constraints or types changed"
        case PolicyKind.EVERY:
            return f"when the last one is {span(policy.seconds or 0)} old"
        case PolicyKind.FOLLOW:
            return f"when anything changed, every {span(policy.seconds or 0)}"
        case PolicyKind.LEAVE_OUT:
            return f"not by number of changes of {', '.join(policy.entities)}"


def _demand_known(cas: Session, patterns: Sequence[str], option: str) -> None:
    """A typing error must not let changes go unnoticed for ever."""
    newest = _newest(cas)
    names = (
        [label for entity in newest.entities for label in (entity.label, _bare(entity.label))]
        if newest
        else []
    )
    for pattern in patterns:
        if newest and not any(pattern == name or fnmatchcase(name, pattern) for name in names):
            raise InvalidInput(
                f"version {newest.number} holds no table {pattern[:40]!r}",
                where=option,
                hint=f"`cas show {newest.number}` lists what it holds",
            )
    if newest is None:
        cas.terminal.warn(f"there is no version yet by which the names of {option} could be checked")


def _newest(cas: Session) -> Version | None:
    if not any(True for _ in cas.committed_numbers()):
        return None
    return cas.committed(LATEST)


def _bare(label: str) -> str:
    return label.rsplit(".", 1)[-1]
