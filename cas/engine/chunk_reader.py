"""From a chunk id to its proven bytes: index, trailer, ranged read, decode, hash.

Nothing leaves here whose id was not recomputed. A copy that turns out damaged is passed over where
the view holds another one. Frames that lie together are fetched together.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from threading import Lock
from typing import TypeAlias

from cas.engine.chunk_index import ChunkIndex
from cas.engine.compression import Decompressor, Dictionary
from cas.engine.fetching import Fetched, fetched
from cas.engine.frame_ranges import FrameKey, Wanted, bounded
from cas.engine.locating import Locator
from cas.engine.places import View
from cas.engine.trailers import Trailers
from cas.errors import CorruptData, Unsupported
from cas.format.document import ValueRef
from cas.format.frame import Encoding, Frame
from cas.format.large import Large, parse_large
from cas.format.malformed import malformed, over_limit
from cas.format.names import dictionary_key, pack_key
from cas.format.node import Node, parse_node
from cas.ids import ChunkId, ChunkKind, IdKey, PackName
from cas.limits import MAX_DELTA_BASE_BYTES, MAX_DELTA_DEPTH, MIB
from cas.store.interface import ObjectMissing, Store
from cas.tree.nodes import Leaf

CACHE_BYTES = 16 * MIB
"""Decoded frames kept: neighbours of what was just read, and the nodes on the way down a tree."""

KEPT_DICTIONARIES = 4

KEPT_NODES = 256
"""Parsed nodes above the leaves: whoever looks for one key after another passes the same ones each time."""


_Bases: TypeAlias = dict[tuple[ChunkId, int], bytes]
"""Plain bytes of bases, by id and the depth of the delta that asks: they lie below it."""


class ChunkReader:
    """Reads within one view. Thread-safe; `fetchers` runs ranged reads side by side."""

    def __init__(
        self,
        store: Store,
        key: IdKey,
        index: ChunkIndex,
        trailers: Trailers,
        view: View,
        fetchers: Executor,
    ) -> None:
        self._store = store
        self._index = index
        self._trailers = trailers
        self._locator = Locator(index, trailers)
        self._view = view
        self._fetchers = fetchers
        self._hashers = {kind: key.batch_hasher(kind) for kind in ChunkKind}
        self._decompressor = Decompressor()
        self._frames: OrderedDict[FrameKey, tuple[bytes, int]] = OrderedDict()  # with the frame's depth
        self._frame_bytes = 0
        self._dictionaries: OrderedDict[ChunkId, Dictionary] = OrderedDict()
        self._nodes: OrderedDict[ChunkId, Node] = OrderedDict()
        self._lock = Lock()

    def read(self, kind: ChunkKind, ids: Sequence[ChunkId]) -> list[bytes]:
        """The plain bytes of these chunks, each proven by its id. CorruptData names what is missing
        or damaged, after every copy within the view was tried."""
        return self._read(kind, ids, MAX_DELTA_DEPTH + 1, set())

    def nodes(self, ids: Sequence[ChunkId]) -> list[Node]:
        """Tree nodes: the tree's NodeReader."""
        if len(ids) == 1:
            return [self._node(ids[0])]
        plains = self.read(ChunkKind.NODE, ids)
        return [parse_node(plain, node_id.hex()) for plain, node_id in zip(plains, ids, strict=True)]

    def _node(self, node_id: ChunkId) -> Node:
        with self._lock:
            known = self._nodes.get(node_id)
            if known is not None:
                self._nodes.move_to_end(node_id)
                return known
        node = parse_node(self.read(ChunkKind.NODE, (node_id,))[0], node_id.hex())
        if node.level:
            with self._lock:
                self._nodes[node_id] = node
                while len(self._nodes) > KEPT_NODES:
                    self._nodes.popitem(last=False)
        return node

    def value(self, ref: ValueRef, kind: ChunkKind) -> bytes:
        """A whole value, large or not."""
        if not ref.is_large:
            return self.read(kind, (ref.id,))[0]
        return b"".join(self.pieces(ref.id))

    def lengths(self, leaves: Sequence[Leaf]) -> list[int]:
        """The lengths of the records of these leaves, as trailers and LARGE chunks tell them; no record is
        read. CorruptData where one is in no pack."""
        found = self._index.locate([leaf.id for leaf in leaves if not leaf.is_large], self._view)
        lost = int((found.pack < 0).sum())
        if lost:
            raise CorruptData(f"{lost} records are in no pack", kind="missing", where="packs/")
        lengths = iter(found.length.tolist())
        return [self._large(leaf.id).length if leaf.is_large else next(lengths) for leaf in leaves]

    def stored_bytes(self, ids: Sequence[ChunkId]) -> int:
        """About how many stored bytes these chunks take; of those that are nowhere, nothing."""
        return int(self._index.locate(ids, self._view).share.sum()) if ids else 0

    def _large(self, large_id: ChunkId) -> Large:
        (plain,) = self.read(ChunkKind.LARGE, (large_id,))
        return parse_large(plain, large_id.hex())

    def pieces(self, large_id: ChunkId) -> Iterator[bytes]:
        """The pieces of a large value, one after another."""
        large = self._large(large_id)
        length = 0
        for piece_id in large.pieces:
            (piece,) = self.read(ChunkKind.PIECE, (piece_id,))
            length += len(piece)
            yield piece
        if length != large.length:
            raise malformed("pieces do not have the length of their value", large_id.hex())

    def _read(
        self, kind: ChunkKind, ids: Sequence[ChunkId], depth: int, failed: set[FrameKey]
    ) -> list[bytes]:
        """As `read`, from frames of lesser depth. `failed`: frames that were tried in vain during the same
        call; without it, chains of deltas on something lost would be tried again and again."""
        spans = self._locator.spans(ids, self._view)
        hashes = self._hashers[kind]
        plains = [b""] * len(ids)
        for run in bounded(spans):
            whole = len(run) == len(ids)
            keys = spans.keys if whole else [spans.keys[at] for at in run]
            frames = self._load(set(keys), kind, depth, failed)
            lost = b""
            starts = spans.starts if whole else [spans.starts[at] for at in run]
            stops = spans.stops if whole else [spans.stops[at] for at in run]
            found = [frames.get(k, lost)[a:b] for k, a, b in zip(keys, starts, stops, strict=True)]
            wanted = ids if whole else [ids[at] for at in run]
            for at, key, plain, known, is_id in zip(run, keys, found, wanted, hashes(found), strict=True):
                if is_id != known or key not in frames:
                    plains[at] = self._other_copy(kind, known, key, depth, failed)
                else:
                    plains[at] = plain
        return plains

    def _load(
        self, keys: set[FrameKey], kind: ChunkKind, depth: int, failed: set[FrameKey]
    ) -> dict[FrameKey, bytes]:
        """The decoded frames among `keys` that could be had; a damaged one is left out."""
        loaded = self._remembered(keys, depth)
        missed = keys - loaded.keys() - failed
        wanted = [want for key in sorted(missed) if (want := self._wanted(key)) is not None]
        wanted = [want for want in wanted if want.frame.kind is kind and want.frame.depth < depth]
        bases = self._bases_of(wanted, kind, failed)
        if bases:  # one may be among those that are wanted themselves
            loaded |= self._remembered({want.key for want in wanted}, depth)
            wanted = [want for want in wanted if want.key not in loaded]
        for group in fetched(self._store, self._fetchers, wanted):
            loaded.update(self._decode(group, failed, bases))
        failed.update(want.key for want in wanted if want.key not in loaded)
        return loaded

    def _remembered(self, keys: Iterable[FrameKey], depth: int) -> dict[FrameKey, bytes]:
        """Of lesser depth only, as if they were decoded now: what can be read is a matter of what is stored,
        and not of what was read before."""
        found: dict[FrameKey, bytes] = {}
        with self._lock:
            for key in keys:
                plain, of_depth = self._frames.get(key, (b"", depth))
                if of_depth < depth:
                    self._frames.move_to_end(key)
                    found[key] = plain
        return found

    def _bases_of(self, wanted: Sequence[Wanted], kind: ChunkKind, failed: set[FrameKey]) -> _Bases:
        """The bases of several deltas, read together: few requests and few searches instead of some for each.
        Each delta reads those that are not here by itself."""
        by_depth: defaultdict[int, dict[ChunkId, None]] = defaultdict(dict)
        for frame in (want.frame for want in wanted):
            if frame.encoding is Encoding.ZSTD_DELTA:
                by_depth[frame.depth].update(dict.fromkeys(frame.bases))
        every = list(dict.fromkeys(base for bases in by_depth.values() for base in bases))
        found: _Bases = {}
        if len(every) < 2 or not self._load_bases(every, kind, max(by_depth), failed):
            return found
        for depth, bases in by_depth.items():
            with suppress(CorruptData):
                plains = self._read(kind, list(bases), depth, failed)
                found |= zip(((base, depth) for base in bases), plains, strict=True)
        return found

    def _load_bases(
        self, bases: Sequence[ChunkId], kind: ChunkKind, depth: int, failed: set[FrameKey]
    ) -> bool:
        """Bring them into the cache, as far as they fit. False where they are too large to be held."""
        found = self._index.locate(bases, self._view)
        there = [base for base, pack in zip(bases, found.pack.tolist(), strict=True) if pack >= 0]
        with suppress(CorruptData):
            spans = self._locator.spans(there, self._view)
            if sum(spans.frame_lengths.values()) <= CACHE_BYTES // 2:
                self._load(set(spans.keys), kind, depth, failed)
            return sum(spans.stops) - sum(spans.starts) <= CACHE_BYTES // 2
        return False

    def _wanted(self, key: FrameKey) -> Wanted | None:
        """Where a frame lies; None when its pack went or was damaged since the trailer was read."""
        try:
            layout = self._trailers.layout(key[0])
        except (CorruptData, Unsupported):
            return None
        return Wanted(key, layout.trailer.frames[key[1]], int(layout.offset[key[1]]))

    def _decode(self, group: Fetched, failed: set[FrameKey], bases: _Bases) -> dict[FrameKey, bytes]:
        alike: defaultdict[tuple[Encoding, tuple[ChunkId, ...], int], Fetched] = defaultdict(list)
        for want, stored in group:
            alike[want.frame.encoding, want.frame.bases, want.frame.depth].append((want, stored))
        decoded: dict[FrameKey, bytes] = {}
        for some in alike.values():
            wants, parts = zip(*some, strict=True)
            plains = self._decode_alike(wants, parts, failed, bases)
            for want, plain in zip(wants, plains, strict=True):
                if plain is not None:
                    decoded[want.key] = plain
                    self._remember(want.key, plain, want.frame.depth)
        return decoded

    def decode(self, name: PackName, frame: Frame, stored: bytes) -> bytes:
        """The plain bytes of one frame of a pack, by what its entry says. They are not proven: whoever
        asks recomputes the ids. CorruptData where it cannot be decoded."""
        base = self._base(frame, name, set(), {})
        (plain,) = self._decompress(frame.encoding, base, [stored], [frame.plain_length], name)
        return plain

    def base(self, frame: Frame) -> bytes:
        """What a delta is made against, proven, from frames of lesser depth."""
        return b"".join(self._read(frame.kind, frame.bases, frame.depth, set()))

    def _decode_alike(
        self, wants: Sequence[Wanted], parts: Sequence[bytes], failed: set[FrameKey], bases: _Bases
    ) -> Sequence[bytes | None]:
        """Frames of one encoding, one depth and the same bases; None for each that cannot be decoded."""
        where, encoding = wants[0].key[0], wants[0].frame.encoding
        lengths = [want.frame.plain_length for want in wants]
        try:
            base = self._base(wants[0].frame, where, failed, bases)
        except CorruptData:
            return [None] * len(wants)
        try:
            return self._decompress(encoding, base, parts, lengths, where)
        except CorruptData:
            return [
                self._decompress_one(encoding, base, *one, where) for one in zip(parts, lengths, strict=True)
            ]

    def _base(
        self, frame: Frame, where: PackName, failed: set[FrameKey], bases: _Bases
    ) -> Dictionary | bytes | None:
        """What a frame is decoded with: a dictionary, the bytes of a delta's bases, or nothing. Bases are of
        lesser depth: no endless loop."""
        match frame.encoding:
            case Encoding.RAW | Encoding.ZSTD:
                return None
            case Encoding.ZSTD_DICTIONARY:
                return self.dictionary(frame.bases[0])
            case Encoding.ZSTD_DELTA:
                known = [bases.get((base, frame.depth)) for base in frame.bases]
                if not all(known):
                    spans = self._locator.spans(frame.bases, self._view)
                    length = sum(spans.stops) - sum(spans.starts)
                    _require_bounded(length, where)
                    return b"".join(self._read(frame.kind, frame.bases, frame.depth, failed))
                plain = b"".join(filter(None, known))
                _require_bounded(len(plain), where)
                return plain

    def _decompress(
        self,
        encoding: Encoding,
        base: Dictionary | bytes | None,
        parts: Sequence[bytes],
        lengths: Sequence[int],
        where: PackName,
    ) -> Sequence[bytes]:
        if encoding is Encoding.RAW:
            return parts
        if isinstance(base, bytes):
            return [
                self._decompressor.decompress_delta(part, length, base, where)
                for part, length in zip(parts, lengths, strict=True)
            ]
        return self._decompressor.decompress_many(parts, lengths, base, where)

    def _decompress_one(
        self, encoding: Encoding, base: Dictionary | bytes | None, part: bytes, length: int, where: PackName
    ) -> bytes | None:
        """After a failure: what can be decoded, so that one damaged frame does not hide the others."""
        try:
            (plain,) = self._decompress(encoding, base, [part], [length], where)
        except CorruptData:
            return None
        return plain

    def dictionary(self, dictionary_id: ChunkId) -> Dictionary:
        """A proven dictionary."""
        with self._lock:
            if dictionary_id in self._dictionaries:
                self._dictionaries.move_to_end(dictionary_id)
                return self._dictionaries[dictionary_id]
        dictionary = Dictionary(dictionary_id, self._dictionary_bytes(dictionary_id))
        with self._lock:
            self._dictionaries[dictionary_id] = dictionary
            while len(self._dictionaries) > KEPT_DICTIONARIES:
                self._dictionaries.popitem(last=False)
        return dictionary

    def _dictionary_bytes(self, dictionary_id: ChunkId) -> bytes:
        """From its pack, else from its second copy: a lost dictionary would lose an entity."""
        try:
            (plain,) = self._read(ChunkKind.DICTIONARY, (dictionary_id,), 1, set())
        except CorruptData:
            with suppress(ObjectMissing):
                plain = self._store.get(dictionary_key(dictionary_id))
                if self._hashers[ChunkKind.DICTIONARY]((plain,)) == [dictionary_id]:
                    return plain
            raise
        return plain

    def _remember(self, key: FrameKey, plain: bytes, depth: int) -> None:
        with self._lock:
            if key not in self._frames:
                self._frames[key] = plain, depth
                self._frame_bytes += len(plain)
            while self._frame_bytes > CACHE_BYTES:
                _, (dropped, _) = self._frames.popitem(last=False)
                self._frame_bytes -= len(dropped)

    def _forget(self, key: FrameKey) -> None:
        """A frame that failed may have been damaged on the way only: the next read fetches it anew."""
        with self._lock:
            plain, _ = self._frames.pop(key, (b"", 0))
            self._frame_bytes -= len(plain)

    def _other_copy(
        self, kind: ChunkKind, chunk_id: ChunkId, bad: FrameKey, depth: int, failed: set[FrameKey]
    ) -> bytes:
        """The chunk from another frame of the view, after the copy in frame `bad` failed."""
        self._forget(bad)
        for key, start, stop in self._locator.copies_beside(chunk_id, bad):
            frame = self._load({key}, kind, depth, failed).get(key)
            if frame is not None and self._hashers[kind]((frame[start:stop],)) == [chunk_id]:
                return frame[start:stop]
        packs = self._view.packs - {bad[0]}
        while packs:
            found = self._index.locate((chunk_id,), View(packs))
            if found.pack[0] < 0:
                break
            spans = self._locator.spans((chunk_id,), View(packs))
            (key,), (start,), (stop,) = spans.keys, spans.starts, spans.stops
            frame = self._load({key}, kind, depth, failed).get(key)
            if frame is not None:
                plain = frame[start:stop]
                if self._hashers[kind]((plain,)) == [chunk_id]:
                    return plain
            packs = packs - {key[0]}
        raise self._damaged(kind, chunk_id, bad)

    def _damaged(self, kind: ChunkKind, chunk_id: ChunkId, key: FrameKey) -> CorruptData:
        """What is wrong with the only copy of a chunk."""
        want = self._wanted(key)
        state, how = "damaged", "hash-mismatch"
        try:
            if (
                want is not None
                and self._store.size(pack_key(key[0])) < want.offset + want.frame.stored_length
            ):
                state, how = "cut off", "truncated"
        except ObjectMissing:
            state, how = "lost with its pack", "missing"
        return CorruptData(
            f"{kind.name.lower()} chunk {chunk_id.hex()[:16]} is {state}",
            kind=how,
            where=f"{pack_key(key[0])}, frame {key[1]}",
            hint="Run `cas check --level bytes` to see which versions need it",
        )


def _require_bounded(length: int, where: PackName) -> None:
    if length > MAX_DELTA_BASE_BYTES:
        raise over_limit(f"delta on {length} bytes", where)
