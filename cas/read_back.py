"""Reading back what a version added, right after its commit: from the store, whole, and proven.

    document      it is the one that was committed
    packs         each is what its name says; every frame is decoded, every chunk's id recomputed
    dictionaries  second copies of those that lie in these packs

What the version shares with others was there before, and is not looked at. Whoever dies here has a version
that was not read back, and it is said so.
"""

from dataclasses import dataclass

from cas.catalog.checking import CheckLevel, VersionFound
from cas.catalog.interface import Catalog
from cas.check_keeping import Keeper
from cas.check_packs import Bodies
from cas.closure.ground import COPY_HINT, Ground, Packs
from cas.damage import DamageKind, Fault, Finding, Ledger
from cas.engine.places import View
from cas.engine.repository import Repository
from cas.errors import Conflict, CorruptData, NotFound, Unsupported
from cas.format.document import VersionDocument
from cas.format.names import DICTIONARIES, dictionary_key, version_key
from cas.ids import ChunkId, ChunkKind, PackName
from cas.progress import Progress, Silent
from cas.store.interface import ObjectMissing


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What was read of one version, and what is wrong with it. `pack_bytes`: stored bytes."""

    version: int
    packs: int
    pack_bytes: int
    chunks: int
    dictionaries: int
    findings: tuple[Finding, ...]

    @property
    def is_good(self) -> bool:
        return not self.findings


def read_back(
    repository: Repository, catalog: Catalog, number: int, progress: Progress | None = None
) -> ReadBack:
    """Read back what a committed version added; what is found is kept in the catalog. NotFound for a version
    that the catalog does not have; StoreFault where the store does not answer. The caller keeps the version
    from being forgotten meanwhile."""
    watcher = progress or Silent()
    watcher.phase("read back")
    ledger = Ledger()
    keeper = Keeper(catalog, ledger, must=True)
    document = _document(repository, catalog, number, ledger)
    sizes = {pack.name: pack.stored_bytes for pack in document.packs} if document else {}
    live = set(catalog.live_packs())
    ground = Ground(_packs(repository, live), ledger, repository.index)
    bodies = Bodies(repository, ground, sizes, watcher)
    bodies.examine(sorted(sizes))
    dictionaries = _dictionaries(repository, ground, document, frozenset(sizes)) if document else 0
    for key, _ in ledger.objects():
        finding = ledger.of_object(key)
        assert finding is not None, "it was noted"
        ledger.touch(Fault(finding, is_loss=not key.startswith(DICTIONARIES)), number)
    keeper.packs(sorted(sizes), CheckLevel.BYTES)
    keeper.met()
    findings, damage = ledger.findings(), ledger.losses().get(number, "")
    if damage or not findings:
        keeper.keep_versions([VersionFound(number, CheckLevel.BYTES, damage, is_read_back=True)])
    return ReadBack(number, len(sizes), bodies.bytes, bodies.chunks, dictionaries, findings)


def _packs(repository: Repository, live: set[PackName]) -> Packs:
    """What is live, by trailers as the local cache has them: bases of what was added lie there."""
    unreadable = repository.learn(live)
    return Packs.over(repository, repository.index, repository.trailers, View(live - unreadable))


def _document(
    repository: Repository, catalog: Catalog, number: int, ledger: Ledger
) -> VersionDocument | None:
    key, wanted = version_key(number), catalog.version(number).document_hash
    try:
        document, digest, _ = repository.stored_document(number)
    except NotFound:
        ledger.note(key, DamageKind.MISSING, "the document of the version is missing", COPY_HINT)
    except Conflict as error:
        ledger.note(key, DamageKind.MALFORMED, error.what, COPY_HINT)
    except (CorruptData, Unsupported) as error:
        ledger.note_error(key, error, COPY_HINT)
    else:
        if digest == wanted:
            return document
        ledger.note(key, DamageKind.HASH_MISMATCH, "it is not the document that was committed", COPY_HINT)
    return None


def _dictionaries(
    repository: Repository, ground: Ground, document: VersionDocument, added: frozenset[PackName]
) -> int:
    """Second copies of the version's dictionaries that lie in what it added. The list of entities names
    them: where that is damaged, the finding is there already."""
    try:
        entries = repository.entities(document, ground.packs.reader)
    except (CorruptData, Unsupported) as error:
        ground.ledger.note_error(version_key(document.number), error)
        return 0
    wanted = sorted({entry.dictionary for entry in entries if entry.dictionary is not None})
    places = ground.packs.index.locate(wanted, ground.packs.view)
    own = [
        dictionary
        for dictionary, pack in zip(wanted, places.pack.tolist(), strict=True)
        if pack >= 0 and places.packs[pack] in added
    ]
    for dictionary in own:
        _copy(repository, ground.ledger, dictionary)
    return len(own)


def _copy(repository: Repository, ledger: Ledger, dictionary: ChunkId) -> None:
    key = dictionary_key(dictionary)
    try:
        plain = repository.store.get(key)
    except ObjectMissing:
        ledger.note(key, DamageKind.MISSING, "the second copy of a dictionary is missing", COPY_HINT)
        return
    except CorruptData as error:
        ledger.note_error(key, error, COPY_HINT)
        return
    if repository.config.id_key.hasher(ChunkKind.DICTIONARY)(plain) != dictionary:
        ledger.note(key, DamageKind.HASH_MISMATCH, "the second copy of a dictionary is damaged", COPY_HINT)
