"""The claim of a watcher whose versions take longer than a claim lasts."""

import time
from datetime import UTC, datetime
from typing import cast

import pytest

from cas.auto_save.holding import Holding
from cas.catalog.auto_saving import AutoSaving
from cas.catalog.memory import MemoryCatalog
from cas.errors import ConnectionFailed
from cas.records.changes import PlatformName
from tests.auto_save.scene import SHOP

SECONDS = 0.6


@pytest.fixture
def saving() -> AutoSaving:
    return MemoryCatalog(lambda: datetime.now(UTC)).auto_saving


def takes_long(other: Holding, holder: str) -> None:
    """A version is taken, and another watcher tries to begin meanwhile."""
    ends = time.monotonic() + 4 * SECONDS
    while time.monotonic() < ends:
        claim = other.take(SHOP)
        assert claim is not None
        assert claim.holder == holder
        time.sleep(SECONDS / 6)


def test_who_works_long_keeps_it(saving: AutoSaving) -> None:
    """Else each would begin the version of the other, and neither could keep where it was, for ever."""
    one = Holding(saving, "ann", SECONDS, beats=True)
    other = Holding(saving, "bob", SECONDS, beats=True)
    assert one.take(SHOP) is None
    takes_long(other, "ann")
    one.release()
    assert other.take(SHOP) is None
    takes_long(one, "bob")
    other.release()


def test_who_fails_lets_it_run_out(saving: AutoSaving) -> None:
    one = Holding(saving, "ann", SECONDS, beats=True)
    other = Holding(saving, "bob", SECONDS, beats=False)
    one.take(SHOP)
    one.pause()
    time.sleep(SECONDS * 1.5)
    assert other.take(SHOP) is None
    assert one.take(SHOP) is not None


def test_who_never_had_it_releases_nothing(saving: AutoSaving) -> None:
    one = Holding(saving, "ann", SECONDS, beats=False)
    other = Holding(saving, "bob", SECONDS, beats=False)
    other.release()
    assert one.take(SHOP) is None
    other.take(SHOP)
    other.release()
    assert other.take(SHOP) is not None


class Unreachable:
    """A catalog that went away while somebody watched."""

    def __init__(self, saving: AutoSaving) -> None:
        self.claim = saving.claim

    def release(self, platform: PlatformName, holder: str) -> None:
        raise ConnectionFailed("the catalog does not answer")


def test_the_end_of_a_watcher_does_not_need_the_catalog(saving: AutoSaving) -> None:
    """What was done is told all the same; the claim runs out by itself."""
    one = Holding(cast("AutoSaving", Unreachable(saving)), "ann", SECONDS, beats=False)
    assert one.take(SHOP) is None
    one.release()
    assert Holding(saving, "bob", SECONDS, beats=False).take(SHOP) is not None
    time.sleep(SECONDS * 1.5)
    assert Holding(saving, "bob", SECONDS, beats=False).take(SHOP) is None
