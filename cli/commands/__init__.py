"""One file a command; here they are put together."""

import typer

from cli.commands.catalog import add_catalog
from cli.commands.check import add_check
from cli.commands.demo import add_demo
from cli.commands.diff import add_diff
from cli.commands.doctor import add_doctor
from cli.commands.drill import add_drill
from cli.commands.get import add_get
from cli.commands.history import add_history
from cli.commands.init import add_init
from cli.commands.plan import add_plan
from cli.commands.query import add_query
from cli.commands.restore import add_restore
from cli.commands.restores import add_restores
from cli.commands.show import add_show
from cli.commands.snapshot import add_snapshot
from cli.commands.undo import add_undo
from cli.commands.versions import add_versions

_ALL = (
    add_init,
    add_snapshot,
    add_versions,
    add_show,
    add_diff,
    add_get,
    add_history,
    add_query,
    add_plan,
    add_restore,
    add_restores,
    add_undo,
    add_check,
    add_drill,
    add_catalog,
    add_doctor,
    add_demo,
)


def add_commands(app: typer.Typer) -> None:
    """Register every command, in the order in which `cas --help` lists them."""
    for add in _ALL:
        add(app)
