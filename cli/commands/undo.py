"""`cas undo`: take a restore into the running platform back."""

from typing import Annotated

import typer

from cas.live.request import Named
from cas.live.undoing import plan_undo
from cli import flags
from cli.commanding import command
from cli.commands.planning_live import IF_STOPPED, expected_again
from cli.commands.restores import restore_number
from cli.commands.restoring_live import Consent, finish, require_somebody
from cli.exit_codes import ExitCode
from cli.session import Session, whoami
from cli.watching_faces import watching


def add_undo(app: typer.Typer) -> None:
    examples = ["cas undo 3", "cas undo 3 --dry-run", "cas undo 3 --yes --json"]
    command(app, "undo", examples=examples)(undo)


def undo(
    cas: Session,
    number: Annotated[str, typer.Argument(metavar="N", help="Number of the restore: `cas restores`.")],
    yes: flags.Yes = False,
    dry_run: flags.DryRun = False,
    source: flags.Platform = None,
    name: flags.Name = "",
    description: flags.Description = "",
) -> ExitCode:
    """Bring back what a restore into the running platform changed, from its safety version.

    It is a restore as any other: planned, shown, agreed to, and to be undone in its turn.
    """
    cas.set(source=source)
    wanted = restore_number(number)
    consent = Consent(is_given=yes, dry_run=dry_run)
    require_somebody(cas, consent)
    platform = cas.platform()
    restore = cas.restores.restore(wanted)
    if restore.safety_version is not None:
        cas.reading(str(restore.safety_version))
    expected = expected_again(restore)
    cas.if_stopped = IF_STOPPED
    with watching(cas.terminal, "plan") as counters:
        counters.expect(expected)
        prepared = plan_undo(
            cas.repository,
            cas.catalog,
            cas.restores,
            platform,
            wanted,
            counters,
            named=Named(name, description, whoami()),
        )
    with prepared:
        return finish(cas, platform, prepared, consent)
