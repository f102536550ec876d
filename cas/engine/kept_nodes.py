"""Tree nodes on the local disk: what was read once need not be found, fetched and decoded again.

The tops of a tree differ from version to version, each in a pack of its own and as a difference to the
one before. Whoever looks through a thousand versions reads thousands of them, and the same ones the next
time. The file is a cache: nothing in it is believed, and it can be thrown away at any time.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from cas.ids import ChunkId, ChunkKind, IdKey
from cas.limits import MIB
from cas.tree.lookups import ReadNodes

MAX_FILE_BYTES = 256 * MIB
"""A larger file is begun anew. Above one record, a thousand versions of a large entity have about 5 MiB."""

WRITTEN_AT_ONCE_BYTES = 16 * MIB
"""What waits in memory to be written."""

ASKED_AT_ONCE = 500
"""Parameters of one statement; SQLite takes at least 999."""

_PREPARE = (
    "PRAGMA synchronous = OFF",  # what a power loss spoils shows by its hash, or by an error
    "PRAGMA journal_mode = MEMORY",
    "CREATE TABLE IF NOT EXISTS nodes (id BLOB PRIMARY KEY, plain BLOB NOT NULL)",
)


class KeptNodes:
    """Nodes from `file`, and from `read` those that it lacks, which are in it after the `with` block.

    A file that cannot be used fails nobody's work; without one nothing is kept. For one thread; processes
    may share the file.
    """

    def __init__(self, read: ReadNodes, key: IdKey, file: Path | None) -> None:
        self._read = read
        self._hash = key.batch_hasher(ChunkKind.NODE)
        self._file = file
        self._connection: sqlite3.Connection | None = None
        self._fresh: dict[ChunkId, bytes] = {}
        self._fresh_bytes = 0

    def __enter__(self) -> "KeptNodes":
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keep()
        self._close()

    def __call__(self, ids: Sequence[ChunkId]) -> list[bytes]:
        """The plain bytes of these nodes, each proven by its id. Raises what reading them raises."""
        found = self._kept(ids)
        missing = [node_id for node_id in ids if node_id not in found]
        if missing:
            fresh = dict(zip(missing, self._read(missing), strict=True))
            found |= fresh
            self._take(fresh)
        return [found[node_id] for node_id in ids]

    def _kept(self, ids: Sequence[ChunkId]) -> dict[ChunkId, bytes]:
        found: list[tuple[ChunkId, bytes]] = []
        for begin in range(0, len(ids), ASKED_AT_ONCE):
            asked = ids[begin : begin + ASKED_AT_ONCE]
            if self._connection is None:
                break
            marks = ",".join("?" * len(asked))
            try:
                found += self._connection.execute(
                    f"SELECT id, plain FROM nodes WHERE id IN ({marks})",  # noqa: S608 - question marks
                    asked,
                ).fetchall()
            except sqlite3.Error as error:
                self._give_up(error)
        found = [(node_id, plain) for node_id, plain in found if isinstance(plain, bytes)]
        proven = zip(found, self._hash([plain for _, plain in found]), strict=True)
        return {node_id: plain for (node_id, plain), is_id in proven if is_id == node_id}

    def _take(self, fresh: dict[ChunkId, bytes]) -> None:
        if self._connection is None:
            return
        self._fresh |= fresh
        self._fresh_bytes += sum(map(len, fresh.values()))
        if self._fresh_bytes > WRITTEN_AT_ONCE_BYTES:
            self._keep()

    def _keep(self) -> None:
        """Write what waits; a busy file does without it."""
        if not self._fresh:
            return
        with suppress(OSError):
            if self._file is not None and self._file.stat().st_size > MAX_FILE_BYTES:
                self._close()
                self._file.unlink()
                self._open()
        if self._connection is not None:
            try:
                with self._connection:
                    self._connection.executemany(
                        "INSERT OR REPLACE INTO nodes VALUES (?, ?)", self._fresh.items()
                    )
            except sqlite3.Error as error:
                self._give_up(error)
        self._fresh, self._fresh_bytes = {}, 0

    def _open(self) -> None:
        if self._file is None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file.touch(mode=0o600)  # nodes hold the keys of records
            self._connection = sqlite3.connect(self._file, timeout=0)
            for statement in _PREPARE:
                self._connection.execute(statement)
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """Go on without the file; one that is damaged goes, so that the next process begins a new one."""
        self._close()
        is_busy_or_full = isinstance(error, sqlite3.OperationalError | OSError)
        if self._file is not None and not is_busy_or_full:
            with suppress(OSError):
                self._file.unlink()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
