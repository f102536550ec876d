"""Bundles of small and of large packs."""

import pytest

from cas.bundles import frames


@pytest.fixture(params=["small packs", "large packs"])
def whole_packs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packs are taken in pieces, or as they are: those of tests are small."""
    if request.param == "large packs":
        monkeypatch.setattr(frames, "WHOLE_FROM_BYTES", 0)
