"""Cutting one level of a tree into nodes, left to right."""

from collections.abc import Callable, Sequence
from operator import lt

from cas.format.node import encode_node
from cas.ids import ChunkId
from cas.limits import MAX_NODE_BYTES, MAX_NODE_ENTRIES
from cas.tree.boundary import MIN_NODE_ENTRIES, VALUE_BYTES, Boundary, closes
from cas.tree.nodes import NodeWriter

NodeSink = Callable[[bytes, ChunkId, int], None]
"""Told of each finished node: its last key, its id, the records under it."""


class Splitter:
    """Takes ascending entries of one level and hands out its nodes.

    `counted`: entries carry counts (all upper levels, and the leaves of bags). Keys that do not
    ascend strictly are our own mistake and raise ValueError before anything wrong is written.
    """

    def __init__(
        self, writer: NodeWriter, boundary: Boundary, level: int, counted: bool, sink: NodeSink
    ) -> None:
        self._writer = writer
        self._boundary = boundary
        self._level = level
        self._counted = counted
        self._sink = sink
        self._keys: list[bytes] = []
        self._ids: list[bytes] = []
        self._counts: list[int] = []
        self._large: list[int] = []
        self._size = 0
        self._last_key: bytes | None = None

    @property
    def is_at_boundary(self) -> bool:
        """Whether no entry waits: the next one starts a node."""
        return not self._keys

    def extend(
        self,
        keys: Sequence[bytes],
        ids: Sequence[bytes],
        counts: Sequence[int] = (),
        large: Sequence[int] = (),
    ) -> None:
        """Take entries. `counts` belongs to `keys` where the level is counted, and is empty where not;
        `large` holds positions, ascending."""
        if not keys:
            return
        self._require_ascending(keys)
        begin = 0
        marks = iter(large)
        mark = next(marks, None)
        for end in (*self._boundary.candidates(self._level, keys), len(keys)):
            is_candidate = end < len(keys)
            stop = min(end + 1, len(keys))
            if begin == stop:
                continue
            offset = len(self._keys) - begin
            waiting = []
            while mark is not None and mark < stop:
                waiting.append(mark)
                mark = next(marks, None)
            run = keys[begin:stop]
            size = sum(map(len, run)) + VALUE_BYTES * len(run)
            if len(self._keys) + len(run) < MAX_NODE_ENTRIES and self._size + size < MAX_NODE_BYTES:
                self._keys += run
                self._ids += ids[begin:stop]
                self._counts += counts[begin:stop]
                self._large += [offset + position for position in waiting]
                self._size += size
                if is_candidate and len(self._keys) >= MIN_NODE_ENTRIES:
                    self._close()
            else:
                self._step(keys, ids, counts, set(waiting), begin, stop, is_candidate)
            begin = stop

    def _step(
        self,
        keys: Sequence[bytes],
        ids: Sequence[bytes],
        counts: Sequence[int],
        large: set[int],
        begin: int,
        stop: int,
        is_candidate: bool,
    ) -> None:
        """Entry by entry, where a node may become full on the way."""
        for index in range(begin, stop):
            if index in large:
                self._large.append(len(self._keys))
            self._keys.append(keys[index])
            self._ids.append(ids[index])
            if self._counted:
                self._counts.append(counts[index])
            self._size += len(keys[index]) + VALUE_BYTES
            if closes(len(self._keys), self._size, is_candidate and index == stop - 1):
                self._close()

    def finish(self) -> None:
        """No more entries: what waits becomes the last node, which alone may hold one entry."""
        if self._keys:
            self._close()

    def _require_ascending(self, keys: Sequence[bytes]) -> None:
        if (self._last_key is not None and keys[0] <= self._last_key) or not all(map(lt, keys, keys[1:])):
            raise ValueError("keys do not ascend strictly")
        self._last_key = keys[-1]

    def _close(self) -> None:
        plain = encode_node(self._level, self._keys, self._ids, self._counts, self._large)
        records = sum(self._counts) if self._counted else len(self._keys)
        last_key = self._keys[-1]
        self._keys, self._ids, self._counts, self._large, self._size = [], [], [], [], 0
        self._sink(last_key, self._writer.put_node(plain, self._level, last_key), records)
