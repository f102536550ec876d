"""Ways in which backup tools have lost data, each put into the shipped code for a moment.

What each of them takes away is one line of safety, or the few that stand in for each other.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np

from cas.catalog.memory import MemoryCatalog
from cas.catalog.memory_rows import MemoryRows
from cas.catalog.model import NewPack, PackState, SessionHandle
from cas.engine import packer, write_session
from cas.engine.chunk_index import ChunkIndex
from cas.engine.repository import Repository
from cas.engine.write_session import WriteSession
from cas.errors import Fenced
from cas.format.names import pack_key
from cas.garbage import choosing, collecting, marking, rewriting
from tests.simulation.missing_lines import MISSING

Fault = Callable[[ExitStack], None]


def _deleting_before_invalidating(stack: ExitStack) -> None:
    """The objects go first, then the catalog hears of it."""
    look = collecting._look

    def look_and_delete(repository: Repository, catalog: Any, progress: Any) -> Any:
        found = look(repository, catalog, progress)
        for name in found[0].dead:
            repository.store.delete(pack_key(name))
        return found

    stack.enter_context(patch.object(collecting, "_look", look_and_delete))


def _reusing_condemned_packs(stack: ExitStack) -> None:
    """What is condemned is still there, so a session takes it for stored."""
    begin = MemoryCatalog.begin

    def begin_with_all(self: MemoryCatalog, new: Any) -> SessionHandle:
        handle = begin(self, new)
        condemned = {name for name, pack in self._rows.packs.items() if pack.state is PackState.CONDEMNED}
        return replace(handle, view=handle.view | condemned)

    stack.enter_context(patch.object(MemoryCatalog, "begin", begin_with_all))


def _committing_after_the_lease(stack: ExitStack) -> None:
    """A session that was ended for its silence commits all the same."""

    def any_session(self: MemoryRows, session: Any) -> Any:
        if session not in self.sessions:
            raise Fenced("nobody knows it")
        return self.sessions[session]

    stack.enter_context(patch.object(MemoryRows, "open_session", any_session))


def _trusting_a_stale_index(stack: ExitStack) -> None:
    """What the local index knows is taken for stored."""
    start = WriteSession._start

    def start_with_index(self: WriteSession, new: Any) -> None:
        repository = self._repository
        known = self.handle.view | repository.index.packs
        self.handle = replace(self.handle, view=known)
        repository.packs = lambda: dict.fromkeys(known, 1)  # type: ignore[method-assign]
        try:
            start(self, new)
        finally:
            del repository.packs

    stack.enter_context(patch.object(WriteSession, "_start", start_with_index))


def _inheriting_from_a_forgotten_parent(stack: ExitStack) -> None:
    """A version is built upon another one that nobody holds for it."""
    documents: dict[tuple[int, int], Any] = {}
    stored = Repository.stored_document

    def remembered(self: Repository, number: int) -> Any:
        key = (id(self), number)
        if key not in documents or documents[key][0] is not self:
            documents[key] = (self, stored(self, number))
        return documents[key][1]

    stack.enter_context(patch.object(Repository, "stored_document", remembered))
    stack.enter_context(patch.object(MemoryCatalog, "_demand_parent", lambda *_: None))
    stack.enter_context(patch.object(WriteSession, "_require_parent", lambda *_: None))

    def all_bases(self: MemoryCatalog, limit: int = 20) -> Any:
        return sorted(self._bases, key=lambda base: -base.version)[:limit]

    stack.enter_context(patch.object(MemoryCatalog, "bases", all_bases))

    def _forget_reading(self: MemoryCatalog, number: int) -> None:
        """By this name a catalog that is copied finds it again."""

    stack.enter_context(patch.object(MemoryCatalog, "_forget_reading", _forget_reading))


def _content_named_packs(stack: ExitStack) -> None:
    """Equal content has the same name again, and whoever finds it there takes it."""

    def register(self: MemoryCatalog, session: Any, pack: NewPack) -> None:
        self._rows.open_session(session)
        if pack.name not in self._rows.packs:
            self._rows.make_pack(pack.name, PackState.UPLOADING, session, stored_bytes=1)

    open_pack = packer._OpenPack
    stack.enter_context(patch.object(packer, "_OpenPack", lambda _: open_pack(bytes(32))))
    stack.enter_context(patch.object(MemoryCatalog, "register_pack", register))


def _an_older_catalog(stack: ExitStack) -> None:
    """Nobody looks whether the store knows more than the catalog."""
    for module in (write_session, collecting):
        stack.enter_context(patch.object(module, "require_same_history", lambda *_: None))
    stack.enter_context(patch.object(Repository, "journal", lambda _: 0))


def _marking_without_bases(stack: ExitStack) -> None:
    """Trees are followed, and what deltas stand upon is not."""

    def holders(index: ChunkIndex, rows: Any, view: Any) -> set[Any]:
        found: set[Any] = set()
        first = 0
        for segment in index.segments:
            mine = rows[first : first + len(segment.rows)]
            found |= {segment.packs[at] for at in np.unique(segment.rows.pack[mine]).tolist()}
            first += len(segment.rows)
        return {name for name in found if name in view.packs}

    stack.enter_context(patch.object(marking, "holders", holders))
    stack.enter_context(patch.object(ChunkIndex, "unmet_needs", lambda *_: {}))
    for module in (choosing, rewriting):
        stack.enter_context(patch.object(module, "with_bases", lambda _packs, wanted, *_: wanted))


def _marking_from_the_catalog_only(stack: ExitStack) -> None:
    """A document that is no version of the catalog is no root."""

    def mark_committed(repository: Any, numbers: Iterable[int], committed: Any, *rest: Any) -> Any:
        return marking.mark(repository, [one for one in numbers if one in committed], committed, *rest)

    stack.enter_context(patch.object(collecting, "mark", mark_committed))


KNOWN: dict[str, Fault] = {
    "deleting before invalidating": _deleting_before_invalidating,
    "reusing a condemned pack": _reusing_condemned_packs,
    "committing after the lease expired": _committing_after_the_lease,
    "trusting a stale index": _trusting_a_stale_index,
    "an inherited subtree of a forgotten parent": _inheriting_from_a_forgotten_parent,
    "content-named packs": _content_named_packs,
    "a catalog restored from an older backup": _an_older_catalog,
    "marking without delta bases": _marking_without_bases,
    "marking from the catalog only while a version document exists": _marking_from_the_catalog_only,
}


@contextmanager
def put_back(name: str) -> Iterator[None]:
    """One of them, for a while; none where the name is empty."""
    with ExitStack() as stack:
        if name:
            (KNOWN | MISSING)[name](stack)
        yield
