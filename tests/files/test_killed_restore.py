"""A restore that is killed leaves whole files, and the next one ends it."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cas.store.local import LocalStore
from tests.engine.scenes import World
from tests.files.scene import Scene, faces
from tests.files.test_taking import random_bytes

FILES = 40


@pytest.mark.parametrize("seed", range(2))
def test_a_killed_restore_leaves_whole_files(tmp_path: Path, seed: int) -> None:
    (tmp_path / "store").mkdir()
    scene = Scene(World(LocalStore(tmp_path / "store")), tmp_path / "place")
    target = tmp_path / "target"
    for place, edition in ((target, 0), (scene.place, 1)):
        for number in range(FILES):
            file = place / f"{number % 7}" / f"{number}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(random_bytes(20_000 + number * 2000, 2 * number + edition))
    old, new = contents(target), contents(scene.place)
    scene.take()
    command = [sys.executable, "-m", "tests.files.killed_restore"]
    arguments = [*command, str(tmp_path / "store"), "1", str(target)]
    last = random.Random(seed).randrange(2, FILES)
    ended = subprocess.run([*arguments, str(last)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert changed(target, old) == last - 1
    assert list(target.rglob(".cas-restoring-*")), "half of one, under another name"
    for path, content in contents(target).items():
        if not os.path.basename(path).startswith(".cas-restoring-"):
            assert content in (old[path], new[path]), path
    scene.restore(1, target, delete=True)
    assert faces(target) == faces(scene.place)


def contents(place: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(place)): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def changed(target: Path, old: dict[str, bytes]) -> int:
    """Files that are no longer as they were, by size and first bytes."""
    count = 0
    for path, content in old.items():
        with (target / path).open("rb") as file:
            count += file.read(16) != content[:16]
    return count
