"""Which chunk lies where: a cache of pack trailers on the local disk.

It is built from trailers, one ranged read a pack, and can be thrown away at any time. It never
decides alone what exists: a caller asks within a view, the set of packs that count for it.
"""

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import RLock

import numpy as np
import numpy.typing as npt

from cas.engine.places import PackNames, Places, View, search
from cas.engine.segment import U8, U64, Segment, halves, merge, segment_of_pack, short_ids_of
from cas.engine.segment_files import open_segment, write_merged, write_segment
from cas.errors import CorruptData, Unsupported
from cas.format.pack import Trailer
from cas.ids import PackName

MAX_SEGMENT_CHUNKS = 32_000_000
"""Merging stops here: a segment that is merged is written again, 33 bytes a chunk."""

MERGED_AT_ONCE = 16
"""While packs are under construction, so many small segments are merged in one go: fewer are not worth
the time that a writer would wait. Before and after there are as few segments as can be."""

NEEDS_AT_ONCE = 1 << 16
"""Needs that are searched at once: a repository of a thousand versions has a million."""

LEFT_OVER_SECONDS = 3600
"""Temporary files that are older were left by a process that died; writing one takes seconds."""

FetchTrailer = Callable[[PackName], Trailer]


class ChunkIndex:
    """Segments in one directory, or in memory only where `directory` is None. Thread-safe.

    Several processes may share the directory: files are immutable, and one that another process
    merged away stays readable for who has mapped it.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._lock = RLock()
        self._segments: list[Segment] = []
        self._known: set[PackName] = set()
        if directory is not None:
            try:
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._load(directory)
            except OSError:  # no place for a cache: then without one
                self._directory = None

    def _load(self, directory: Path) -> None:
        found = []
        for path in sorted(directory.glob("*.segment")):
            try:
                found.append((path, open_segment(path)))
            except (ValueError, OSError):
                path.unlink(missing_ok=True)
        # The largest first: two processes that learned the same packs leave the same rows twice.
        for path, segment in sorted(found, key=lambda pair: -len(pair[1].packs)):
            if self._known.issuperset(segment.packs):
                path.unlink(missing_ok=True)
                continue
            self._segments.append(segment)
            self._known.update(segment.packs)
        _remove_left_over(directory)

    @property
    def packs(self) -> frozenset[PackName]:
        """The packs whose chunks the index knows."""
        with self._lock:
            return frozenset(self._known)

    @property
    def is_in_memory(self) -> bool:
        """Whether no segment lies in a file."""
        return all(segment.path is None for segment in self._segments)

    def __len__(self) -> int:
        """Rows, copies counted."""
        return sum(len(segment.rows) for segment in self._segments)

    def frozen(self) -> "ChunkIndex":
        """The same rows, which nobody adds to or merges: places found in it stay comparable."""
        copy = ChunkIndex(None)
        with self._lock:
            copy._segments, copy._known = list(self._segments), set(self._known)
        return copy

    @property
    def segments(self) -> tuple[Segment, ...]:
        """In the order in which rows are counted."""
        with self._lock:
            return tuple(self._segments)

    def rows_of(self, name: PackName) -> npt.NDArray[np.int64]:
        """The rows of all chunks of a pack."""
        found = [np.zeros(0, dtype=np.int64)]
        first = 0
        for segment in self._segments:
            if name in segment.packs:
                number = segment.packs.index(name)
                found.append(np.flatnonzero(segment.rows.pack == number).astype(np.int64) + first)
            first += len(segment.rows)
        return np.concatenate(found)

    def first_chunks(self) -> npt.NDArray[np.int64]:
        """For each pack, in the order of `pack_names`, how many chunks lie in the packs before it: so
        this plus a chunk's ordinal is a number of its own for every place."""
        counts = [np.bincount(segment.rows.pack, minlength=len(segment.packs)) for segment in self._segments]
        joined = np.concatenate([np.zeros(0, np.int64), *counts]).astype(np.int64)
        return np.cumsum(joined) - joined

    @property
    def pack_names(self) -> PackNames:
        """The names that `Places.packs` has, whatever is asked."""
        with self._lock:
            return PackNames([segment.packs for segment in self._segments])

    def sync(self, wanted: Iterable[PackName], fetch: FetchTrailer) -> set[PackName]:
        """Learn the packs that are not known yet, ascending by name. Returns those whose trailer is
        missing, damaged or of a newer format; every other failure of `fetch` goes through."""
        unreadable: set[PackName] = set()
        for name in sorted(set(wanted) - self.packs):
            try:
                self.add(name, fetch(name))
            except (CorruptData, Unsupported):  # one flipped bit makes a newer format
                unreadable.add(name)
        with self._lock:
            self._merge_small(2)
        return unreadable

    def settle(self) -> None:
        """Much is asked, and nothing is added any more: leave one segment, if it is not too large. Segments
        are searched one after another."""
        with self._lock:
            if len(self._segments) > 1 and len(self) <= MAX_SEGMENT_CHUNKS:
                self._replace(len(self._segments))

    def add(self, name: PackName, trailer: Trailer) -> None:
        """Learn one pack."""
        with self._lock:
            if name in self._known:
                return
            self._segments.append(self._keep([segment_of_pack(name, trailer)]))
            self._known.add(name)
            self._merge_small(MERGED_AT_ONCE)

    def _keep(self, segments: Sequence[Segment]) -> Segment:
        """These segments as one, in a file where that is possible."""
        if self._directory is not None:
            path = self._directory / f"{secrets.token_hex(8)}.segment"
            try:
                return (
                    write_segment(segments[0], path) if len(segments) == 1 else write_merged(segments, path)
                )
            except OSError:  # a cache that cannot be written (full, read-only) must not fail the work
                with suppress(OSError):
                    path.with_suffix(".tmp").unlink()
        return segments[0] if len(segments) == 1 else merge(segments)

    def _merge_small(self, fewest: int) -> None:
        """Merge the smallest segments, as long as the next larger one is not twice as large as all of them,
        where that are `fewest` or more. So their number grows with the logarithm of the chunks."""
        while True:
            self._segments.sort(key=lambda segment: -len(segment.rows))
            count = total = 0
            for segment in reversed(self._segments):
                size = len(segment.rows)
                if (count and size > 2 * total) or total + size > MAX_SEGMENT_CHUNKS:
                    break
                count, total = count + 1, total + size
            if count < fewest:
                return
            self._replace(count)

    def _replace(self, count: int) -> None:
        """The last so many segments by one."""
        small = self._segments[-count:]
        self._segments[-count:] = [self._keep(small)]
        for old in small:
            if old.path is not None:
                old.path.unlink(missing_ok=True)

    def locate(self, ids: Sequence[bytes], view: View, bad: npt.NDArray[np.bool_] | None = None) -> Places:
        """The places of these chunks within the view. `bad`: rows that do not count, of a frozen index."""
        with self._lock:
            segments = tuple(self._segments)
        high, low = halves(short_ids_of(ids)) if ids else _NOTHING
        return search(segments, high, low, view, None, bad)

    def search(
        self, high: U64, low: U64, view: View, below: U8 | None, bad: npt.NDArray[np.bool_] | None = None
    ) -> Places:
        """As `locate`, by the halves of short ids, and of places of lesser depth only."""
        with self._lock:
            segments = tuple(self._segments)
        return search(segments, high, low, view, below, bad)

    def unmet_needs(
        self, view: View, bad: npt.NDArray[np.bool_] | None = None
    ) -> dict[PackName, frozenset[tuple[bytes, int]]]:
        """For each pack of the view what it needs to be decoded and the view does not hold: the short id,
        and below which depth it must lie. `bad`: rows that do not count, of a frozen index."""
        with self._lock:
            segments = tuple(self._segments)
        unmet: dict[PackName, set[tuple[bytes, int]]] = {}
        for segment in segments:
            needs = segment.needs
            wanted = np.flatnonzero(view.allowed(segment)[needs.pack])
            for begin in range(0, len(wanted), NEEDS_AT_ONCE):
                some = wanted[begin : begin + NEEDS_AT_ONCE]
                high, low, below = needs.high[some], needs.low[some], needs.below[some]
                missing = np.flatnonzero(search(segments, high, low, view, below, bad).pack < 0)
                pairs = np.column_stack((high[missing], low[missing])).astype("<u8")
                owners = needs.pack[some[missing]].tolist()
                for owner, pair, depth in zip(owners, pairs, below[missing].tolist(), strict=True):
                    unmet.setdefault(segment.packs[owner], set()).add((pair.tobytes(), depth))
        return {name: frozenset(needs) for name, needs in unmet.items()}

    def clear(self) -> None:
        """Forget everything, on the disk too."""
        with self._lock:
            paths = [segment.path for segment in self._segments if segment.path is not None]
            self._segments, self._known = [], set()
            for path in paths:
                with suppress(OSError):
                    path.unlink()


def _remove_left_over(directory: Path) -> None:
    for path in directory.glob("*.tmp"):
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - LEFT_OVER_SECONDS:
                path.unlink()


_NOTHING: tuple[U64, U64] = (np.empty(0, np.uint64), np.empty(0, np.uint64))
