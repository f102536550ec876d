"""The file system's part of durability: syncing, files that are being written, and their leftovers.

Everything here raises OSError as it comes.
"""

import fcntl
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

LEFTOVER_SECONDS = 24 * 3600
"""Nobody writes one object for a day. The writer's lock alone would do, on file systems that keep
locks between machines."""

_NAME = re.compile(r"[0-9a-f]{32}")
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_LEFTOVER = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Incoming:
    """A whole and durable file that has no final name yet: its directory, name and descriptor."""

    directory: int
    name: str
    descriptor: int


def sync(descriptor: int) -> None:
    """Return when the file or directory is on the medium, as far as the system can know."""
    if sys.platform == "darwin":  # where fsync leaves data in the drive's own cache
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def make_root(path: Path) -> None:
    """Make the directory and the missing ones above it, durably, for our user alone."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        directory.mkdir(mode=0o700, exist_ok=True)
        parent = os.open(directory.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sync(parent)
        finally:
            os.close(parent)


@contextmanager
def written(directory: int, data: bytes | memoryview) -> Iterator[Incoming]:
    """A new file in `directory` with `data`, synced. Its name there is gone at the end."""
    name = secrets.token_hex(16)
    descriptor = os.open(name, _CREATE, 0o600, dir_fd=directory)
    try:
        with suppress(OSError):  # without locks, leftovers stay: nobody can prove they are ours
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        rest = memoryview(data).cast("B")
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        sync(descriptor)
        yield Incoming(directory, name, descriptor)
    finally:
        with suppress(OSError):  # renamed away, or a leftover from now on: never the put's failure
            os.unlink(name, dir_fd=directory)
        os.close(descriptor)


def remove_leftovers(directory: int, now: float) -> None:
    """Remove what writers that died have left in `directory`.

    A file goes only if all of this is true: its name is one that `written` gives, it is a regular
    file of our user, it has not changed for LEFTOVER_SECONDS before `now` (by the clock of the
    file system, so `now` is the time of a file just written), and nobody holds its writer's lock.
    """
    with os.scandir(directory) as entries:
        names = [entry.name for entry in entries if _NAME.fullmatch(entry.name)]
    for name in names:
        with suppress(OSError):  # vanished, or locked by its writer
            _remove_leftover(directory, name, now)


def _remove_leftover(directory: int, name: str, now: float) -> None:
    descriptor = os.open(name, _OPEN_LEFTOVER, dir_fd=directory)
    try:
        found = os.fstat(descriptor)
        ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
        if ours and found.st_mtime + LEFTOVER_SECONDS < now:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name, dir_fd=directory)
    finally:
        os.close(descriptor)
