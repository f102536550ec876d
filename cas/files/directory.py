"""A directory of this machine as a tree of files to be read."""

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from cas.errors import InvalidInput, NotFound, PermissionDenied
from cas.files.cutting import cut
from cas.files.walking import Place, missed_by, walk
from cas.records.file_tree import Found, Missed, OpenFile
from cas.records.files import PIECE_BYTES, FileRecord, FileType, require_name, time_text

SETTLED_NS = 2_000_000_000
"""A file that was written in the moments before it is read may be written again without its times moving:
clocks of file systems tick in milliseconds, some in seconds. Whoever reads it does not rely on them."""

_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
"""A FIFO or a link that took a file's place neither blocks nor is followed."""


class Directory:
    """See the port. `path` itself may be a symbolic link. `now`: nanoseconds since 1970."""

    def __init__(self, name: str, path: Path, now: Callable[[], int] = time.time_ns) -> None:
        self.name = require_name(name)
        self._path = path
        self._now = now
        self._at: Place | None = None

    @property
    def place(self) -> str:
        return str(self._path)

    def entries(self) -> Iterator[Found | Missed]:
        try:
            root = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._refused(error) from error
        found = walk(root)
        try:
            first = next(found, None)
        except OSError as error:
            raise self._refused(error) from error
        while first is not None:
            yield self._entry(first) if isinstance(first, Place) else first
            first = next(found, None)

    def _entry(self, place: Place) -> Found | Missed:
        self._at = place
        target = None
        if stat.S_ISLNK(place.status.st_mode):
            try:
                target = os.readlink(place.name, dir_fd=place.directory)
            except OSError as error:
                return missed_by(place.path, error)
        return Found(self._record(place.path, place.status, target), self)

    @contextmanager
    def open(self, record: FileRecord) -> Iterator[OpenFile]:
        place = self._at
        assert place is not None, "entries have not begun"
        assert place.path == record.path, "entries stand elsewhere"
        try:
            descriptor = os.open(place.name, _FILE_FLAGS, dir_fd=place.directory)
        except OSError as error:
            raise missed_by(record.path, error) from error
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Missed(record.path, "it was exchanged while it was read")
            yield _Open(descriptor, status, self._record(record.path, status, None))
        finally:
            os.close(descriptor)

    def _record(self, path: bytes, status: os.stat_result, target: bytes | None) -> FileRecord:
        record = FileRecord(
            path=path,
            type=_type(status.st_mode),
            mtime=_microseconds(status.st_mtime_ns),
            mode=stat.S_IMODE(status.st_mode),
            target=target,
        )
        if record.type is not FileType.FILE:
            return record
        seen = None
        if status.st_ctime_ns < self._now() - SETTLED_NS:
            seen = f"{status.st_ino}:{status.st_mtime_ns}:{status.st_ctime_ns}"
        return replace(record, size=status.st_size, seen=seen)

    def _refused(self, error: OSError) -> NotFound | PermissionDenied | InvalidInput:
        where, hint = self.place, f"Name another one: --files {self.name}=DIRECTORY"
        if isinstance(error, FileNotFoundError):
            return NotFound("there is no such directory", where=where, hint=hint)
        if isinstance(error, NotADirectoryError):
            return InvalidInput("it is no directory", where=where, hint=hint)
        why = (error.strerror or str(error)).lower()
        return PermissionDenied(
            f"the directory cannot be read: {why}", where=where, hint="Correct its rights"
        )


class _Open:
    def __init__(self, descriptor: int, status: os.stat_result, record: FileRecord) -> None:
        self.record = record
        self._descriptor = descriptor
        self._status = status
        self._read = 0

    def pieces(self) -> Iterator[bytes]:
        try:
            if self._status.st_size > PIECE_BYTES:
                yield from cut(self._read_into)
            elif content := self._small():
                yield content
            now = os.fstat(self._descriptor)
        except OSError as error:
            raise missed_by(self.record.path, error) from error
        if self._read != self._status.st_size or _moves(now) != _moves(self._status):
            raise Missed(self.record.path, "it was written while it was read", again=True)

    def _small(self) -> bytes:
        """All of it, unless it has grown."""
        parts = []
        while self._read <= PIECE_BYTES and (part := os.read(self._descriptor, PIECE_BYTES + 1 - self._read)):
            parts.append(part)
            self._read += len(part)
        return b"".join(parts)[:PIECE_BYTES]

    def _read_into(self, buffer: memoryview) -> int:
        """It ends behind what it had when it was opened: what grows for ever is not read for ever."""
        if self._read > self._status.st_size:
            return 0
        count = os.readv(self._descriptor, [buffer])
        self._read += count
        return count


def _moves(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _type(mode: int) -> FileType:
    if stat.S_ISREG(mode):
        return FileType.FILE
    if stat.S_ISDIR(mode):
        return FileType.DIRECTORY
    return FileType.SYMLINK if stat.S_ISLNK(mode) else FileType.SPECIAL


def _microseconds(nanoseconds: int) -> int | None:
    try:
        time_text(nanoseconds // 1000)
    except OverflowError:
        return None
    return nanoseconds // 1000
