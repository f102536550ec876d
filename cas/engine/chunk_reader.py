"""From a chunk id to its proven bytes: index, trailer, ranged read, decode, hash.

Nothing leaves here whose id was not recomputed. A copy that turns out damaged is passed over where
the view holds another one. Frames that lie together are fetched together.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock

import numpy as np
import numpy.typing as npt

from cas.engine.chunk_index import ChunkIndex, View
from cas.engine.compression import Decompressor, Dictionary
from cas.engine.trailers import Layout, Trailers
from cas.errors import CorruptData, Unsupported
from cas.format.document import ValueRef
from cas.format.frame import Encoding, Frame
from cas.format.large import parse_large
from cas.format.malformed import malformed, over_limit
from cas.format.names import dictionary_key, pack_key
from cas.format.node import Node, parse_node
from cas.ids import ChunkId, ChunkKind, IdKey, PackName
from cas.limits import KIB, MAX_DELTA_BASE_BYTES, MAX_DELTA_DEPTH, MIB
from cas.store.interface import ObjectMissing, Store

CACHE_BYTES = 16 * MIB
"""Decoded frames kept: neighbours of what was just read, and the nodes on the way down a tree."""

RANGE_BYTES = 4 * MIB
"""Frames are fetched together up to this size: few requests, bounded memory."""

GAP_BYTES = 64 * KIB
"""Unwanted bytes that cost less to fetch than another request."""

FRAMES_AT_ONCE_BYTES = 32 * MIB
"""Plain bytes of the frames that one call holds beside the cache, whatever the trailers of a hostile
store say: a frame of 16 MiB may lie in 2 KiB."""

KEPT_DICTIONARIES = 4

FrameKey = tuple[PackName, int]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One frame to fetch: where its stored bytes lie and what its entry says."""

    key: FrameKey
    frame: Frame
    offset: int


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one chunk's plain bytes lie within its frame, and how long the whole frame is."""

    key: FrameKey
    start: int
    length: int
    frame_length: int


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
        self._view = view
        self._fetchers = fetchers
        self._hashers = {kind: key.hasher(kind) for kind in ChunkKind}
        self._decompressor = Decompressor()
        self._frames: OrderedDict[FrameKey, bytes] = OrderedDict()
        self._frame_bytes = 0
        self._dictionaries: OrderedDict[ChunkId, Dictionary] = OrderedDict()
        self._lock = Lock()

    def read(self, kind: ChunkKind, ids: Sequence[ChunkId]) -> list[bytes]:
        """The plain bytes of these chunks, each proven by its id. CorruptData names what is missing
        or damaged, after every copy within the view was tried."""
        return self._read(kind, ids, MAX_DELTA_DEPTH + 1)

    def nodes(self, ids: Sequence[ChunkId]) -> list[Node]:
        """Tree nodes: the tree's NodeReader."""
        plains = self.read(ChunkKind.NODE, ids)
        return [parse_node(plain, node_id.hex()) for plain, node_id in zip(plains, ids, strict=True)]

    def value(self, ref: ValueRef, kind: ChunkKind) -> bytes:
        """A whole value, large or not."""
        if not ref.is_large:
            return self.read(kind, (ref.id,))[0]
        return b"".join(self.pieces(ref.id))

    def pieces(self, large_id: ChunkId) -> Iterator[bytes]:
        """The pieces of a large value, one after another."""
        (plain,) = self.read(ChunkKind.LARGE, (large_id,))
        large = parse_large(plain, large_id.hex())
        length = 0
        for piece_id in large.pieces:
            (piece,) = self.read(ChunkKind.PIECE, (piece_id,))
            length += len(piece)
            yield piece
        if length != large.length:
            raise malformed("pieces do not have the length of their value", large_id.hex())

    def _read(self, kind: ChunkKind, ids: Sequence[ChunkId], depth: int) -> list[bytes]:
        places = self._places(ids, self._view)
        chunk_id = self._hashers[kind]
        plains = [b""] * len(ids)
        for run in _bounded(places):
            frames = self._load({places[at].key for at in run}, kind, depth)
            for at in run:
                place = places[at]
                frame = frames.get(place.key)
                plain = b"" if frame is None else frame[place.start : place.start + place.length]
                if frame is None or chunk_id(plain) != ids[at]:
                    plain = self._other_copy(kind, ids[at], place, depth)
                plains[at] = plain
        return plains

    def _places(self, ids: Sequence[ChunkId], view: View) -> list[_Place]:
        found = self._index.locate(ids, view)
        missing = np.flatnonzero(found.pack < 0)
        if len(missing):
            raise _missing(ids[int(missing[0])], len(missing))
        result: list[_Place | None] = [None] * len(ids)
        for number in np.unique(found.pack).tolist():
            name = found.packs[number]
            mine = np.flatnonzero(found.pack == number)
            try:
                places = _places_in(name, self._trailers.layout(name), found.ordinal[mine])
            except (CorruptData, Unsupported):  # the pack went or was damaged since the view was made
                places = self._places([ids[at] for at in mine.tolist()], View(view.packs - {name}))
            for at, place in zip(mine.tolist(), places, strict=True):
                result[at] = place
        return [place for place in result if place is not None]

    def _load(self, keys: set[FrameKey], kind: ChunkKind, depth: int) -> dict[FrameKey, bytes]:
        """The decoded frames among `keys` that could be had; a damaged one is left out."""
        loaded: dict[FrameKey, bytes] = {}
        with self._lock:
            for key in keys:
                if key in self._frames:
                    self._frames.move_to_end(key)
                    loaded[key] = self._frames[key]
        wanted = [self._wanted(key) for key in sorted(keys - loaded.keys())]
        wanted = [want for want in wanted if want.frame.kind is kind and want.frame.depth < depth]
        for group in _ranges(wanted):
            for run, stored in self._fetch(group):
                loaded.update(self._decode(run, stored))
        return loaded

    def _wanted(self, key: FrameKey) -> _Wanted:
        layout: Layout = self._trailers.layout(key[0])
        return _Wanted(key, layout.trailer.frames[key[1]], int(layout.offset[key[1]]))

    def _fetch(self, group: Sequence[Sequence[_Wanted]]) -> Iterator[tuple[Sequence[_Wanted], bytes]]:
        """The stored bytes of a few ranges, fetched side by side; those of a lost pack are left out."""

        def get(run: Sequence[_Wanted]) -> bytes | None:
            begin, last = run[0].offset, run[-1]
            length = last.offset + last.frame.stored_length - begin
            try:
                return self._store.get_range(pack_key(last.key[0]), begin, length) if length else b""
            except (ObjectMissing, CorruptData):
                return None

        results = map(get, group) if len(group) == 1 else self._fetchers.map(get, group)
        for run, stored in zip(group, results, strict=True):
            if stored is not None:
                yield run, stored

    def _decode(self, run: Sequence[_Wanted], stored: bytes) -> dict[FrameKey, bytes]:
        begin = run[0].offset
        by_base: defaultdict[tuple[Encoding, tuple[ChunkId, ...]], list[_Wanted]] = defaultdict(list)
        for want in run:
            by_base[want.frame.encoding, want.frame.bases].append(want)
        decoded: dict[FrameKey, bytes] = {}
        for (encoding, bases), wants in by_base.items():
            parts = [stored[w.offset - begin : w.offset - begin + w.frame.stored_length] for w in wants]
            plains: Sequence[bytes | None]
            try:
                plains = self._decode_alike(encoding, bases, wants, parts)
            except CorruptData:
                plains = self._decode_one_by_one(encoding, bases, wants, parts)
            for want, plain in zip(wants, plains, strict=True):
                if plain is not None:
                    decoded[want.key] = plain
                    self._remember(want.key, plain)
        return decoded

    def decode(self, name: PackName, number: int, frame: Frame, stored: bytes) -> bytes:
        """The plain bytes of one frame of a pack, by what its entry says. They are not proven: whoever
        asks recomputes the ids. CorruptData where it cannot be decoded."""
        want = _Wanted((name, number), frame, 0)
        (plain,) = self._decode_alike(frame.encoding, frame.bases, (want,), (stored,))
        return plain

    def _decode_alike(
        self,
        encoding: Encoding,
        bases: tuple[ChunkId, ...],
        wants: Sequence[_Wanted],
        parts: Sequence[bytes],
    ) -> Sequence[bytes]:
        lengths = [want.frame.plain_length for want in wants]
        where = wants[0].key[0]
        match encoding:
            case Encoding.RAW:
                return parts
            case Encoding.ZSTD:
                return self._decompressor.decompress_many(parts, lengths, None, where)
            case Encoding.ZSTD_DICTIONARY:
                dictionary = self.dictionary(bases[0])
                return self._decompressor.decompress_many(parts, lengths, dictionary, where)
            case Encoding.ZSTD_DELTA:
                length = sum(place.length for place in self._places(bases, self._view))
                if length > MAX_DELTA_BASE_BYTES:
                    raise over_limit(f"delta on {length} bytes", where)
                # The bases of all must be of lesser depth than the shallowest: no endless loop.
                depth = min(want.frame.depth for want in wants)
                base = b"".join(self._read(wants[0].frame.kind, bases, depth))
                return [
                    self._decompressor.decompress_delta(part, length, base, where)
                    for part, length in zip(parts, lengths, strict=True)
                ]

    def _decode_one_by_one(
        self,
        encoding: Encoding,
        bases: tuple[ChunkId, ...],
        wants: Sequence[_Wanted],
        parts: Sequence[bytes],
    ) -> Sequence[bytes | None]:
        """After a failure: what can be decoded, so that one damaged frame does not hide the others."""
        plains: list[bytes | None] = []
        for want, part in zip(wants, parts, strict=True):
            try:
                plains.extend(self._decode_alike(encoding, bases, (want,), (part,)))
            except CorruptData:
                plains.append(None)
        return plains

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
            (plain,) = self._read(ChunkKind.DICTIONARY, (dictionary_id,), 1)
        except CorruptData:
            with suppress(ObjectMissing):
                plain = self._store.get(dictionary_key(dictionary_id))
                if self._hashers[ChunkKind.DICTIONARY](plain) == dictionary_id:
                    return plain
            raise
        return plain

    def _remember(self, key: FrameKey, plain: bytes) -> None:
        with self._lock:
            if key not in self._frames:
                self._frames[key] = plain
                self._frame_bytes += len(plain)
            while self._frame_bytes > CACHE_BYTES:
                _, dropped = self._frames.popitem(last=False)
                self._frame_bytes -= len(dropped)

    def _forget(self, key: FrameKey) -> None:
        """A frame that failed may have been damaged on the way only: the next read fetches it anew."""
        with self._lock:
            self._frame_bytes -= len(self._frames.pop(key, b""))

    def _other_copy(self, kind: ChunkKind, chunk_id: ChunkId, bad: _Place, depth: int) -> bytes:
        """The chunk from another pack of the view, after the copy in `bad` failed."""
        self._forget(bad.key)
        packs = self._view.packs - {bad.key[0]}
        while packs:
            found = self._index.locate((chunk_id,), View(packs))
            if found.pack[0] < 0:
                break
            (place,) = self._places((chunk_id,), View(packs))
            frame = self._load({place.key}, kind, depth).get(place.key)
            if frame is not None:
                plain = frame[place.start : place.start + place.length]
                if self._hashers[kind](plain) == chunk_id:
                    return plain
            packs = packs - {place.key[0]}
        raise self._damaged(kind, chunk_id, bad.key)

    def _damaged(self, kind: ChunkKind, chunk_id: ChunkId, key: FrameKey) -> CorruptData:
        """What is wrong with the only copy of a chunk."""
        want = self._wanted(key)
        state, how = "damaged", "hash-mismatch"
        try:
            if self._store.size(pack_key(key[0])) < want.offset + want.frame.stored_length:
                state, how = "cut off", "truncated"
        except ObjectMissing:
            state, how = "lost with its pack", "missing"
        return CorruptData(
            f"{kind.name.lower()} chunk {chunk_id.hex()[:16]} is {state}",
            kind=how,
            where=f"{pack_key(key[0])}, frame {key[1]}",
            hint="Run `cas check --level bytes` to see which versions need it",
        )


def _places_in(name: PackName, layout: Layout, ordinals: npt.NDArray[np.int64]) -> list[_Place]:
    """The places of these chunks of one pack."""
    if int(ordinals.max(initial=0)) >= len(layout.start) - 1:
        raise malformed("the index and the trailer disagree", name)
    frames = np.searchsorted(layout.first_chunk, ordinals, side="right") - 1
    starts = layout.start[ordinals] - layout.start[layout.first_chunk[frames]]
    lengths = layout.start[ordinals + 1] - layout.start[ordinals]
    entries = layout.trailer.frames
    return [
        _Place((name, frame), start, length, entries[frame].plain_length)
        for frame, start, length in zip(frames.tolist(), starts.tolist(), lengths.tolist(), strict=True)
    ]


def _bounded(places: Sequence[_Place]) -> Iterator[Sequence[int]]:
    """Positions of places, in runs whose frames together are no larger than may be held at once."""
    if sum({place.key: place.frame_length for place in places}.values()) <= FRAMES_AT_ONCE_BYTES:
        yield range(len(places))
        return
    run: list[int] = []
    held = 0
    last: FrameKey | None = None
    for at in sorted(range(len(places)), key=lambda at: places[at].key):
        place = places[at]
        if place.key != last:
            if run and held + place.frame_length > FRAMES_AT_ONCE_BYTES:
                yield run
                run, held = [], 0
            held += place.frame_length
            last = place.key
        run.append(at)
    yield run


def _ranges(wanted: Sequence[_Wanted]) -> Iterator[list[list[_Wanted]]]:
    """Runs of frames that are fetched by one request each, in groups of up to four requests."""
    runs: list[list[_Wanted]] = []
    for want in wanted:
        if runs and _joins(runs[-1], want):
            runs[-1].append(want)
        else:
            if len(runs) == 4:
                yield runs
                runs = []
            runs.append([want])
    if runs:
        yield runs


def _joins(run: Sequence[_Wanted], want: _Wanted) -> bool:
    last = run[-1]
    end = last.offset + last.frame.stored_length
    return (
        last.key[0] == want.key[0]
        and want.offset - end <= GAP_BYTES
        and want.offset + want.frame.stored_length - run[0].offset <= RANGE_BYTES
    )


def _missing(chunk_id: ChunkId, count: int) -> CorruptData:
    more = f" and {count - 1} more" if count > 1 else ""
    return CorruptData(
        f"chunk {chunk_id.hex()[:16]}{more} is in no pack",
        kind="missing",
        where="packs/",
        hint="Run `cas check` to see which versions need it",
    )
