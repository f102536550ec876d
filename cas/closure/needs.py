"""Which packs a version needs: those that hold what it names, and those that these are decoded from.

A set of packs is one number with a bit for each of them. Every node that was walked remembers the set of all
that lies below it, so a version that shares most of its trees with others costs what it does not share.
"""

from collections.abc import Iterable, Iterator, Sequence
from sys import getsizeof

from cas.closure.ground import Ground
from cas.errors import CorruptData, Unsupported
from cas.ids import ChunkId, PackName
from cas.limits import MIB

MAX_NEEDS_BYTES = 256 * MIB
"""Of all sets that nodes remember: for 1,000 packs those of two million nodes, if no two were equal. Where
that is not enough, nobody knows which packs a version needs, and it is said so."""

ROW_BYTES = 100
"""About what a node costs beside its set."""


class Needs:
    """Over one ground, and one walk over it."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._bytes = 0
        self._below: dict[int, int] = {}
        self._equal: dict[int, int] = {}
        self._bases: dict[int, int] = {}
        self._is_known = True

    def among(self, packs: Iterable[int]) -> int:
        """The set of these packs, by their numbers in the index; -1 is none."""
        found = 0
        for number in set(packs):
            if number >= 0:
                found |= 1 << number
        return found

    def of(self, ids: Sequence[ChunkId]) -> int:
        """The packs that hold these chunks."""
        packs = self._ground.packs
        return self.among(packs.index.locate(ids, packs.view).pack.tolist()) if ids else 0

    def keep(self, row: int, packs: int) -> None:
        """What lies below a node, or a large value; by its row in the index."""
        if not self._is_known:
            return
        known = self._equal.setdefault(packs, packs)
        self._below[row] = known
        self._bytes += ROW_BYTES + (getsizeof(packs) if known is packs else 0)
        if self._bytes > MAX_NEEDS_BYTES:
            self._is_known = False
            self._below, self._equal = {}, {}

    def below(self, row: int) -> int:
        return self._below.get(row, 0)

    def names(self, packs: int) -> frozenset[PackName] | None:
        """These packs and all that they are decoded from. None where it was too much to remember."""
        if not self._is_known:
            return None
        reached, waiting = 0, packs
        while waiting:
            reached |= waiting
            following = 0
            for number in _bits(waiting):
                following |= self._bases_of(number)
            waiting = following & ~reached
        names = self._ground.packs.index.pack_names
        return frozenset(names[number] for number in _bits(reached))

    def _bases_of(self, number: int) -> int:
        """The packs that hold bases and dictionaries of a pack's frames."""
        if number not in self._bases:
            packs = self._ground.packs
            try:
                frames = packs.trailers.layout(packs.index.pack_names[number]).trailer.frames
                bases = sorted({base for frame in frames for base in frame.bases})
            except (CorruptData, Unsupported):
                bases = []  # it is damaged, and so is whoever needs it
            self._bases[number] = self.of(bases)
        return self._bases[number]


def _bits(packs: int) -> Iterator[int]:
    """The numbers in a set."""
    while packs:
        lowest = packs & -packs
        yield lowest.bit_length() - 1
        packs ^= lowest
