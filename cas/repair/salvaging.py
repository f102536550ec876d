"""Packs that nobody has whole are replaced: all that is needed and can be had anywhere goes into new packs.

    walk       what documents need and sound packs do not give             (crash: nothing)
    find       in what is left of damaged packs, with holders, on the platform
    upload     register, put, read back, for each new pack                 (crash: uploads that gc takes)
    ... again, since a node that came back names what else is lost
    keep       catalog: the old ones are damaged                           (crash: known, and no harm)
    replace    catalog, one transaction: the new ones live, the old ones   (crash: done; gc deletes the old
               are condemned                                               ones when nobody knows them now)

All of it under the collector's lease: nobody collects or repairs meanwhile, and who lost the lease changes
nothing. What nobody has is then in no pack that counts: the next version stores it anew where the platform
has it, and a collection stops as long as a version lacks something.

Chunks come whole, at the top of all depths, so whatever was decoded with their help still is.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from cas.catalog.checking import CheckLevel, PackFound
from cas.catalog.interface import Catalog
from cas.catalog.model import NewPack
from cas.engine.packer import ClosedPack, Packer
from cas.engine.packing import packing
from cas.engine.putting import put_once
from cas.engine.repository import Repository
from cas.format.malformed import mismatch
from cas.format.names import pack_key
from cas.ids import ChunkId, ChunkKind, PackName
from cas.progress import Progress
from cas.repair.lacking import Chunks, Lacking, SoundGround, lacking, lost_bases, sound_ground, usable
from cas.repair.sources import ChunkSource

BASE_IS_LOST = "what it is decoded with is lost"

_TELLS_NO_LABEL = frozenset((ChunkKind.DEFINITION, ChunkKind.ENTITIES))


@dataclass(frozen=True, slots=True)
class Salvaged:
    """`lacking`: what is lost after all. `chunks`: put together again, by source."""

    lacking: Lacking
    chunks: Mapping[str, int]
    fresh: tuple[PackName, ...]
    replaced: tuple[PackName, ...]
    touched: frozenset[int]
    """Documents that lacked something at the beginning."""


def salvage(
    repository: Repository,
    catalog: Catalog,
    collector: UUID,
    damaged: Mapping[PackName, str],
    sources: Sequence[ChunkSource],
    progress: Progress,
) -> Salvaged:
    """As the stores and the platform raise; Fenced where the lease is lost. Then nothing was replaced."""
    fresh: list[PackName] = []

    def deliver(pack: ClosedPack) -> None:
        new = NewPack(pack.name, len(pack.stored), pack.trailer.chunks, pack.holds_nodes)
        catalog.collecting.upload(collector, new)
        key = pack_key(pack.name)
        put_once(repository.store, key, pack.stored)
        if repository.store.get(key) != pack.stored:
            raise mismatch("a pack is not what was put", key)
        repository.index.add(pack.name, pack.trailer)
        fresh.append(pack.name)
        progress.stored(len(pack.stored))

    with packing(repository, deliver) as packer:
        run = _Salvage(repository, catalog, dict(damaged), sources, packer, progress)
        left = run.run()
    progress.phase("replace")
    found = [PackFound(name, CheckLevel.BYTES, what) for name, what in sorted(run.damaged.items())]
    catalog.checking.keep_packs(catalog.now(), found)
    catalog.collecting.replace(collector, fresh, sorted(run.damaged))
    return Salvaged(left, run.chunks, tuple(sorted(fresh)), tuple(sorted(run.damaged)), run.touched)


class _Salvage:
    """One run."""

    def __init__(
        self,
        repository: Repository,
        catalog: Catalog,
        damaged: dict[PackName, str],
        sources: Sequence[ChunkSource],
        packer: Packer,
        progress: Progress,
    ) -> None:
        self._repository = repository
        self._catalog = catalog
        self.damaged = damaged
        self._sources = sources
        self._packer = packer
        self._progress = progress
        self._tried: set[ChunkId] = set()
        self.chunks: Counter[str] = Counter()
        self.touched: frozenset[int] = frozenset()

    def run(self) -> Lacking:
        numbers: Collection[int] = self._repository.numbers()
        ground = self._decodable()
        self._progress.phase("trees")
        found = lacking(self._repository, ground, numbers, self._progress)
        self.touched = found.versions
        while self._find(found.chunks, found.labels):
            self._progress.phase("trees")
            found = lacking(self._repository, self._ground(), found.versions, self._progress)
        return found

    def _ground(self) -> SoundGround:
        return sound_ground(self._repository, usable(self._repository, self._catalog, self.damaged))

    def _decodable(self) -> SoundGround:
        """Sound packs, all of which can be decoded from them alone. Where a base is lost for good, a pack
        that needs it counts as damaged, too."""
        while True:
            ground = self._ground()
            bases, needing = lost_bases(ground)
            if not needing:
                return ground
            if not self._find(bases, frozenset()):
                self.damaged.update(dict.fromkeys(needing, BASE_IS_LOST))

    def _find(self, lost: Chunks, labels: frozenset[str]) -> bool:
        """Whether any of what was not looked for before was found; it is durable then."""
        left = {chunk_id: kind for chunk_id, kind in lost.items() if chunk_id not in self._tried}
        self._tried.update(left)
        if _TELLS_NO_LABEL.intersection(left.values()):
            labels = frozenset()
        before = self.chunks.total()
        for source in self._sources:
            if left:
                self._take(source, left, labels)
        if self.chunks.total() == before:
            return False
        self._packer.flush()
        return True

    def _take(self, source: ChunkSource, left: Chunks, labels: frozenset[str]) -> None:
        """What a source has is packed, and no longer looked for."""
        for kind, chunk_id, plain in source.find(dict(left), labels):
            del left[chunk_id]
            self._packer.put(kind, [chunk_id], [plain])
            self.chunks[source.name] += 1
