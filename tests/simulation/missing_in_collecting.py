"""Lines of safety of collections."""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from cas.catalog.collecting_memory import MemoryCollecting
from cas.engine.holders import holders
from cas.engine.places import View
from cas.errors import Conflict
from cas.format.names import pack_key
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


def _copies_in_condemned_packs_count(stack: ExitStack) -> None:
    """A pack goes since another one has its chunks, which goes as well."""

    def needed(packs: Any, rows: Any, live: View) -> frozenset[Any]:
        return frozenset(holders(packs.index, rows, live))

    stack.enter_context(patch.object(marking, "_needed", needed))


def _no_journal(stack: ExitStack) -> None:
    """What is about to go is said to nobody who has another catalog."""
    stack.enter_context(patch.object(collecting._Collection, "_put_journal", lambda *_: None))


def _any_journal(stack: ExitStack) -> None:
    """Whoever has put the journal, it is taken for one's own."""
    put_journal = collecting._Collection._put_journal

    def put_or_find(self: Any, announced: Any) -> None:
        with suppress(Conflict):
            put_journal(self, announced)

    stack.enter_context(patch.object(collecting._Collection, "_put_journal", put_or_find))


def _deleting_before_dooming(stack: ExitStack) -> None:
    """The catalog is not asked again before the first delete: what it has announced goes."""

    def finish(self: Any, announced: Any, seen: Any) -> None:
        self._put_journal(announced)
        fresh = [number for number in self._repository.numbers() if number not in seen]
        marked = self._mark(fresh, self._sound())
        self._spare(announced.packs, marked)
        for name in announced.packs:
            if name not in marked.needed:
                self._repository.store.delete(pack_key(name))
        self._delete(self._collecting.doom(self._collector, announced.journal))

    stack.enter_context(patch.object(collecting._Collection, "_finish", finish))


IN_COLLECTING: dict[str, Fault] = {
    "no second look at documents": _no_second_look,
    "no second mark": _no_second_mark,
    "sessions are not waited for": _sessions_are_not_waited_for,
    "readers are not waited for": _readers_are_not_waited_for,
    "copies in condemned packs count": _copies_in_condemned_packs_count,
    "no journal before deleting": _no_journal,
    "a journal of another catalog is taken for ours": _any_journal,
    "deleting before the catalog is asked again": _deleting_before_dooming,
}
