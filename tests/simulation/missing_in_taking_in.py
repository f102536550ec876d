"""Lines of safety of who takes in what the store holds."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from cas import rebuild
from cas.catalog.collecting_memory import MemoryCollecting
from cas.catalog.keeping_memory import MemoryKeeping
from cas.catalog.memory import MemoryCatalog
from cas.catalog.memory_rows import MemoryRows
from cas.catalog.model import PackState

Fault = Callable[[ExitStack], None]


def _journaled_packs_live_again(stack: ExitStack) -> None:
    """Whoever takes a store in believes in packs that somebody is deleting."""
    stack.enter_context(patch.object(rebuild, "journaled", lambda *_: frozenset()))


def _journaled_packs_stay_live(stack: ExitStack) -> None:
    """A catalog that hears of journals goes on with the packs that they name."""
    stack.enter_context(patch.object(MemoryCollecting, "condemn_journaled", lambda *_: None))


def _sessions_go_on(stack: ExitStack) -> None:
    """Versions and journals are taken in, and sessions that began before go on."""
    adopt = MemoryCatalog.adopt

    def ending_nobody(self: MemoryCatalog, *arguments: Any, **named: Any) -> Any:
        with patch.object(MemoryRows, "end", lambda *_: None):
            return adopt(self, *arguments, **named)

    stack.enter_context(patch.object(MemoryCatalog, "adopt", ending_nobody))


def _the_collector_goes_on(stack: ExitStack) -> None:
    """Versions are taken in, and who collects goes on with what was announced before."""
    stack.enter_context(patch.object(MemoryCollecting, "ended_by_adoption", lambda _: None))


def _doomed_packs_live_again(stack: ExitStack) -> None:
    """Packs that are being deleted are taken for stored: by who takes in versions, and by the catalog."""
    taking_in, adopt = rebuild._Rebuild, MemoryCatalog.adopt

    def with_doomed(*arguments: Any) -> Any:
        repository, catalog, listing, journal, _, progress = arguments
        return taking_in(repository, catalog, listing, journal, (), progress)

    def adopt_doomed(self: MemoryCatalog, versions: Any, **named: Any) -> Any:
        for pack in (pack for version in versions for pack in version.packs):
            row = self._rows.packs.get(pack.name)
            if row is not None and row.state is PackState.DELETING:
                row.state = PackState.CONDEMNED
        return adopt(self, versions, **named)

    stack.enter_context(patch.object(rebuild, "_Rebuild", with_doomed))
    stack.enter_context(patch.object(MemoryCatalog, "adopt", adopt_doomed))


def _notes_are_not_heard_again(stack: ExitStack) -> None:
    """What was said of a version before it was known does not hold when it is taken in."""
    stack.enter_context(patch.object(MemoryKeeping, "hear_again", lambda _: None))


IN_TAKING_IN: dict[str, Fault] = {
    "journaled packs live again": _journaled_packs_live_again,
    "journaled packs stay live": _journaled_packs_stay_live,
    "taking in leaves sessions at work": _sessions_go_on,
    "taking in leaves the collector at work": _the_collector_goes_on,
    "doomed packs live again": _doomed_packs_live_again,
    "notes are not heard again": _notes_are_not_heard_again,
}
