"""Many packs a version, so that some of them hold nothing that others need."""

import pytest

from tests.engine.small_packs import small_packs
from tests.replicas.offsite import Offsite


@pytest.fixture(autouse=True)
def tiny_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    small_packs(monkeypatch)


@pytest.fixture
def world() -> Offsite:
    return Offsite()
