"""Reading the nodes of trees that follow each other, where nearly each is a delta on the one before.

The chunk reader searches, proves and decodes the base of every delta anew. Here it is what was read a
moment ago, and the small pack that a version added is fetched once for all of its nodes. Whatever is less
simple is left to the chunk reader, which also knows what to do about damage.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from cas.engine.compression import Decompressor
from cas.engine.fetching import FETCH_THREADS, fetched
from cas.engine.frame_ranges import GAP_BYTES, FrameKey, Wanted
from cas.engine.locating import Locator
from cas.engine.places import View
from cas.engine.repository import Repository
from cas.errors import CorruptData, Unsupported
from cas.format.frame import Encoding, Frame
from cas.format.names import pack_key
from cas.format.pack import HEADER_BYTES
from cas.ids import ChunkId, ChunkKind, PackName
from cas.store.interface import ObjectMissing

SMALL_PACK_BYTES = GAP_BYTES
"""Frames of a pack that are fetched as a whole, since that costs no more than fetching one of them."""

PACKS_AT_HAND = 32
"""Small packs that are kept while the search goes down their tree; 2 MiB at the most."""

NODES_AT_HAND = 4096
"""Nodes that may be bases; about 10 MiB."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a node lies: its frame, and which of the frame's plain bytes it is."""

    want: Wanted
    start: int
    stop: int


class NodeRuns:
    """Reads nodes of what the store holds now; `reader` reads everything else of it. For one thread."""

    def __init__(self, repository: Repository) -> None:
        listed = set(repository.packs())
        self._view = View(listed - repository.learn(listed))
        self.reader = repository.reader_of(self._view)
        self._store = repository.store
        self._fetchers = repository.fetchers
        self._trailers = repository.trailers
        self._locator = Locator(repository.index, repository.trailers)
        self._hash = repository.config.id_key.hasher(ChunkKind.NODE)
        self._decompressor = Decompressor()
        self._packs: OrderedDict[PackName, bytes] = OrderedDict()
        self._nodes: OrderedDict[ChunkId, bytes] = OrderedDict()

    def read(self, ids: Sequence[ChunkId]) -> list[bytes]:
        """The plain bytes of these nodes, each proven by its id. Quick where bases come before the nodes
        that stand on them. CorruptData as the chunk reader raises it."""
        found = {node_id: self._nodes[node_id] for node_id in ids if node_id in self._nodes}
        missing = [node_id for node_id in dict.fromkeys(ids) if node_id not in found]
        if missing:
            found |= self._read(missing)
            self._nodes |= found
            while len(self._nodes) > NODES_AT_HAND:
                self._nodes.popitem(last=False)
        return [found[node_id] for node_id in ids]

    def _read(self, ids: Sequence[ChunkId]) -> dict[ChunkId, bytes]:
        found: dict[ChunkId, bytes] = {}
        with suppress(CorruptData, Unsupported):
            places = self._places(ids)
            with suppress(CorruptData, Unsupported):
                found |= self._by_reader(self._bases_elsewhere(places))
            frames = self._frames([place.want for place in places.values()])
            for node_id, place in places.items():
                plain = self._decoded(place, frames, found)
                if plain is not None and self._hash(plain) == node_id:
                    found[node_id] = plain
        return found | self._by_reader([node_id for node_id in ids if node_id not in found])

    def _by_reader(self, ids: Sequence[ChunkId]) -> dict[ChunkId, bytes]:
        return dict(zip(ids, self.reader.read(ChunkKind.NODE, ids), strict=True)) if ids else {}

    def _places(self, ids: Sequence[ChunkId]) -> dict[ChunkId, _Place]:
        spans = self._locator.spans(ids, self._view)
        places: dict[ChunkId, _Place] = {}
        for node_id, key, start, stop in zip(ids, spans.keys, spans.starts, spans.stops, strict=True):
            layout = self._trailers.layout(key[0])
            want = Wanted(key, layout.trailer.frames[key[1]], int(layout.offset[key[1]]))
            places[node_id] = _Place(want, start, stop)
        return places

    def _bases_elsewhere(self, places: Mapping[ChunkId, _Place]) -> list[ChunkId]:
        """What the places stand on and is neither among them nor at hand."""
        bases = dict.fromkeys(base for place in places.values() for base in place.want.frame.bases)
        return [base for base in bases if base not in places and base not in self._nodes]

    def _frames(self, wanted: Sequence[Wanted]) -> dict[FrameKey, bytes]:
        """The stored bytes of these frames, as far as they are to be had."""
        packs = dict.fromkeys(want.key[0] for want in wanted)
        lengths = {name: self._frames_length(name) for name in packs}
        small = {name: length for name, length in lengths.items() if length <= SMALL_PACK_BYTES}
        self._fetch_packs([(name, length) for name, length in small.items() if name not in self._packs])
        frames = self._fetch_frames([want for want in wanted if want.key[0] not in small])
        for want in wanted:
            if want.key[0] in self._packs:
                at = want.offset - HEADER_BYTES
                frames[want.key] = self._packs[want.key[0]][at : at + want.frame.stored_length]
        while len(self._packs) > PACKS_AT_HAND:
            self._packs.popitem(last=False)
        return frames

    def _frames_length(self, name: PackName) -> int:
        layout = self._trailers.layout(name)
        return int(layout.offset[-1]) + layout.trailer.frames[-1].stored_length - HEADER_BYTES

    def _fetch_packs(self, packs: Sequence[tuple[PackName, int]]) -> None:
        """All frames of these packs: one request each, some threads side by side."""

        def get(share: Sequence[tuple[PackName, int]]) -> dict[PackName, bytes]:
            got: dict[PackName, bytes] = {}
            for name, length in share:
                with suppress(ObjectMissing, CorruptData):
                    got[name] = self._store.get_range(pack_key(name), HEADER_BYTES, length)
            return got

        shares = [packs[at::FETCH_THREADS] for at in range(min(FETCH_THREADS, len(packs)))]
        for got in self._fetchers.map(get, shares):
            self._packs |= got

    def _fetch_frames(self, wanted: Iterable[Wanted]) -> dict[FrameKey, bytes]:
        """Single frames, by few requests where they lie together."""
        distinct = {want.key: want for want in wanted}
        groups = fetched(self._store, self._fetchers, [distinct[key] for key in sorted(distinct)])
        return {want.key: stored for group in groups for want, stored in group}

    def _decoded(
        self, place: _Place, frames: Mapping[FrameKey, bytes], found: Mapping[ChunkId, bytes]
    ) -> bytes | None:
        """A node that is still to be proven; None where its frame is unusual or damaged."""
        frame, stored = place.want.frame, frames.get(place.want.key)
        if stored is None or frame.kind is not ChunkKind.NODE:
            return None
        try:
            plain = self._decompressed(frame, stored, found, place.want.key[0])
        except CorruptData:
            return None
        return None if plain is None else plain[place.start : place.stop]

    def _decompressed(
        self, frame: Frame, stored: bytes, found: Mapping[ChunkId, bytes], where: str
    ) -> bytes | None:
        match frame.encoding:
            case Encoding.RAW:
                return stored
            case Encoding.ZSTD:
                return self._decompressor.decompress(stored, frame.plain_length, None, where)
            case Encoding.ZSTD_DELTA if len(frame.bases) == 1:
                base = found.get(frame.bases[0]) or self._nodes.get(frame.bases[0])
                if base is not None:
                    return self._decompressor.decompress_delta(stored, frame.plain_length, base, where)
        return None
