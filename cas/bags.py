"""Sorting the chunk ids of a table without a primary key, in bounded memory.

Such a table is a bag: its records are identified by content and counted. They arrive in any order,
so ids are gathered, sorted in runs that go to temporary files, and merged.
"""

import heapq
import tempfile
from collections.abc import Iterator, Sequence
from itertools import groupby
from types import TracebackType
from typing import IO

from cas.ids import CHUNK_ID_BYTES, ChunkId
from cas.temporary import temporary_faults

RUN_IDS = 250_000
"""Ids sorted in memory at once: about 20 MiB as Python objects."""

READ_IDS = 4096
_ROW_BYTES = CHUNK_ID_BYTES + 1

BagEntry = tuple[ChunkId, int, bool]
"""Chunk id, how many records have it, whether it is of kind LARGE."""


class BagSorter:
    """Takes ids in any order, gives them back ascending and counted. A context manager: its
    temporary files go with it."""

    def __init__(self, run_ids: int = RUN_IDS) -> None:
        self._run_ids = run_ids
        self._rows: list[bytes] = []
        self._runs: list[IO[bytes]] = []

    def __enter__(self) -> "BagSorter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for run in self._runs:
            run.close()

    def add(self, ids: Sequence[ChunkId], large: Sequence[int] = ()) -> None:
        """Records with these ids; `large` holds the positions of LARGE ones. InsufficientSpace where
        there is no room for the temporary files."""
        marks = frozenset(large)
        self._rows.extend(
            chunk_id + (b"\1" if position in marks else b"\0") for position, chunk_id in enumerate(ids)
        )
        if len(self._rows) >= self._run_ids:
            self._spill()

    def _spill(self) -> None:
        self._rows.sort()
        with temporary_faults():
            run = tempfile.TemporaryFile(prefix="cas-bag-")  # noqa: SIM115  # closed by __exit__
            self._runs.append(run)
            run.write(b"".join(self._rows))
            run.seek(0)
        self._rows = []

    def entries(self) -> Iterator[BagEntry]:
        """All distinct ids ascending. Call once, after the last `add`."""
        self._rows.sort()
        rows = heapq.merge(self._rows, *map(_read_run, self._runs))
        for row, same in groupby(rows):
            yield ChunkId(row[:CHUNK_ID_BYTES]), sum(1 for _ in same), row[CHUNK_ID_BYTES:] == b"\1"


def _read_run(run: IO[bytes]) -> Iterator[bytes]:
    while data := run.read(READ_IDS * _ROW_BYTES):
        for at in range(0, len(data), _ROW_BYTES):
            yield data[at : at + _ROW_BYTES]
