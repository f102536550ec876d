"""`cas delete`: versions go by hand."""

from dataclasses import replace
from typing import Annotated

import typer

from cas.errors import Conflict
from cas.noting import catch_up
from cas.retaining import plan_now
from cas.retention.model import Candidate, RetentionPlan
from cli import flags
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.letting_go import carry_out, require_somebody
from cli.saying import Versions
from cli.session import Session, whoami


def add_delete(app: typer.Typer) -> None:
    examples = ["cas delete 12", 'cas delete 12 13 --reason "wrong tags" --yes']
    command(app, "delete", examples=examples)(delete)


def delete(
    cas: Session,
    versions: Versions,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why.")] = "",
    dry_run: flags.DryRun = False,
    yes: flags.Yes = False,
) -> ExitCode:
    """Remove versions by hand. Protected and held ones stay, and so does the last good one."""
    require_somebody(cas, yes=yes, dry_run=dry_run)
    heard = catch_up(cas.repository, cas.catalog)
    numbers = {cas.committed(text).number for text in versions}
    known = plan_now(cas.catalog, cas.restores, ()).verdicts
    chosen = [one.candidate for one in known if one.candidate.number in numbers]
    for one in chosen:
        _require_free(one)
    found = RetentionPlan([replace(one, reasons=()) if one.candidate in chosen else one for one in known])
    why = f"deleted by {whoami()}" + (f": {reason.strip()}" if reason.strip() else "")
    return carry_out(cas, found, heard, why, yes=yes, dry_run=dry_run)


def _require_free(one: Candidate) -> None:
    where = f"version {one.number}"
    if one.protected:
        raise Conflict("it is protected", where=where, hint=f"`cas unprotect {one.number}` lifts that")
    if one.hold:
        raise Conflict(f"it is held: {one.hold}", where=where, hint=f"`cas release {one.number}` lifts that")
