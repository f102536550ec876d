"""When it was cleaned up last, for people."""

from collections.abc import Iterator, Mapping

from rich.console import RenderableType
from rich.text import Text

from cas.catalog.cleaning import Cleanup, CleanupKind, CleanupOutcome, CleanupResult
from cli.tables import facts
from cli.words import counted, moment, plain, size

_NAMES = {CleanupKind.FORGET: "last forget", CleanupKind.GC: "last gc"}
_THINGS = {CleanupKind.FORGET: "version", CleanupKind.GC: "pack"}


def cleanups(last: Mapping[CleanupKind, Cleanup], *, is_automatic: bool) -> Iterator[RenderableType]:
    """Whether scheduled runs clean up, and what the last ones did."""
    if is_automatic:
        yield Text.assemble(
            ("Automatic cleanup is on", "bold"), (": `cas cleanup` does it, for a scheduler", "dim")
        )
    else:
        yield Text.assemble(
            ("Automatic cleanup is off", "bold yellow"), (": `cas retention on` turns it on", "dim")
        )
    yield facts((name, _told(last.get(kind))) for kind, name in _NAMES.items())


def _told(one: Cleanup | None) -> Text:
    if one is None:
        return Text("never", style="yellow")
    if one.ended_at is None or one.result is None:
        return Text(f"{moment(one.started_at)}  at work, or broken off", style="yellow")
    if one.result.outcome is CleanupOutcome.FAILED:
        told = Text(f"{moment(one.ended_at)}  failed: {plain(one.result.text)}", style="red")
        before = f"; the last that did not: {moment(one.succeeded_at)}" if one.succeeded_at else ""
        return told.append(before, style="dim")
    return Text(f"{moment(one.ended_at)}  {_figures(one.kind, one.result)}")


def _figures(kind: CleanupKind, result: CleanupResult) -> str:
    told = f"{counted(result.removed, _THINGS[kind])} removed"
    if kind is CleanupKind.GC:
        told += f", {size(max(result.freed_bytes, 0))} freed"
    return f"{told}, {result.waiting:,} waiting" if result.waiting else told
