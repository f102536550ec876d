"""Many packs a version, so that some of them hold nothing that others need."""

import pytest

from tests.replicas.offsite import Offsite


@pytest.fixture(autouse=True)
def tiny_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cas.engine.packer.PACK_TARGET_BYTES", 700)
    monkeypatch.setattr("cas.engine.packer.JOB_BYTES", 300)
    monkeypatch.setattr("cas.engine.packer.FRAME_TARGET_BYTES", 200)
    monkeypatch.setattr("cas.engine.packer.NODE_FRAME_TARGET_BYTES", 300)


@pytest.fixture
def world() -> Offsite:
    return Offsite()
