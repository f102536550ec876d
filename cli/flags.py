"""Flags that commands share or that would hide what a command does: names, words of help, panels."""

from enum import StrEnum
from typing import Annotated

import typer

from cas.catalog.restore_model import RestoreMode
from cas.live.request import MissingParents


class Winner(StrEnum):
    """`Prefer`, as far as it can be said."""

    LIVE = "live"
    VERSION = "version"


_WHAT = "What is taken or brought back"
_LABEL = "What it is called"
_HOW = "How an empty database is filled"
_WHICH = "Which records of the running platform change"
_BECOMES = "What becomes of them"

Source = Annotated[str | None, typer.Option(metavar="URL", help="The database to read. \\[CAS_SOURCE]")]
Compression = Annotated[
    int | None, typer.Option(metavar="1..19", help="zstd level: fast to small. \\[CAS_COMPRESSION]")
]
Scan = Annotated[
    bool, typer.Option("--scan", help="Read every row, not only those written since an earlier version.")
]
Verify = Annotated[
    bool | None,
    typer.Option(
        "--verify/--no-verify",
        help="Read back what the version added, and prove it; exit code 9 where it is not what was stored. "
        "\\[CAS_VERIFY]",
        show_default=False,
    ),
]
Platform = Annotated[str | None, typer.Option(metavar="URL", help="The running platform. \\[CAS_SOURCE]")]
At = Annotated[
    str | None,
    typer.Option(
        metavar="MOMENT",
        help="Instead of V: the last complete version at or before 2026-03-01T14:00+02:00, 2026-03-01T14:00 "
        "(this machine's zone), or 2h ago.",
    ),
]
Into = Annotated[
    str | None,
    typer.Option(metavar="URL", help="An empty database to be filled; unset: the running platform."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]

Scratch = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="A server for the throwaway database; unset: the embedded PostgreSQL, which has no XML, no ICU "
        "and no contrib extensions. \\[CAS_SCRATCH]",
    ),
]

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
To = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="A replica that is to hold it, too; may be repeated. none: only the primary. "
        "Unset: all enabled mirrors.",
        rich_help_panel=_WHAT,
    ),
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

Files = Annotated[
    list[str] | None,
    typer.Option(
        "--files",
        metavar="NAME=PLACE",
        help="Also the files below this directory or prefix of a bucket, under this name; may be repeated. "
        "\\[CAS_FILES]",
        rich_help_panel=_WHAT,
    ),
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

Keys = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TABLE:KEYS",
        help="Only records with these keys: products:42,43; parts of a key are joined by a slash: "
        "prices:EUR/2026-03-01. A backslash takes the meaning of a comma, slash, colon or backslash. May be "
        "repeated.",
        rich_help_panel=_WHICH,
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TABLE:SQL",
        help='Only records of the version for which this is true: "products: price > 100". May be repeated.',
        rich_help_panel=_WHICH,
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAMES",
        help="Only these columns, of records that both sides have: price,name. May be repeated.",
        rich_help_panel=_WHICH,
    ),
]
Subtrees = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TABLE:KEYS",
        help="Only these records of a table that refers to itself, and all below them: tree_nodes:42.",
        rich_help_panel=_WHICH,
    ),
]
WithParents = Annotated[
    bool,
    typer.Option("--with-parents", help="Also what they refer to by foreign keys.", rich_help_panel=_WHICH),
]
WithChildren = Annotated[
    bool,
    typer.Option("--with-children", help="Also what refers to them.", rich_help_panel=_WHICH),
]

Mode = Annotated[
    RestoreMode | None,
    typer.Option(
        metavar="MODE",
        help="exact: they become as in the version; missing: only what is gone comes back; changed: only "
        "what is there is overwritten; merge: what was edited since the base stays. \\[default: exact]",
        rich_help_panel=_BECOMES,
    ),
]
Base = Annotated[
    str | None,
    typer.Option(
        metavar="V",
        help="Of a merge: the version after which edits stay; unset: the newest.",
        rich_help_panel=_BECOMES,
    ),
]
Preferring = Annotated[
    Winner | None,
    typer.Option(
        metavar="SIDE",
        help="Of a merge: live or version wins where both changed a field; unset: the plan is blocked.",
        rich_help_panel=_BECOMES,
    ),
]
Missing = Annotated[
    MissingParents | None,
    typer.Option(
        metavar="WHAT",
        help="Where a record would refer to one that is gone: refuse, create it too, make the reference "
        "null, or skip the record. \\[default: refuse]",
        rich_help_panel=_BECOMES,
    ),
]
Renamed = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="OLD=NEW",
        help="A table, or table.column, that is called otherwise now; may be repeated.",
        rich_help_panel=_BECOMES,
    ),
]
AcceptDrift = Annotated[
    bool,
    typer.Option(
        "--accept-drift",
        help="Although columns are gone or have other types now.",
        rich_help_panel=_BECOMES,
    ),
]
CompareAll = Annotated[
    bool,
    typer.Option(
        "--scan",
        help="Compare every row, not only those written since the version.",
        rich_help_panel=_BECOMES,
    ),
]
NoSafety = Annotated[
    bool,
    typer.Option(
        "--no-safety", help="Without a version of what is there now: no undo.", rich_help_panel=_BECOMES
    ),
]
