"""Flags that commands share or that would hide what a command does: names, words of help, panels."""

from typing import Annotated

import typer

_WHAT = "What is taken or brought back"
_LABEL = "What it is called"
_HOW = "How it is brought back"

Source = Annotated[str | None, typer.Option(metavar="URL", help="The database to read. \\[CAS_SOURCE]")]
Compression = Annotated[
    int | None, typer.Option(metavar="1..19", help="zstd level: fast to small. \\[CAS_COMPRESSION]")
]
Into = Annotated[str, typer.Option(metavar="URL", help="The empty database that is filled.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]

Schemas = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Only this schema; may be repeated.", rich_help_panel=_WHAT),
]
Tables = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Only tables like schema.table, table, or with *; may be repeated.",
        rich_help_panel=_WHAT,
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Not these tables; wins over the others.", rich_help_panel=_WHAT),
]
SchemaOnly = Annotated[
    bool, typer.Option("--schema-only", help="Definitions without records.", rich_help_panel=_WHAT)
]
DataOnly = Annotated[
    bool, typer.Option("--data-only", help="Records without definitions.", rich_help_panel=_WHAT)
]
LeaveOut = Annotated[
    bool,
    typer.Option(
        "--allow-incomplete",
        help="Leave out what may not be read; the version is incomplete, the exit code 20.",
        rich_help_panel=_WHAT,
    ),
]
AllowIncomplete = Annotated[
    bool,
    typer.Option("--allow-incomplete", help="Take a version that lacks something.", rich_help_panel=_WHAT),
]

Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why it is taken.", rich_help_panel=_LABEL)]
Name = Annotated[str, typer.Option(metavar="TEXT", help="A name for it.", rich_help_panel=_LABEL)]
Description = Annotated[str, typer.Option(metavar="TEXT", help="More about it.", rich_help_panel=_LABEL)]
Tags = Annotated[
    list[str] | None, typer.Option(metavar="WORD", help="A tag; may be repeated.", rich_help_panel=_LABEL)
]
Metadata = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="A pair of your own; may be repeated.", rich_help_panel=_LABEL),
]
Protect = Annotated[
    bool, typer.Option("--protect", help="Retention never removes it.", rich_help_panel=_LABEL)
]

NoIndexes = Annotated[bool, typer.Option("--no-indexes", help="Without indexes.", rich_help_panel=_HOW)]
NoConstraints = Annotated[
    bool, typer.Option("--no-constraints", help="Without keys and checks.", rich_help_panel=_HOW)
]
NoTriggers = Annotated[bool, typer.Option("--no-triggers", help="Without triggers.", rich_help_panel=_HOW)]
NoOwners = Annotated[
    bool, typer.Option("--no-owners", help="Everything belongs to who restores.", rich_help_panel=_HOW)
]
NoPrivileges = Annotated[
    bool, typer.Option("--no-privileges", help="Nobody else is granted anything.", rich_help_panel=_HOW)
]
NoVerify = Annotated[
    bool,
    typer.Option("--no-verify", help="Do not read everything again and compare.", rich_help_panel=_HOW),
]
