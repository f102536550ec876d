"""Bringing files of a version back into directories or buckets, after a look at what that means."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from cas.catalog.model import VersionState
from cas.contents import Contents, open_contents
from cas.errors import Conflict, InvalidInput
from cas.file_contents import stored_files
from cas.file_plan import FilePlan, FileRestorePreview, FileRestoreRequest, Named, plan_files
from cas.file_restore import FileRestoreReceipt, restore_files
from cli.exit_codes import ExitCode
from cli.file_trees import file_target, parse_place
from cli.session import Session
from cli.tables import facts
from cli.watching_faces import watching
from cli.words import counted, number, plain, size

SHOWN_PATHS = 5
"""Of those that are left alone; JSON has more."""


def restore_files_of(
    cas: Session,
    version: int,
    places: Sequence[str],
    request: FileRestoreRequest,
    *,
    is_agreed: bool,
    incomplete: bool,
) -> ExitCode:
    """All that is named is compared before anything is written."""
    contents = open_contents(cas.repository, version)
    _require_complete(contents, allowed=incomplete)
    named = [parse_place(text) for text in places]
    if len({place for _, place in named}) != len(named):
        raise InvalidInput("one place is named twice", where="--files", hint="Give each its own")
    targets = [(stored_files(contents, name), file_target(cas, name, place)) for name, place in named]
    with watching(cas.terminal, "compare") as counters:
        plans = [plan_files(stored, target, request, counters) for stored, target in targets]
    previews = [_preview(plan) for plan in plans]
    if not is_agreed:
        parts = [part for preview in previews for part in _told(preview, "would be")]
        cas.terminal.result({"previews": previews}, human=Group(*parts))
        cas.terminal.note("Nothing was written. Add --yes to do it", style="dim")
        return ExitCode.CONFLICT if any(one.is_blocked for one in previews) else ExitCode.OK
    cas.if_stopped = "Files that were written are whole; run it again for the rest"
    receipts = []
    with watching(cas.terminal, "restore") as counters:
        for (stored, target), plan in zip(targets, plans, strict=True):
            receipts.append(restore_files(stored, target, plan, counters, pass_over_damage=incomplete))
    told = [part for receipt in receipts for part in _done(receipt)]
    cas.terminal.result({"receipts": receipts}, human=Group(*told))
    return ExitCode.CORRUPT if any(receipt.damaged.count for receipt in receipts) else ExitCode.OK


def _require_complete(contents: Contents, *, allowed: bool) -> None:
    document = contents.document
    if document.state != VersionState.COMPLETE and not allowed:
        raise Conflict(
            f"version {document.number} is {document.state}: it lacks "
            + ", ".join(name for name, _ in document.omissions[:5]),
            hint="Restore another version, or accept what is missing with --allow-incomplete",
        )


def _preview(plan: FilePlan) -> FileRestorePreview:
    assert plan.preview is not None, "a plan is finished"
    return plan.preview


def _told(preview: FileRestorePreview, verb: str) -> Iterator[RenderableType]:
    yield Text(f"Files {preview.name} of version {preview.version}, in {plain(preview.target)}", style="bold")
    yield facts(
        [
            ("created", number(preview.created)),
            ("overwritten", number(preview.overwritten)),
            ("adjusted", f"{number(preview.adjusted)} in mode or time only" if preview.adjusted else ""),
            ("deleted", number(preview.deleted)),
            ("unchanged", number(preview.unchanged)),
            ("left there", f"{number(preview.left)} that the version has not" if preview.left else ""),
            ("content", f"{size(preview.bytes)} {verb} written"),
        ]
    )
    yield from _alone(preview.special, "not made, since they are no files, directories or links")
    yield from _alone(preview.escaping, "not made, since they lead out of the directory (--links makes them)")
    yield from _alone(preview.unfit, "not made, since a bucket has only files, under names in UTF-8")
    yield from _alone(preview.no_paths, "left alone, since no path can be such a key")
    yield from _alone(preview.in_the_way, "of another kind there (--delete replaces them)")
    yield Text("  Owners are not restored", style="dim")


def _alone(named: Named, why: str) -> Iterator[RenderableType]:
    if named.count:
        paths = ", ".join(plain(path) for path in named.paths[:SHOWN_PATHS])
        more = f" and {named.count - SHOWN_PATHS:,} more" if named.count > SHOWN_PATHS else ""
        yield Text(f"  {paths}{more}: {why}", style="yellow")


def _done(receipt: FileRestoreReceipt) -> Iterator[RenderableType]:
    head = f"{counted(receipt.written, 'file')} written, each with its content's hash"
    yield Text(head, style="bold green")
    yield from _alone(receipt.damaged, "damaged in the store and not written (see `cas repair`)")
    yield from _told(receipt.done, "were")
