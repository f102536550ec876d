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

from cas.engine.chunk_index import ChunkIndex, View
from cas.engine.compression import Decompressor, Dictionary
from cas.engine.trailers import Layout, Trailers
from cas.errors import CorruptData
from cas.format.document import ValueRef
from cas.format.frame import Encoding, Frame
from cas.format.large import parse_large
from cas.format.malformed import malformed
from cas.format.names import dictionary_key, pack_key
from cas.format.node import Node, parse_node
from cas.ids import ChunkId, ChunkKind, IdKey, PackName
from cas.limits import KIB, MAX_DELTA_DEPTH, MIB
from cas.store.interface import ObjectMissing, Store

CACHE_BYTES = 16 * MIB
"""Decoded frames kept: neighbours of what was just read, and the nodes on the way down a tree."""

RANGE_BYTES = 4 * MIB
"""Frames are fetched together up to this size: few requests, bounded memory."""

GAP_BYTES = 64 * KIB
"""Unwanted bytes that cost less to fetch than another request."""

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
    """Where one chunk's plain bytes lie within its frame."""

    key: FrameKey
    start: int
    length: int


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
        frames = self._load({place.key for place in places}, kind, depth)
        chunk_id = self._hashers[kind]
        plains = []
        for expected, place in zip(ids, places, strict=True):
            frame = frames.get(place.key)
            plain = b"" if frame is None else frame[place.start : place.start + place.length]
            if frame is None or chunk_id(plain) != expected:
                plain = self._other_copy(kind, expected, place, depth)
            plains.append(plain)
        return plains

    def _places(self, ids: Sequence[ChunkId], view: View) -> list[_Place]:
        found = self._index.locate(ids, view)
        missing = np.flatnonzero(found.pack < 0)
        if len(missing):
            raise _missing(ids[int(missing[0])], len(missing))
        result: list[_Place | None] = [None] * len(ids)
        for number in np.unique(found.pack):
            name = found.packs[number]
            layout = self._trailers.layout(name)
            mine = np.flatnonzero(found.pack == number)
            ordinals = found.ordinal[mine]
            if int(ordinals.max(initial=0)) >= len(layout.start) - 1:
                raise malformed("the index and the trailer disagree", name)
            frames = np.searchsorted(layout.first_chunk, ordinals, side="right") - 1
            starts = layout.start[ordinals] - layout.start[layout.first_chunk[frames]]
            lengths = layout.start[ordinals + 1] - layout.start[ordinals]
            rows = zip(mine.tolist(), frames.tolist(), starts.tolist(), lengths.tolist(), strict=True)
            for at, frame, start, length in rows:
                result[at] = _Place((name, frame), start, length)
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
            try:
                plains = self._decode_alike(encoding, bases, wants, parts)
            except CorruptData:
                plains = self._decode_one_by_one(encoding, bases, wants, parts)
            for want, plain in zip(wants, plains, strict=True):
                if plain is not None:
                    decoded[want.key] = plain
                    self._remember(want.key, plain)
        return decoded

    def _decode_alike(
        self,
        encoding: Encoding,
        bases: tuple[ChunkId, ...],
        wants: Sequence[_Wanted],
        parts: Sequence[bytes],
    ) -> Sequence[bytes | None]:
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
                depth = max(want.frame.depth for want in wants)
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

    def _other_copy(self, kind: ChunkKind, chunk_id: ChunkId, bad: _Place, depth: int) -> bytes:
        """The chunk from another pack of the view, after the copy in `bad` failed."""
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
        raise CorruptData(
            f"{kind.name.lower()} chunk {chunk_id.hex()[:16]} is damaged",
            kind="hash-mismatch",
            where=f"{pack_key(bad.key[0])}, frame {bad.key[1]}",
            hint="Run `cas check --level bytes` to see which versions need it",
        )


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
