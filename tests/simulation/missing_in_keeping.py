"""Lines of safety of what stays, what goes, and what is said of it."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from cas import noting
from cas.catalog import keeping_rules
from cas.catalog.keeping_memory import MemoryKeeping
from cas.format.names import notes_key
from cas.format.notes import Notes, encode_notes

Fault = Callable[[ExitStack], None]


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


def _what_is_read_goes(stack: ExitStack) -> None:
    """A version is let go while somebody reads it."""
    is_in_use = MemoryKeeping._is_in_use

    def without_readers(self: MemoryKeeping, number: int) -> bool:
        pins, self._rows.pins = self._rows.pins, {}
        try:
            return is_in_use(self, number)
        finally:
            self._rows.pins = pins

    stack.enter_context(patch.object(MemoryKeeping, "_is_in_use", without_readers))


def _what_was_forgotten_is_read(stack: ExitStack) -> None:
    """A version is pinned, whatever became of it since it was chosen."""
    stack.enter_context(patch.object(MemoryKeeping, "_committed", lambda *_: None))


def _notes_are_written_over(stack: ExitStack) -> None:
    """Of two catalogs that say something at once, the later one is heard only."""

    def put(repository: Any, catalog: Any, by: str, number: int, said: Any) -> Notes:
        at = catalog.now().isoformat(timespec="microseconds")
        notes = Notes(repository.id, number, at, by, tuple(said))
        repository.store.put(notes_key(number), encode_notes(notes))
        return notes

    stack.enter_context(patch.object(noting, "_put", put))


def _what_is_said_is_not_stored(stack: ExitStack) -> None:
    """A catalog keeps for itself what people say."""

    def keep(repository: Any, catalog: Any, by: str, number: int, said: Any) -> Notes:
        at = catalog.now().isoformat(timespec="microseconds")
        return Notes(repository.id, number, at, by, tuple(said))

    stack.enter_context(patch.object(noting, "_put", keep))


IN_KEEPING: dict[str, Fault] = {
    "that a version goes is not said": _that_it_goes_is_not_said,
    "nobody is heard before it is decided": _nobody_is_heard,
    "a version goes while it is read": _what_is_read_goes,
    "what was forgotten is read": _what_was_forgotten_is_read,
    "notes are written over": _notes_are_written_over,
    "what is said is not stored": _what_is_said_is_not_stored,
}
