"""The ids of all chunks of a pack that lies in memory, recomputed: the fast way, for packs that are sound.

Frames that were made alike are decoded together, the next ones on another thread while the ids of the last
ones are computed: zstd releases the interpreter's lock, hashing small chunks does not.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from cas.engine.ahead import ahead
from cas.engine.chunk_reader import ChunkReader
from cas.engine.compression import Decompressor, Dictionary
from cas.errors import CorruptData
from cas.format.frame import Encoding
from cas.format.pack import HEADER_BYTES, Trailer
from cas.ids import CHUNK_ID_BYTES, SHORT_ID_BYTES, ChunkKind, IdKey, PackName
from cas.limits import MIB

RUN_BYTES = MIB
"""Plain bytes that are decoded in one go."""

RUNS_AHEAD = 4

PackIds = npt.NDArray[np.uint8]
"""A row of 32 bytes for each chunk."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbouring frames that are decoded alike: their chunks, and what it takes to decode them."""

    kind: ChunkKind
    first_chunk: int
    end_chunk: int
    parts: list[memoryview]
    plain_lengths: list[int]
    is_raw: bool
    dictionary: Dictionary | None


class PackProof:
    """Over the packs of one reader."""

    def __init__(self, reader: ChunkReader, key: IdKey, executor: Executor) -> None:
        self._reader = reader
        self._executor = executor
        self._decompressor = Decompressor()
        self._hashers = {kind: key.batch_hasher(kind) for kind in ChunkKind}

    def ids(self, name: PackName, stored: bytes, trailer: Trailer) -> PackIds | None:
        """Of a pack's chunks, as its bytes give them; None where a frame cannot be decoded, its chunks are
        not those of the trailer, or it is a delta: then each frame has to be looked at. `trailer`: parsed
        from just these bytes."""
        if trailer.frames.column("depth").any():
            return None
        ids = bytearray()
        lengths = np.frombuffer(trailer.lengths, dtype="<u4").tolist()
        runs = self._runs(memoryview(stored), trailer)
        try:
            for run, plain in ahead(self._executor, self._decoded, runs, RUNS_AHEAD):
                own = lengths[run.first_chunk : run.end_chunk]
                plains = [plain[end - length : end] for end, length in zip(accumulate(own), own, strict=True)]
                ids += b"".join(self._hashers[run.kind](plains))
        except CorruptData:
            return None
        found = np.frombuffer(ids, dtype=np.uint8).reshape(-1, CHUNK_ID_BYTES)
        said = np.frombuffer(trailer.short_ids, dtype=np.uint8).reshape(-1, SHORT_ID_BYTES)
        return found if np.array_equal(found[:, :SHORT_ID_BYTES], said) else None

    def _decoded(self, run: _Run) -> bytes:
        if run.is_raw:
            return b"".join(run.parts)
        return self._decompressor.decompress_joined(run.parts, run.plain_lengths, run.dictionary)

    def _runs(self, stored: memoryview, trailer: Trailer) -> Iterator[_Run]:
        """Dictionaries are read by who asks for the next run, and not on the threads that decode: they would
        wait for each other."""
        frames = trailer.frames
        columns = [frames.column(name).tolist() for name in ("kind", "encoding", "plain")]
        bases, chunks, places = (_sums(frames.column(name)) for name in ("bases", "chunks", "stored"))
        references = np.frombuffer(frames.references, dtype="<u4").tolist()
        alike: tuple[int, int, list[int]] | None = None
        first = size = 0
        for at, (kind, encoding, plain) in enumerate(zip(*columns, strict=True)):
            own = kind, encoding, references[bases[at] : bases[at + 1]]
            if alike is not None and (own != alike or size >= RUN_BYTES):
                yield self._run(stored, trailer, first, at, chunks, places)
                first, size = at, 0
            alike = own
            size += plain
        yield self._run(stored, trailer, first, len(frames), chunks, places)

    def _run(
        self,
        stored: memoryview,
        trailer: Trailer,
        first: int,
        end: int,
        chunks: Sequence[int],
        places: Sequence[int],
    ) -> _Run:
        frame = trailer.frames[first]
        return _Run(
            frame.kind,
            chunks[first],
            chunks[end],
            [stored[HEADER_BYTES + places[at] : HEADER_BYTES + places[at + 1]] for at in range(first, end)],
            trailer.frames.column("plain")[first:end].tolist(),
            frame.encoding is Encoding.RAW,
            self._reader.dictionary(frame.bases[0]) if frame.bases else None,
        )


def _sums(column: npt.NDArray[np.int64]) -> list[int]:
    """What comes before each, and behind all."""
    sums: list[int] = np.concatenate((np.zeros(1, np.int64), np.cumsum(column))).tolist()
    return sums
