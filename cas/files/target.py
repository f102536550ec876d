"""A directory that files are written into: each whole or not at all, and nothing outside of it.

Every name is opened from the directory above it by descriptor, and no symbolic link is followed: one that
somebody puts in the way is an error. A file is written under a temporary name beside its own, and renamed
when it is durable. What a crash leaves are whole files and temporary ones, which the next restore removes.
"""

import errno
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cas.errors import CasError, Conflict, InsufficientSpace, PermissionDenied
from cas.files.directory import Directory
from cas.files.names import TEMPORARY, segments
from cas.files.walking import DIRECTORY_FLAGS
from cas.records.file_tree import Found, Missed
from cas.records.files import FileRecord, FileType, shown_path

RESTORED_MODE = 0o1777
"""Owners are not restored, so neither are the bits that lend an owner's rights."""

_WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_FULL = (errno.ENOSPC, errno.EDQUOT)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_EXCHANGED = (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT)


class TargetDirectory:
    """See the port."""

    holds = frozenset({FileType.FILE, FileType.DIRECTORY, FileType.SYMLINK})
    has_faces = True

    def __init__(self, name: str, path: Path) -> None:
        self._tree = Directory(name, path)
        self._path = path
        self._root = -1
        self._parent: tuple[list[bytes], int] | None = None

    @property
    def place(self) -> str:
        return str(self._path)

    def takes(self, path: bytes) -> bool:
        return True

    def there(self) -> Iterator[Found | Missed]:
        return self._tree.entries() if os.path.lexists(self._path) else iter(())

    def __enter__(self) -> "TargetDirectory":
        with self._faults(b""):
            os.makedirs(self._path, exist_ok=True)
            self._root = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return self

    def __exit__(self, *_: object) -> None:
        self._close_parent()
        os.close(self._root)

    def require_space(self, size: int) -> None:
        status = os.fstatvfs(self._root)
        free = status.f_bavail * status.f_frsize
        if free < size:
            raise InsufficientSpace(
                f"{size:,} bytes are to be written and {free:,} are free",
                where=self.place,
                hint="Free some space, or choose another directory",
            )

    def make_directory(self, record: FileRecord) -> None:
        """As long as files are written into it, it is its owner's alone, where it gets its mode later."""
        with self._faults(record.path), suppress(FileExistsError):
            directory, name = self._above(record.path)
            os.mkdir(name, 0o777 if record.mode is None else 0o700, dir_fd=directory)

    def write(self, record: FileRecord, content: Iterable[bytes]) -> None:
        with self._faults(record.path):
            directory, name = self._above(record.path)
            temporary = _temporary()
            mode = 0o666 if record.mode is None else 0o600
            descriptor = os.open(temporary, _WRITE_FLAGS, mode, dir_fd=directory)
            try:
                try:
                    for piece in content:
                        _write_all(descriptor, piece)
                    _set_mode(descriptor, record)
                    _set_time(descriptor, record)
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=directory)
                raise

    def link(self, record: FileRecord) -> None:
        with self._faults(record.path):
            directory, name = self._above(record.path)
            temporary = _temporary()
            os.symlink(record.target or b"", temporary, dir_fd=directory)
            try:
                if record.mtime is not None:
                    times = (record.mtime * 1000, record.mtime * 1000)
                    os.utime(temporary, ns=times, dir_fd=directory, follow_symlinks=False)
                os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=directory)
                raise

    def adjust(self, record: FileRecord) -> None:
        with self._faults(record.path):
            directory, name = self._above(record.path)
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(name, flags, dir_fd=directory)
            try:
                _set_mode(descriptor, record)
                _set_time(descriptor, record)
            finally:
                os.close(descriptor)

    def delete(self, path: bytes, *, is_directory: bool) -> None:
        with self._faults(path), suppress(FileNotFoundError):
            directory, name = self._above(path, is_own=True)
            if is_directory:
                os.rmdir(name, dir_fd=directory)
            else:
                os.unlink(name, dir_fd=directory)

    def finish(self) -> None:
        self._close_parent()
        with self._faults(b""):
            os.fsync(self._root)

    def _above(self, path: bytes, *, is_own: bool = False) -> tuple[int, bytes]:
        """The directory in which a path lies, opened name by name, and the path's last name. `is_own`: the
        path was listed here, and may be a temporary one's."""
        names = path.split(b"/") if is_own else segments(path)
        above = names[:-1]
        if self._parent is None or self._parent[0] != above:
            self._open(above)
        assert self._parent is not None
        return self._parent[1], names[-1]

    def _open(self, above: list[bytes]) -> None:
        known, descriptor = self._parent or ([], -1)
        begin = len(known) if known and above[: len(known)] == known else 0
        here = os.dup(descriptor if begin else self._root)
        try:
            for name in above[begin:]:
                below = os.open(name, DIRECTORY_FLAGS, dir_fd=here)
                os.close(here)
                here = below
        except BaseException:
            os.close(here)
            raise
        self._close_parent()
        self._parent = (above, here)

    def _close_parent(self) -> None:
        if self._parent is None:
            return
        descriptor = self._parent[1]
        self._parent = None
        try:
            with self._faults(b""):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def _faults(self, path: bytes) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = f"{self.place}/{shown_path(path)}".rstrip("/")
            words = (error.strerror or str(error)).lower()
            if error.errno in _FULL:
                raise InsufficientSpace(
                    "the disk is full", where=where, hint="Free some, and run again"
                ) from error
            if error.errno in _DENIED:
                hint = "Correct the rights, and run again: what is whole already is left"
                raise PermissionDenied(f"it cannot be written: {words}", where=where, hint=hint) from error
            if error.errno in _EXCHANGED:
                hint = "Something else changes this directory, or a link is in the way. Run again"
                raise Conflict(f"it is not what it was: {words}", where=where, hint=hint) from error
            raise CasError(f"it cannot be written: {words}", where=where) from error


def _temporary() -> bytes:
    return TEMPORARY + secrets.token_hex(8).encode("ascii")


def _write_all(descriptor: int, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[os.write(descriptor, left) :]


def _set_mode(descriptor: int, record: FileRecord) -> None:
    """What has no mode keeps what this process makes files with."""
    if record.mode is not None:
        os.fchmod(descriptor, record.mode & RESTORED_MODE)


def _set_time(descriptor: int, record: FileRecord) -> None:
    if record.mtime is not None:
        os.utime(descriptor, ns=(record.mtime * 1000, record.mtime * 1000))
