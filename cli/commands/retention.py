"""`cas retention show | set | default | on | off | simulate`: how long versions are kept."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cas.catalog.cleaning import Cleanup, CleanupKind
from cas.errors import InvalidInput
from cas.noting import catch_up, say
from cas.retaining import (
    automatic_setting,
    is_automatic,
    known,
    plan_now,
    rules_of,
    rules_setting,
)
from cas.retention.model import RetentionPlan, RetentionRule
from cas.retention.simulating import Week, simulate
from cas.retention.words import parse_rule, rule_text
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.session import Session, whoami
from cli.showing_cleanups import cleanups
from cli.tables import cells, indented, table
from cli.words import counted, moment, number, plain

MOST_WEEKS = 520
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Kept:
    """One version, why it stays, and until when, where the clock alone tells. No reasons: it goes."""

    version: int
    reasons: tuple[str, ...]
    until: datetime | None


@dataclass(frozen=True, slots=True)
class RetentionShown:
    """The rules as they are written, whether these are the default ones, and what becomes of each version;
    whether scheduled runs clean up, and the last runs that removed versions and freed their room."""

    rules: tuple[str, ...]
    is_default: bool
    versions: tuple[Kept, ...]
    automatic: bool
    last_forget: Cleanup | None
    last_gc: Cleanup | None


@dataclass(frozen=True, slots=True)
class Simulated:
    """What will become of the versions."""

    rules: tuple[str, ...]
    weeks: tuple[Week, ...]


def add_retention(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
    command(group, "show", examples=["cas retention show", "cas retention show --json"])(show)
    examples = ["cas retention set 'last 50' 'daily 30' 'monthly 12'", "cas retention set 'size 100GB'"]
    command(group, "set", examples=[*examples, "cas retention set 'last 100 of scheduled' 'last 20'"])(put)
    command(group, "default", examples=["cas retention default"])(default)
    command(group, "on", examples=["cas retention on"])(turn_on)
    command(group, "off", examples=["cas retention off"])(turn_off)
    examples = ["cas retention simulate --weeks 15", "cas retention simulate --keep 'last 10'"]
    command(group, "simulate", examples=examples)(look_ahead)
    app.add_typer(
        group, name="retention", help="How long versions are kept; `cas forget` removes the others."
    )


def show(cas: Session) -> ExitCode:
    """List the rules, and for each version why it stays, or that it goes; and when it was cleaned up last."""
    catch_up(cas.repository, cas.catalog)
    rules = rules_of(cas.catalog)
    found = plan_now(cas.catalog, cas.restores, rules)
    is_default = cas.catalog.keeping.setting(rules_setting(None).name) is None
    versions = tuple(
        Kept(one.candidate.number, tuple(reason.words for reason in one.reasons), one.until)
        for one in found.verdicts
    )
    last, automatic = cas.catalog.cleaning.last(), is_automatic(cas.catalog)
    shown = RetentionShown(
        tuple(map(rule_text, rules)),
        is_default,
        versions,
        automatic,
        last.get(CleanupKind.FORGET),
        last.get(CleanupKind.GC),
    )
    told = _told(rules, found, is_default=is_default)
    cas.terminal.result(shown, human=Group(*told, *cleanups(last, is_automatic=automatic)))
    return ExitCode.OK


def put(
    cas: Session,
    rules: Annotated[
        list[str],
        typer.Argument(
            metavar="RULE...",
            help="last N, hourly N, daily N, weekly N, monthly N, yearly N, within 30d, size 100GB; each may "
            "end in: of manual, automatic, scheduled, continuous or safety.",
        ),
    ],
) -> ExitCode:
    """Set the rules. A version stays while any rule wants it; each platform is looked at by itself."""
    wanted = [parse_rule(text, "RULE") for text in rules]
    if len(set(wanted)) < len(wanted):
        raise InvalidInput("a rule is there twice", where="RULE", hint="Write each rule once")
    say(cas.repository, cas.catalog, whoami(), [rules_setting(wanted)])
    return show(cas)


def default(cas: Session) -> ExitCode:
    """Let the rules be as usual again."""
    say(cas.repository, cas.catalog, whoami(), [rules_setting(None)])
    return show(cas)


def turn_on(cas: Session) -> ExitCode:
    """Let scheduled runs clean up, as usual: `cas cleanup` removes what no rule wants, and frees its room."""
    say(cas.repository, cas.catalog, whoami(), [automatic_setting(on=True)])
    return show(cas)


def turn_off(cas: Session) -> ExitCode:
    """Let nothing go by itself: `cas cleanup` does nothing. `cas forget` and `cas gc` still work by hand."""
    say(cas.repository, cas.catalog, whoami(), [automatic_setting(on=False)])
    return show(cas)


def look_ahead(
    cas: Session,
    weeks: Annotated[int, typer.Option(metavar="N", help="How far to look.")] = 15,
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="RULE", help="With this rule instead of those set; may be repeated."),
    ] = None,
    nothing_new: Annotated[
        bool, typer.Option("--nothing-new", help="As if no version were taken any more.")
    ] = False,
) -> ExitCode:
    """Show what the rules will do: the plan of `cas forget`, run on each of the days to come.

    New versions are assumed to come as they did in the last seven days.
    """
    if not 1 <= weeks <= MOST_WEEKS:
        raise InvalidInput(f"{weeks} weeks", where="--weeks", hint=f"From 1 to {MOST_WEEKS}")
    catch_up(cas.repository, cas.catalog)
    rules = tuple(parse_rule(text, "--keep") for text in keep) if keep else rules_of(cas.catalog)
    now = cas.catalog.now()
    found = tuple(simulate(known(cas.catalog, cas.restores), rules, now, weeks, as_last_week=not nothing_new))
    simulated = Simulated(tuple(map(rule_text, rules)), found)
    cas.terminal.result(simulated, human=Group(*_weeks(rules, found)))
    return ExitCode.OK


def _told(rules: Sequence[RetentionRule], found: RetentionPlan, *, is_default: bool) -> list[RenderableType]:
    head = "Kept as usual" if is_default else "Kept by these rules"
    lines: list[RenderableType] = [Text.assemble((head, "bold"), f": {', '.join(map(rule_text, rules))}")]
    if not found.verdicts:
        return [*lines, Text("  There is no version yet", style="dim")]
    rows = table(">version", "origin", "stays because", "until")
    for one in found.verdicts[:SHOWN]:
        why = "; ".join(reason.words for reason in one.reasons)
        told: str | Text = plain(why) if one.stays else Text("goes: no rule wants it", style="yellow")
        until = moment(one.until) if one.until else ""
        rows.add_row(*cells([str(one.candidate.number), one.candidate.origin.value, told, until]))
    rows.columns[2].overflow = "fold"
    lines.append(indented(rows))
    if len(found.verdicts) > SHOWN:
        origins = Counter(one.candidate.origin.value for one in found.verdicts)
        counts = ", ".join(f"{count:,} {name}" for name, count in origins.most_common())
        lines.append(Text(f"  {counted(len(found.verdicts), 'version')} in all: {counts}", style="dim"))
    if found.going:
        lines.append(Text(f"  `cas forget` removes {counted(len(found.going), 'version')}", style="dim"))
    return lines


def _weeks(rules: Sequence[RetentionRule], weeks: Sequence[Week]) -> list[RenderableType]:
    lines: list[RenderableType] = [Text(f"With {', '.join(map(rule_text, rules))}", style="bold")]
    rows = table("until", ">of today's go", ">of today's stay", ">new ones", ">together")
    for week in weeks:
        together = number(week.staying + week.assumed)
        row = [f"{week.end.astimezone():%Y-%m-%d}", number(len(week.going)), number(week.staying)]
        rows.add_row(*cells([*row, number(week.assumed), together]))
    return [*lines, indented(rows)]
