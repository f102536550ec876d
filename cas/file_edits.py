"""The edits of a tree of pieces: what files hold now, beside what an earlier version had at their keys."""

from collections.abc import Iterator, Sequence

from cas.engine.write_session import WriteSession
from cas.ids import ChunkId
from cas.limits import MIB
from cas.records.files import piece_key, piece_range
from cas.tree.edit import Edit
from cas.tree.nodes import Leaf
from cas.tree.reading import entries

Piece = Edit
"""A piece's key, and the leaf that it shall map to; None removes it."""

WAITING_BYTES = 4 * MIB
"""Of small files that are put together; a piece of a large one is put with some others of it."""

WAITING_EDITS = 1024


class Edits:
    """Edits in the order of keys. Pieces are stored some at a time."""

    def __init__(self, session: WriteSession, root: ChunkId | None) -> None:
        """`root`: of the earlier version's pieces."""
        self._session = session
        self._root = root
        self._waiting: list[tuple[bytes, bytes | None, Leaf | None]] = []
        """(key, what is to be put, what was there)."""
        self._bytes = 0
        self.put = self.new = self.inserted = self.updated = self.deleted = 0
        self.dropped: list[ChunkId] = []

    def file(self, path: bytes, had: bytes | None) -> "FileEdits":
        """A file that is being read. `had`: the path, where the earlier version has pieces of it."""
        return FileEdits(self, path, dict(self._old(had)) if had is not None else {})

    def removed(self, path: bytes) -> Iterator[Piece]:
        """All pieces of a file that is no longer there."""
        yield from self._added([(key, None, leaf) for key, leaf in self._old(path)])

    def flush(self) -> Iterator[Piece]:
        """What is still waiting."""
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        leaves = iter(self.store([plain for _, plain, _ in waiting if plain is not None]))
        for key, plain, old in waiting:
            edit = self._edit(key, None if plain is None else next(leaves), old)
            if edit is not None:
                yield edit

    def store(self, plains: Sequence[bytes]) -> list[Leaf]:
        """These pieces, wherever they belong."""
        if not plains:
            return []
        stored = self._session.put_records(plains)
        self.put += len(plains)
        self.new += stored.new
        large = frozenset(stored.large)
        return [Leaf(chunk_id, 1, at in large) for at, chunk_id in enumerate(stored.ids)]

    def stored(self, pieces: Sequence[tuple[bytes, Leaf | None, Leaf | None]]) -> Iterator[Piece]:
        """Edits of pieces that are stored already: (key, what is there now, what was there)."""
        yield from self.flush()
        for key, leaf, old in pieces:
            edit = self._edit(key, leaf, old)
            if edit is not None:
                yield edit

    def small(self, pieces: Sequence[tuple[bytes, bytes | None, Leaf | None]]) -> Iterator[Piece]:
        """Edits of pieces that wait for others."""
        yield from self._added(pieces)

    def _added(self, pieces: Sequence[tuple[bytes, bytes | None, Leaf | None]]) -> Iterator[Piece]:
        self._waiting.extend(pieces)
        self._bytes += sum(len(plain or b"") for _, plain, _ in pieces)
        if self._bytes >= WAITING_BYTES or len(self._waiting) >= WAITING_EDITS:
            yield from self.flush()

    def _old(self, path: bytes) -> Iterator[tuple[bytes, Leaf]]:
        assert self._root is not None
        return entries(self._session.tree_nodes, self._root, *piece_range(path))

    def _edit(self, key: bytes, leaf: Leaf | None, old: Leaf | None) -> Piece | None:
        if leaf == old:
            return None
        if old is None:
            self.inserted += 1
        else:
            self.dropped.append(old.id)
            self.updated += leaf is not None
            self.deleted += leaf is None
        return key, leaf


class FileEdits:
    """The pieces of one file, in their order. Nothing comes out before its end, since it may turn out that
    the file was written meanwhile. Pieces of a large one are stored as they come: in memory are their ids."""

    def __init__(self, edits: Edits, path: bytes, old: dict[bytes, Leaf]) -> None:
        self._edits = edits
        self._path = path
        self._old = old
        self._held: list[tuple[bytes, bytes]] = []
        self._held_bytes = 0
        self._leaves: list[tuple[bytes, Leaf]] = []
        self.size = 0

    def add(self, piece: bytes) -> None:
        if self._held_bytes >= WAITING_BYTES:
            self._store()
        self._held.append((piece_key(self._path, self.size), piece))
        self._held_bytes += len(piece)
        self.size += len(piece)

    def finish(self) -> Iterator[Piece]:
        """All edits of the file, when all of it was read."""
        if self._leaves:
            self._store()
            now: dict[bytes, Leaf] = dict(self._leaves)
            keys = sorted({*now, *self._old})
            yield from self._edits.stored([(key, now.get(key), self._old.get(key)) for key in keys])
            return
        held: dict[bytes, bytes] = dict(self._held)
        keys = sorted({*held, *self._old})
        yield from self._edits.small([(key, held.get(key), self._old.get(key)) for key in keys])

    def _store(self) -> None:
        leaves = self._edits.store([piece for _, piece in self._held])
        self._leaves += zip((key for key, _ in self._held), leaves, strict=True)
        self._held, self._held_bytes = [], 0
