"""The packs of a bundle as a ground that remembers what its version needs of them, and for whom."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cas.bundles.marks import Owners, PackMarks
from cas.check_packs import ProvenGround
from cas.closure.ground import Faults, Packs
from cas.damage import Ledger
from cas.engine.chunk_index import ChunkIndex
from cas.engine.places import Places
from cas.ids import ChunkId, ChunkKind, PackName


class NeededGround(ProvenGround):
    """What is walked over it is marked."""

    def __init__(self, packs: Packs, ledger: Ledger, known: ChunkIndex, directory: Path) -> None:
        super().__init__(packs, ledger, known, directory)
        self._by_row: Owners = np.zeros(max(len(packs.index), 1), dtype=np.uint32)
        self.owners: list[str] = []
        """Labels by their numbers less 1."""

    def locate(self, kind: ChunkKind, ids: Sequence[ChunkId]) -> tuple[Places, Faults]:
        places, faults = super().locate(kind, ids)
        if not self.owners or self.owners[-1] != self.label:
            self.owners.append(self.label)
        rows = places.row[places.row >= 0]
        self._by_row[rows[self._by_row[rows] == 0]] = len(self.owners)
        return places, faults

    def marks(self) -> dict[PackName, PackMarks]:
        """Those of all packs, when all was walked."""
        owners = np.zeros_like(self._by_row)
        first_pack = first_row = 0
        for segment in self.packs.index.segments:
            rows = segment.rows
            starts = self._first[first_pack + rows.pack.astype(np.int64)]
            owners[starts + rows.ordinal] = self._by_row[first_row : first_row + len(rows)]
            first_pack, first_row = first_pack + len(segment.packs), first_row + len(rows)
        return {name: self._marks_of(name, owners) for name in self.packs.view.packs}

    def _marks_of(self, name: PackName, owners: Owners) -> PackMarks:
        layout = self.packs.trailers.layout(name)
        begin = self.first_chunks(name)[0]
        end = begin + layout.trailer.chunks
        return PackMarks(layout, owners[begin:end], self.rests(begin, end).view("<u8"))
