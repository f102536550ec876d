"""What lies in the store by entity: found by walking the trees of all versions, each once.

Chunks are shared: by versions of one entity, which is the point of it all, and by entities whose records are
alike. A chunk counts once for each entity that needs it; `alone_bytes` are of those that no other one needs.
Its bytes are its share of the frame it lies in, rounded up, and of the trailer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cas.catalog.interface import Catalog
from cas.catalog.paging import every_version
from cas.catalog.rules import COMMITTED
from cas.closure.ground import Faults, Ground, Packs
from cas.closure.trees import Extent, TreeWalk
from cas.closure.versions import VersionWalk
from cas.damage import Ledger
from cas.engine.chunk_index import ChunkIndex
from cas.engine.places import Places, View
from cas.engine.repository import Repository
from cas.errors import Conflict, CorruptData, NotFound, Unsupported
from cas.ids import ChunkId, ChunkKind
from cas.pinning import holding
from cas.progress import Progress, Silent

_NOBODY, _SEVERAL = -1, -2


@dataclass(frozen=True, slots=True)
class EntitySize:
    """`versions`: that hold records of it. `stored_bytes`: of its records and trees in all of them, each
    chunk once; `alone_bytes`: of these, what no other entity needs."""

    label: str
    versions: int
    stored_bytes: int
    alone_bytes: int


@dataclass(frozen=True, slots=True)
class StoredSizes:
    """`rest_bytes`: of schemas, definitions, lists of entities and dictionaries, which belong to no tree.
    `needed_bytes`: of all that versions need, each chunk once. What the packs hold beside that is garbage,
    stands under deltas, or lies there twice. `unreadable`: versions of which not all could be looked at."""

    entities: tuple[EntitySize, ...]
    rest_bytes: int
    needed_bytes: int
    unreadable: tuple[int, ...]


@dataclass(slots=True)
class _Tree:
    """One tree of an entity, and in which versions it is. `counted`: as that of a bag, which an entity may
    have been before it got a key."""

    root: ChunkId
    counted: bool
    records: int
    versions: list[int] = field(default_factory=list)


class _Counting(Ground):
    """Remembers every chunk that was asked for, by its row in the index."""

    def __init__(self, packs: Packs, known: ChunkIndex) -> None:
        super().__init__(packs, Ledger(), known)
        self.rows = self.none()

    def none(self) -> npt.NDArray[np.bool_]:
        return np.zeros(len(self.packs.index), dtype=np.bool_)

    def locate(self, kind: ChunkKind, ids: Sequence[ChunkId]) -> tuple[Places, Faults]:
        places, faults = super().locate(kind, ids)
        self.rows[places.row[places.row >= 0]] = True
        return places, faults


class _Gathering(TreeWalk):
    """Remembers roots, and enters nothing."""

    def __init__(self, ground: Ground, repository: Repository) -> None:
        super().__init__(ground, repository.boundary, Silent())
        self.found: dict[str, dict[tuple[ChunkId, bool], _Tree]] = {}
        self.number = 0
        """The version that is looked at."""

    def tree(self, label: str, root: ChunkId, records: int, *, counted: bool) -> Extent:
        trees = self.found.setdefault(label, {})
        trees.setdefault((root, counted), _Tree(root, counted, records)).versions.append(self.number)
        return Extent()


def stored_sizes(repository: Repository, catalog: Catalog, progress: Progress | None = None) -> StoredSizes:
    """Of all versions that count. As store and catalog raise; what is damaged is left out. Memory: 20 bytes a
    chunk of the index."""
    watcher = progress or Silent()
    watcher.phase("trees")
    with holding(repository.environment, catalog, "stats"):
        numbers = sorted(version.number for version in every_version(catalog, COMMITTED))
        return _sizes(repository, numbers, watcher)


def _sizes(repository: Repository, numbers: Sequence[int], progress: Progress) -> StoredSizes:
    listed = set(repository.packs())
    view = View(listed - repository.learn(listed))
    ground = _Counting(Packs.over(repository, repository.index, repository.trailers, view), repository.index)
    roots, unreadable = _roots(repository, ground, numbers)
    rest = ground.rows
    shares = _shares(ground)
    owner = np.full(len(rest), _NOBODY, dtype=np.int32)
    owner[rest] = _SEVERAL
    sums: list[int] = []
    for at, (label, trees) in enumerate(roots.items()):
        ground.rows = ground.none()
        progress.entity(label, max(tree.records for tree in trees), 0)
        walks = {counted: TreeWalk(ground, repository.boundary, progress) for counted in (False, True)}
        for tree in trees:
            extent = walks[tree.counted].tree(label, tree.root, tree.records, counted=tree.counted)
            if any(fault.is_loss for fault in extent.faults):
                unreadable.update(tree.versions)
        sums.append(_bytes(shares, ground.rows))
        owner[ground.rows & (owner != _NOBODY)] = _SEVERAL
        owner[ground.rows & (owner == _NOBODY)] = at
    entities = [
        EntitySize(label, sum(len(tree.versions) for tree in trees), sums[at], _bytes(shares, owner == at))
        for at, (label, trees) in enumerate(roots.items())
    ]
    return StoredSizes(
        tuple(sorted(entities, key=lambda one: (-one.stored_bytes, one.label))),
        _bytes(shares, rest),
        _bytes(shares, owner != _NOBODY),
        tuple(sorted(unreadable)),
    )


def _roots(
    repository: Repository, ground: _Counting, numbers: Iterable[int]
) -> tuple[dict[str, list[_Tree]], set[int]]:
    """Trees by entity; what is no tree is marked in the ground. And versions that cannot be read."""
    gathering = _Gathering(ground, repository)
    walk = VersionWalk(ground, repository.boundary, Silent())
    walk.trees = gathering
    unreadable: set[int] = set()
    for number in numbers:
        gathering.number = number
        try:
            if not walk.version(repository.document(number)).is_whole:
                unreadable.add(number)
        except NotFound:
            continue  # it was forgotten meanwhile
        except (CorruptData, Unsupported, Conflict):
            unreadable.add(number)
    return {label: list(trees.values()) for label, trees in gathering.found.items()}, unreadable


def _shares(ground: Ground) -> npt.NDArray[np.uint32]:
    """Stored bytes of each chunk, by its row."""
    return np.concatenate(
        [np.zeros(0, np.uint32), *(segment.rows.share for segment in ground.packs.index.segments)]
    )


def _bytes(shares: npt.NDArray[np.uint32], rows: npt.NDArray[np.bool_]) -> int:
    return int(shares[rows].sum(dtype=np.int64))
