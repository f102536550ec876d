"""A new bundle on its way to its place: whole under its name, or not there at all, with its SHA-256 beside
it."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cas.errors import Conflict, NotFound
from cli.operating_system import faults_of_files

SUM_SUFFIX = ".sha256"
"""Of what lies beside a bundle, as sha256sum writes it, and `sha256sum -c` takes it."""
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class HashingSink:
    """Counts and hashes what goes into a file descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._hash = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data).cast("B")
        self._hash.update(view)
        while view:
            view = view[os.write(self._descriptor, view) :]

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def sum_line(digest: str, name: str) -> str:
    """What lies beside a bundle of this name."""
    return f"{digest}  {name}\n"


@contextmanager
def new_file(path: Path, *, force: bool) -> Iterator[HashingSink]:
    """What is written inside comes to `path` when the block ends well; else nothing is left. Conflict where
    something is there already, unless it is forced away. A process that dies leaves a hidden file, whose name
    ends with .part, and nothing under the name."""
    hint = "Choose another place with --output"
    with faults_of_files(path, hint=hint):
        if not force and os.path.lexists(path):
            raise _exists(path)
        if not path.parent.is_dir():
            raise NotFound("there is no such directory", where=str(path), hint=hint)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        descriptor = os.open(temporary, _WRITE, 0o600)
    try:
        try:
            sink = HashingSink(descriptor)
            yield sink
            with faults_of_files(path, hint=hint):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        with faults_of_files(path, hint=hint):
            _place(temporary, path, force=force)
            _write_sum(path, sink.sha256)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _place(temporary: Path, path: Path, *, force: bool) -> None:
    """The old sum goes first: it never stands beside a file of which it is not."""
    if force:
        _sum_of(path).unlink(missing_ok=True)
        temporary.replace(path)
    else:
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise _exists(path) from None
        except OSError:  # a file system without links
            if os.path.lexists(path):
                raise _exists(path) from None
            temporary.replace(path)
    _sync(path.parent)


def _write_sum(path: Path, digest: str) -> None:
    target = _sum_of(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with open(os.open(temporary, _WRITE, 0o600), "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(sum_line(digest, path.name))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


def _sum_of(path: Path) -> Path:
    return path.with_name(path.name + SUM_SUFFIX)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exists(path: Path) -> Conflict:
    return Conflict("the file is there already", where=str(path), hint="Add --force, or choose another name")
