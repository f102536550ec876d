"""Marking: which packs hold anything that a document needs, down to the last base of a delta.

All documents of the store are roots, whoever put them and whatever the catalog says of their versions. What a
version of the catalog needs and nobody has stops a collection: then something else is wrong, and nothing may
be deleted. A document that is no version, or not yet, keeps what it reaches.

A live pack is needed as long as it holds a copy of one needed chunk, however many copies there are elsewhere.
Any other pack is needed as long as live ones alone do not give all that it holds of what is needed.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cas.closure.ground import Faults, Ground, Packs
from cas.closure.versions import VersionWalk
from cas.damage import Ledger
from cas.engine.decodable import Decodable
from cas.engine.holders import holders
from cas.engine.places import Places, View
from cas.engine.repository import Repository
from cas.errors import CasError, Conflict, CorruptData, NotFound, Unsupported
from cas.format.names import version_key
from cas.ids import ChunkId, ChunkKind, PackName
from cas.progress import Progress, Silent

STOPPED = "Nothing was deleted. `cas check` tells what is wrong; bring that in order with `cas repair` first"


@dataclass(frozen=True, slots=True)
class Marked:
    """`needed`: packs that must stay. `packs`: those of which it is known what they hold; of the others
    nothing is known, so they stay as well. `rows`: the needed chunks, by their rows in the index of `packs`.
    `numbers`: the documents that were looked at. `vanished`: those that were gone by then. `unclear`: those,
    of no committed version, that cannot be read, or lack something: it may be brought back."""

    needed: frozenset[PackName]
    packs: Packs
    rows: npt.NDArray[np.bool_]
    numbers: frozenset[int]
    vanished: frozenset[int]
    unclear: frozenset[int]

    @property
    def readable(self) -> frozenset[PackName]:
        return self.packs.view.packs


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
    live: Collection[PackName],
    progress: Progress,
) -> Marked:
    """What these documents need of the listed packs. live: asked of the catalog before documents and packs
    were listed. CorruptData where a document that is committed needs what is not there, or cannot be read
    itself."""
    unreadable = repository.learn(set(listed))
    view = View(set(listed) - unreadable)
    ground = _MarkingGround(repository, Packs.over(repository, repository.index, repository.trailers, view))
    walked = _walked(repository, ground, numbers, committed, progress)
    needed = _needed(ground.packs, ground.rows, View(view.packs.intersection(live)))
    return Marked(needed & view.packs, ground.packs, ground.rows, *walked)


def _walked(
    repository: Repository,
    ground: Ground,
    numbers: Iterable[int],
    committed: Collection[int],
    progress: Progress,
) -> tuple[frozenset[int], frozenset[int], frozenset[int]]:
    """Walk these documents; what the walk remembers of their nodes is gone afterwards. Gives those that were
    looked at, those that were gone, and those that are unclear."""
    walk = VersionWalk(ground, repository.boundary, progress)
    seen: set[int] = set()
    vanished: set[int] = set()
    doubtful: list[int] = []
    for number in sorted(numbers):
        try:
            document = repository.document(number)
        except NotFound:
            vanished.add(number)
            continue
        except (CorruptData, Unsupported, Conflict) as error:
            if number in committed:
                raise stopped(number, error.what) from error
            doubtful.append(number)
            continue
        seen.add(number)
        reached = walk.version(document)
        if not reached.is_whole and number not in committed:
            doubtful.append(number)
        if not reached.is_whole and number in committed:
            loss = next(fault for fault in sorted(reached.faults) if fault.is_loss)
            raise stopped(number, ground.ledger.finding(loss.finding).what)
    unclear = {number for number in doubtful if not _is_whole(repository, ground, number)}
    return frozenset(seen), frozenset(vanished), frozenset(unclear)


def _is_whole(repository: Repository, ground: Ground, number: int) -> bool:
    """Read once more, from the document on: the first time something on the way may have changed a bit."""
    try:
        document = repository.document(number)
    except (NotFound, CorruptData, Unsupported, Conflict):
        return False
    return VersionWalk(ground, repository.boundary, Silent()).version(document).is_whole


def _needed(packs: Packs, rows: npt.NDArray[np.bool_], live: View) -> frozenset[PackName]:
    """Live packs with any copy of these chunks; and those with what cannot be had from them."""
    lacking = Decodable(packs.index, packs.trailers, live).lacking(rows)
    others = holders(packs.index, lacking, packs.view) if lacking.any() else set()
    return frozenset(holders(packs.index, rows, live) | others)


def stopped(number: int, what: str) -> CasError:
    """Why nothing is deleted."""
    return CorruptData(
        f"version {number} lacks something: {what}", kind="missing", where=version_key(number), hint=STOPPED
    )
