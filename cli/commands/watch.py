"""`cas watch`: take the versions that auto-save wants, as long as it runs."""

import typer

from cas.auto_save.occasions import reasons
from cas.catalog.auto_save_model import Policy
from cas.errors import InvalidInput
from cli import flags
from cli.auto_saving import Once, Poll, run_watcher
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.session import Session


def add_watch(app: typer.Typer) -> None:
    examples = ["cas watch", "cas watch --once  # from a scheduler", "cas watch --poll 1s --json"]
    command(app, "watch", examples=examples)(watch)


def watch(
    cas: Session,
    source: flags.Platform = None,
    poll: Poll = "5s",
    once: Once = False,
    allow_incomplete: flags.AllowIncomplete = False,
) -> ExitCode:
    """Look at the platform every few seconds, and take a version when one of the reasons of
    `cas auto-save show` is there.

    Runs until it is stopped, and goes on where it was when it is started again. What the platform does is
    known from change capture (`cas capture install`); of tables without it, from the server's statistics,
    which see less. Several watchers of one platform do no harm: one works, the others wait.
    """
    cas.set(source=source)
    saving = cas.catalog.auto_saving
    if not reasons(saving.policies()):
        raise InvalidInput("auto-save is off", where="cas watch", hint="Turn it on: cas auto-save on")

    def policies() -> list[Policy]:
        return list(saving.policies())

    return run_watcher(cas, policies, poll, once=once, allow_incomplete=allow_incomplete)
