"""One file a command; here they are put together, each imported when it is wanted.

A command that answers in a tenth of a second must not first import what seventeen others need: that
takes three times as long.
"""

from importlib import import_module
from keyword import iskeyword

import typer
from typer import _click  # typer's own copy of click: what its groups are made of
from typer.core import TyperGroup
from typer.main import get_group

NAMES = (
    "init",
    "snapshot",
    "versions",
    "show",
    "diff",
    "get",
    "history",
    "query",
    "export",
    "import",
    "plan",
    "restore",
    "restores",
    "undo",
    "protect",
    "unprotect",
    "hold",
    "release",
    "expire",
    "retention",
    "quota",
    "stats",
    "forget",
    "delete",
    "gc",
    "cleanup",
    "key",
    "replica",
    "replicate",
    "export",
    "import",
    "bundle",
    "check",
    "repair",
    "drill",
    "auto-save",
    "watch",
    "follow",
    "event",
    "capture",
    "catalog",
    "doctor",
    "store",
    "demo",
)
"""In the order in which `cas --help` lists them."""


class Commands(TyperGroup):
    """The group of all commands: typer's own, but for the moment at which a command comes into being."""

    def list_commands(self, ctx: _click.Context) -> list[str]:
        for name in NAMES:
            self._load(name)
        return list(NAMES)

    def get_command(self, ctx: _click.Context, cmd_name: str) -> _click.Command | None:
        if cmd_name in NAMES:
            self._load(cmd_name)
        else:
            self.list_commands(ctx)  # similar ones are suggested
        return super().get_command(ctx, cmd_name)

    def _load(self, name: str) -> None:
        if name not in self.commands:
            alone = typer.Typer(rich_markup_mode="rich")
            word = name.replace("-", "_")
            module = f"{word}_" if iskeyword(word) else word
            getattr(import_module(f"cli.commands.{module}"), f"add_{word}")(alone)
            self.commands.update(get_group(alone).commands)
