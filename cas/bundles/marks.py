"""What is asked for of some packs: of each chunk whose it is, and the rest of its id, of which a trailer has
the first half only."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from cas.engine.pack_proof import PackIds
from cas.engine.trailers import Layout
from cas.ids import CHUNK_ID_BYTES, SHORT_ID_BYTES, ChunkId

Owners = npt.NDArray[np.uint32]
"""Of each chunk the number of whom it is needed for; 0: it is not needed."""

U64 = npt.NDArray[np.uint64]

_SHORT = SHORT_ID_BYTES // 8


class PackMarks:
    """Of one pack: 20 bytes a chunk."""

    def __init__(self, layout: Layout, owners: Owners, rests: U64) -> None:
        self._layout = layout
        self.owners = owners
        self._rests = rests

    @classmethod
    def none(cls, layout: Layout) -> "PackMarks":
        """Nothing is needed."""
        chunks = layout.trailer.chunks
        rests = np.zeros((chunks, CHUNK_ID_BYTES // 8 - _SHORT), dtype="<u8")
        return cls(layout, np.zeros(chunks, dtype=np.uint32), rests)

    def set(self, ordinals: npt.NDArray[np.int64], ids: U64, owner: int) -> None:
        """These are needed; who needed them first counts. `ids`: as `numbers_of` has them."""
        fresh = self.owners[ordinals] == 0
        self.owners[ordinals[fresh]] = owner
        self._rests[ordinals] = ids[:, _SHORT:]

    @property
    def is_whole(self) -> bool:
        """Whether all of the pack is needed."""
        return bool(self.owners.all())

    def frames(self) -> list[int]:
        """The numbers of the frames of which anything is needed."""
        found: list[int] = np.flatnonzero(
            np.add.reduceat(self.owners != 0, self._layout.first_chunk)
        ).tolist()
        return found

    def are_meant(self, first: int, ids: Sequence[ChunkId]) -> bool:
        """Whether chunks, from the one with this ordinal on, are those that were asked for, as far as they
        are needed."""
        end = first + len(ids)
        same = (numbers_of(ids)[:, _SHORT:] == self._rests[first:end]).all(axis=1)
        return bool((same | (self.owners[first:end] == 0)).all())

    def are_all(self, ids: PackIds) -> bool:
        """Whether the pack's chunks are those that were asked for, all of them."""
        rests = np.frombuffer(ids, dtype="<u8").reshape(-1, CHUNK_ID_BYTES // 8)[:, _SHORT:]
        return self.is_whole and np.array_equal(rests, self._rests)

    def needed(self, first: int, end: int) -> Iterator[tuple[ChunkId, int]]:
        """What is needed of these chunks: ids and owners."""
        short_ids = self._layout.trailer.short_ids
        for at in (np.flatnonzero(self.owners[first:end]) + first).tolist():
            begin = short_ids[at * SHORT_ID_BYTES : (at + 1) * SHORT_ID_BYTES]
            yield ChunkId(begin + self._rests[at].tobytes()), int(self.owners[at])


def numbers_of(ids: Sequence[ChunkId]) -> U64:
    """A row of numbers for each id, eight bytes each."""
    return np.frombuffer(b"".join(ids), dtype="<u8").reshape(-1, CHUNK_ID_BYTES // 8)
