"""Packs: header, frames, trailer, footer. Any pack can be read alone, and its trailer by its tail.

    header   48 bytes   magic, version, sealing, salt
    frames              back to back, as the trailer's frame table says
    trailer             zstd of the tables: frames, bases, chunks
    footer   64 bytes   lengths and hash of the trailer, magic

The salt makes equal content into different bytes, so that the name of a pack (the BLAKE3-256 of
its stored bytes) never recurs after the pack was deleted.
"""

import struct
from dataclasses import dataclass

import zstandard
from blake3 import blake3

from cas.format.frame_table import ROW_BYTES, FrameTable, check_lengths
from cas.format.malformed import malformed, mismatch, newer, over_limit, truncated
from cas.format.wire import Reader
from cas.ids import CHUNK_ID_BYTES, SHORT_ID_BYTES, ChunkId
from cas.limits import (
    MAX_DELTA_BASES,
    MAX_PACK_BYTES,
    MAX_PACK_CHUNKS,
    MAX_TRAILER_BYTES,
)

MAGIC_HEADER = b"CASPACK\n"
MAGIC_FOOTER = b"CASPEND\n"
FORMAT_VERSION = 1
UNSEALED = 0
SALT_BYTES = 32

_HEADER = struct.Struct("<8sHBB4s32s")
_FOOTER = struct.Struct("<IIHBB4s")
_COUNTS = struct.Struct("<IIII")
_BASE = struct.Struct(f"{CHUNK_ID_BYTES}s")
HEADER_BYTES = _HEADER.size
FOOTER_BYTES = _FOOTER.size + 32 + 8 + 8

_ZEROS = bytes(4)


@dataclass(frozen=True, slots=True)
class Trailer:
    """The tables of a pack.

    `short_ids` holds 16 bytes a chunk and `lengths` one little-endian u32 a chunk, in the order
    of the chunks in the frames; they stay packed because there are up to a million of them.
    """

    frames: FrameTable
    short_ids: bytes
    lengths: bytes

    @property
    def chunks(self) -> int:
        return len(self.lengths) // 4

    @property
    def frames_length(self) -> int:
        """Stored bytes of all frames. They lie back to back from HEADER_BYTES on."""
        return int(self.frames.column("stored").sum())


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
    _check_version(version, sealing, flags, where)
    if zeros != _ZEROS:
        raise malformed("reserved bytes of the header are not zero", where)
    return bytes(salt)


def _check_version(version: int, sealing: int, flags: int, where: str) -> None:
    if version != FORMAT_VERSION:
        raise newer(f"pack format {version}", where)
    if sealing != UNSEALED:
        raise newer(f"sealing method {sealing}", where)
    if flags:
        raise newer(f"pack features {flags:#x}", where)


def encode_end(frames: FrameTable, short_ids: bytes, lengths: bytes) -> bytes:
    """Trailer and footer, as they follow the frames. Raises what `parse_end` would raise for them."""
    plain = _encode_tables(frames, short_ids, lengths)
    stored = zstandard.ZstdCompressor(level=3, write_content_size=True).compress(plain)
    fixed = _FOOTER.pack(len(stored), len(plain), FORMAT_VERSION, UNSEALED, 0, _ZEROS)
    digest = blake3(stored + fixed).digest()
    return stored + fixed + digest + bytes(8) + MAGIC_FOOTER


def _encode_tables(frames: FrameTable, short_ids: bytes, lengths: bytes) -> bytes:
    chunks = len(lengths) // 4
    _check_counts(len(frames), chunks, "")
    if len(short_ids) != chunks * SHORT_ID_BYTES or frames.column("chunks").sum() != chunks:
        raise ValueError("the tables of a pack do not fit each other")
    check_lengths(frames, lengths, "")
    counts = _COUNTS.pack(len(frames), chunks, len(frames.bases), len(frames.references) // 4)
    return b"".join((counts, frames.rows, frames.references, *frames.bases, short_ids, lengths))


def parse_footer(tail: bytes, where: str = "") -> Footer:
    """The footer at the end of `tail`, which holds at least the pack's last 64 bytes."""
    if len(tail) < FOOTER_BYTES:
        raise truncated("pack shorter than its footer", where)
    end = tail[-FOOTER_BYTES:]
    if end[-8:] != MAGIC_FOOTER:
        raise truncated("pack without its footer", where)
    stored, plain, version, sealing, flags, zeros = _FOOTER.unpack(end[: _FOOTER.size])
    _check_version(version, sealing, flags, where)
    if zeros != _ZEROS or end[-16:-8] != bytes(8):
        raise malformed("reserved bytes of the footer are not zero", where)
    if plain > MAX_TRAILER_BYTES or stored > MAX_PACK_BYTES:
        raise over_limit(f"trailer of {max(plain, stored)} bytes", where)
    return Footer(stored, plain, end[_FOOTER.size : _FOOTER.size + 32])


def parse_end(tail: bytes, where: str = "", *, size: int | None = None) -> Trailer:
    """The trailer from a pack's tail, which holds at least trailer and footer.

    size: the whole pack's size in bytes, where it is known; its parts must then fill it exactly.
    """
    footer = parse_footer(tail, where)
    begin = len(tail) - FOOTER_BYTES - footer.stored_length
    if begin < 0:
        raise truncated("tail shorter than the trailer", where)
    stored = tail[begin : len(tail) - FOOTER_BYTES]
    fixed = tail[len(tail) - FOOTER_BYTES : len(tail) - FOOTER_BYTES + _FOOTER.size]
    if blake3(stored + fixed).digest() != footer.trailer_hash:
        raise mismatch("trailer does not fit its hash", where)
    trailer = _parse_tables(_decompress_tables(stored, footer.plain_length, where), where)
    filled = HEADER_BYTES + trailer.frames_length + footer.stored_length + FOOTER_BYTES
    if filled > MAX_PACK_BYTES:
        raise over_limit(f"pack of {filled} bytes", where)
    if size is not None and filled != size:
        raise malformed(f"pack of {size} bytes whose parts fill {filled}", where)
    return trailer


def _decompress_tables(stored: bytes, plain_length: int, where: str) -> bytes:
    """Declared size and window are compared first: python-zstandard allocates what the frame declares."""
    try:
        declared = zstandard.get_frame_parameters(stored)
        if declared.content_size != plain_length or declared.window_size > MAX_TRAILER_BYTES:
            raise malformed("trailer's declared size is not the footer's, or its window is too large", where)
        plain = zstandard.ZstdDecompressor().decompress(
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
    _check_counts(frame_count, chunk_count, where)
    if reference_count > frame_count * MAX_DELTA_BASES:
        raise over_limit(f"{reference_count} bases of {frame_count} frames", where)
    rows = reader.take(frame_count * ROW_BYTES)
    references = reader.take(reference_count * 4)
    base_bytes = reader.take(base_count * CHUNK_ID_BYTES)
    short_ids = reader.take(chunk_count * SHORT_ID_BYTES)
    lengths = reader.take(chunk_count * 4)
    reader.finish()
    bases = [ChunkId(base) for (base,) in _BASE.iter_unpack(base_bytes)]
    frames = FrameTable(rows, references, bases, where)
    check_lengths(frames, lengths, where)
    return Trailer(frames, short_ids, lengths)


def _check_counts(frames: int, chunks: int, where: str) -> None:
    if chunks > MAX_PACK_CHUNKS:
        raise over_limit(f"pack of {chunks} chunks", where)
    if not 1 <= frames <= chunks:
        raise malformed(f"pack of {chunks} chunks in {frames} frames", where)
