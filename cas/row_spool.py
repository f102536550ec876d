"""Records on a local disk, ascending by key, whatever order a person or a server has given them.

They are kept as they come while they ascend. Where they do not, they are sorted in runs of bounded size and
merged; a key that stands twice is found then.
"""

import heapq
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from cas.limits import MIB
from cas.spool_file import SpoolFile

RUN_BYTES = 16 * MIB
"""Of keys and payloads that are sorted in memory at once; the next run is gathered while one is held."""

MERGED_RUNS = 64
"""Files that are read side by side: each has a buffer."""

_LENGTH = 8


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """A record, and the line where it stands."""

    key: bytes
    line: int
    payload: bytes


class TwiceError(ValueError):
    """Two records have one key. `lines`: where."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"the same key as in line {first}")
        self.line = second


class RowSpool:
    """Takes records in any order, gives them back by key. A context manager."""

    def __init__(self, *, is_bag: bool, run_bytes: int = RUN_BYTES) -> None:
        """`is_bag`: there are no keys, and the order does not matter."""
        self._is_bag = is_bag
        self._run_bytes = run_bytes
        self._stack = ExitStack()
        self._file = self._stack.enter_context(SpoolFile())
        self._last: bytes | None = None
        self._is_sorted = True
        self.records = 0
        self.payload_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(self, row: Row) -> None:
        """One record more."""
        if not self._is_bag:
            if self._last is not None and row.key <= self._last:
                self._is_sorted = False
            self._last = row.key
        _append(self._file, row)
        self.records += 1
        self.payload_bytes += len(row.payload)

    def finish(self) -> None:
        """After the last one. TwiceError."""
        if self._is_sorted:
            return
        runs = [self._sorted(rows) for rows in _runs(self.rows(), self._run_bytes)]
        while len(runs) > 1:
            groups = [runs[at : at + MERGED_RUNS] for at in range(0, len(runs), MERGED_RUNS)]
            runs = [self._merged(group) for group in groups]
        before: Row | None = None
        for row in _rows(runs[0]):
            if before is not None and before.key == row.key:
                raise TwiceError(before.line, row.line)
            before = row
        self._file.close()
        self._file, self._is_sorted = runs[0], True

    def rows(self) -> Iterator[Row]:
        """From the first one; again and again."""
        return _rows(self._file)

    def _sorted(self, rows: list[Row]) -> SpoolFile:
        return self._spooled(iter(sorted(rows)))

    def _merged(self, runs: list[SpoolFile]) -> SpoolFile:
        merged = self._spooled(heapq.merge(*map(_rows, runs)))
        for run in runs:
            run.close()
        return merged

    def _spooled(self, rows: Iterator[Row]) -> SpoolFile:
        file = self._stack.enter_context(SpoolFile())
        for row in rows:
            _append(file, row)
        return file


def _runs(rows: Iterator[Row], most: int) -> Iterator[list[Row]]:
    run: list[Row] = []
    size = 0
    for row in rows:
        run.append(row)
        size += len(row.key) + len(row.payload) + 100
        if size >= most:
            yield run
            run, size = [], 0
    if run:
        yield run


def _append(file: SpoolFile, row: Row) -> None:
    lengths = (len(row.key), len(row.payload), row.line)
    file.append((b"".join(number.to_bytes(_LENGTH, "big") for number in lengths), row.key, row.payload))


def _rows(file: SpoolFile) -> Iterator[Row]:
    reading = file.reading()
    for _ in range(file.length):
        head = reading.take(3 * _LENGTH)
        key, payload, line = (int.from_bytes(head[at : at + _LENGTH], "big") for at in (0, 8, 16))
        yield Row(reading.take(key), line, reading.take(payload))
