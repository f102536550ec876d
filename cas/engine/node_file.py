"""Plain bytes of tree nodes in a file on the local disk, by their ids.

A cache: nothing in it is believed, since what comes out is proven by its id, and it can be thrown away at any
time. A file that cannot be used fails nobody's work. Threads and processes may share it.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

from cas.ids import ChunkId, ChunkKind, IdKey

ASKED_AT_ONCE = 500
"""Parameters of one statement; SQLite takes at least 999."""

_PREPARE = (
    "PRAGMA synchronous = OFF",  # what a power loss spoils shows by its hash, or by an error
    "PRAGMA journal_mode = MEMORY",
    "CREATE TABLE IF NOT EXISTS nodes (id BLOB PRIMARY KEY, plain BLOB NOT NULL)",
)


class NodeFile:
    """Opened when it is first asked. None for `path`: nothing is kept."""

    def __init__(self, path: Path | None, key: IdKey, most_bytes: int) -> None:
        """`most_bytes`: a larger file is begun anew before the next node is put."""
        self._path = path
        self._hash = key.batch_hasher(ChunkKind.NODE)
        self._most = most_bytes
        self._connection: sqlite3.Connection | None = None
        self._lock = Lock()

    def found(self, ids: Sequence[ChunkId]) -> dict[ChunkId, bytes]:
        """Those of these nodes that are there, each proven by its id."""
        with self._lock:
            rows = self._rows(ids) if ids and self._is_open() else []
        rows = [(node_id, plain) for node_id, plain in rows if isinstance(plain, bytes)]
        proven = zip(rows, self._hash([plain for _, plain in rows]), strict=True)
        return {node_id: plain for (node_id, plain), is_id in proven if is_id == node_id}

    def _rows(self, ids: Sequence[ChunkId]) -> list[tuple[ChunkId, bytes]]:
        rows: list[tuple[ChunkId, bytes]] = []
        for begin in range(0, len(ids), ASKED_AT_ONCE):
            asked = ids[begin : begin + ASKED_AT_ONCE]
            if self._connection is None:
                break
            marks = ",".join("?" * len(asked))
            try:
                rows += self._connection.execute(
                    f"SELECT id, plain FROM nodes WHERE id IN ({marks})",  # noqa: S608 - question marks
                    asked,
                ).fetchall()
            except sqlite3.Error as error:
                self._give_up(error)
        return rows

    def put(self, plains: Mapping[ChunkId, bytes], gone: Iterable[ChunkId] = ()) -> None:
        """Keep these, and no longer those that are gone; a busy file does without it."""
        with self._lock:
            if not self._is_open():
                return
            with suppress(OSError):
                if self._path is not None and self._path.stat().st_size > self._most:
                    self._close()
                    self._path.unlink()
                    self._open()
            if self._connection is not None:
                try:
                    with self._connection:
                        self._connection.executemany(
                            "DELETE FROM nodes WHERE id = ?", ((node_id,) for node_id in gone)
                        )
                        self._connection.executemany(
                            "INSERT OR REPLACE INTO nodes VALUES (?, ?)", plains.items()
                        )
                except sqlite3.Error as error:
                    self._give_up(error)

    def close(self) -> None:
        """Whoever asks again opens it again."""
        with self._lock:
            self._close()

    def _is_open(self) -> bool:
        if self._connection is None:
            self._open()
        return self._connection is not None

    def _open(self) -> None:
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.touch(mode=0o600)  # nodes hold the keys of records
            self._connection = sqlite3.connect(self._path, timeout=0, check_same_thread=False)
            for statement in _PREPARE:
                self._connection.execute(statement)
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """Go on without the file, this time; one that is damaged goes, so that a new one is begun."""
        self._close()
        is_busy_or_full = isinstance(error, sqlite3.OperationalError | OSError)
        if self._path is not None and not is_busy_or_full:
            with suppress(OSError):
                self._path.unlink()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
