"""The frames that hold what is needed, in the order in which they are first needed, decoded and proven.

First everything that is needed is marked, a byte for each chunk of the packs in which it lies. Then the same
needs again give the frames: one all of whose chunks are marked can be taken as it is stored, of others the
marked chunks. So nothing leaves a frame that nobody asked for.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import accumulate, compress

import numpy as np
import numpy.typing as npt

from cas.bundles.needs import Need
from cas.closure.ground import Packs
from cas.engine.chunk_reader import ChunkReader
from cas.engine.fetching import fetched
from cas.engine.frame_ranges import FrameKey, Wanted
from cas.engine.places import Places
from cas.errors import CorruptData
from cas.format.frame import Frame
from cas.ids import SHORT_ID_BYTES, ChunkId, ChunkKind, IdKey, PackName
from cas.store.interface import Store


@dataclass(frozen=True, slots=True)
class Taken:
    """Chunks that are needed, with their recomputed ids. `frame`, `stored`: the frame in which they lie,
    where nothing else lies in it; None for chunks of which no frame can be taken as it is. `base`: the
    dictionary that their frame was made with."""

    kind: ChunkKind
    ids: Sequence[ChunkId]
    plains: Sequence[bytes]
    base: ChunkId | None = None
    frame: Frame | None = None
    stored: bytes = b""


class NeededFrames:
    """Over one set of packs. `reader`: tries other copies, where a frame turns out damaged."""

    def __init__(
        self,
        store: Store,
        fetchers: Executor,
        key: IdKey,
        packs: Packs,
        elsewhere: Callable[[Sequence[ChunkId]], npt.NDArray[np.bool_]] | None = None,
    ) -> None:
        """`elsewhere`: which of chunks that no pack of the view holds are to be had without it; they are not
        taken."""
        self._store = store
        self._fetchers = fetchers
        self._packs = packs
        self._elsewhere = elsewhere
        self._hashers = {kind: key.batch_hasher(kind) for kind in ChunkKind}
        self._marks: dict[PackName, npt.NDArray[np.bool_]] = {}
        self._done: dict[PackName, npt.NDArray[np.bool_]] = {}
        self._bad: set[FrameKey] = set()

    @property
    def reader(self) -> ChunkReader:
        return self._packs.reader

    def mark(self, need: Need) -> None:
        """These will be taken. CorruptData where one is in no pack."""
        places = self._locate(need)
        for number, mine in _by_pack(places):
            name = places.packs[number]
            marks = self._marks.get(name)
            if marks is None:
                layout = self._packs.trailers.layout(name)
                marks = self._marks[name] = np.zeros(layout.trailer.chunks, dtype=np.bool_)
                self._done[name] = np.zeros(len(layout.first_chunk), dtype=np.bool_)
            marks[places.ordinal[mine]] = True

    def take(self, need: Need) -> Iterator[Taken]:
        """What was marked of the frames in which these lie, each frame once."""
        places = self._locate(need)
        wanted, asked = self._wanted(need, places)
        lost = {key for key in asked if key in self._bad}
        fresh = [want for want in wanted if not self._done[want.key[0]][want.key[1]]]
        came: set[FrameKey] = set()
        for group in fetched(self._store, self._fetchers, fresh):
            for want, stored in group:
                came.add(want.key)
                taken = self._decoded(want, stored, asked[want.key])
                if taken is None:
                    lost.add(want.key)
                else:
                    yield taken
        lost |= {want.key for want in fresh} - came
        for want in fresh:
            self._done[want.key[0]][want.key[1]] = True
        self._bad |= lost
        ids = [chunk_id for key in sorted(lost) for chunk_id in asked[key].values()]
        for chunk_id in ids:  # one by one: what a hostile store says of their lengths is not believed
            yield Taken(need.kind, (chunk_id,), self.reader.read(need.kind, (chunk_id,)))

    def _locate(self, need: Need) -> Places:
        places = self._packs.index.locate(need.ids, self._packs.view)
        missing = np.flatnonzero(places.pack < 0)
        if len(missing) and self._elsewhere is not None:
            missing = missing[~self._elsewhere([need.ids[at] for at in missing.tolist()])]
        if len(missing):
            raise CorruptData(
                f"{need.kind.name.lower()} chunk {need.ids[int(missing[0])].hex()[:16]} is in no pack",
                kind="missing",
                where=need.label or "packs/",
                hint="`cas check` tells what is wrong",
            )
        return places

    def _wanted(self, need: Need, places: Places) -> tuple[list[Wanted], dict[FrameKey, dict[int, ChunkId]]]:
        """The frames in which these lie: packs in the order in which they are first met, and the frames of
        each as they lie, so that neighbours are fetched together; and which of their chunks, by their number
        in the frame, are asked for now."""
        first_met: dict[PackName, int] = {}
        asked: dict[FrameKey, dict[int, ChunkId]] = {}
        for number, mine in _by_pack(places):
            name = places.packs[number]
            layout = self._packs.trailers.layout(name)
            ordinals = places.ordinal[mine]
            first_met[name] = int(mine[0])
            frames = np.searchsorted(layout.first_chunk, ordinals, side="right") - 1
            inner = (ordinals - layout.first_chunk[frames]).tolist()
            for position, frame, at in zip(mine.tolist(), frames.tolist(), inner, strict=True):
                key = (name, frame)
                asked.setdefault(key, {})[at] = need.ids[position]
        wanted = []
        for name, frame in sorted(asked, key=lambda key: (first_met[key[0]], key[1])):
            layout = self._packs.trailers.layout(name)
            wanted.append(Wanted((name, frame), layout.trailer.frames[frame], int(layout.offset[frame])))
        return wanted, asked

    def _decoded(self, want: Wanted, stored: bytes, asked: dict[int, ChunkId]) -> Taken | None:
        """The marked chunks of a frame; None where one of its chunks is not what the pack says, or what is
        asked for."""
        (name, number), frame = want.key, want.frame
        layout = self._packs.trailers.layout(name)
        first = int(layout.first_chunk[number])
        end = first + frame.chunks
        try:
            plain = self.reader.decode(name, frame, stored)
        except CorruptData:
            return None
        lengths = np.frombuffer(layout.trailer.lengths, dtype="<u4")[first:end].tolist()
        plains = [
            plain[stop - length : stop] for stop, length in zip(accumulate(lengths), lengths, strict=True)
        ]
        ids = self._hashers[frame.kind](plains)
        said = layout.trailer.short_ids[first * SHORT_ID_BYTES : end * SHORT_ID_BYTES]
        if b"".join(chunk_id[:SHORT_ID_BYTES] for chunk_id in ids) != said:
            return None
        if any(ids[at] != chunk_id for at, chunk_id in asked.items()):
            return None
        base = frame.bases[0] if frame.bases and not frame.depth else None
        marks = self._marks[name][first:end]
        if marks.all():
            return Taken(frame.kind, ids, plains, base, None if frame.depth else frame, stored)
        chosen = marks.tolist()
        return Taken(frame.kind, list(compress(ids, chosen)), list(compress(plains, chosen)), base)


def _by_pack(places: Places) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """The packs, by their numbers, and the positions of what lies in each."""
    for number in np.unique(places.pack[places.pack >= 0]).tolist():
        yield number, np.flatnonzero(places.pack == number)
