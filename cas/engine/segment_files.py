"""Segments of the chunk index in immutable, memory-mapped files.

    8 bytes   magic
    u64       number of chunks n, u64 number of packs p, u64 number of needs m
    32 bytes  BLAKE3-256 of all that follows
    p x 32    names of the packs
    n x u64   first half of the short ids, ascending      n x u64   their second half
    m x u64   first half of a needed short id             m x u64   its second half
    n x u32   pack (row above)    n x u32   chunk in the pack    n x u32   its share of stored bytes
    n x u32   its plain bytes
    m x u32   pack that needs it
    n x u8    length of the chain of deltas that leads to the chunk
    m x u8    the chunk that is needed must have a shorter chain than this

Little-endian. A file is a cache of pack trailers and can be thrown away at any time; one that is not
what its header says is thrown away by whoever opens it, since a wrong index could take a chunk for
stored that is not. Files are written part by part and mapped without being read, so what they hold costs
no memory until it is searched.
"""

import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from cas.engine.segment import Merging, Needs, Rows, Segment, merging
from cas.ids import PackName

MAGIC = b"CASIDX4\n"
_HEAD = struct.Struct("<8sQQQ32s")
_CHUNK_BYTES = 8 + 8 + 4 + 4 + 4 + 4 + 1
_NEED_BYTES = 8 + 8 + 4 + 1
_BLOCK_BYTES = 1 << 20


def write_segment(segment: Segment, path: Path) -> Segment:
    """Write the file under a temporary name, rename it, and map it. A torn file is never seen."""
    return _write(Merging(segment.packs, len(segment.rows), segment.needs, (segment.rows,)), path)


def write_merged(segments: Sequence[Segment], path: Path) -> Segment:
    """As `write_segment`, one segment with the rows of all. It holds a part of the rows at a time."""
    return _write(merging(segments), path)


def _write(whole: Merging, path: Path) -> Segment:
    temporary = path.with_suffix(".tmp")  # unique as the path is
    columns = _columns(whole.count, len(whole.packs), len(whole.needs))
    with temporary.open("w+b") as file:
        file.write(bytes(_HEAD.size))
        file.write(b"".join(bytes.fromhex(name) for name in whole.packs))
        at = [begin for begin, _, _ in columns]
        for part in whole.parts:
            small = (part.pack, part.ordinal, part.share, part.length, part.depth)
            _put(file, at, _ROW_COLUMNS, (part.high, part.low, *small))
        needs = whole.needs
        _put(file, at, _NEED_COLUMNS, (needs.high, needs.low, needs.pack, needs.below))
        digest = _digest(file)
        file.seek(0)
        file.write(_HEAD.pack(MAGIC, whole.count, len(whole.packs), len(needs), digest))
    temporary.replace(path)
    # What was written just now is not read again to be hashed: that would bring all of it into memory.
    return _mapped(path, whole.packs, columns)


_ROW_COLUMNS = (0, 1, 4, 5, 6, 7, 9)
_NEED_COLUMNS = (2, 3, 8, 10)


def _columns(chunks: int, packs: int, needs: int) -> list[tuple[int, int, int]]:
    """Where each array begins, the bytes of an element, and how many elements it has."""
    at = _HEAD.size + packs * 32
    columns = []
    for width, count in (
        *((8, chunks), (8, chunks), (8, needs), (8, needs)),
        *((4, chunks), (4, chunks), (4, chunks), (4, chunks), (4, needs)),
        *((1, chunks), (1, needs)),
    ):
        columns.append((at, width, count))
        at += count * width
    return columns


def _put(
    file: BinaryIO, at: list[int], columns: Sequence[int], arrays: Sequence[npt.NDArray[np.unsignedinteger]]
) -> None:
    """Append to these columns, and move their ends."""
    for column, array in zip(columns, arrays, strict=True):
        file.seek(at[column])
        at[column] += file.write(np.ascontiguousarray(array).data.cast("B"))


def _digest(file: BinaryIO) -> bytes:
    """Of all that follows the header."""
    file.seek(_HEAD.size)
    running = blake3()
    while block := file.read(_BLOCK_BYTES):
        running.update(block)
    return running.digest()


def open_segment(path: Path) -> Segment:
    """Map the file. ValueError where it is not a whole segment."""
    with path.open("rb") as file:
        head = file.read(_HEAD.size)
        size = os.fstat(file.fileno()).st_size
        if len(head) < _HEAD.size:
            raise ValueError("segment is shorter than its header")
        magic, chunks, packs, needs, digest = _HEAD.unpack(head)
        expected = _HEAD.size + packs * 32 + chunks * _CHUNK_BYTES + needs * _NEED_BYTES
        if magic != MAGIC or size != expected:
            raise ValueError("not a whole segment")
        names = file.read(packs * 32)
        if _digest(file) != digest:
            raise ValueError("segment does not fit its hash")
    shown = tuple(PackName(names[index : index + 32].hex()) for index in range(0, len(names), 32))
    return _mapped(path, shown, _columns(chunks, packs, needs))


def _mapped(path: Path, packs: tuple[PackName, ...], columns: Sequence[tuple[int, int, int]]) -> Segment:
    # A plain array over the mapped file: each slice of a memmap object costs several microseconds.
    data = np.memmap(path, dtype=np.uint8, mode="r").view(np.ndarray)
    arrays = [data[at : at + count * width].view(f"<u{width}") for at, width, count in columns]
    rows = Rows(*(arrays[column] for column in _ROW_COLUMNS))
    return Segment(packs, rows, Needs(*(arrays[column] for column in _NEED_COLUMNS)), path)
