"""Lines of safety of sessions and commits."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from cas.catalog.collecting_memory import MemoryCollecting
from cas.catalog.memory import MemoryCatalog
from cas.catalog.memory_rows import MemoryRows, why_fenced
from cas.engine import write_session
from cas.engine.write_session import WriteSession
from cas.store.interface import Store

Fault = Callable[[ExitStack], None]


def _ended_sessions_go_on(stack: ExitStack) -> None:
    """Who was ended by somebody else writes on as long as the lease is good, whatever became of its packs: a
    commit that compares them stands in otherwise."""
    packs_are_not_compared(stack)

    def with_good_lease(self: MemoryRows, session: Any) -> Any:
        found = self.sessions.get(session)
        if found is None or found.lease_until <= self.now():
            raise why_fenced(found)
        return found

    stack.enter_context(patch.object(MemoryRows, "open_session", with_good_lease))


def _the_clock_alone_ends_sessions(stack: ExitStack) -> None:
    """A collector passes over sessions that are silent, and does not end them: they may renew their lease."""
    ripe = MemoryCollecting._ripe

    def without_silent(self: MemoryCollecting) -> Any:
        sessions = self._rows.sessions
        now = self._rows.now()
        self._rows.sessions = {key: one for key, one in sessions.items() if one.lease_until > now}
        try:
            return ripe(self)
        finally:
            self._rows.sessions = sessions

    stack.enter_context(patch.object(MemoryCollecting, "_fence_lapsed", lambda _: None))
    stack.enter_context(patch.object(MemoryCollecting, "_ripe", without_silent))


def _commits_are_not_asked(stack: ExitStack) -> None:
    """Who was allowed to put a document may commit, however long that took."""
    commit = MemoryCatalog.commit

    def any_commit(self: MemoryCatalog, session: Any, *rest: Any, **named: Any) -> Any:
        with patch.object(MemoryRows, "open_session", lambda rows, one: rows.sessions[one]):
            return commit(self, session, *rest, **named)

    stack.enter_context(patch.object(MemoryCatalog, "commit", any_commit))


def _a_view_from_before(stack: ExitStack) -> None:
    """What is live is asked for before the session begins, in a transaction of its own."""
    begin = WriteSession.__init__

    def look_and_begin(self: Any, repository: Any, catalog: Any, *rest: Any, **named: Any) -> None:
        view = catalog.live_packs()

        def start(self: Any, new: Any) -> None:
            self.handle = replace(self.handle, view=view)
            start_session(self, new)

        start_session = WriteSession._start
        self._start = start.__get__(self)
        begin(self, repository, catalog, *rest, **named)

    stack.enter_context(patch.object(WriteSession, "__init__", look_and_begin))


def _documents_are_written_over(stack: ExitStack) -> None:
    """A document is put under its number, whatever lies there."""

    def put(store: Store, key: str, data: bytes) -> None:
        store.put(key, data)

    stack.enter_context(patch.object(write_session, "put_once", put))


def _journals_are_not_listed(stack: ExitStack) -> None:
    """A commit does not look whether another catalog is deleting."""
    commit = WriteSession.commit

    def without(self: WriteSession, *arguments: Any) -> Any:
        self._repository.journal = lambda: 0  # type: ignore[method-assign]
        try:
            return commit(self, *arguments)
        finally:
            del self._repository.journal

    stack.enter_context(patch.object(WriteSession, "commit", without))


def packs_are_not_compared(stack: ExitStack) -> None:
    """A commit does not look whether the catalog knows all packs that its session has put."""
    commit = MemoryCatalog.commit

    def without_packs(self: MemoryCatalog, session: Any, result: Any, *, journal: int, packs: Any) -> Any:
        return commit(self, session, result, journal=journal)

    stack.enter_context(patch.object(MemoryCatalog, "commit", without_packs))


IN_WRITING: dict[str, Fault] = {
    "sessions that somebody ended go on": _ended_sessions_go_on,
    "the clock alone ends sessions": _the_clock_alone_ends_sessions,
    "commits are not asked for their lease": _commits_are_not_asked,
    "packs are not compared at the commit": packs_are_not_compared,
    "a view from before the session": _a_view_from_before,
    "documents are written over": _documents_are_written_over,
    "journals are not listed at the commit": _journals_are_not_listed,
}
