"""All below a directory, in the order of keys, without following anything out of it.

Directories are opened one from another by descriptor, never by a path, and no symbolic link is followed on
the way: a directory that somebody exchanges for a link meanwhile is missed, and what the link leads to is not
read. What is mounted inside is entered. One directory's names at a time are in memory for each level.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from cas.files.names import TEMPORARY
from cas.limits import MAX_KEY_BYTES
from cas.records.file_tree import Missed

OPEN_LEVELS = 64
"""Directories that are open at once: trees may be deeper than a process may have open files."""

DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

_EXCHANGED = (errno.ELOOP, errno.EINVAL, errno.ENXIO)
"""What opening a symbolic link, reading one that is none, and opening a socket end with."""

_MOST_PATH_BYTES = MAX_KEY_BYTES - 16
"""The key of a piece is the path and nine bytes."""


@dataclass(frozen=True, slots=True)
class Place:
    """A name in a directory that is open as long as the walk stands here, and what it was seen to be."""

    path: bytes
    directory: int
    name: bytes
    status: os.stat_result


@dataclass(slots=True)
class _Level:
    """A directory on the way. `steps`: (name, whether it is to be entered), in the order of keys."""

    prefix: bytes
    identity: tuple[int, int]
    descriptor: int | None
    steps: Iterator[tuple[bytes, bool]]
    directories: dict[bytes, tuple[int, int]] = field(default_factory=dict)


def walk(root: int) -> Iterator[Place | Missed]:
    """All below the directory that is open as `root`, which the walk closes. OSError where that cannot be
    listed."""
    levels: list[_Level] = []
    try:
        levels.append(_entered(root, b""))
        while levels:
            level = levels[-1]
            step = next(level.steps, None)
            if step is None:
                yield from _leave(levels)
            elif step[1]:
                try:
                    _enter(levels, step[0])
                except Missed as missed:
                    yield missed
            else:
                yield _seen(level, step[0])
    finally:
        for level in levels:
            if level.descriptor is not None:
                os.close(level.descriptor)


def _entered(descriptor: int, prefix: bytes) -> _Level:
    """A directory's names. A directory comes twice: as a path, and behind those between it and what is below
    it, such as `a.txt` between `a` and `a/b`. Closes the descriptor where it fails."""
    try:
        status = os.fstat(descriptor)
        steps: list[tuple[bytes, bool]] = []
        with os.scandir(descriptor) as listed:
            for entry in listed:
                name = os.fsencode(entry.name)
                steps.append((name + b"\0", False))
                if entry.is_dir(follow_symlinks=False):
                    steps.append((name + b"/", True))
        steps.sort()
    except BaseException:
        os.close(descriptor)
        raise
    return _Level(
        prefix,
        (status.st_dev, status.st_ino),
        descriptor,
        iter([(name[:-1], enters) for name, enters in steps]),
    )


def _seen(level: _Level, name: bytes) -> Place | Missed:
    path = level.prefix + name
    if name.startswith(TEMPORARY):
        return Missed(path, "left over by a restore that did not end", is_failure=False)
    if len(path) > _MOST_PATH_BYTES:
        return Missed(path, "its path is too long for a key")
    assert level.descriptor is not None
    try:
        status = os.stat(name, dir_fd=level.descriptor, follow_symlinks=False)
    except OSError as error:
        return missed_by(path, error)
    if stat.S_ISDIR(status.st_mode):
        level.directories[name] = (status.st_dev, status.st_ino)
    return Place(path, level.descriptor, name, status)


def _enter(levels: list[_Level], name: bytes) -> None:
    """Go down. Missed where there is no longer the directory that was seen."""
    level = levels[-1]
    path, seen = level.prefix + name, level.directories.pop(name, None)
    if seen is None:
        return  # it was something else when it was seen, or too long
    assert level.descriptor is not None
    try:
        below = _entered(os.open(name, DIRECTORY_FLAGS, dir_fd=level.descriptor), path + b"/")
    except OSError as error:
        raise missed_by(path, error) from error
    levels.append(below)
    if below.identity != seen:
        levels.pop()
        assert below.descriptor is not None
        os.close(below.descriptor)
        raise Missed(path, "it was exchanged while it was read")
    if len(levels) > OPEN_LEVELS:
        far = levels[-OPEN_LEVELS - 1]
        if far.descriptor is not None:
            os.close(far.descriptor)
            far.descriptor = None


def _leave(levels: list[_Level]) -> Iterator[Missed]:
    """Go up, to the directory that was there: `..` leads elsewhere where one was moved meanwhile."""
    left = levels.pop()
    try:
        above = levels[-1] if levels else None
        if above is None or above.descriptor is not None:
            return
        if left.descriptor is not None:
            with suppress(OSError):
                found = os.open(b"..", DIRECTORY_FLAGS, dir_fd=left.descriptor)
                status = os.fstat(found)
                if (status.st_dev, status.st_ino) == above.identity:
                    above.descriptor = found
                    return
                os.close(found)
        if next(above.steps, None) is not None:
            yield Missed(
                above.prefix.rstrip(b"/"), "it was moved while it was read: the rest of it is missing"
            )
        above.steps = iter(())
    finally:
        if left.descriptor is not None:
            os.close(left.descriptor)


def missed_by(path: bytes, error: OSError) -> Missed:
    """What a refusal of the system means."""
    if isinstance(error, FileNotFoundError):
        return Missed(path, "it vanished while the tree was read")
    if isinstance(error, NotADirectoryError) or error.errno in _EXCHANGED:
        return Missed(path, "it was exchanged while it was read")
    return Missed(path, f"it cannot be read: {(error.strerror or str(error)).lower()}")
