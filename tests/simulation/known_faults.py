"""Ways in which backup tools have lost data, each put into the shipped code for a moment.

What each of them takes away is one line of safety, or the few that stand in for each other.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any
from unittest.mock import patch
from weakref import WeakKeyDictionary

import numpy as np

from cas.catalog.memory import MemoryCatalog
from cas.catalog.memory_rows import MemoryRows
from cas.catalog.model import NewPack, NewVersion, PackState, SessionHandle
from cas.engine import write_session
from cas.engine.chunk_index import ChunkIndex
from cas.engine.chunk_reader import ChunkReader
from cas.engine.packer import Packer
from cas.engine.places import View
from cas.engine.repository import Repository
from cas.engine.write_session import WriteSession
from cas.errors import CasError, Fenced
from cas.format.names import pack_key
from cas.garbage import choosing, collecting, marking, rewriting
from cas.ids import ChunkId, ChunkKind
from tests.engine.scenes import records_of
from tests.simulation.missing_in_writing import packs_are_not_compared
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


class _Remembering(ChunkReader):
    """Asks for no chunk twice."""

    def __init__(self, reader: ChunkReader, known: dict[ChunkId, bytes]) -> None:
        self.__dict__ |= reader.__dict__
        self._known = known

    def read(self, kind: ChunkKind, ids: Sequence[ChunkId]) -> list[bytes]:
        fresh = [one for one in dict.fromkeys(ids) if one not in self._known]
        self._known |= zip(fresh, super().read(kind, fresh), strict=True)
        return [self._known[one] for one in ids]


def _inheriting_from_a_forgotten_parent(stack: ExitStack) -> None:
    """What a version is built upon is read before its session begins, remembered, and held by nobody."""
    documents: WeakKeyDictionary[Repository, dict[int, Any]] = WeakKeyDictionary()
    chunks: WeakKeyDictionary[Repository, dict[ChunkId, bytes]] = WeakKeyDictionary()
    begin, stored, reader_of = WriteSession.__init__, Repository.stored_document, Repository.reader_of

    def read_and_begin(
        self: Any, repository: Repository, catalog: Any, new: NewVersion, *rest: Any, **named: Any
    ) -> None:
        if new.parent is not None:
            with suppress(CasError):
                records_of(repository, new.parent)
        begin(self, repository, catalog, new, *rest, **named)

    def stored_document(self: Repository, number: int) -> Any:
        known = documents.setdefault(self, {})
        known[number] = known.get(number) or stored(self, number)
        return known[number]

    def reader(self: Repository, view: View) -> ChunkReader:
        return _Remembering(reader_of(self, view), chunks.setdefault(self, {}))

    stack.enter_context(patch.object(WriteSession, "__init__", read_and_begin))
    stack.enter_context(patch.object(Repository, "stored_document", stored_document))
    stack.enter_context(patch.object(Repository, "reader_of", reader))
    stack.enter_context(patch.object(MemoryCatalog, "_demand_parent", lambda *_: None))
    stack.enter_context(patch.object(WriteSession, "_require_parent", lambda *_: None))


def _content_named_packs(stack: ExitStack) -> None:
    """Equal content has the same name again, and whoever finds it there takes it, whoever has put it."""
    packs_are_not_compared(stack)

    def register(self: MemoryCatalog, session: Any, pack: NewPack) -> None:
        self._rows.open_session(session)
        if pack.name not in self._rows.packs:
            self._rows.make_pack(pack.name, PackState.UPLOADING, session, stored_bytes=1)

    def unsalted(*arguments: Any, **named: Any) -> Packer:
        return Packer(*arguments, **named | {"entropy": bytes})

    stack.enter_context(patch.object(write_session, "Packer", unsalted))
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
            {**KNOWN, **MISSING}[name](stack)
        yield
