"""Frames: the unit of compression. A frame holds one or more chunks of one kind, one after another.

Records are small and alike, so a frame of some 16 KiB of them compresses nearly as well as the
whole table would, while one record is still read by one small range. What a frame's bytes mean
is said by its entry in the pack's trailer.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from cas.format.malformed import malformed, newer, over_limit
from cas.ids import ChunkId, ChunkKind
from cas.limits import MAX_DELTA_BASES, MAX_DELTA_DEPTH, MAX_FRAME_BYTES, MAX_FRAME_CHUNKS


class Encoding(IntEnum):
    """How a frame's plain bytes became its stored bytes. The number is part of the format."""

    RAW = 0
    ZSTD = 1
    ZSTD_DICTIONARY = 2
    """zstd with a trained dictionary: exactly one base, of kind DICTIONARY."""
    ZSTD_DELTA = 3
    """zstd with a raw-content dictionary: the plain bytes of its bases, one after another."""


_DICTIONARY_ENCODINGS = frozenset((Encoding.RAW, Encoding.ZSTD))
_KINDS = {int(kind): kind for kind in ChunkKind}
_ENCODINGS = {int(encoding): encoding for encoding in Encoding}
KNOWN_KINDS = np.array([number in _KINDS for number in range(256)])
KNOWN_ENCODINGS = np.array([number in _ENCODINGS for number in range(256)])
"""Whether a byte is one's number."""


@dataclass(frozen=True, slots=True)
class Frame:
    """An entry of the trailer's frame table.

    `depth` is 0 for RAW, ZSTD and ZSTD_DICTIONARY, and for a delta 1 + the greatest depth among
    the frames of its bases, so that a reader knows the length of the chain before it starts. Bases
    are of the frame's own kind. A reader decodes a base from a frame of lesser depth, or not at
    all: so two deltas that stand on each other are no endless loop.
    """

    kind: ChunkKind
    encoding: Encoding
    depth: int
    chunks: int
    stored_length: int
    plain_length: int
    bases: tuple[ChunkId, ...] = ()


def check_frame(frame: Frame, where: str = "") -> Frame:
    """The rules that hold for every frame, on writing and on reading.

    An empty frame is raw, so that no decompressor meets one: python-zstandard believes its header
    unseen, and its batch call corrupts memory. A dictionary needs nothing else to be read.
    """
    encoding, bases = frame.encoding, len(frame.bases)
    if frame.chunks > MAX_FRAME_CHUNKS:
        raise over_limit(f"frame of {frame.chunks} chunks", where)
    if frame.plain_length > MAX_FRAME_BYTES or frame.stored_length > MAX_FRAME_BYTES:
        raise over_limit(f"frame of {max(frame.plain_length, frame.stored_length)} bytes", where)
    if frame.depth > MAX_DELTA_DEPTH or bases > MAX_DELTA_BASES:
        raise over_limit(f"delta on {bases} bases at depth {frame.depth}", where)
    if not frame.chunks:
        raise malformed("frame without chunks", where)
    if encoding is Encoding.RAW:
        if frame.stored_length != frame.plain_length:
            raise malformed("a raw frame has one length", where)
    elif not frame.plain_length:
        raise malformed("an empty frame is raw", where)
    if frame.kind is ChunkKind.DICTIONARY and encoding not in _DICTIONARY_ENCODINGS:
        raise malformed("a dictionary depends on no other chunk", where)
    if encoding is Encoding.ZSTD_DELTA:
        if not bases or not frame.depth or len(set(frame.bases)) != bases:
            raise malformed(f"delta on {bases} bases at depth {frame.depth}", where)
    elif frame.depth or bases != (encoding is Encoding.ZSTD_DICTIONARY):
        raise malformed(f"{encoding.name} frame with depth {frame.depth} and {bases} bases", where)
    return frame


def frame_kind(number: int, where: str = "") -> ChunkKind:
    """The kind with this number; an unknown one is of a newer format."""
    if number not in _KINDS:
        raise newer(f"chunk kind {number}", where)
    return _KINDS[number]


def frame_encoding(number: int, where: str = "") -> Encoding:
    """The encoding with this number; an unknown one is of a newer format."""
    if number not in _ENCODINGS:
        raise newer(f"frame encoding {number}", where)
    return _ENCODINGS[number]
