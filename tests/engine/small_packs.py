"""Packs of a few hundred bytes: a small version has many, of which some hold nothing that others need."""

import pytest


def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the test at hand."""
    monkeypatch.setattr("cas.engine.packer.PACK_TARGET_BYTES", 700)
    monkeypatch.setattr("cas.engine.packer.JOB_BYTES", 300)
    monkeypatch.setattr("cas.engine.packer.FRAME_TARGET_BYTES", 200)
    monkeypatch.setattr("cas.engine.packer.NODE_FRAME_TARGET_BYTES", 300)
