"""What bringing files back into a directory or a bucket would do: seen before anything is written."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from blake3 import blake3

from cas.errors import CorruptData, InvalidInput, PermissionDenied
from cas.file_contents import StoredFiles
from cas.file_links import stays_inside
from cas.files.names import segments
from cas.files.target import RESTORED_MODE
from cas.progress import Progress
from cas.records.file_tree import FileTarget, Found, Missed
from cas.records.files import FileRecord, FileType, files_entity, shown_path

MOST_NAMED = 100
"""Paths of a kind that a plan names; the rest is counted."""


@dataclass(frozen=True, slots=True)
class FileRestoreRequest:
    """`delete`: also take away what the version does not have. `links`: make symbolic links as they are,
    wherever they lead."""

    delete: bool = False
    links: bool = False


@dataclass(slots=True)
class Named:
    """Paths that are left alone, and why: the first ones, and how many there are."""

    count: int = 0
    paths: list[str] = field(default_factory=list)

    def add(self, path: bytes) -> None:
        self.count += 1
        if self.count <= MOST_NAMED:
            self.paths.append(shown_path(path))


@dataclass(frozen=True, slots=True)
class FileRestorePreview:
    """In numbers, for people and programs. `adjusted`: only mode or time differ. `left`: what the directory
    has and the version has not. `special`: sockets and the like, which are never made. `escaping`: links that
    lead out. `in_the_way`: something of another kind, that only `delete` takes away. `unfit`: what cannot be
    made there, such as links and empty directories in a bucket. `no_paths`: keys there that no path can be,
    which are left alone."""

    version: int
    name: str
    target: str
    created: int
    overwritten: int
    adjusted: int
    unchanged: int
    deleted: int
    left: int
    bytes: int
    special: Named
    escaping: Named
    in_the_way: Named
    unfit: Named
    no_paths: Named

    @property
    def is_blocked(self) -> bool:
        return self.in_the_way.count > 0


@dataclass(slots=True)
class FilePlan:
    """What will be done, in this order: `clearing` from its end, `directories`, `files`, `adjusting`,
    `links`, `deleting` from its end, and the directories' own modes and times."""

    clearing: list[FileRecord] = field(default_factory=list)
    """In the place of something of another kind, with what lies below it."""
    directories: list[FileRecord] = field(default_factory=list)
    """All of the version's."""
    files: list[FileRecord] = field(default_factory=list)
    links: list[FileRecord] = field(default_factory=list)
    adjusting: list[FileRecord] = field(default_factory=list)
    deleting: list[FileRecord] = field(default_factory=list)
    leftovers: list[bytes] = field(default_factory=list)
    """Temporary files of a restore that did not end."""
    preview: FileRestorePreview | None = None


def plan_files(
    stored: StoredFiles, target: FileTarget, request: FileRestoreRequest, progress: Progress
) -> FilePlan:
    """Compare a version's files with what is there: by type, size and content, and by mode and time.

    InvalidInput where `delete` could take away what the version merely could not read; CorruptData for paths
    that lead elsewhere; PermissionDenied where what is there cannot be read.
    """
    if request.delete:
        _require_whole(stored)
    progress.phase("compare")
    return _Planning(stored, target, request, progress).run()


def _require_whole(stored: StoredFiles) -> None:
    prefix = f"{files_entity(stored.name).label}/"
    missing = [name for name, _ in stored.contents.document.omissions if name.startswith(prefix)]
    if missing:
        raise InvalidInput(
            f"the version lacks files that could not be read, such as {missing[0][:200]}",
            where="--delete",
            hint="Without --delete nothing is taken away. Or choose a complete version",
        )


class _Planning:
    def __init__(
        self, stored: StoredFiles, target: FileTarget, request: FileRestoreRequest, progress: Progress
    ) -> None:
        self._stored = stored
        self._target = target
        self._request = request
        self._progress = progress
        self._plan = FilePlan()
        self._known: set[bytes] = {b""}
        self._links: dict[bytes, bytes] = {}
        self._wanted_links: list[tuple[FileRecord, FileRecord | None]] = []
        self._cleared: list[bytes] = []
        self._holds_directories = FileType.DIRECTORY in target.holds
        self._empty: set[bytes] = set()
        self._special, self._escaping, self._in_the_way = Named(), Named(), Named()
        self._unfit, self._no_paths = Named(), Named()
        self._created = self._overwritten = self._unchanged = self._left = self._bytes = 0

    def run(self) -> FilePlan:
        label = self._stored.paths.entity.label
        self._progress.entity(label, self._stored.paths.records, 0)
        there = self._there()
        found = next(there, None)
        for record in self._stored.records():
            self._require_path(record)
            while found is not None and found.record.key < record.key:
                self._extra(found.record)
                found = next(there, None)
            same = found if found is not None and found.record.key == record.key else None
            self._path(record, same)
            self._progress.advance(label, 1, 0)
            if same is not None:
                found = next(there, None)
        while found is not None:
            self._extra(found.record)
            found = next(there, None)
        self._place_links()
        return self._finished()

    def _there(self) -> Iterator[Found]:
        for found in self._target.there():
            if isinstance(found, Found):
                yield found
            elif not found.is_path:
                self._no_paths.add(found.path)
            elif found.is_failure:
                raise PermissionDenied(
                    f"what is there cannot be compared: {found.reason}",
                    where=f"{self._target.place}/{shown_path(found.path)}",
                    hint="Correct its rights, let nobody write there meanwhile, and run again",
                )
            else:
                self._plan.leftovers.append(found.path)

    def _require_path(self, record: FileRecord) -> None:
        """A store may be hostile: every path lies in a directory of the version."""
        segments(record.path)
        if record.path.rpartition(b"/")[0] not in self._known:
            raise CorruptData(
                "a path without its directory",
                kind="malformed",
                where=shown_path(record.path)[:200],
                hint="Somebody made this version by hand. Nothing was written",
            )
        if record.type is FileType.DIRECTORY:
            self._known.add(record.path)
            self._empty.add(record.path)
        self._empty.discard(record.path.rpartition(b"/")[0])

    def _path(self, record: FileRecord, found: Found | None) -> None:
        old = found.record if found else None
        if record.type is FileType.SPECIAL:
            self._special.add(record.path)
            return
        if not self._can_be_made(record):
            self._unfit.add(record.path)
            return
        if old is not None and old.type is not record.type and FileType.DIRECTORY in (old.type, record.type):
            if not self._request.delete:
                self._in_the_way.add(record.path)
                return
            self._clear(old)
            old = found = None
        if record.type is FileType.DIRECTORY:
            if self._holds_directories:
                self._plan.directories.append(record)
                self._count(old, is_same=True)
        elif record.type is FileType.SYMLINK:
            self._wanted_links.append((record, old))
        else:
            self._file(record, found if old is not None and old.type is FileType.FILE else None, old)

    def _can_be_made(self, record: FileRecord) -> bool:
        """Of a directory that is there by what is in it, no more is asked."""
        if record.type is FileType.DIRECTORY:
            return True
        return record.type in self._target.holds and self._target.takes(record.path)

    def _file(self, record: FileRecord, found: Found | None, old: FileRecord | None) -> None:
        if found is None or found.record.size != record.size or _content(found) != record.content:
            self._plan.files.append(record)
            self._bytes += record.size or 0
            self._count(old, is_same=False)
        elif self._target.has_faces and _has_other_face(record, found.record):
            self._plan.adjusting.append(record)
        else:
            self._unchanged += 1

    def _count(self, old: FileRecord | None, *, is_same: bool) -> None:
        if old is None:
            self._created += 1
        elif is_same:
            self._unchanged += 1
        else:
            self._overwritten += 1

    def _clear(self, record: FileRecord) -> None:
        if record.type is FileType.DIRECTORY:
            self._cleared.append(record.path + b"/")
        if self._is_thing(record):
            self._plan.clearing.append(record)

    def _is_thing(self, record: FileRecord) -> bool:
        """Something that is there by itself, and can be taken away."""
        return record.type is not FileType.DIRECTORY or self._holds_directories

    def _extra(self, record: FileRecord) -> None:
        if not self._is_thing(record):
            return
        if any(record.path.startswith(above) for above in self._cleared):
            self._plan.clearing.append(record)
        elif self._request.delete:
            self._plan.deleting.append(record)
        else:
            self._left += 1
            if record.target is not None:
                self._links[record.path] = record.target

    def _place_links(self) -> None:
        """Where links lead depends on all of them."""
        for record, _ in self._wanted_links:
            self._links[record.path] = record.target or b""
        for record, old in self._wanted_links:
            if old is not None and old.target == record.target:
                self._unchanged += 1
            elif self._request.links or stays_inside(record.path, self._links):
                self._plan.links.append(record)
                self._count(old, is_same=False)
            else:
                self._escaping.add(record.path)

    def _finished(self) -> FilePlan:
        plan = self._plan
        if not self._holds_directories:
            for path in sorted(self._empty):
                self._unfit.add(path)
        plan.preview = FileRestorePreview(
            version=self._stored.contents.document.number,
            name=self._stored.name,
            target=self._target.place,
            created=self._created,
            overwritten=self._overwritten,
            adjusted=len(plan.adjusting),
            unchanged=self._unchanged,
            deleted=len(plan.deleting) + len(plan.clearing),
            left=self._left,
            bytes=self._bytes,
            special=self._special,
            escaping=self._escaping,
            in_the_way=self._in_the_way,
            unfit=self._unfit,
            no_paths=self._no_paths,
        )
        return plan


def _content(found: Found) -> bytes | None:
    """The hash of what is there now; None where that changes."""
    hasher = blake3()
    try:
        with found.open() as opened:
            for piece in opened.pieces():
                hasher.update(piece)
    except Missed:
        return None
    return hasher.digest()


def _has_other_face(record: FileRecord, old: FileRecord) -> bool:
    """Mode or time."""
    is_later = record.mtime is not None and record.mtime != old.mtime
    if record.mode is None or old.mode is None:
        return is_later
    return is_later or (record.mode ^ old.mode) & RESTORED_MODE != 0
