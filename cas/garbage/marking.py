"""Marking: which packs hold anything that a document needs, down to the last base of a delta.

All documents of the store are roots, whoever put them and whatever the catalog says of their versions. What a
version of the catalog needs and nobody has stops a collection: then something else is wrong, and nothing may
be deleted. A document that is no version, or not yet, keeps what it reaches.

A pack is needed as long as it holds a copy of one needed chunk, however many copies there are elsewhere.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cas.closure.ground import Faults, Ground, Packs
from cas.closure.versions import VersionWalk
from cas.damage import Ledger
from cas.engine.chunk_index import Places, View
from cas.engine.holders import holders
from cas.engine.repository import Repository
from cas.errors import CasError, Conflict, CorruptData, NotFound, Unsupported
from cas.format.names import version_key
from cas.ids import ChunkId, ChunkKind, PackName
from cas.progress import Progress

STOPPED = "Nothing was deleted. `cas check` tells what is wrong; bring that in order first"


@dataclass(frozen=True, slots=True)
class Marked:
    """`needed`: packs that must stay. `readable`: packs of which it is known what they hold; of the others
    nothing is known, so they stay as well. `numbers`: the documents that were looked at. `vanished`: those
    that were gone by then."""

    needed: frozenset[PackName]
    readable: frozenset[PackName]
    numbers: frozenset[int]
    vanished: frozenset[int]


class _MarkingGround(Ground):
    """Remembers every chunk that was asked for, by its row in the index."""

    def __init__(self, repository: Repository, packs: Packs) -> None:
        super().__init__(packs, Ledger(), repository.index)
        self.rows = np.zeros(len(packs.index), dtype=np.bool_)

    def locate(self, kind: ChunkKind, ids: Sequence[ChunkId]) -> tuple[Places, Faults]:
        places, faults = super().locate(kind, ids)
        self.rows[places.row[places.row >= 0]] = True
        return places, faults


def mark(
    repository: Repository,
    numbers: Iterable[int],
    committed: Collection[int],
    listed: Collection[PackName],
    progress: Progress,
) -> Marked:
    """What these documents need of the listed packs. CorruptData where one that is committed needs what is
    not there, or cannot be read itself."""
    unreadable = repository.learn(set(listed))
    view = View(set(listed) - unreadable)
    ground = _MarkingGround(repository, Packs.over(repository, repository.index, repository.trailers, view))
    walk = VersionWalk(ground, repository.boundary, progress)
    seen: set[int] = set()
    vanished: set[int] = set()
    for number in sorted(numbers):
        try:
            document = repository.document(number)
        except NotFound:
            vanished.add(number)
            continue
        except (CorruptData, Unsupported, Conflict) as error:
            if number in committed:
                raise stopped(number, error.what) from error
            continue
        seen.add(number)
        reached = walk.version(document)
        if not reached.is_whole and number in committed:
            loss = next(fault for fault in sorted(reached.faults) if fault.is_loss)
            raise stopped(number, ground.ledger.finding(loss.finding).what)
    needed = holders(ground.packs.index, ground.rows)
    return Marked(frozenset(needed & view.packs), view.packs, frozenset(seen), frozenset(vanished))


def stopped(number: int, what: str) -> CasError:
    """Why nothing is deleted."""
    return CorruptData(
        f"version {number} lacks something: {what}", kind="missing", where=version_key(number), hint=STOPPED
    )
