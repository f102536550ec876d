"""What one writer has put itself, so that nothing is stored twice in one version.

A chunk is first on its way (in a batch, a frame, an open pack) and then delivered. What is on its way is
remembered id by id; what is delivered is found through the index. The records of a large entity that cannot
be equal to each other are an exception: they are compared with what there was when the entity began, and are
remembered when it ends, as far as they are still on their way then. That saves a hundred bytes a record and
a twentieth of a version's time.
"""

from collections.abc import Callable, Iterable, Sequence
from threading import Lock

import numpy as np
import numpy.typing as npt

from cas.engine.chunk_index import ChunkIndex
from cas.engine.places import View
from cas.engine.segment import U64, halves, short_ids_of
from cas.ids import SHORT_ID_BYTES, ChunkId, PackName, split_short_ids


class _Sorted:
    """Short ids that stay as they are: 16 bytes each, where a set takes a hundred."""

    def __init__(self, short_ids: bytes = b"") -> None:
        """`short_ids`: one after another."""
        high, low = halves(short_ids)
        order = np.argsort(high)
        self.high, self.low = high[order], low[order]

    def __len__(self) -> int:
        return len(self.high)

    @property
    def is_each_once(self) -> bool:
        """False, too, where two share their first half only."""
        return not bool((self.high[1:] == self.high[:-1]).any())

    def hold(self, high: U64, low: U64) -> npt.NDArray[np.bool_]:
        """For each whether it is there. Of ids that share their first half only one is found: the others
        are stored once more."""
        if not len(self):
            return np.zeros(len(high), dtype=np.bool_)
        places = np.minimum(np.searchsorted(self.high, high), len(self) - 1)
        held: npt.NDArray[np.bool_] = (self.high[places] == high) & (self.low[places] == low)
        return held


class OwnChunks:
    """One caller thread asks; `delivered` may be called by another one."""

    def __init__(self, index: ChunkIndex, on_their_way: Callable[[], Iterable[bytes]]) -> None:
        """on_their_way: the short ids of all records that were put and are not delivered, perhaps of some
        that just were; it may take a while."""
        self._index = index
        self._on_their_way = on_their_way
        self._pending: dict[bool, set[bytes]] = {True: set(), False: set()}
        self._delivered = {True: View(()), False: View(())}
        self._lock = Lock()
        self._forgets = False
        self._before = _Sorted()
        self._delivered_before = self._delivered[False]
        self._packs: dict[bytes, _Sorted] = {}
        """Whole packs that are on their way."""

    def begin_entity(self, *, forgets: bool = False) -> None:
        """What is asked from now on belongs to another entity. `forgets`: no two of its records are equal,
        and they are too many to be remembered one by one."""
        gathered = self._on_their_way() if self._forgets else ()
        with self._lock:
            # What was delivered while this was gathered is remembered needlessly, and in the view as well.
            self._pending[False].update(gathered)
            if forgets:
                self._before = _Sorted(b"".join(self._pending[False]))
                self._delivered_before = self._delivered[False]
                self._pending[False] = set()
            self._forgets = forgets

    def fresh_records(self, ids: Sequence[ChunkId]) -> Sequence[int]:
        """As `fresh`, for records of the entity that began."""
        if not self._forgets:
            return self.fresh(ids, holds_nodes=False)
        if not ids or not (len(self._before) or self._delivered_before.packs):
            return range(len(ids))
        stored = self._index.locate(ids, self._delivered_before).pack >= 0
        if len(self._before):
            stored |= self._before.hold(*halves(short_ids_of(ids)))
        return np.flatnonzero(~stored).tolist() if stored.any() else range(len(ids))

    def fresh(self, ids: Sequence[ChunkId], *, holds_nodes: bool) -> Sequence[int]:
        """Positions of those that were not asked before, ascending and each id once. The caller puts them,
        into a pack that holds nodes or one of records."""
        short_ids = [chunk_id[:SHORT_ID_BYTES] for chunk_id in ids]
        with self._lock:
            delivered = self._delivered[holds_nodes]
            pending = self._pending[holds_nodes]
            fresh = set(short_ids).difference(pending)
            pending |= fresh
            packs = list(self._packs.values())
        stored = np.zeros(len(ids), dtype=np.bool_)
        if fresh and delivered.packs:
            stored |= self._index.locate(ids, delivered).pack >= 0
        if fresh and len(self._before) and not holds_nodes:  # what was on its way when a large entity began
            stored |= self._before.hold(*halves(b"".join(short_ids)))
        for pack in packs if fresh else ():
            stored |= pack.hold(*halves(b"".join(short_ids)))
        if stored.any():
            known = {short_ids[at] for at in np.flatnonzero(stored).tolist()}
            fresh -= known
            with self._lock:
                self._pending[holds_nodes] -= known
        if len(fresh) == len(ids):
            return range(len(ids))
        first = dict(zip(reversed(short_ids), range(len(ids) - 1, -1, -1), strict=True))
        return sorted(at for chunk, at in first.items() if chunk in fresh)

    def take_all(self, short_ids: bytes, *, holds_nodes: bool) -> bool:
        """The caller puts all of these, the short ids of a pack, in one pack; unless one of them was asked
        before or stands twice among them: then False, and nothing is remembered."""
        mine = _Sorted(short_ids)
        if not mine.is_each_once:
            return False
        with self._lock:
            delivered, on_their_way = self._delivered[holds_nodes], list(self._packs.values())
            pending = b"".join(self._pending[holds_nodes])
        others = [*on_their_way, _Sorted(pending), *(() if holds_nodes else (self._before,))]
        if any(mine.hold(other.high, other.low).any() for other in others):
            return False
        if (self._index.search(mine.high, mine.low, delivered, None).pack >= 0).any():
            return False
        with self._lock:
            self._packs[short_ids] = mine
        return True

    def delivered(self, pack: PackName, short_ids: bytes, *, holds_nodes: bool) -> None:
        """A pack is in the store and in the index."""
        with self._lock:
            self._delivered[holds_nodes] = View(self._delivered[holds_nodes].packs | {pack})
            self._packs.pop(short_ids, None)
            if pending := self._pending[holds_nodes]:
                pending.difference_update(split_short_ids(short_ids))
                if not pending:  # an emptied set keeps its size, and costs whoever walks through it
                    self._pending[holds_nodes] = set()
