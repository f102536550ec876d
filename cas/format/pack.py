"""Packs: header, frames, trailer, footer. Any pack can be read alone, and its trailer by its tail.

    header   48 bytes   magic, version, sealing, salt
    frames              back to back, as the trailer's frame table says
    trailer             zstd of the tables: frames, bases, chunks
    footer   64 bytes   lengths and hash of the trailer, magic

The salt makes equal content into different bytes, so that the name of a pack (the BLAKE3-256 of
its stored bytes) never recurs after the pack was deleted.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import zstandard
from blake3 import blake3

from cas.format.frame import Encoding, Frame, check_frame, frame_encoding, frame_kind
from cas.format.malformed import malformed, mismatch, newer, over_limit, truncated
from cas.format.wire import Reader
from cas.ids import CHUNK_ID_BYTES, SHORT_ID_BYTES, ChunkId
from cas.limits import MAX_PACK_BYTES, MAX_PACK_CHUNKS, MAX_TRAILER_BYTES

MAGIC_HEADER = b"CASPACK\n"
MAGIC_FOOTER = b"CASPEND\n"
FORMAT_VERSION = 1
UNSEALED = 0
SALT_BYTES = 32

_HEADER = struct.Struct("<8sHBB4s32s")
_FOOTER = struct.Struct("<IIHBB4s")
_COUNTS = struct.Struct("<IIII")
_FRAME = struct.Struct("<BBBBIII")
HEADER_BYTES = _HEADER.size
FOOTER_BYTES = _FOOTER.size + 32 + 8 + 8

_ZEROS = bytes(4)


@dataclass(frozen=True, slots=True)
class Trailer:
    """The tables of a pack.

    `short_ids` holds 16 bytes a chunk and `lengths` one little-endian u32 a chunk, in the order
    of the chunks in the frames; they stay packed because there are up to a million of them.
    """

    frames: tuple[Frame, ...]
    short_ids: bytes
    lengths: bytes

    @property
    def chunks(self) -> int:
        return len(self.lengths) // 4


@dataclass(frozen=True, slots=True)
class Footer:
    """Where the trailer is: it ends where the footer begins."""

    stored_length: int
    plain_length: int
    trailer_hash: bytes


def encode_header(salt: bytes) -> bytes:
    """The first 48 bytes of an unsealed pack. salt: 32 random bytes."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes")
    return _HEADER.pack(MAGIC_HEADER, FORMAT_VERSION, UNSEALED, 0, _ZEROS, salt)


def parse_header(data: bytes, where: str = "") -> bytes:
    """The salt. Refuses other files, newer versions and sealed packs by name."""
    if len(data) < HEADER_BYTES:
        raise truncated("pack shorter than its header", where)
    magic, version, sealing, flags, zeros, salt = _HEADER.unpack(data[:HEADER_BYTES])
    if magic != MAGIC_HEADER:
        raise malformed("not a pack", where)
    _check_version(version, sealing, where)
    if flags or zeros != _ZEROS:
        raise malformed("reserved bytes of the header are not zero", where)
    return bytes(salt)


def _check_version(version: int, sealing: int, where: str) -> None:
    if version != FORMAT_VERSION:
        raise newer(f"pack format {version}", where)
    if sealing != UNSEALED:
        raise newer(f"sealing method {sealing}", where)


def encode_end(frames: Sequence[Frame], short_ids: bytes, lengths: bytes) -> bytes:
    """Trailer and footer, as they follow the frames."""
    plain = _encode_tables(frames, short_ids, lengths)
    stored = zstandard.ZstdCompressor(level=3, write_content_size=True).compress(plain)
    fixed = _FOOTER.pack(len(stored), len(plain), FORMAT_VERSION, UNSEALED, 0, _ZEROS)
    digest = blake3(stored + fixed).digest()
    return stored + fixed + digest + bytes(8) + MAGIC_FOOTER


def _encode_tables(frames: Sequence[Frame], short_ids: bytes, lengths: bytes) -> bytes:
    chunks = len(lengths) // 4
    if len(short_ids) != chunks * SHORT_ID_BYTES or sum(frame.chunks for frame in frames) != chunks:
        raise ValueError("the tables of a pack do not fit each other")
    bases: dict[ChunkId, int] = {}
    references = bytearray()
    rows = bytearray()
    for frame in frames:
        check_frame(frame)
        for base in frame.bases:
            references += struct.pack("<I", bases.setdefault(base, len(bases)))
        rows += _FRAME.pack(
            frame.kind,
            frame.encoding,
            frame.depth,
            len(frame.bases),
            frame.chunks,
            frame.stored_length,
            frame.plain_length,
        )
    counts = _COUNTS.pack(len(frames), chunks, len(bases), len(references) // 4)
    return b"".join((counts, rows, references, *bases, short_ids, lengths))


def parse_footer(tail: bytes, where: str = "") -> Footer:
    """The footer at the end of `tail`, which holds at least the pack's last 64 bytes."""
    if len(tail) < FOOTER_BYTES:
        raise truncated("pack shorter than its footer", where)
    end = tail[-FOOTER_BYTES:]
    if end[-8:] != MAGIC_FOOTER:
        raise truncated("pack without its footer", where)
    stored, plain, version, sealing, flags, zeros = _FOOTER.unpack(end[: _FOOTER.size])
    _check_version(version, sealing, where)
    if flags or zeros != _ZEROS or end[-16:-8] != bytes(8):
        raise malformed("reserved bytes of the footer are not zero", where)
    if plain > MAX_TRAILER_BYTES or stored > MAX_PACK_BYTES:
        raise over_limit(f"trailer of {max(plain, stored)} bytes", where)
    return Footer(stored, plain, end[_FOOTER.size : _FOOTER.size + 32])


def parse_end(tail: bytes, where: str = "") -> Trailer:
    """The trailer from a pack's tail, which holds at least trailer and footer."""
    footer = parse_footer(tail, where)
    begin = len(tail) - FOOTER_BYTES - footer.stored_length
    if begin < 0:
        raise truncated("tail shorter than the trailer", where)
    stored = tail[begin : len(tail) - FOOTER_BYTES]
    fixed = tail[len(tail) - FOOTER_BYTES : len(tail) - FOOTER_BYTES + _FOOTER.size]
    if blake3(stored + fixed).digest() != footer.trailer_hash:
        raise mismatch("trailer does not fit its hash", where)
    return _parse_tables(_decompress_tables(stored, footer.plain_length, where), where)


def _decompress_tables(stored: bytes, plain_length: int, where: str) -> bytes:
    try:
        if zstandard.frame_content_size(stored) != plain_length:
            raise malformed("trailer's declared size is not the footer's", where)
        plain = zstandard.ZstdDecompressor(max_window_size=MAX_PACK_BYTES).decompress(
            stored, max_output_size=plain_length, allow_extra_data=False
        )
    except zstandard.ZstdError as error:
        raise malformed("trailer cannot be decompressed", where) from error
    if len(plain) != plain_length:
        raise malformed("trailer's real size is not its declared one", where)
    return plain


def _parse_tables(plain: bytes, where: str) -> Trailer:
    reader = Reader(plain, where)
    frame_count, chunk_count, base_count, reference_count = reader.unpack(_COUNTS)
    if chunk_count > MAX_PACK_CHUNKS or frame_count > chunk_count:
        raise over_limit(f"pack of {chunk_count} chunks in {frame_count} frames", where)
    rows = reader.take(frame_count * _FRAME.size)
    references = reader.take(reference_count * 4)
    base_bytes = reader.take(base_count * CHUNK_ID_BYTES)
    short_ids = reader.take(chunk_count * SHORT_ID_BYTES)
    lengths = reader.take(chunk_count * 4)
    reader.finish()
    bases = [
        ChunkId(base_bytes[at : at + CHUNK_ID_BYTES]) for at in range(0, len(base_bytes), CHUNK_ID_BYTES)
    ]
    frames = _parse_frames(rows, references, bases, where)
    _check_lengths(frames, lengths, where)
    return Trailer(frames, short_ids, lengths)


def _parse_frames(rows: bytes, references: bytes, bases: list[ChunkId], where: str) -> tuple[Frame, ...]:
    numbers = [number for (number,) in struct.iter_unpack("<I", references)]
    first_seen = list(dict.fromkeys(numbers))
    if first_seen != list(range(len(bases))) or len(set(bases)) != len(bases):
        raise malformed("bases are not listed once each in order of first use", where)
    frames: list[Frame] = []
    at = 0
    for kind, encoding, depth, count, chunks, stored, plain in _FRAME.iter_unpack(rows):
        used = tuple(bases[number] for number in numbers[at : at + count])
        if len(used) != count:
            raise malformed("frame with more bases than are listed", where)
        at += count
        frame = Frame(
            frame_kind(kind, where), frame_encoding(encoding, where), depth, chunks, stored, plain, used
        )
        frames.append(check_frame(frame, where))
    if at != len(numbers):
        raise malformed("base references that no frame uses", where)
    return tuple(frames)


def _check_lengths(frames: Sequence[Frame], lengths: bytes, where: str) -> None:
    all_lengths = (
        memoryview(lengths).cast("I") if _NATIVE_LITTLE else struct.unpack(f"<{len(lengths) // 4}I", lengths)
    )
    at = 0
    for frame in frames:
        if sum(all_lengths[at : at + frame.chunks]) != frame.plain_length:
            raise malformed("lengths of chunks do not add up to their frame's", where)
        at += frame.chunks
    if at != len(all_lengths):
        raise malformed("chunks that no frame holds", where)


_NATIVE_LITTLE = struct.pack("=I", 1) == struct.pack("<I", 1)

__all__ = [
    "FOOTER_BYTES",
    "HEADER_BYTES",
    "Encoding",
    "Footer",
    "Trailer",
    "encode_end",
    "encode_header",
    "parse_end",
    "parse_footer",
    "parse_header",
]
