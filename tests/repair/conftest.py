"""Repositories of many small packs, with a replica."""

import pytest

from tests.engine.small_packs import small_packs
from tests.replicas.offsite import Offsite


@pytest.fixture(autouse=True)
def tiny_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many packs a version, so that some hold what others do not."""
    small_packs(monkeypatch)


@pytest.fixture
def world() -> Offsite:
    """Three versions, copied."""
    return copied()


def copied(versions: int = 3) -> Offsite:
    made = Offsite(versions=versions)
    made.copy()
    return made
