"""A store in a directory: atomic, durable, and never led outside by what lies in it.

Writing an object: a file of its own in the incoming directory, its data synced, then linked
(create-only) or renamed to its place, then the directory of that place synced. A reader sees
the whole object or none, and after a power loss too. All steps go through descriptors of
directories that were opened without following symbolic links. A process that dies leaves its
incoming file behind; the first put of every store removes old ones (local_files has the rule).
"""

import errno
import os
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from cas.errors import CorruptData
from cas.store.interface import (
    MAX_OBJECT_BYTES,
    FaultKind,
    ObjectExists,
    ObjectInfo,
    ObjectMissing,
    StoreFault,
)
from cas.store.keys import check_data, check_key, check_prefix, check_range, is_key
from cas.store.local_faults import faults
from cas.store.local_files import Incoming, make_root, remove_leftovers, sync, written

INCOMING = "+incoming"
"""The directory of files that are being written. No key can have this name."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_BELOW = _DIRECTORY | os.O_NOFOLLOW
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NOT_A_DIRECTORY = (errno.ENOTDIR, errno.ELOOP)
_NO_OBJECT = (errno.ENOENT, errno.ENXIO, *_NOT_A_DIRECTORY)
"""What opening a missing file, a socket, or something below a file or a symbolic link gives."""
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


class LocalStore:
    """Objects as files below `directory`, which must exist unless `create` is set.

    Directories are made with mode 0700, files with 0600. Raises StoreFault(UNREACHABLE) if there
    is no such directory: a store whose disk is not mounted is not an empty store.
    """

    def __init__(self, directory: Path, *, create: bool = False) -> None:
        self._path = Path(os.path.abspath(directory))
        self._synced: set[tuple[str, ...]] = set()
        self._first_put = threading.Lock()
        with faults(str(self._path)):
            if create:
                make_root(self._path)
            self._root = os.open(self._path, _DIRECTORY)

    @property
    def url(self) -> str:
        return self._path.as_uri()

    def put(self, key: str, data: bytes | memoryview, *, create_only: bool = False) -> None:
        check_key(key)
        check_data(data)
        *parents, name = key.split("/")
        with faults(self._where(key)), self._place(parents, key) as place:
            with self._directory((INCOMING,), create=True) as incoming, written(incoming, data) as file:
                if self._first_put.acquire(blocking=False):  # taken once, and never given back
                    remove_leftovers(incoming, os.fstat(file.descriptor).st_mtime)
                if create_only:
                    self._link(file, place, name, key)
                else:
                    self._replace(file, place, name, key)
            sync(place)

    def get(self, key: str) -> bytes:
        with self._open(key) as (descriptor, size):
            if size > MAX_OBJECT_BYTES:
                raise CorruptData("the object is too large", kind="limit", where=self._where(key))
            return self._read(descriptor, 0, size, key)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        check_range(start, length)
        with self._open(key) as (descriptor, size):
            if start + length > size:
                where = self._where(key)
                raise CorruptData("the object ends before the range", kind="truncated", where=where)
            return self._read(descriptor, start, length, key)

    def get_tail(self, key: str, length: int) -> bytes:
        check_range(0, length)
        with self._open(key) as (descriptor, size):
            wanted = min(length, size)
            return self._read(descriptor, size - wanted, wanted, key)

    def size(self, key: str) -> int:
        with self._open(key) as (_, size):
            return size

    def objects(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        return self._walk(tuple(prefix.split("/")[:-1]), prefix, after)

    def delete(self, key: str) -> None:
        check_key(key)
        *parents, name = key.split("/")
        fault, absent = faults(self._where(key)), suppress(FileNotFoundError, NotADirectoryError)
        with fault, absent, self._directory(parents) as place:
            if stat.S_ISREG(os.stat(name, dir_fd=place, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=place)
                sync(place)

    def free_bytes(self) -> int | None:
        with faults(str(self._path)):
            room = os.fstatvfs(self._root)
        return room.f_bavail * room.f_frsize

    def close(self) -> None:
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def _where(self, key: str) -> str:
        return str(self._path / key)

    @contextmanager
    def _directory(self, names: Sequence[str], *, create: bool = False) -> Iterator[int]:
        """A descriptor of the directory `names` below the root; OSError as it comes."""
        current = os.dup(self._root)
        try:
            for depth, name in enumerate(names, start=1):
                below = self._below(current, name, tuple(names[:depth]), create)
                os.close(current)
                current = below
            yield current
        finally:
            os.close(current)

    def _below(self, parent: int, name: str, path: tuple[str, ...], create: bool) -> int:
        """Open the directory `name` in `parent`, made durably if `create` is set.

        A directory that another process just made may not be durable yet, so each process syncs
        the parent once before it relies on a directory.
        """
        if create and path not in self._synced:
            self._make(parent, name, path)
        try:
            return os.open(name, _BELOW, dir_fd=parent)
        except FileNotFoundError:
            if not create:
                raise
        self._make(parent, name, path)  # somebody removed it since
        return os.open(name, _BELOW, dir_fd=parent)

    def _make(self, parent: int, name: str, path: tuple[str, ...]) -> None:
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent)
        sync(parent)
        self._synced.add(path)

    @contextmanager
    def _place(self, parents: Sequence[str], key: str) -> Iterator[int]:
        """The directory into which `key` is put."""
        try:
            with self._directory(parents, create=True) as place:
                yield place
        except OSError as error:
            if error.errno not in _NOT_A_DIRECTORY:
                raise
            raise self._refused("an object or a link is where a directory must be", key) from error

    def _link(self, file: Incoming, place: int, name: str, key: str) -> None:
        """Give the file its final name unless the name is taken."""
        try:
            os.link(file.name, name, src_dir_fd=file.directory, dst_dir_fd=place, follow_symlinks=False)
        except FileExistsError:
            # NFS repeats a request whose answer was lost, and then meets its own link.
            if os.fstat(file.descriptor).st_nlink > 1:
                return
            # Whoever sees ObjectExists may rely on the object, so it is made durable first.
            sync(place)
            if stat.S_ISREG(os.stat(name, dir_fd=place, follow_symlinks=False).st_mode):
                raise ObjectExists("the object exists", where=self._where(key)) from None
            raise self._refused("something that is not an object has its name", key) from None
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            raise self._refused("the file system has no hard links, which create-only needs", key) from error

    def _replace(self, file: Incoming, place: int, name: str, key: str) -> None:
        """Give the file its final name, in place of whatever object has it."""
        try:
            os.rename(file.name, name, src_dir_fd=file.directory, dst_dir_fd=place)
        except IsADirectoryError:
            raise self._refused("a directory has its name", key) from None

    def _refused(self, what: str, key: str) -> StoreFault:
        return StoreFault(what, fault=FaultKind.REFUSED, where=self._where(key))

    @contextmanager
    def _open(self, key: str) -> Iterator[tuple[int, int]]:
        """A descriptor of the object and its size in bytes."""
        check_key(key)
        *parents, name = key.split("/")
        descriptor = self._find(parents, name, key)
        try:
            with faults(self._where(key)):
                found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise ObjectMissing("no such object", where=self._where(key))
            yield descriptor, found.st_size
        finally:
            os.close(descriptor)

    def _find(self, parents: Sequence[str], name: str, key: str) -> int:
        with faults(self._where(key)):
            try:
                with self._directory(parents) as place:
                    return os.open(name, _READ, dir_fd=place)
            except OSError as error:
                if error.errno not in _NO_OBJECT:
                    raise
        raise ObjectMissing("no such object", where=self._where(key))

    def _read(self, descriptor: int, start: int, length: int, key: str) -> bytes:
        """Exactly `length` bytes from `start`; a file that shrinks meanwhile is a StoreFault."""
        pieces: list[bytes] = []
        missing = length
        with faults(self._where(key)):
            while missing:
                piece = os.pread(descriptor, missing, start + length - missing)
                if not piece:
                    where = self._where(key)
                    raise StoreFault("the file ended early", fault=FaultKind.TRANSIENT, where=where)
                pieces.append(piece)
                missing -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _walk(self, names: tuple[str, ...], prefix: str, after: str) -> Iterator[ObjectInfo]:
        """The objects below one directory in key order: a directory sorts as its name and a slash."""
        above = "".join(f"{name}/" for name in names)
        for name, info in self._entries(names, above):
            if info is not None:
                if info.key.startswith(prefix) and info.key > after:
                    yield info
                continue
            below = f"{above}{name}/"
            inside = below.startswith(prefix) or prefix.startswith(below)
            if inside and (below > after or after.startswith(below)):
                yield from self._walk((*names, name), prefix, after)

    def _entries(self, names: tuple[str, ...], above: str) -> list[tuple[str, ObjectInfo | None]]:
        """Names in one directory, with their ObjectInfo if they are objects, in key order."""
        rows: list[tuple[str, ObjectInfo | None]] = []
        fault, absent = faults(self._where(above)), suppress(FileNotFoundError, NotADirectoryError)
        with fault, absent, self._directory(names) as directory, os.scandir(directory) as entries:
            for entry in entries:
                if is_key(above + entry.name):
                    rows.extend(_row(above, entry))
        rows.sort(key=lambda row: row[0] if row[1] else f"{row[0]}/")
        return rows


def _row(above: str, entry: os.DirEntry[str]) -> list[tuple[str, ObjectInfo | None]]:
    """What a directory entry adds to a listing: nothing if it vanished or is neither file nor directory."""
    with suppress(FileNotFoundError):
        found = entry.stat(follow_symlinks=False)
        if stat.S_ISREG(found.st_mode):
            return [(entry.name, ObjectInfo(above + entry.name, found.st_size, found.st_mtime))]
        if stat.S_ISDIR(found.st_mode):
            return [(entry.name, None)]
    return []
