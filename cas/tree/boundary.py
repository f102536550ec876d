"""Where nodes end: a property of the keys alone, so that the tree never depends on history.

A node closes after an entry when it holds at least two entries and the entry's key is a candidate
(the low bits of its keyed hash are zero), or the node is full by entries or by bytes. The hash is of
the key and not of the chunk id, because then an update moves no boundary; the level is part of it,
because else every key that ends a node would end one on all levels and the tree would never end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from xxhash import xxh3_64_intdigest

from cas.ids import CHUNK_ID_BYTES, IdKey
from cas.limits import MAX_NODE_BYTES, MAX_NODE_ENTRIES

MIN_NODE_ENTRIES = 2
VALUE_BYTES = CHUNK_ID_BYTES


@dataclass(frozen=True, slots=True)
class Boundary:
    """The repository's rule: the seed from its id key, and how many bits must be zero."""

    seed: int
    mask: int

    @classmethod
    def of(cls, key: IdKey, node_bits: int) -> "Boundary":
        return cls(int.from_bytes(key.derive("cas 1 tree boundary")[:8], "little"), (1 << node_bits) - 1)

    def level_seed(self, level: int) -> int:
        return (self.seed + level) % (1 << 64)

    def candidates(self, level: int, keys: Sequence[bytes]) -> list[int]:
        """Positions of the keys that may end a node of this level."""
        seed, mask, digest = self.level_seed(level), self.mask, xxh3_64_intdigest
        return [index for index, key in enumerate(keys) if not digest(key, seed) & mask]


def closes(entries: int, size: int, is_candidate: bool) -> bool:
    """Whether a node ends here. size: the sum of key lengths plus 32 for each entry."""
    return entries >= MIN_NODE_ENTRIES and (
        is_candidate or entries >= MAX_NODE_ENTRIES or size >= MAX_NODE_BYTES
    )
