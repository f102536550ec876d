"""What of all that documents need cannot be had from packs that are whole.

A damaged pack counts for nothing here, whatever its trailer says: what is sound in it is put together again
in new packs, with all else that is lost. So is what cannot be decoded since its base is lost.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cas.catalog.interface import Catalog
from cas.closure.bases import Bases
from cas.closure.ground import Faults, Ground, Packs
from cas.closure.versions import VersionWalk
from cas.damage import Fault, Ledger
from cas.engine.chunk_index import ChunkIndex
from cas.engine.decodable import Decodable
from cas.engine.places import Places, View
from cas.engine.repository import Repository
from cas.errors import CasError, Conflict, CorruptData, NotFound, Unsupported
from cas.format.document import VersionDocument
from cas.format.frame import Encoding
from cas.ids import ChunkId, ChunkKind, PackName
from cas.progress import Progress

Chunks = dict[ChunkId, ChunkKind]
"""What is lost: ids and kinds. Some hundred bytes of memory each."""


class SoundGround(Ground):
    """Remembers every chunk that was asked for in vain."""

    def __init__(self, packs: Packs, ledger: Ledger, known: ChunkIndex) -> None:
        super().__init__(packs, ledger, known)
        self.lost: Chunks = {}

    def locate(self, kind: ChunkKind, ids: Sequence[ChunkId]) -> tuple[Places, Faults]:
        places, faults = super().locate(kind, ids)
        self.lost.update((ids[at], kind) for at, fault in faults.items() if fault.is_loss)
        return places, faults

    def blame(self, kind: ChunkKind, chunk_id: ChunkId, error: CasError) -> Fault:
        self.lost[chunk_id] = kind
        return super().blame(kind, chunk_id, error)


def sound_ground(repository: Repository, sizes: Mapping[PackName, int]) -> SoundGround:
    """Over these packs, whose trailers can be read. What cannot be decoded from them alone is flagged."""
    packs = Packs.over(repository, repository.index, repository.trailers, View(sizes))
    ground = SoundGround(packs, Ledger(), repository.index)
    Bases(ground, sizes).examine()
    ground.lost.clear()
    return ground


def lost_bases(ground: Ground) -> tuple[Chunks, set[PackName]]:
    """What frames of these packs are decoded with and no pack gives, and the packs that need it."""
    packs = ground.packs
    lost: Chunks = {}
    needing: set[PackName] = set()
    for loss in Decodable(packs.index, packs.trailers, packs.view).losses:
        needing.add(loss.pack)
        if loss.base is not None:
            frames = packs.trailers.layout(loss.pack).trailer.frames
            lost[loss.base] = next(
                ChunkKind.DICTIONARY if frame.encoding is Encoding.ZSTD_DICTIONARY else frame.kind
                for frame in frames
                if loss.base in frame.bases
            )
    return lost, needing


@dataclass(frozen=True, slots=True)
class Lacking:
    """`chunks`: that these documents need and that cannot be had; `versions`: the documents that need one of
    them; `labels`: entities of which something is among them."""

    chunks: Chunks
    versions: frozenset[int]
    labels: frozenset[str]


def lacking(
    repository: Repository, ground: SoundGround, numbers: Iterable[int], progress: Progress
) -> Lacking:
    """By a walk of these documents, as far as what is there leads."""
    walk = VersionWalk(ground, repository.boundary, progress)
    wanting: set[int] = set()
    for document in documents(repository, numbers):
        if not walk.version(document).is_whole:
            wanting.add(document.number)
    labels = {label for finding in ground.ledger.findings() for label in finding.entities}
    return Lacking(dict(ground.lost), frozenset(wanting), frozenset(labels))


def documents(repository: Repository, numbers: Iterable[int]) -> Iterable[VersionDocument]:
    """Those that can be read."""
    for number in sorted(numbers):
        try:
            yield repository.document(number)
        except (NotFound, CorruptData, Unsupported, Conflict):
            continue


def usable(repository: Repository, catalog: Catalog, damaged: Iterable[PackName]) -> dict[PackName, int]:
    """Packs that count: listed, readable, and neither damaged, written off, nor being deleted."""
    left_out = {*damaged, *catalog.checking.written_off(), *catalog.collecting.doomed()}
    sizes = {name: size for name, size in repository.packs().items() if name not in left_out}
    unreadable = repository.learn(set(sizes))
    return {name: size for name, size in sizes.items() if name not in unreadable}
