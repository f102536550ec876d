"""Garbage among changed nodes: what stays stands upon what nobody reaches any more, and one run is enough."""

from itertools import combinations

import pytest

from cas.check import CheckLevel, check_repository
from cas.garbage.model import GarbageReport
from tests.engine.scenes import PRODUCTS, Platform, World, expected, product
from tests.engine.small_packs import small_packs
from tests.lifecycle.checked import collected, gone

NOTHING = GarbageReport(0, 0, 0, 0, 0, 0, 0)
VERSIONS = 6


@pytest.fixture(autouse=True)
def tiny_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    small_packs(monkeypatch)


def edition(number: int) -> Platform:
    """Each differs in a few records, so that its nodes are deltas on those of the one before."""
    return {PRODUCTS: {each: product(each, number if each % 7 == number % 7 else 0) for each in range(60)}}


KEPT = [kept for count in (1, 2, 3) for kept in combinations(range(1, VERSIONS), count)]


@pytest.mark.parametrize("kept", KEPT)
def test_one_run_takes_all_that_can_go_and_the_next_one_nothing(kept: tuple[int, ...]) -> None:
    world = World(node_bits=2)
    for number in range(1, VERSIONS + 1):
        world.take(edition(number))
    gone(world, *(number for number in range(1, VERSIONS) if number not in kept))
    report = collected(world)
    assert (report.spared, report.waiting) == (0, 0)
    assert collected(world) == NOTHING
    for number in (*kept, VERSIONS):
        assert world.records(number) == expected(edition(number))
    found = check_repository(world.open(), level=CheckLevel.BYTES, expected=[*kept, VERSIONS])
    assert found.is_clean, found.findings
