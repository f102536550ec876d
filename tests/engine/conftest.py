"""Fixtures of the engine's tests."""

import pytest

from tests.engine.scenes import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames and packs so small that a few hundred records fill several."""
    monkeypatch.setattr("cas.engine.packer.PACK_TARGET_BYTES", 3000)
    monkeypatch.setattr("cas.engine.packer.JOB_BYTES", 2000)
    monkeypatch.setattr("cas.engine.packer.FRAME_TARGET_BYTES", 700)
    monkeypatch.setattr("cas.engine.packer.NODE_FRAME_TARGET_BYTES", 1500)
