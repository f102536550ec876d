"""The directory of a demo: its own, marked as such, used by one demo at a time, removed at the end."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cas.errors import Conflict, InsufficientSpace
from cas.limits import KIB, MIB
from cas.postgres.embedded.server import EmbeddedServer
from cli.operating_system import faults_of_files
from cli.paths import expanded
from cli.words import size

MARK = ".cas-demo"
"""A file that says: everything here was made by a demo, and may be removed by one."""

ROOM_OF_A_CLUSTER = 350 * MIB
"""Disk space of an empty cluster with its write-ahead log."""

ROOM_OF_A_PRODUCT = 10 * KIB
"""Disk space of one product: two databases with indexes, the log, the store and two dumps."""


@contextmanager
def demo_place(directory: Path, records: int, *, keep: bool) -> Iterator[Path]:
    """An empty directory for the block; afterwards it is removed, unless `keep`.

    Conflict where the directory holds something that no demo made, or another demo is at work in it.
    InsufficientSpace before anything is made.
    """
    place = expanded(directory).absolute()
    with faults_of_files(place, hint="Choose another one: --directory"):
        _require_ours(place)
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        _require_room(place, records)
        with _mark(place):
            _empty(place)
            try:
                yield place
            finally:
                if not keep:
                    _empty(place)
                    (place / MARK).unlink()
                    place.rmdir()


def _require_ours(place: Path) -> None:
    if place.exists() and not (place / MARK).exists() and any(place.iterdir()):
        raise Conflict(
            "the directory is not empty, and no demo made what is in it",
            where=str(place),
            hint="Name an empty or new one: --directory",
        )


def _require_room(place: Path, records: int) -> None:
    needed = ROOM_OF_A_CLUSTER + records * ROOM_OF_A_PRODUCT
    free = shutil.disk_usage(place).free
    if free < needed:
        raise InsufficientSpace(
            f"the demo needs about {size(needed)}, and {size(free)} are free",
            where=str(place),
            hint="Choose another disk with --directory, or fewer products with --records",
        )


@contextmanager
def _mark(place: Path) -> Iterator[None]:
    """The mark, locked; the kernel gives the lock back however we end."""
    mark = os.open(place / MARK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Conflict(
            "another demo is at work in this directory", where=str(place), hint="Wait, or use --directory"
        ) from error
    else:
        yield
    finally:
        os.close(mark)


def _empty(place: Path) -> None:
    """Remove what an earlier demo left, its server included."""
    cluster = place / "postgres"
    if (cluster / "data").exists():
        # A demo that was killed left its server running: join it, so that it stops with us.
        EmbeddedServer(cluster).stop()
        if (cluster / "data" / "postmaster.pid").exists():
            raise Conflict(
                "somebody still uses the server of an earlier demo",
                where=str(cluster),
                hint="End the other cas command, or use --directory",
            )
    for path in place.iterdir():
        if path.name == MARK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
