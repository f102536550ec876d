"""`cas forget`: versions that no rule of retention wants go."""

from typing import Annotated

import typer

from cas.noting import catch_up
from cas.retaining import plan_now, rules_of, why_it_goes
from cas.retention.words import parse_rule
from cli import flags
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.letting_go import carry_out, require_somebody
from cli.session import Session

Keep = Annotated[
    list[str] | None,
    typer.Option(
        "--keep",
        metavar="RULE",
        help="Instead of the rules that are set: last 50, daily 30, within 30d; may be repeated.",
    ),
]


def add_forget(app: typer.Typer) -> None:
    examples = ["cas forget --dry-run", "cas forget --yes", "cas forget --keep 'last 5' --keep 'daily 14'"]
    command(app, "forget", examples=examples)(forget)


def forget(
    cas: Session, keep: Keep = None, dry_run: flags.DryRun = False, yes: flags.Yes = False
) -> ExitCode:
    """Remove the versions that no rule of retention wants: `cas retention` shows and changes the rules.

    Protected and held versions never go, nor the last good one. `cas gc` then gives back the room that they
    took and no other version needs; `cas cleanup` does both, for scheduled jobs.
    """
    require_somebody(cas, yes=yes, dry_run=dry_run)
    heard = catch_up(cas.repository, cas.catalog)
    rules = [parse_rule(text, "--keep") for text in keep] if keep else rules_of(cas.catalog)
    found = plan_now(cas.catalog, cas.restores, rules)
    return carry_out(cas, found, heard, why_it_goes(rules), yes=yes, dry_run=dry_run, by_rules=True)
