"""Where the content of a file is cut into pieces: by what it holds, so that an insertion moves few cuts.

FastCDC (2020) by pyfastcdc, with pinned parameters. Cuts depend on content alone. They are a choice of the
writer: other cuts would be read as well, and would store changed files once more.
"""

from collections.abc import Callable, Iterator
from typing import Literal

from cas.limits import KIB
from cas.records.files import PIECE_BYTES

MIN_BYTES = 256 * KIB
AVERAGE_BYTES = 512 * KIB
"""Where cuts become likelier; measured on random bytes, pieces have some 660 KiB."""

NORMALIZATION: Literal[1] = 1
"""The strength of pieces' pull to the average, as the library has it by default."""

ReadInto = Callable[[memoryview], int]
"""Fills the beginning of a buffer, and says how much of it; 0 at the end."""


class _Stream:
    """What the library reads from."""

    def __init__(self, read_into: ReadInto) -> None:
        self.readinto = read_into


def cut(read_into: ReadInto) -> Iterator[bytes]:
    """The pieces of a stream of more than PIECE_BYTES; a shorter one is one piece, and is not cut. Holds two
    pieces in memory."""
    from pyfastcdc import FastCDC  # late: most versions read no large file

    cutter = FastCDC(
        AVERAGE_BYTES, min_size=MIN_BYTES, max_size=PIECE_BYTES, normalized_chunking=NORMALIZATION, seed=0
    )
    for piece in cutter.cut_stream(_Stream(read_into)):
        yield bytes(piece.data)
