"""`cas diff`: what differs between two versions, or a version and the running platform."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Protocol

import typer
from rich.console import RenderableType
from rich.text import Text

from cas.diff import EntityDiff, RecordChange, diff_versions
from cas.errors import InvalidInput
from cas.live.diff import diff_live
from cli import flags
from cli.commanding import command
from cli.exit_codes import ExitCode
from cli.session import Session
from cli.showing_changes import counts_table, told_record
from cli.watching_faces import watching
from cli.words import counted, plain

LIVE = "live"
"""Stands for the running platform, on either side."""


class Compared(Protocol):
    """Two sides that were compared."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    def entities(self) -> Iterator[EntityDiff]: ...

    def records(self, label: str) -> Iterator[RecordChange]: ...


@dataclass(frozen=True, slots=True)
class EntityChanges:
    """One entity that differs. `left_out`: records beyond the limit."""

    counts: EntityDiff
    records: Iterator[RecordChange]
    left_out: int


@dataclass(frozen=True, slots=True)
class DiffResult:
    """From version `old` to version `new`, one of which may be `live`. Entities without differences are only
    counted."""

    old: int | str
    new: int | str
    entities: Iterator[EntityChanges]
    compared: int


def add_diff(app: typer.Typer) -> None:
    examples = [
        "cas diff 11 12",
        "cas diff 11 latest --entity products --limit 0",
        "cas diff 11 live --entity products",
        "cas diff 11 12 --json | jq '.entities[].counts'",
    ]
    command(app, "diff", examples=examples)(diff)


def diff(
    cas: Session,
    old: Annotated[
        str, typer.Argument(metavar="A", help="The older version: a number, latest, or live: the platform.")
    ],
    new: Annotated[str, typer.Argument(metavar="B", help="The newer version, or live.")],
    entity: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this one: schema.table, or table.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Records of each entity that are shown; 0: all.")] = 10,
    full: Annotated[bool, typer.Option("--full", help="Show values and records in full.")] = False,
    source: flags.Platform = None,
) -> ExitCode:
    """Compare two versions, or one with the running platform: counts per entity, then records, then fields
    old -> new."""
    if source is not None and LIVE not in (old, new):
        raise InvalidInput("no side is the running platform", where="--source", hint="Write live for one")
    cas.set(source=source)
    if old == new == LIVE:
        raise InvalidInput("both sides are the running platform", where="diff", hint="Name a version")
    left, right = (text if text == LIVE else cas.reading(text).number for text in (old, new))
    with _compared(cas, left, right, entity) as compared:
        changes = _changes(compared, limit)
        if cas.terminal.as_json:
            cas.terminal.result(DiffResult(left, right, changes, len(compared.labels)))
            return ExitCode.OK
        cas.terminal.show(Text(f"From {_called(left)} to {_called(right)}", style="bold"))
        sides = (_side(left, "older version"), _side(right, "newer version"))
        for part in _told(changes, cas.terminal.out.width, sides, is_full=full):
            cas.terminal.show(part)
    return ExitCode.OK


@contextmanager
def _compared(cas: Session, old: int | str, new: int | str, entity: str | None) -> Iterator[Compared]:
    if isinstance(old, int) and isinstance(new, int):
        yield diff_versions(cas.repository, old, new, entity)
        return
    number = old if isinstance(old, int) else new
    assert isinstance(number, int), "one side is a version"
    platform = cas.platform()
    with watching(cas.terminal, "compare") as counters:
        live = diff_live(cas.repository, platform, number, counters, entity=entity, live_is_new=new == LIVE)
    with live:
        yield live


def _called(side: int | str) -> str:
    return "the running platform" if side == LIVE else f"version {side}"


def _side(side: int | str, word: str) -> str:
    return "running platform" if side == LIVE else word


def _changes(compared: Compared, limit: int) -> Iterator[EntityChanges]:
    """The entities that differ, each with the first of its records."""
    for counts in compared.entities():
        if not counts.is_equal:
            records = compared.records(counts.entity)
            total = counts.added + counts.removed + counts.changed
            shown = islice(records, limit) if limit else records
            yield EntityChanges(counts, shown, max(total - limit, 0) if limit else 0)


def _told(
    changes: Iterator[EntityChanges], width: int, sides: tuple[str, str], *, is_full: bool
) -> Iterator[RenderableType]:
    found = list(changes)  # one small value an entity; its records stay where they are
    if not found:
        yield Text("  They hold the same records.", style="green")
        return
    yield counts_table((one.counts for one in found), sides)
    for one in found:
        yield from _records(one, width, is_full=is_full)


def _records(one: EntityChanges, width: int, *, is_full: bool) -> Iterator[RenderableType]:
    begun = False
    for record in one.records:
        if not begun:
            yield Text(f"\n{plain(one.counts.entity)}", style="bold")
            begun = True
        yield told_record(record, width, is_full=is_full)
    if one.left_out:
        yield Text(f"  … and {counted(one.left_out, 'more record')} (--limit 0 shows all)", style="dim")
