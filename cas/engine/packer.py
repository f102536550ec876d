"""From chunks to packs: gather into frames, compress, decode again, close, hand over.

Compressing and proving run on worker threads (zstd releases the GIL), so the caller goes on reading
and hashing meanwhile. What waits is bounded by jobs, hence by bytes. Chunks of trees and documents
go into packs of their own, apart from records, so that walking trees fetches no records.
"""

import struct
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from threading import Lock

from blake3 import blake3

from cas.engine.compression import Compressor, Decompressor, Dictionary, compress_delta
from cas.errors import CorruptData
from cas.format.frame import Encoding, Frame, check_frame
from cas.format.pack import Trailer, encode_end, encode_header
from cas.ids import SHORT_ID_BYTES, ChunkId, ChunkKind, IdKey, PackName, pack_name
from cas.limits import (
    FRAME_TARGET_BYTES,
    MAX_FRAME_CHUNKS,
    MAX_PACK_CHUNKS,
    NODE_FRAME_TARGET_BYTES,
    PACK_TARGET_BYTES,
)

MAX_WAITING_JOBS = 4
"""Jobs between the caller and the compressor; each holds one batch, about half a MiB of records."""

MAX_WAITING_PACKS = 1
"""Closed packs on their way to the store, beside the one that is being filled; 16 MiB each."""

MIN_DELTA_GAIN = 2
"""A delta that is not half of its chunk saves too little for the reads that it costs."""

_DATA_KINDS = frozenset((ChunkKind.RECORD, ChunkKind.PIECE))


@dataclass(frozen=True, slots=True)
class ClosedPack:
    """A finished pack, ready to be registered and put."""

    name: PackName
    stored: memoryview
    trailer: Trailer
    holds_nodes: bool


@dataclass(frozen=True, slots=True)
class _Job:
    """Frames of one kind that are compressed in one go. `ids[i]` and `lengths[i]` belong to `plains[i]`."""

    kind: ChunkKind
    dictionary: Dictionary | None
    plains: list[bytes] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    ids: list[Sequence[ChunkId]] = field(default_factory=list)
    lengths: list[Sequence[int]] = field(default_factory=list)


class _OpenPack:
    """A pack that is being filled."""

    def __init__(self, salt: bytes) -> None:
        self.stored = bytearray(encode_header(salt))
        self.frames: list[Frame] = []
        self.short_ids = bytearray()
        self.lengths = bytearray()

    @property
    def chunks(self) -> int:
        return len(self.lengths) // 4

    def append(self, frame: Frame, stored: bytes, ids: Sequence[ChunkId], lengths: Sequence[int]) -> None:
        self.frames.append(check_frame(frame))
        self.stored += stored
        self.short_ids += b"".join([chunk_id[:SHORT_ID_BYTES] for chunk_id in ids])
        self.lengths += struct.pack(f"<{len(lengths)}I", *lengths)

    def close(self, holds_nodes: bool) -> ClosedPack:
        short_ids, lengths = bytes(self.short_ids), bytes(self.lengths)
        self.stored += encode_end(self.frames, short_ids, lengths)
        stored = memoryview(self.stored).toreadonly()
        return ClosedPack(
            pack_name(stored), stored, Trailer(tuple(self.frames), short_ids, lengths), holds_nodes
        )


class Packer:
    """Takes chunks, delivers packs. One caller thread; workers of the two executors.

    deliver: puts a pack durably into the store; called on a thread of `uploads`. entropy: gives n
    random bytes for salts. Whatever a worker raises is raised by the next `put` or `flush`.
    """

    def __init__(
        self,
        key: IdKey,
        compressor: Compressor,
        deliver: Callable[[ClosedPack], None],
        *,
        workers: Executor,
        uploads: Executor,
        entropy: Callable[[int], bytes],
    ) -> None:
        self._compressor = compressor
        self._decompressor = Decompressor()
        self._deliver = deliver
        self._workers = workers
        self._uploads = uploads
        self._entropy = entropy
        self._hashers = {kind: key.batch_hasher(kind) for kind in ChunkKind}
        self._lock = Lock()
        self._open: dict[bool, _OpenPack] = {}
        self._jobs: deque[Future[None]] = deque()
        self._packs: deque[Future[None]] = deque()

    def put(
        self,
        kind: ChunkKind,
        ids: Sequence[ChunkId],
        plains: Sequence[bytes],
        dictionary: Dictionary | None = None,
    ) -> None:
        """Take chunks that the caller has found to be new. Returns before they are stored."""
        if not ids:
            return
        job = _Job(kind, dictionary)
        _cut_frames(job, ids, plains)
        self._wait(self._jobs, MAX_WAITING_JOBS - 1)
        self._jobs.append(self._workers.submit(self._work, job))

    def put_delta(
        self, kind: ChunkKind, chunk_id: ChunkId, plain: bytes, base: bytes, base_id: ChunkId, depth: int
    ) -> bool:
        """Take one chunk as a delta on another one of its kind, whose frame's depth is `depth` - 1. False,
        and nothing taken, where the delta would not be much smaller than the chunk."""
        stored = compress_delta(plain, base)
        if len(stored) > len(plain) // MIN_DELTA_GAIN:
            return False
        decoded = self._decompressor.decompress_delta(stored, len(plain), base)
        expected = [chunk_id, base_id]
        for found, wanted in zip(self._hashers[kind]([decoded, base]), expected, strict=True):
            if found != wanted:
                raise _wrong_bytes(wanted)
        frame = Frame(kind, Encoding.ZSTD_DELTA, depth, 1, len(stored), len(plain), (base_id,))
        self._append([(frame, stored, (chunk_id,), (len(plain),))], kind)
        return True

    def flush(self) -> None:
        """Close the open packs and wait until everything is delivered."""
        self._wait(self._jobs, 0)
        for holds_nodes in sorted(self._open):
            self._send(self._open.pop(holds_nodes).close(holds_nodes))
        self._wait(self._packs, 0)

    def abandon(self) -> None:
        """Drop what waits, after a failure: nothing more is started, what runs is waited for."""
        for future in (*self._jobs, *self._packs):
            future.cancel()
        for future in (*self._jobs, *self._packs):
            if not future.cancelled():
                future.exception()
        self._jobs.clear()
        self._packs.clear()
        self._open.clear()

    @staticmethod
    def _wait(futures: deque[Future[None]], allowed: int) -> None:
        while futures and (futures[0].done() or len(futures) > allowed):
            futures.popleft().result()

    def _work(self, job: _Job) -> None:
        compressed = self._compressor.compress(job.plains, job.dictionary)
        self._prove(job, compressed)
        rows = []
        for plain, stored, ids, lengths in zip(job.plains, compressed, job.ids, job.lengths, strict=True):
            if len(stored) >= len(plain):
                frame = Frame(job.kind, Encoding.RAW, 0, len(ids), len(plain), len(plain))
                rows.append((frame, plain, ids, lengths))
                continue
            encoding = Encoding.ZSTD_DICTIONARY if job.dictionary else Encoding.ZSTD
            bases = (job.dictionary.id,) if job.dictionary else ()
            frame = Frame(job.kind, encoding, 0, len(ids), len(stored), len(plain), bases)
            rows.append((frame, stored, ids, lengths))
        self._append(rows, job.kind)

    def _prove(self, job: _Job, compressed: Sequence[bytes]) -> None:
        """Decode again and compare digests, before anything leaves: compressors and memory err.

        A frame's digest was taken when its chunks, just hashed, were put together. So what decodes to the
        digest decodes to the ids, at a tenth of what hashing every chunk again would cost. The first id
        of each frame is recomputed all the same: it shows ids that were given to the wrong chunks.
        """
        decoded = self._decompressor.decompress_many(
            compressed, [len(plain) for plain in job.plains], job.dictionary
        )
        firsts = [plain[: lengths[0]] for plain, lengths in zip(decoded, job.lengths, strict=True)]
        recomputed = self._hashers[job.kind](firsts)
        for plain, digest, ids, first in zip(decoded, job.digests, job.ids, recomputed, strict=True):
            if blake3(plain).digest() != digest or first != ids[0]:
                raise _wrong_bytes(ids[0])

    def _append(
        self, rows: Sequence[tuple[Frame, bytes, Sequence[ChunkId], Sequence[int]]], kind: ChunkKind
    ) -> None:
        holds_nodes = kind not in _DATA_KINDS
        closed: list[ClosedPack] = []
        with self._lock:
            for frame, stored, ids, lengths in rows:
                pack = self._open.get(holds_nodes)
                if pack is not None and pack.chunks + len(ids) > MAX_PACK_CHUNKS:
                    closed.append(self._open.pop(holds_nodes).close(holds_nodes))
                    pack = None
                if pack is None:
                    pack = self._open[holds_nodes] = _OpenPack(self._entropy(32))
                pack.append(frame, stored, ids, lengths)
                if len(pack.stored) >= PACK_TARGET_BYTES:
                    closed.append(self._open.pop(holds_nodes).close(holds_nodes))
            for pack_ready in closed:
                self._send(pack_ready)

    def _send(self, pack: ClosedPack) -> None:
        self._wait(self._packs, MAX_WAITING_PACKS - 1)
        self._packs.append(self._uploads.submit(self._deliver, pack))


def _cut_frames(job: _Job, ids: Sequence[ChunkId], plains: Sequence[bytes]) -> None:
    """Split a batch into frames of about the target size."""
    target = FRAME_TARGET_BYTES if job.kind is ChunkKind.RECORD else NODE_FRAME_TARGET_BYTES
    lengths = list(map(len, plains))
    begin = size = 0
    for end, length in enumerate(lengths):
        if size and (size + length > target or end - begin == MAX_FRAME_CHUNKS):
            _add_frame(job, ids, plains, lengths, begin, end)
            begin, size = end, 0
        size += length
    _add_frame(job, ids, plains, lengths, begin, len(plains))


def _add_frame(
    job: _Job, ids: Sequence[ChunkId], plains: Sequence[bytes], lengths: list[int], begin: int, end: int
) -> None:
    plain = b"".join(plains[begin:end])
    job.plains.append(plain)
    job.digests.append(blake3(plain).digest())
    job.ids.append(ids[begin:end])
    job.lengths.append(lengths[begin:end])


def _wrong_bytes(chunk_id: ChunkId) -> CorruptData:
    return CorruptData(
        "a compressed frame did not decode to what it was",
        kind="hash-mismatch",
        where=f"the frame that begins with chunk {chunk_id.hex()[:16]}",
        hint="Nothing was stored. Memory or processor may be faulty: try another machine",
    )
