"""How live restores look: the receipt of one that was just done, the list of all, and one as a whole."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cas.catalog.restore_model import Restore, RestoreEntity, RestoreState, RestoreStep
from cas.live.executing import LiveRestoreReceipt
from cas.live.plan import RestorePlan
from cli.showing_figures import named_figures
from cli.tables import cells, facts, indented, remarked, table
from cli.words import counted, duration, minute, moment, number, offset, plain, size

WIDE = 100
"""Columns from which on who asked for it finds room."""

NARROW = 80
"""Columns below which safety version and mode do not."""

_STYLES = {
    RestoreState.COMPLETED: "green",
    RestoreState.FAILED: "red",
    RestoreState.CANCELLED: "yellow",
    RestoreState.UNDONE: "yellow",
}


def told_receipt(receipt: LiveRestoreReceipt, plan: RestorePlan) -> Group:
    """What was done, how long it took, and the way back."""
    restore = receipt.restore
    return Group(
        Text.assemble(
            (f"Restore {restore.number} is complete", "bold green"),
            f": {_done(receipt.inserted, receipt.updated, receipt.deleted)}",
        ),
        facts(
            [
                ("into", plan.target),
                ("took", f"{duration(restore.duration_seconds)}: {_steps_in_words(restore.steps)}"),
                ("writers waited", duration(receipt.lock_seconds)),
                ("server's log", f"{size(receipt.wal_bytes)} more"),
                ("proof", Text("what was written was read again and is as planned", style="green")),
                ("safety version", str(receipt.safety) if receipt.safety is not None else ""),
                ("undo", _undo(restore)),
            ]
        ),
    )


def _done(inserted: int, updated: int, deleted: int) -> str:
    records = counted(inserted + updated + deleted, "record")
    return f"{records} ({number(inserted)} inserted, {number(updated)} updated, {number(deleted)} deleted)"


def _steps_in_words(steps: Sequence[RestoreStep]) -> str:
    return ", ".join(f"{step.name} {_seconds(step)}" for step in steps)


def _seconds(step: RestoreStep) -> str:
    if step.finished_at is None:
        return "not ended"
    seconds = (step.finished_at - step.started_at).total_seconds()
    return f"{max(round(seconds * 1000), 0)} ms" if seconds < 1 else duration(seconds)


def _undo(restore: Restore) -> Text:
    if is_undoable(restore):
        return Text(f"cas undo {restore.number}", style="bold")
    return Text(plain(restore.undo_note), style="yellow")


def is_undoable(restore: Restore) -> bool:
    """Whether its safety version can be brought back by `cas undo`, as long as it is kept."""
    return restore.state is RestoreState.COMPLETED and restore.safety_version is not None


def restore_state(restore: Restore) -> Text:
    return Text(restore.state.value, style=_STYLES.get(restore.state, "cyan"))


def told_restores(found: Sequence[Restore], width: int) -> RenderableType:
    """A line each, newest first, and below it what a person wrote or what went wrong."""
    if not found:
        return Text("No restore into the running platform matches.", style="dim")
    offsets = {offset(restore.created_at) for restore in found}
    is_one = len(offsets) == 1
    when = f"when ({next(iter(offsets))})" if is_one else "when"
    is_wide, is_narrow = width >= WIDE, width < NARROW
    head = [">#", when, "state", ">version", ">records", "undo"]
    head += [] if is_narrow else [">safety", "mode"]
    head += ["by"] if is_wide else []
    grid = Table.grid(padding=(0, 2))
    for name in head:
        grid.add_column(justify="right" if name.startswith(">") else "left", no_wrap=True)
    grid.add_row(*(Text(name.lstrip(">"), style="dim") for name in head))
    for restore in found:
        row: list[str | Text] = [
            str(restore.number),
            minute(restore.created_at) if is_one else moment(restore.created_at),
            restore_state(restore),
            str(restore.version),
            number(_records(restore)),
            "yes" if is_undoable(restore) else "no",
            number(restore.safety_version),
            restore.mode.value,
            restore.created_by,
        ]
        grid.add_row(*cells(row[: len(head)]))
    remarks = [
        [
            (
                _remarks(restore, is_wide=is_wide, is_narrow=is_narrow),
                "red" if restore.state is RestoreState.FAILED else "dim",
            )
        ]
        for restore in found
    ]
    return remarked(grid, remarks, width, indent=len(str(found[0].number)) + 2)


def _records(restore: Restore) -> int | None:
    counts = (restore.records_inserted, restore.records_updated, restore.records_deleted)
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _remarks(restore: Restore, *, is_wide: bool, is_narrow: bool) -> str:
    parts = [restore.mode.value] if is_narrow else []
    parts += [f"safety version {restore.safety_version}"] if is_narrow and restore.safety_version else []
    parts += ["" if is_wide else restore.created_by, restore.name, restore.description]
    parts += [f"undoes {restore.undoes}"] if restore.undoes else []
    parts += [f"undone by {restore.undone_by}"] if restore.undone_by else []
    parts += [_error(restore)]
    return " · ".join(part for part in parts if part)


def _error(restore: Restore) -> str:
    if restore.error_code:
        return f"{restore.error_code}: {restore.error_text}"
    return restore.error_text


def told_restore(restore: Restore, width: int) -> Iterator[RenderableType]:
    """One restore: what was asked, what came of it, step by step, and what its plan said."""
    yield Text.assemble((f"Restore {restore.number}", "bold"), " is ", restore_state(restore))
    yield facts(_about(restore))
    if restore.entities:
        yield Text()
        yield _entities(restore.entities, width)
    if restore.steps:
        yield Text()
        yield indented(_steps(restore.steps))
    for warning in restore.warnings:
        yield Text.assemble(("  note: ", "yellow"), plain(warning))
    said = list(_planned(restore.plan))
    if said:
        yield Text("\n  Plan", style="bold")
        yield facts([*said, ("hash", restore.plan_hash)])


def _about(restore: Restore) -> Iterator[tuple[str, str | Text]]:
    yield "name", restore.name
    yield "description", restore.description
    yield "version", f"{restore.version}, mode {restore.mode.value}, {restore.kind.value}"
    yield "into", restore.target_url
    yield "undoes", f"restore {restore.undoes}" if restore.undoes else ""
    yield "undone by", f"restore {restore.undone_by}" if restore.undone_by else ""
    agreed = f", agreed to by {restore.approved_by}" if restore.approved_by else ""
    yield "asked", f"{moment(restore.created_at)} by {restore.created_by or 'somebody'}{agreed}"
    took = f", in {duration(restore.duration_seconds)}" if restore.duration_seconds is not None else ""
    yield "started", f"{moment(restore.started_at)}{took}" if restore.started_at else ""
    yield "error", Text(plain(_error(restore)), style="red" if restore.error_code else "")
    yield "in step", restore.error_step
    yield "learnt", restore.resolution
    if restore.records_inserted is not None:
        counts = (restore.records_inserted, restore.records_updated or 0, restore.records_deleted or 0)
        yield "done", _done(*counts)
    yield "writers waited", duration(restore.lock_seconds) if restore.lock_seconds is not None else ""
    yield "server's log", f"{size(restore.wal_bytes)} more" if restore.wal_bytes is not None else ""
    yield "safety version", str(restore.safety_version or "")
    yield "undo", _undo(restore) if restore.state is RestoreState.COMPLETED else ""


def _entities(entities: Sequence[RestoreEntity], width: int) -> RenderableType:
    heads = ("insert", "update", "delete", "live", "after", "done")
    rows = [
        (
            one.label,
            [
                Text(number(count))
                for count in (
                    one.inserted,
                    one.updated,
                    one.deleted,
                    one.live_records,
                    one.after_records,
                    one.done,
                )
            ],
        )
        for one in entities
    ]
    return named_figures("entity", heads, rows, width)


def _steps(steps: Sequence[RestoreStep]) -> Table:
    listing = table("step", "begun", ">took", "remark")
    for step in steps:
        begun = f"{step.started_at.astimezone():%H:%M:%S}"
        listing.add_row(*cells([step.name, begun, _seconds(step), step.text]))
    return listing


def _planned(plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """From a document that was kept, perhaps by another version of this program."""
    risk = plan.get("risk")
    if isinstance(risk, Mapping):
        yield "risk", f"{risk.get('level')}: {'; '.join(map(str, risk.get('reasons', ())))}"
    yield "impact", str(plan.get("impact", ""))
