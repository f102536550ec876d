"""From chunks to packs: gather into frames, compress, decode again, close, hand over.

Compressing and proving run on worker threads (zstd releases the GIL), so the caller goes on reading
and hashing meanwhile. What waits is bounded by jobs, hence by bytes. Chunks of trees and documents
go into packs of their own, apart from records, so that walking trees fetches no records.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from cas.engine.compression import Compressor, Decompressor, Dictionary, compress_delta
from cas.errors import CorruptData
from cas.format.frame import Encoding, Frame, check_frame
from cas.format.frame_table import FrameTable
from cas.format.pack import HEADER_BYTES, SALT_BYTES, Trailer, encode_end, encode_header
from cas.ids import (
    CHUNK_ID_BYTES,
    SHORT_ID_BYTES,
    ChunkId,
    ChunkKind,
    IdKey,
    PackName,
    ShortId,
    pack_name,
    short,
    split_short_ids,
)
from cas.limits import (
    FRAME_TARGET_BYTES,
    MAX_FRAME_CHUNKS,
    MIB,
    NODE_FRAME_TARGET_BYTES,
    PACK_TARGET_BYTES,
    PACK_TARGET_CHUNKS,
)

JOB_BYTES = 2 * MIB
"""Plain bytes that are compressed and proven in one go. Each go takes the interpreter's lock a few times,
for which it may wait 5 ms while the caller hashes."""

MAX_WAITING_JOBS = 4
"""Jobs between the caller and the compressor, the one that it works on among them."""

MAX_WAITING_PACKS = 1
"""Closed packs on their way to the store, beside the one that is being filled; 16 MiB each."""

MIN_DELTA_GAIN = 2
"""A delta that is not half of its chunk saves too little for the reads that it costs."""

DATA_KINDS = frozenset((ChunkKind.RECORD, ChunkKind.PIECE))
"""What lies in packs of records; all else lies in packs that hold nodes."""


@dataclass(frozen=True, slots=True)
class ClosedPack:
    """A finished pack, ready to be registered and put."""

    name: PackName
    stored: memoryview
    trailer: Trailer
    holds_nodes: bool


@dataclass(slots=True)
class _Job:
    """Chunks of one kind that are cut into frames and compressed in one go."""

    kind: ChunkKind
    dictionary: Dictionary | None
    ids: list[ChunkId] = field(default_factory=list)
    plains: list[bytes] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Cut:
    """A frame that is to be: which chunks of its job, and which bytes of all of them together."""

    first: int
    end: int
    begin_byte: int
    end_byte: int

    @property
    def length(self) -> int:
        return self.end_byte - self.begin_byte


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

    def append(self, frame: Frame, stored: bytes | memoryview, short_ids: bytes, lengths: bytes) -> None:
        """`short_ids`, `lengths`: of the frame's chunks, as the trailer holds them."""
        self.frames.append(check_frame(frame))
        self.stored += stored
        self.short_ids += short_ids
        self.lengths += lengths

    def close(self, holds_nodes: bool) -> ClosedPack:
        short_ids, lengths = bytes(self.short_ids), bytes(self.lengths)
        frames = FrameTable.of(self.frames)
        self.stored += encode_end(frames, short_ids, lengths)
        stored = memoryview(self.stored).toreadonly()
        return ClosedPack(pack_name(stored), stored, Trailer(frames, short_ids, lengths), holds_nodes)


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
        self._gathered: dict[bool, _Job] = {}
        self._failure: BaseException | None = None
        self._jobs: deque[Future[None]] = deque()
        self._packs: deque[Future[None]] = deque()
        self._sent: dict[PackName, bytes] = {}  # short ids of closed packs of records

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
        # Nodes come between records all the time: each sort of pack gathers by itself.
        holds_nodes = kind not in DATA_KINDS
        job = self._gathered.get(holds_nodes)
        if job is not None and (job.kind is not kind or job.dictionary is not dictionary):
            self._start_job(holds_nodes)
            job = None
        if job is None:
            job = self._gathered[holds_nodes] = _Job(kind, dictionary)
        lengths = list(map(len, plains))
        job.ids += ids
        job.plains += plains
        job.lengths += lengths
        job.bytes += sum(lengths)
        if job.bytes >= JOB_BYTES:
            self._start_job(holds_nodes)

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
        self._append([(frame, stored, *_trailer_rows((chunk_id,), (len(plain),)))], kind)
        return True

    def put_frame(self, frame: Frame, stored: bytes, ids: Sequence[ChunkId], lengths: Sequence[int]) -> None:
        """Take a frame as it is stored elsewhere. The caller has just decoded it and recomputed these ids, of
        all its chunks in their order; what it stands on is there, or comes beside it."""
        if frame.depth or len(stored) != frame.stored_length or len(ids) != frame.chunks:
            raise ValueError("not a frame that can be taken as it is")
        self._append([(frame, stored, *_trailer_rows(ids, lengths))], frame.kind)

    def put_pack(self, stored: bytearray, trailer: Trailer, *, holds_nodes: bool) -> None:
        """Take a pack as it is stored elsewhere, with a salt of its own, and so under a name of its own. The
        caller has proven it, and gives it away; what its frames stand on is there, or comes beside it."""
        stored[:HEADER_BYTES] = encode_header(self._entropy(SALT_BYTES))
        view = memoryview(stored).toreadonly()
        with self._lock:
            self._send(ClosedPack(pack_name(view), view, trailer, holds_nodes))

    def undelivered_records(self) -> list[ShortId]:
        """Short ids of all records that were put and not delivered, perhaps of some that just were."""
        self._wait(self._jobs, 0)
        with self._lock:
            packed = list(self._sent.values())
            if False in self._open:
                packed.append(bytes(self._open[False].short_ids))
        gathered = self._gathered[False].ids if False in self._gathered else ()
        found = [short(chunk_id) for chunk_id in gathered]
        for short_ids in packed:
            found += split_short_ids(short_ids)
        return found

    def flush(self) -> None:
        """Close the open packs and wait until everything is delivered."""
        for holds_nodes in sorted(self._gathered):
            self._start_job(holds_nodes)
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
        self._gathered.clear()
        self._failure = None
        self._jobs.clear()
        self._packs.clear()
        self._open.clear()

    def _start_job(self, holds_nodes: bool) -> None:
        """Hand what was gathered to a worker."""
        self._wait(self._jobs, MAX_WAITING_JOBS - 1)
        self._jobs.append(self._workers.submit(self._work, self._gathered.pop(holds_nodes)))

    def _wait(self, futures: deque[Future[None]], allowed: int) -> None:
        """Until so few are left. What one raised is raised from now on: chunks are missing."""
        if self._failure is not None:
            raise self._failure
        while futures and (futures[0].done() or len(futures) > allowed):
            try:
                futures.popleft().result()
            except BaseException as error:
                self._failure = error
                raise

    def _work(self, job: _Job) -> None:
        # Few large steps, since after each that gives up the interpreter's lock it is waited for again.
        whole = b"".join(job.plains)
        cuts = list(_cuts(job.kind, job.lengths))
        view = memoryview(whole)
        plains = [view[cut.begin_byte : cut.end_byte] for cut in cuts]
        compressed = self._compressor.compress(plains, job.dictionary)
        self._prove(job, whole, cuts, compressed)
        short_ids, packed = _trailer_rows(job.ids, job.lengths)
        rows = []
        for cut, plain, stored in zip(cuts, plains, compressed, strict=True):
            chunks = cut.end - cut.first
            if len(stored) >= cut.length:
                frame = Frame(job.kind, Encoding.RAW, 0, chunks, cut.length, cut.length)
                stored = plain
            else:
                encoding = Encoding.ZSTD_DICTIONARY if job.dictionary else Encoding.ZSTD
                bases = (job.dictionary.id,) if job.dictionary else ()
                frame = Frame(job.kind, encoding, 0, chunks, len(stored), cut.length, bases)
            ids = short_ids[cut.first * SHORT_ID_BYTES : cut.end * SHORT_ID_BYTES]
            rows.append((frame, stored, ids, packed[cut.first * 4 : cut.end * 4]))
        self._append(rows, job.kind)

    def _prove(self, job: _Job, whole: bytes, cuts: Sequence[_Cut], compressed: Sequence[memoryview]) -> None:
        """Decode again and compare, before anything leaves: compressors and memory err.

        What decodes to the bytes that were put together decodes to the ids, at a tenth of what hashing every
        chunk again would cost. The first id of each frame is recomputed all the same: it shows bytes that
        changed after they were hashed, and ids that were given to the wrong chunks.
        """
        decoded = self._decompressor.decompress_joined(
            compressed, [cut.length for cut in cuts], job.dictionary
        )
        if decoded != whole:
            raise _wrong_bytes(job.ids[0])
        firsts = [decoded[cut.begin_byte : cut.begin_byte + job.lengths[cut.first]] for cut in cuts]
        for found, cut in zip(self._hashers[job.kind](firsts), cuts, strict=True):
            if found != job.ids[cut.first]:
                raise _wrong_bytes(job.ids[cut.first])

    def _append(
        self, rows: Sequence[tuple[Frame, bytes | memoryview, bytes, bytes]], kind: ChunkKind
    ) -> None:
        holds_nodes = kind not in DATA_KINDS
        closed: list[ClosedPack] = []
        with self._lock:
            for frame, stored, short_ids, lengths in rows:
                pack = self._open.get(holds_nodes)
                if pack is not None and pack.chunks + frame.chunks > PACK_TARGET_CHUNKS:
                    closed.append(self._open.pop(holds_nodes).close(holds_nodes))
                    pack = None
                if pack is None:
                    pack = self._open[holds_nodes] = _OpenPack(self._entropy(SALT_BYTES))
                pack.append(frame, stored, short_ids, lengths)
                if len(pack.stored) >= PACK_TARGET_BYTES:
                    closed.append(self._open.pop(holds_nodes).close(holds_nodes))
            for pack_ready in closed:
                self._send(pack_ready)

    def _send(self, pack: ClosedPack) -> None:
        self._wait(self._packs, MAX_WAITING_PACKS - 1)
        if not pack.holds_nodes:
            self._sent[pack.name] = pack.trailer.short_ids
        self._packs.append(self._uploads.submit(self._hand_over, pack))

    def _hand_over(self, pack: ClosedPack) -> None:
        self._deliver(pack)
        self._sent.pop(pack.name, None)


def _cuts(kind: ChunkKind, lengths: Sequence[int]) -> Iterator[_Cut]:
    """Chunks of these lengths in frames of about the target size."""
    target = FRAME_TARGET_BYTES if kind is ChunkKind.RECORD else NODE_FRAME_TARGET_BYTES
    first = begin = size = 0
    for position, length in enumerate(lengths):
        if size and (size + length > target or position - first == MAX_FRAME_CHUNKS):
            yield _Cut(first, position, begin, begin + size)
            first, begin, size = position, begin + size, 0
        size += length
    yield _Cut(first, len(lengths), begin, begin + size)


def _trailer_rows(ids: Sequence[ChunkId], lengths: Sequence[int]) -> tuple[bytes, bytes]:
    """Short ids and lengths as a trailer holds them, one after the other."""
    whole = np.frombuffer(b"".join(ids), dtype=np.uint8).reshape(len(ids), CHUNK_ID_BYTES)
    return whole[:, :SHORT_ID_BYTES].tobytes(), np.array(lengths, dtype="<u4").tobytes()


def _wrong_bytes(chunk_id: ChunkId) -> CorruptData:
    return CorruptData(
        "a compressed frame did not decode to what it was",
        kind="hash-mismatch",
        where=f"the frame that begins with chunk {chunk_id.hex()[:16]}",
        hint="Nothing was stored. Memory or processor may be faulty: try another machine",
    )
