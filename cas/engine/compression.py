"""Compressing frames in batches, and decompressing what may be hostile.

zstd's own trust in what a frame declares is not ours: python-zstandard ignores its output limit when
the frame declares a size, and a wrong base raises nothing. So the declared size is compared with
the trailer's first, and whoever reads a chunk compares its hash afterwards.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import local
from typing import cast

import zstandard

from cas.format.malformed import malformed
from cas.ids import ChunkId
from cas.limits import DICTIONARY_BYTES, DICTIONARY_MIN_SAMPLES_BYTES, KIB, MAX_FRAME_BYTES

DEFAULT_LEVEL = 3
MAX_LEVEL = 19

SMALLEST_DICTIONARY_BYTES = 16 * KIB
"""A smaller one saves hardly more than frames of many records do by themselves."""

RECORD_BYTES_PER_DICTIONARY_BYTE = 100
"""Where a larger dictionary stops to earn its own two copies."""


_BLOCK_HEADER_BYTES = 3
_RUN = 1
"""The type of a block of which one byte is stored, however long it is."""
_CHECKSUM_BYTES = 4
_MOST_BLOCKS = 256
"""A frame of 16 MiB has 128 of the largest; a hostile one has millions that hold nothing."""


@dataclass(frozen=True, slots=True)
class Dictionary:
    """A trained dictionary: the id of its chunk and its plain bytes."""

    id: ChunkId
    plain: bytes
    _prepared: dict[int, zstandard.ZstdCompressionDict] = field(
        default_factory=dict, compare=False, repr=False
    )

    def prepared(self, level: int) -> zstandard.ZstdCompressionDict:
        """The dictionary digested for one level, once for all threads; 0 is for decompression."""
        if level not in self._prepared:
            digested = zstandard.ZstdCompressionDict(self.plain, dict_type=zstandard.DICT_TYPE_FULLDICT)
            if level:
                digested.precompute_compress(level=level)
            self._prepared[level] = digested
        return self._prepared[level]


COVER: Mapping[str, int] = {"k": 100, "d": 8, "f": 20, "accel": 1}
"""How zstd's "fast cover" searches: segments of 100 bytes, by what eight bytes have in common. zstd's default
is to try five lengths, which takes five times as long; what it found was never half a percent better."""

FEWEST_SAMPLES = 100
"""zstd finds nothing in common between fewer."""

SAMPLE_BYTES_PER_DICTIONARY_BYTE = 64
MOST_SAMPLE_BYTES = 32 * DICTIONARY_BYTES
"""What a dictionary is trained on, which takes 0.1 s for 8 MiB. Half of it costs one percent of what is
stored, a quarter two and a half."""


def sample_bytes(expected_bytes: int) -> int:
    """How many payload bytes of an entity of about this size a dictionary should be trained on. 0: not
    known, as many as the largest dictionary needs."""
    size = _dictionary_bytes(expected_bytes) if expected_bytes else DICTIONARY_BYTES
    return min(MOST_SAMPLE_BYTES, max(DICTIONARY_MIN_SAMPLES_BYTES, size * SAMPLE_BYTES_PER_DICTIONARY_BYTE))


def train_dictionary(samples: Sequence[bytes], expected_bytes: int) -> bytes | None:
    """A dictionary for records like these, or None where there is too little to learn from.

    samples: payloads from all over the entity. expected_bytes: payload bytes of the whole entity, as far as
    known; the dictionary, which is stored twice, gets a hundredth of them at the most. Measured on
    product records in frames of 32: 256 KiB 139.8 bytes a record, 112 KiB 142.5, 32 KiB 151.8, none 217.2.
    """
    sampled = sum(map(len, samples))
    if sampled < DICTIONARY_MIN_SAMPLES_BYTES or len(samples) < FEWEST_SAMPLES:
        return None
    size = _dictionary_bytes(max(expected_bytes, sampled))
    step = min(round(sampled / sample_bytes(max(expected_bytes, sampled))), len(samples) // FEWEST_SAMPLES)
    thinned = samples[:: max(step, 1)]
    try:
        return zstandard.train_dictionary(size, list(thinned), level=DEFAULT_LEVEL, **COVER).as_bytes()
    except zstandard.ZstdError:
        return None


def _dictionary_bytes(expected_bytes: int) -> int:
    fair = max(SMALLEST_DICTIONARY_BYTES, expected_bytes // RECORD_BYTES_PER_DICTIONARY_BYTE)
    return min(DICTIONARY_BYTES, fair)


class _Contexts(local):
    """zstd's contexts serve one thread each. Only the newest dictionary's is kept: they are large."""

    def __init__(self) -> None:
        self.compressors: dict[ChunkId | None, zstandard.ZstdCompressor] = {}
        self.decompressors: dict[ChunkId | None, zstandard.ZstdDecompressor] = {}


class Compressor:
    """Compresses frames with one level. May be used by several threads at once.

    threads: how many cores one batch may use; the GIL is released meanwhile.
    """

    def __init__(self, level: int = DEFAULT_LEVEL, threads: int = 1) -> None:
        self._level = level
        self._threads = threads
        self._local = _Contexts()

    def _context(self, dictionary: Dictionary | None) -> zstandard.ZstdCompressor:
        contexts = self._local.compressors
        key = dictionary.id if dictionary else None
        if key not in contexts:
            contexts.clear()
            contexts[key] = zstandard.ZstdCompressor(
                level=self._level,
                dict_data=dictionary.prepared(self._level) if dictionary else None,
                write_content_size=True,
                write_dict_id=False,
            )
        return contexts[key]

    def compress(
        self, plains: Sequence[memoryview], dictionary: Dictionary | None = None
    ) -> list[memoryview]:
        """One zstd frame for each plain. They are views of zstd's own memory, which they keep."""
        context = self._context(dictionary)
        if len(plains) == 1 or not all(map(len, plains)):
            return [memoryview(context.compress(plain)) for plain in plains]
        result = context.multi_compress_to_buffer(list(plains), threads=self._threads)
        return [_view(result[index]) for index in range(len(result))]


class Decompressor:
    """Decompresses frames of which nothing is believed. May be used by several threads at once."""

    def __init__(self) -> None:
        self._local = _Contexts()

    def _context(self, dictionary: Dictionary | None) -> zstandard.ZstdDecompressor:
        contexts = self._local.decompressors
        key = dictionary.id if dictionary else None
        if key not in contexts:
            contexts.clear()
            try:
                contexts[key] = zstandard.ZstdDecompressor(
                    dict_data=dictionary.prepared(0) if dictionary else None, max_window_size=MAX_FRAME_BYTES
                )
            except zstandard.ZstdError as error:
                raise malformed("not a zstd dictionary", dictionary.id.hex() if dictionary else "") from error
        return contexts[key]

    def decompress(
        self, stored: bytes, plain_length: int, dictionary: Dictionary | None = None, where: str = ""
    ) -> bytes:
        """Exactly `plain_length` bytes, which the caller has found within the limits."""
        return _decompress(self._context(dictionary), stored, plain_length, where)

    def decompress_delta(self, stored: bytes, plain_length: int, base: bytes, where: str = "") -> bytes:
        """As `decompress`, with the bases' plain bytes as raw content."""
        content = zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        context = zstandard.ZstdDecompressor(dict_data=content, max_window_size=MAX_FRAME_BYTES)
        return _decompress(context, stored, plain_length, where)

    def decompress_many(
        self,
        stored: Sequence[bytes],
        plain_lengths: Sequence[int],
        dictionary: Dictionary | None = None,
        where: str = "",
    ) -> list[bytes]:
        """As `decompress` for many frames; the GIL is released once for all."""
        return list(map(bytes, self._decompress_many(stored, plain_lengths, dictionary, where)))

    def decompress_joined(
        self,
        stored: Sequence[bytes | memoryview],
        plain_lengths: Sequence[int],
        dictionary: Dictionary | None = None,
        where: str = "",
    ) -> bytes:
        """As `decompress_many`, put together."""
        return b"".join(self._decompress_many(stored, plain_lengths, dictionary, where))

    def _decompress_many(
        self,
        stored: Sequence[bytes | memoryview],
        plain_lengths: Sequence[int],
        dictionary: Dictionary | None,
        where: str,
    ) -> list[memoryview]:
        if len(stored) == 1 or not all(plain_lengths) or not all(map(_ends_with_itself, stored)):
            context = self._context(dictionary)
            pairs = zip(stored, plain_lengths, strict=True)
            return [memoryview(_decompress(context, data, length, where)) for data, length in pairs]
        for data, length in zip(stored, plain_lengths, strict=True):
            _check_declared(data, length, where)
        sizes = struct.pack(f"={len(plain_lengths)}Q", *plain_lengths)
        try:
            result = self._context(dictionary).multi_decompress_to_buffer(
                list(stored), decompressed_sizes=sizes, threads=1
            )
        except zstandard.ZstdError as error:
            raise malformed("frame cannot be decompressed", where) from error
        return [_view(result[index]) for index in range(len(result))]


def _view(segment: zstandard.BufferSegment) -> memoryview:
    """Its stubs do not say that a segment is a buffer."""
    return memoryview(cast("bytes", segment))


def compress_delta(plain: bytes, base: bytes, level: int = DEFAULT_LEVEL) -> bytes:
    """A zstd frame of `plain` that needs `base` (raw content) to be read."""
    content = zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    return zstandard.ZstdCompressor(level=level, dict_data=content, write_dict_id=False).compress(plain)


def _check_declared(stored: bytes | memoryview, plain_length: int, where: str) -> None:
    try:
        parameters = zstandard.get_frame_parameters(stored)
    except zstandard.ZstdError as error:
        raise malformed("not a zstd frame", where) from error
    if parameters.content_size != plain_length:
        raise malformed("frame's declared size is not the trailer's", where)
    if parameters.window_size > MAX_FRAME_BYTES:
        raise malformed("frame wants too large a window", where)


def _ends_with_itself(stored: bytes | memoryview) -> bool:
    """Whether nothing follows behind the one zstd frame in these bytes, which zstd's batch call does not ask.
    False, too, for what is no frame, or one of very many blocks: then one by one it is asked."""
    try:
        at = zstandard.frame_header_size(stored)
        has_checksum = zstandard.get_frame_parameters(stored).has_checksum
    except zstandard.ZstdError:
        return False
    for _ in range(_MOST_BLOCKS):
        if at + _BLOCK_HEADER_BYTES > len(stored):
            return False
        head = int.from_bytes(stored[at : at + _BLOCK_HEADER_BYTES], "little")
        is_last, is_run, size = head & 1, head >> 1 & 3 == _RUN, head >> 3
        at += _BLOCK_HEADER_BYTES + (1 if is_run else size)
        if is_last:
            return at + (_CHECKSUM_BYTES if has_checksum else 0) == len(stored)
    return False


def _decompress(
    context: zstandard.ZstdDecompressor, stored: bytes | memoryview, plain_length: int, where: str
) -> bytes:
    _check_declared(stored, plain_length, where)
    try:
        plain = context.decompress(stored, max_output_size=plain_length, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise malformed("frame cannot be decompressed", where) from error
    if len(plain) != plain_length:
        raise malformed("frame's real size is not its declared one", where)
    return plain
