"""Repositories of many small packs, with a replica."""

import pytest

from tests.replicas.offsite import Offsite


@pytest.fixture(autouse=True)
def tiny_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many packs a version, so that some hold what others do not."""
    monkeypatch.setattr("cas.engine.packer.PACK_TARGET_BYTES", 700)
    monkeypatch.setattr("cas.engine.packer.JOB_BYTES", 300)
    monkeypatch.setattr("cas.engine.packer.FRAME_TARGET_BYTES", 200)
    monkeypatch.setattr("cas.engine.packer.NODE_FRAME_TARGET_BYTES", 300)


@pytest.fixture
def world() -> Offsite:
    """Three versions, copied."""
    return copied()


def copied(versions: int = 3) -> Offsite:
    made = Offsite(versions=versions)
    made.copy()
    return made
