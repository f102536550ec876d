"""Lines of safety, each taken away for a moment: without any one of them some schedule loses something."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from cas import rebuild
from cas.catalog import keeping_rules
from cas.catalog.collecting_memory import MemoryCollecting
from cas.catalog.keeping_memory import MemoryKeeping
from cas.engine.holders import holders
from cas.engine.places import View
from cas.format.notes import Notes
from cas.garbage import collecting, marking

Fault = Callable[[ExitStack], None]


def _no_second_look(stack: ExitStack) -> None:
    """Documents that came between the second mark and the journal are not looked for."""
    finish = collecting._Collection._finish

    def without(self: Any, announced: Any, seen: Any) -> None:
        numbers = self._repository.numbers
        self._repository.numbers = list
        try:
            finish(self, announced, seen)
        finally:
            self._repository.numbers = numbers

    stack.enter_context(patch.object(collecting._Collection, "_finish", without))


def _no_second_mark(stack: ExitStack) -> None:
    """What was condemned goes, whatever was made of it meanwhile."""
    stack.enter_context(patch.object(collecting._Collection, "_spare", lambda *_: None))
    mark = collecting._Collection._mark

    def nothing(self: Any, numbers: Any, live: Any) -> Any:
        found = mark(self, numbers, live)
        return replace(found, needed=frozenset())

    stack.enter_context(patch.object(collecting._Collection, "_mark", nothing))


def _sessions_are_not_waited_for(stack: ExitStack) -> None:
    """Condemned packs are ripe at once."""

    def ripe(self: MemoryCollecting) -> list[Any]:
        return list(self.condemned())

    stack.enter_context(patch.object(MemoryCollecting, "_ripe", ripe))


def _readers_are_not_waited_for(stack: ExitStack) -> None:
    ripe = MemoryCollecting._ripe

    def without(self: MemoryCollecting) -> list[Any]:
        pins, self._rows.pins = self._rows.pins, {}
        try:
            return ripe(self)
        finally:
            self._rows.pins = pins

    stack.enter_context(patch.object(MemoryCollecting, "_ripe", without))


def _journaled_packs_live_again(stack: ExitStack) -> None:
    """Whoever takes a store in believes in packs that somebody is deleting."""
    stack.enter_context(patch.object(rebuild, "journaled", lambda *_: frozenset()))


def _copies_in_condemned_packs_count(stack: ExitStack) -> None:
    """A pack goes since another one has its chunks, which goes as well."""

    def needed(packs: Any, rows: Any, live: View) -> frozenset[Any]:
        return frozenset(holders(packs.index, rows, live))

    stack.enter_context(patch.object(marking, "_needed", needed))


def _that_it_goes_is_not_said(stack: ExitStack) -> None:
    """A version is let go in one catalog, and others do not hear of it."""
    let_go = MemoryKeeping.let_go

    def silent(self: MemoryKeeping, numbers: Sequence[int], put: Any) -> Sequence[int]:
        def kept_for_oneself(number: int, said: Any) -> Any:
            return Notes("", number, "2026-01-01T00:00:00.000000+00:00", "", tuple(said))

        noted = self._noted
        gone = let_go(self, numbers, kept_for_oneself)
        self._noted = noted
        return gone

    stack.enter_context(patch.object(MemoryKeeping, "let_go", silent))


def _nobody_is_heard(stack: ExitStack) -> None:
    """Who decided before somebody spoke does not decide again; what was protected before goes as well."""
    stack.enter_context(patch.object(keeping_rules, "require_heard", lambda *_: None))
    stack.enter_context(patch.object(keeping_rules, "keeps", lambda _: False))


MISSING: dict[str, Fault] = {
    "no second look at documents": _no_second_look,
    "no second mark": _no_second_mark,
    "sessions are not waited for": _sessions_are_not_waited_for,
    "readers are not waited for": _readers_are_not_waited_for,
    "journaled packs live again": _journaled_packs_live_again,
    "copies in condemned packs count": _copies_in_condemned_packs_count,
    "that a version goes is not said": _that_it_goes_is_not_said,
    "nobody is heard before it is decided": _nobody_is_heard,
}
