"""Fixtures of trees of files."""

from pathlib import Path

import pytest

from tests.engine.scenes import World
from tests.files.scene import Scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(World(), tmp_path / "place")
