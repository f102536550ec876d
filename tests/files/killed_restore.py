"""A restore in a process of its own, to be killed. Arguments: a store, a version, a directory."""

import sys
from pathlib import Path

from cas.contents import open_contents
from cas.engine.repository import Repository
from cas.file_contents import stored_files
from cas.file_plan import FileRestoreRequest, plan_files
from cas.file_restore import restore_files
from cas.files.target import TargetDirectory
from cas.progress import Silent
from cas.store.local import LocalStore
from tests.files.scene import NAME

if __name__ == "__main__":
    place, version, path = sys.argv[1:]
    stored = stored_files(open_contents(Repository(LocalStore(Path(place)), None), int(version)), NAME)
    target = TargetDirectory(NAME, Path(path))
    plan = plan_files(stored, target, FileRestoreRequest(delete=True), Silent())
    print("begins", flush=True)
    restore_files(stored, target, plan, Silent())
    print("ends", flush=True)
