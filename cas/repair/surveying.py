"""What is missing or damaged now: by a check, by what earlier ones have kept, and documents by their hash.

    check    structure at least, and kept as every check is       (crash: nothing, or what is kept)
    packs    of those that somebody has found damaged, each is read whole again
    hashes   of the documents of committed versions

Packs are looked at that live or are condemned; one that is being deleted is left to whoever deletes it, and
one that is written off holds nothing any more.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from blake3 import blake3

from cas.catalog.checking import CheckLevel, CheckState
from cas.catalog.interface import Catalog
from cas.catalog.paging import every_version
from cas.catalog.rules import COMMITTED
from cas.check import check_repository
from cas.check_packs import Bodies
from cas.closure.ground import Ground, Packs
from cas.damage import Ledger
from cas.engine.places import View
from cas.engine.repository import Repository
from cas.errors import Conflict, CorruptData, NotFound, Unsupported
from cas.format.document import VersionDocument
from cas.format.names import NOTES, number_of_key, pack_key, pack_of_key, version_key
from cas.format.notes import Note, NoteField
from cas.ids import PackName
from cas.noting import stored_notes
from cas.progress import Progress
from cas.repair.proving import proof_of, proof_of_sealed
from cas.store.interface import ObjectMissing

MISSING = "it is missing"
DAMAGED = "it is damaged"


@dataclass(slots=True)
class Survey:
    """`packs`: missing or damaged, and what is wrong. `documents`: the same, with the hash that proves each.
    `others`: keys of all else that can be brought. `versions`: that were damaged before the repair, or are
    touched by what is wrong; `lacking`: those of them that lack something."""

    packs: dict[PackName, str] = field(default_factory=dict)
    documents: dict[int, tuple[bytes, str]] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    versions: set[int] = field(default_factory=set)
    lacking: set[int] = field(default_factory=set)

    def wanted(self) -> dict[str, str]:
        """All objects by key, and what is wrong with each: what else rests upon comes first."""
        found = dict(self.others)
        found |= {pack_key(name): what for name, what in sorted(self.packs.items())}
        return found | {version_key(number): what for number, (_, what) in sorted(self.documents.items())}


def survey(repository: Repository, catalog: Catalog, level: CheckLevel, progress: Progress) -> Survey:
    """As `check_repository` raises. What is found is kept in the catalog."""
    report = check_repository(repository, catalog=catalog, level=level, progress=progress)
    found = Survey()
    committed = {version.number: version.document_hash for version in every_version(catalog, COMMITTED)}
    known = catalog.checking.versions(committed)
    found.lacking = set(report.lost_versions)
    found.versions = {number for number, check in known.items() if check.state is CheckState.DAMAGED}
    found.versions.update(*(finding.versions for finding in report.findings))
    found.versions.intersection_update(committed)
    keys = {finding.object for finding in report.findings}
    kept = {check.name for check in catalog.checking.packs() if check.damage}
    found.packs = damaged_packs(
        repository, catalog, kept | {name for key in keys if (name := pack_of_key(key))}, progress
    )
    for key in sorted(keys):
        can_be_proven = proof_of(repository, key) or proof_of_sealed(repository, key)
        if can_be_proven and pack_of_key(key) is None:
            found.others[key] = _state(repository, key)
    progress.phase("documents")
    _documents(repository, catalog, committed, found)
    return found


def damaged_packs(
    repository: Repository, catalog: Catalog, suspected: Iterable[PackName], progress: Progress
) -> dict[PackName, str]:
    """Those of these packs that are missing, or that do not give all that they should: each is read whole."""
    held = catalog.replicating.packs().keys() - catalog.checking.written_off()
    sizes = repository.packs()
    wanted = held & frozenset(suspected)
    found = dict.fromkeys(wanted - sizes.keys(), MISSING)
    there = sorted(wanted & sizes.keys())
    if not there:
        return found
    progress.phase("damaged packs")
    unreadable = repository.learn(set(sizes))
    ledger = Ledger()
    view = View(sizes.keys() - unreadable)
    ground = Ground(
        Packs.over(repository, repository.index, repository.trailers, view), ledger, repository.index
    )
    Bodies(repository, ground, sizes, progress).examine(there)
    noted = dict(ledger.objects())
    # A pack that others rest upon may turn out to be damaged on the way.
    found |= {name: what for key, what in noted.items() if (name := pack_of_key(key)) and name in held}
    return found


def _state(repository: Repository, key: str) -> str:
    try:
        repository.store.size(key)
    except ObjectMissing:
        return MISSING
    return DAMAGED


def _documents(
    repository: Repository, catalog: Catalog, committed: dict[int, bytes | None], found: Survey
) -> None:
    """Of committed versions, by the catalog's hash. Of others, where the child is there and says which parent
    it was built upon, and nobody has said that the parent goes."""
    parents: dict[int, bytes] = {}
    there = set(repository.numbers())
    for number in sorted(there | committed.keys()):
        document = _look(repository, number, committed.get(number), found)
        if document is not None and document.parent is not None and document.previous is not None:
            parents[document.parent] = document.previous
    strangers = {number: hashed for number, hashed in parents.items() if number not in committed}
    gone = _let_go(repository) if strangers else None
    if gone is None:
        return
    gone |= catalog.keeping.gone()
    for number, digest in strangers.items():
        if number not in gone and not _is_listed(catalog, number) and _is_other(repository, number, digest):
            what = DAMAGED if number in there else MISSING
            found.documents[number] = digest, f"{what}, and this catalog has no such version"


def _look(repository: Repository, number: int, digest: bytes | None, found: Survey) -> VersionDocument | None:
    try:
        document, hashed, _ = repository.stored_document(number)
    except NotFound:
        if digest is not None:
            found.documents[number] = digest, MISSING
        return None
    except (CorruptData, Unsupported, Conflict):
        if digest is not None:
            found.documents[number] = digest, DAMAGED
        return None
    if digest is not None and hashed != digest:
        found.documents[number] = digest, "it is another one than was committed"
        return None
    return document


def _is_listed(catalog: Catalog, number: int) -> bool:
    """Whether the catalog knows what became of the number: marked to be forgotten, or about to be made."""
    try:
        return catalog.version(number).document_hash is not None
    except NotFound:
        return False


def _is_other(repository: Repository, number: int, digest: bytes) -> bool:
    try:
        return blake3(repository.store.get(version_key(number))).digest() != digest
    except ObjectMissing:
        return True


def _let_go(repository: Repository) -> frozenset[int] | None:
    """Versions of which notes say that they go. None where some notes cannot be read: nothing comes back of
    which nobody knows whether it was let go."""
    gone: set[int] = set()
    numbers = [number_of_key(NOTES, info.key) or 0 for info in repository.store.objects(NOTES)]
    for number in range(1, max(numbers, default=0) + 1):
        try:
            notes = stored_notes(repository, number)
        except (CorruptData, Unsupported, Conflict, ObjectMissing):
            return None
        gone.update(
            note.version
            for note in notes.notes
            if isinstance(note, Note) and note.field is NoteField.FORGOTTEN
        )
    return frozenset(gone)
