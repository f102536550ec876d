"""Pack trailers: fetched by one ranged read, kept on the local disk, laid out for finding frames."""

import secrets
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt

from cas.errors import CorruptData, Unsupported
from cas.format.names import pack_key
from cas.format.pack import FOOTER_BYTES, HEADER_BYTES, Trailer, parse_end, parse_footer
from cas.ids import PackName
from cas.limits import KIB, MIB
from cas.store.interface import ObjectMissing, Store

FIRST_READ_BYTES = 64 * KIB
"""A small pack's trailer comes with the first request; a full pack's needs a second one."""

KEPT_LAYOUT_BYTES = 64 * MIB
"""Layouts in memory: 30 of full packs, or those that 270 versions of a thousand changes added. A tree that
grew by versions lies in the packs of all of them; with 16 layouts, reading the tree of an 88th version took
20 s, nearly all of it for reading trailers again and again, and 2 s so."""

FRAME_BYTES = 48
BASE_BYTES = 110
CHUNK_BYTES = 28
"""About what a layout holds for each."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything in a pack is. Index i of `first_chunk` and `offset` is frame i; `start` is by
    chunk and counts plain bytes from the pack's first frame, with the total as last element."""

    trailer: Trailer
    first_chunk: npt.NDArray[np.int64]
    offset: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]

    @property
    def bytes(self) -> int:
        """About what it takes in memory."""
        frames, bases = len(self.offset), len(self.trailer.frames.bases)
        return frames * FRAME_BYTES + bases * BASE_BYTES + len(self.start) * CHUNK_BYTES


def layout_of(trailer: Trailer) -> Layout:
    """Sums over the trailer's tables."""
    chunks, stored = trailer.frames.column("chunks"), trailer.frames.column("stored")
    lengths = np.frombuffer(trailer.lengths, dtype="<u4").astype(np.int64)
    return Layout(
        trailer,
        np.cumsum(chunks) - chunks,
        np.cumsum(stored) - stored + HEADER_BYTES,
        np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths))),
    )


class Trailers:
    """The trailers of a store's packs. `directory` keeps their stored bytes; None keeps none."""

    def __init__(self, store: Store, directory: Path | None) -> None:
        self._store = store
        self._directory = directory
        self._layouts: OrderedDict[PackName, Layout] = OrderedDict()
        self._layout_bytes = 0
        self._lock = Lock()
        if directory is not None:
            with suppress(OSError):  # no place for a cache: `keep` does without
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def layout(self, name: PackName) -> Layout:
        """The layout of a pack. CorruptData where pack or trailer is missing or damaged, Unsupported
        where it is of a newer format."""
        with self._lock:
            if name in self._layouts:
                self._layouts.move_to_end(name)
                return self._layouts[name]
        layout = layout_of(self.trailer(name))
        with self._lock:
            if name not in self._layouts:
                self._layouts[name] = layout
                self._layout_bytes += layout.bytes
            while self._layout_bytes > KEPT_LAYOUT_BYTES and len(self._layouts) > 1:
                self._layout_bytes -= self._layouts.popitem(last=False)[1].bytes
        return layout

    def trailer(self, name: PackName) -> Trailer:
        """The trailer, from the disk where a whole one lies there, else from the store."""
        return self.with_tail(name)[0]

    def with_tail(self, name: PackName) -> tuple[Trailer, bytes]:
        """As `trailer`, and the stored bytes of trailer and footer."""
        if self._directory is not None:
            kept = self._directory / name
            with suppress(OSError):  # there is none yet, or another process threw it away
                try:
                    tail = kept.read_bytes()
                    return parse_end(tail, name), tail
                except (CorruptData, Unsupported):
                    kept.unlink()
        tail = self.fetch(name)
        trailer = parse_end(tail, name)
        self.keep(name, tail)
        return trailer, tail

    def keep(self, name: PackName, tail: bytes) -> None:
        """Put a proven tail into the local cache. A cache that cannot be written fails nobody's work."""
        if self._directory is not None:
            temporary = self._directory / f"{secrets.token_hex(8)}.tmp"
            try:
                temporary.write_bytes(tail)
                temporary.replace(self._directory / name)
            except OSError:
                with suppress(OSError):
                    temporary.unlink()

    def fetch(self, name: PackName) -> bytes:
        """Trailer and footer as they are in the store now, never from the disk."""
        key = pack_key(name)
        try:
            tail = self._store.get_tail(key, FIRST_READ_BYTES)
            needed = parse_footer(tail, name).stored_length + FOOTER_BYTES
            if needed > len(tail):
                tail = self._store.get_tail(key, needed)
        except ObjectMissing as error:
            raise CorruptData("a pack is missing", kind="missing", where=key) from error
        return tail[-needed:]
