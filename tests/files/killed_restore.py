"""A restore in a process of its own that is killed in the middle of a file.

Arguments: a store, a version, a directory, and of how many files half is written before it ends."""

import os
import signal
import sys
from pathlib import Path

from cas.contents import open_contents
from cas.engine.repository import Repository
from cas.file_contents import stored_files
from cas.file_plan import FileRestoreRequest, plan_files
from cas.file_restore import restore_files
from cas.files import target as files_target
from cas.files.target import TargetDirectory
from cas.progress import Silent
from cas.store.local import LocalStore
from tests.files.scene import NAME

if __name__ == "__main__":
    place, version, path, last = sys.argv[1:]
    left = int(last)

    def half_of_the_last(descriptor: int, piece: bytes) -> None:
        global left
        left -= 1
        if left:
            os.write(descriptor, piece)
            return
        os.write(descriptor, piece[: len(piece) // 2])
        os.kill(os.getpid(), signal.SIGKILL)

    files_target._write_all = half_of_the_last
    stored = stored_files(open_contents(Repository(LocalStore(Path(place)), None), int(version)), NAME)
    target = TargetDirectory(NAME, Path(path))
    plan = plan_files(stored, target, FileRestoreRequest(delete=True), Silent())
    restore_files(stored, target, plan, Silent())
