"""A directory, versions of it, and the way back."""

import ctypes
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cas.catalog.model import EntitySummary, Version
from cas.contents import open_contents
from cas.engine.repository import Repository
from cas.file_contents import StoredFiles, stored_files
from cas.file_plan import FileRestorePreview, FileRestoreRequest, plan_files
from cas.file_restore import FileRestoreReceipt, restore_files
from cas.files.directory import Directory
from cas.files.target import TargetDirectory
from cas.progress import Silent
from cas.snapshot import SnapshotRequest
from tests.engine.scenes import Platform, World, shop

NAME = "uploads"
SHOP = shop(20, 5, 5)


def later() -> int:
    """A clock that is so far ahead that what was just written counts as settled."""
    return time.time_ns() + 60 * 10**9


class Scene:
    """`place` is what versions are taken of."""

    def __init__(self, world: World, place: Path) -> None:
        self.world = world
        self.place = place
        place.mkdir(exist_ok=True)
        self.platform: Platform = SHOP

    def tree(self) -> Directory:
        return Directory(NAME, self.place, later)

    def take(self, *, scan: bool = False, allow_incomplete: bool = False) -> Version:
        request = SnapshotRequest(files=(self.tree(),), scan=scan, allow_incomplete=allow_incomplete)
        return self.world.take(self.platform, request=request)

    def stored(self, version: int, repository: Repository | None = None) -> StoredFiles:
        return stored_files(open_contents(repository or self.world.open(), version), NAME)

    def paths(self, version: int) -> list[bytes]:
        return [record.path for record in self.stored(version).records()]

    def preview(
        self, version: int, target: Path, *, delete: bool = False, links: bool = False
    ) -> FileRestorePreview:
        request = FileRestoreRequest(delete, links)
        plan = plan_files(self.stored(version), TargetDirectory(NAME, target), request, Silent())
        assert plan.preview is not None
        return plan.preview

    def restore(
        self, version: int, target: Path, *, delete: bool = False, links: bool = False, damage: bool = False
    ) -> FileRestoreReceipt:
        stored, place = self.stored(version), TargetDirectory(NAME, target)
        plan = plan_files(stored, place, FileRestoreRequest(delete, links), Silent())
        return restore_files(stored, place, plan, Silent(), pass_over_damage=damage)


@contextmanager
def exchanging(one: Path, other: Path) -> Iterator[Callable[[], int]]:
    """Two places change their contents with each other, again and again, each time at once. Gives how often
    they did."""
    exchange = ctypes.CDLL(None, use_errno=True).renameat2
    stop = threading.Event()
    here, flag = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    first, second = os.fsencode(one), os.fsencode(other)
    times = 0
    draw = random.Random(1)

    def run() -> None:
        nonlocal times
        while not stop.is_set():
            assert exchange(here, first, here, second, flag) == 0, os.strerror(ctypes.get_errno())
            times += 1
            # Both threads hand the interpreter to each other at each call: without rests now and then
            # they fall into step, and the reader meets the same of the two states for ever.
            if draw.random() < 0.1:
                time.sleep(draw.random() / 5000)
        if times % 2:
            assert exchange(here, first, here, second, flag) == 0

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield lambda: times
    finally:
        stop.set()
        thread.join()


def entity(version: Version, label: str) -> EntitySummary:
    (found,) = [one for one in version.entities if one.label == label]
    return found


def faces(place: Path) -> dict[str, tuple[object, ...]]:
    """Everything that a restore promises of what lies below a directory."""
    found: dict[str, tuple[object, ...]] = {}
    for above, directories, files in os.walk(os.fsencode(place)):
        for name in (*directories, *files):
            path = os.path.join(above, name)
            status = os.lstat(path)
            link = os.readlink(path) if os.path.islink(path) else None
            content = None
            if os.path.isfile(path) and link is None:
                with open(path, "rb") as file:
                    content = file.read()
            key = os.fsdecode(os.path.relpath(path, os.fsencode(place)))
            found[key] = (oct(status.st_mode), status.st_mtime_ns // 1000, link, content)
    return found
