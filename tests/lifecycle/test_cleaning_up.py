"""Cleaning up: what is said meanwhile is heard, and what breaks a run off is remembered."""

import pytest

from cas.catalog.cleaning import CleanupKind, CleanupOutcome
from cas.catalog.keeping import NotesMoved
from cas.cleaning_up import ATTEMPTS, collect, let_go_now
from cas.format.notes import Note, NoteField
from cas.garbage.model import GarbagePlan
from cas.noting import say
from cas.progress import Silent
from cas.retaining import rules_setting
from cas.retention.words import parse_rule
from tests.engine.scenes import PRODUCTS, World, product


@pytest.fixture
def world() -> World:
    """Four versions, of which the rules want the last one."""
    made = World(node_bits=2)
    for number in range(1, 5):
        made.take({PRODUCTS: {each: product(each, number) for each in range(9)}})
    say(made.open(), made.catalog, "ada", [rules_setting([parse_rule("last 1", "here")])])
    return made


class Speaker(Silent):
    """Somebody who says something of a version just after it was decided what goes."""

    def __init__(self, world: World, times: int) -> None:
        self._world = world
        self._left = times

    def phase(self, name: str) -> None:
        if name == "mark" and self._left:
            self._left -= 1
            protected = Note(1, NoteField.PROTECTED, value=True)
            say(self._world.open(), self._world.catalog, "bob", [protected])


def test_who_is_protected_meanwhile_stays_and_the_rest_goes(world: World) -> None:
    found, report = let_go_now(world.open(), world.catalog, world.catalog.restores, Speaker(world, 1))
    assert report.gone == (2, 3)
    assert [one.number for one in found.going] == [3, 2], "as it was decided the second time"
    last = world.catalog.cleaning.last()[CleanupKind.FORGET]
    assert last.result is not None
    assert (last.result.outcome, last.result.removed) == (CleanupOutcome.COMPLETE, 2)


def test_who_never_stops_speaking_is_told_to_others(world: World) -> None:
    with pytest.raises(NotesMoved):
        let_go_now(world.open(), world.catalog, world.catalog.restores, Speaker(world, ATTEMPTS))
    last = world.catalog.cleaning.last()[CleanupKind.FORGET]
    assert last.result is not None
    assert last.result.outcome is CleanupOutcome.FAILED
    assert world.open().numbers() == [1, 2, 3, 4]


def test_who_is_stopped_is_remembered_as_such(world: World) -> None:
    def stop(plan: GarbagePlan) -> None:
        raise KeyboardInterrupt("stopped by SIGTERM")

    with pytest.raises(KeyboardInterrupt):
        collect(world.open(), world.catalog, planned=stop)
    last = world.catalog.cleaning.last()[CleanupKind.GC]
    assert last.result is not None
    assert (last.result.outcome, last.result.text) == (CleanupOutcome.FAILED, "stopped by SIGTERM")
    assert collect(world.open(), world.catalog).report.deleted == 0, "and nobody holds the lease"
    assert world.catalog.cleaning.last()[CleanupKind.GC].result != last.result
