"""`cas plan`: what a restore into the running platform would do, kept to be agreed to."""

import typer
from rich.console import Group
from rich.text import Text

from cas.live.request import Named
from cli import flags
from cli.commanding import command
from cli.commands.planning_live import new_plan
from cli.exit_codes import ExitCode
from cli.scope import LiveScope
from cli.session import Session, whoami
from cli.showing_plan import is_empty, told_plan
from cli.version_choice import VersionOrNone, chosen_version


def add_plan(app: typer.Typer) -> None:
    examples = [
        "cas plan 12",
        "cas plan --at 2026-03-01T14:00 --table products --mode missing",
        "cas plan 12 --key products:42,43 --with-children",
        "cas plan 12 --where \"products: price > 100 and name ilike '%cable%'\" --columns price",
        "cas plan latest --subtree tree_nodes:42 --json",
    ]
    command(app, "plan", examples=examples)(plan)


def plan(
    cas: Session,
    scope: LiveScope,
    version: VersionOrNone = None,
    at: flags.At = None,
    source: flags.Platform = None,
    scratch: flags.Scratch = None,
    name: flags.Name = "",
    description: flags.Description = "",
) -> ExitCode:
    """Show what bringing a version back into the running platform would change, and keep the plan.

    Nothing is written to the platform. Exit code 4 where something blocks it.
    """
    cas.set(source=source, scratch=scratch)
    request = scope.request(None if scope.base is None else cas.reading(scope.base).number)
    platform = cas.platform()
    number = chosen_version(cas, version, at, platform.url)
    with new_plan(cas, platform, number, request, Named(name, description, whoami())) as prepared:
        made = prepared.plan
    cas.terminal.result(made, human=Group(*told_plan(made, cas.terminal.out.width)))
    if not made.is_blocked and not is_empty(made):
        cas.terminal.show(Text(f"\n  Execute it: cas restore --plan {made.number}", style="dim"))
    return ExitCode.CONFLICT if made.is_blocked else ExitCode.OK
