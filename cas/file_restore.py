"""Bringing a version's files back into a directory or a bucket."""

from dataclasses import dataclass

from cas.errors import Conflict, CorruptData
from cas.file_contents import StoredFiles
from cas.file_plan import FilePlan, FileRestorePreview, Named
from cas.progress import Progress
from cas.records.file_tree import FileTarget
from cas.records.files import FileType


@dataclass(frozen=True, slots=True)
class FileRestoreReceipt:
    """What was done, and was found to be what the version has: `written` files, all with their content's
    hash. `damaged`: files of which the store has lost something; what was in their place stays."""

    done: FileRestorePreview
    written: int
    links: int
    damaged: Named


def restore_files(
    stored: StoredFiles,
    target: FileTarget,
    plan: FilePlan,
    progress: Progress,
    *,
    pass_over_damage: bool = False,
) -> FileRestoreReceipt:
    """Do what was planned. `pass_over_damage`: go on behind a file that cannot be had, and name it.

    Conflict where something of another kind is in the way, or something else changes the directory;
    CorruptData where a piece is damaged: the file before stays, and so do those not reached.

    Owners are not restored, nor hard links, extended attributes and access lists; holes are filled by zeros.
    """
    preview = plan.preview
    assert preview is not None, "a plan is finished"
    if preview.is_blocked:
        raise Conflict(
            f"{preview.in_the_way.count:,} paths are of another kind there, such as "
            + preview.in_the_way.paths[0],
            where=preview.target,
            hint="Move them away, or replace them with --delete",
        )
    label, damaged = stored.paths.entity.label, Named()
    with target as place:
        progress.phase("files")
        place.require_space(preview.bytes)
        progress.entity(label, len(plan.files), preview.bytes)
        for path in plan.leftovers:
            place.delete(path, is_directory=False)
        for gone in reversed(plan.clearing):
            place.delete(gone.path, is_directory=gone.type is FileType.DIRECTORY)
        for directory in plan.directories:
            place.make_directory(directory)
        for record in plan.files:
            try:
                place.write(record, stored.content(record))
            except CorruptData:
                if not pass_over_damage:
                    raise
                damaged.add(record.path)
            progress.advance(label, 1, record.size or 0)
        for record in plan.adjusting:
            place.adjust(record)
        for link in plan.links:
            place.link(link)
        for gone in reversed(plan.deleting):
            place.delete(gone.path, is_directory=gone.type is FileType.DIRECTORY)
        for directory in reversed(plan.directories):
            place.adjust(directory)
        place.finish()
    return FileRestoreReceipt(preview, len(plan.files) - damaged.count, len(plan.links), damaged)
