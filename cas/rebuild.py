"""Filling a catalog from the bucket alone: documents in, versions out, nothing lost and nothing guessed.

Each document that the catalog does not have as a version is walked down to the place of its last
record. Where everything is there, the version is adopted with all that the document says; where not,
it is quarantined: listed as failed with its reason, never deleted, and adopted by a later rebuild once
what is missing was brought back. Packs become live where a walked version needs them; others are left
to gc, and so is everything of a session that was at work meanwhile: adopting ends it. Packs that somebody
may be deleting, by journals that the catalog does not know, never become live: what is needed of them is
copied first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cas.catalog import rules
from cas.catalog.interface import Catalog
from cas.catalog.model import (
    AdoptedVersion,
    NewPack,
    NewVersion,
    QuarantinedVersion,
    Trigger,
    VersionKind,
    VersionResult,
    VersionState,
)
from cas.catalog.paging import every_version
from cas.closure.bases import Bases, with_bases
from cas.closure.ground import Ground
from cas.closure.listing import Listing, list_store, listed_ground
from cas.closure.versions import Reached, VersionWalk
from cas.contents import summary_of
from cas.damage import DamageKind, Finding, Ledger
from cas.engine.repository import Repository
from cas.errors import Conflict, CorruptData, NotFound, Unsupported
from cas.format.document import VersionDocument
from cas.format.names import version_key
from cas.garbage.copying_out import copy_out, journaled
from cas.ids import ChunkKind, PackName
from cas.noting import catch_up
from cas.progress import Progress, Silent

ADOPTED_AT_ONCE = 500
"""Versions in one transaction of the catalog: bounded memory however many there are. A rebuild that is
interrupted goes on where it was; until it is done, writers are refused by the versions not yet known."""

LOOKS = 5
"""How often the store is looked at anew, since another catalog has collected garbage meanwhile."""

_DATA_KINDS = frozenset((ChunkKind.RECORD, ChunkKind.PIECE))


@dataclass(frozen=True, slots=True)
class QuarantinedDocument:
    """A document that was not taken in, and what is wrong with it or with what it needs."""

    number: int
    object: str
    kind: DamageKind
    what: str
    hint: str


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What became of the documents in the store, by number, ascending.

    adopted: now versions of the catalog. known: were already. packs: made live or found live.
    journal: the highest gc journal in the store, 0 without one. next_is_above: no version will get a
    number up to this one. wants_confirmation: nothing is let go until a person has looked.
    """

    adopted: tuple[int, ...]
    known: tuple[int, ...]
    quarantined: tuple[QuarantinedDocument, ...]
    packs: int
    journal: int
    next_is_above: int
    wants_confirmation: bool


def rebuild_catalog(
    repository: Repository, catalog: Catalog, progress: Progress | None = None
) -> RebuildReport:
    """Claim an unclaimed catalog for the repository and take in every document of its store. Conflict
    where the catalog is another repository's; StoreFault where the store does not answer."""
    watcher = progress or Silent()
    catalog.attach(repository.id, repository.store.url, create=True)
    adopted: set[int] = set()
    for _ in range(LOOKS):
        report = _look(repository, catalog, watcher)
        adopted.update(report.adopted)
        if not report.quarantined or repository.journal() == report.journal:
            break
        # Packs that were listed went meanwhile, and what was needed of them lies in others.
    known = (number for number in report.known if number not in adopted)
    return replace(report, adopted=tuple(sorted(adopted)), known=tuple(known))


def _look(repository: Repository, catalog: Catalog, watcher: Progress) -> RebuildReport:
    """Take in what one listing tells."""
    watcher.phase("list")
    # Before the listing: what is doomed, or announced by a later journal, may be in it and go meanwhile.
    journal, doomed = catalog.journal(), catalog.collecting.doomed()
    listing = list_store(repository)
    return _Rebuild(repository, catalog, listing, journal, doomed, watcher).run()


class _Rebuild:
    """One run."""

    def __init__(
        self,
        repository: Repository,
        catalog: Catalog,
        listing: Listing,
        journal: int,
        doomed: Sequence[PackName],
        progress: Progress,
    ) -> None:
        self._repository = repository
        self._catalog = catalog
        self._listing = listing
        self._journal = journal
        self._doomed = doomed
        self._progress = progress
        self._ledger = Ledger()
        self._live: set[PackName] = set()
        self._adopted: list[int] = []
        self._quarantined: list[QuarantinedDocument] = []
        self._versions: list[AdoptedVersion] = []
        self._doubtful: list[QuarantinedVersion] = []
        self._journaled: list[PackName] = []

    def run(self) -> RebuildReport:
        committed = self._committed()
        wanted = [number for number in self._listing.numbers if number not in committed]
        self._leave_what_may_go(wanted)
        if wanted:
            self._progress.phase("packs")
            ground = listed_ground(self._repository, self._listing, self._ledger)
            Bases(ground, self._listing.packs).examine()
            self._progress.phase("trees")
            self._take_in(wanted, ground)
        elif self._listing.journal > self._catalog.journal():
            self._catalog.adopt((), journal=self._listing.journal, journaled=self._journaled)
        catch_up(self._repository, self._catalog)
        return RebuildReport(
            adopted=tuple(self._adopted),
            known=tuple(number for number in self._listing.numbers if number in committed),
            quarantined=tuple(self._quarantined),
            packs=len(self._catalog.live_packs()),
            journal=self._listing.journal,
            next_is_above=max(self._catalog.known_numbers(), default=0),
            wants_confirmation=self._catalog.cleaning.rebuilt_at() is not None,
        )

    def _leave_what_may_go(self, wanted: Sequence[int]) -> None:
        """Packs of journals that the catalog does not know are taken for gone, when what is needed of them is
        in others."""
        self._journaled = sorted(journaled(self._repository, self._journal).union(self._doomed))
        if not self._journaled:
            return
        self._progress.phase("copy out")
        copy_out(self._repository, wanted, self._listing.packs, self._journaled, self._progress)
        packs = self._repository.packs()
        for name in self._journaled:
            packs.pop(name, None)
        self._listing = replace(self._listing, packs=packs)

    def _committed(self) -> frozenset[int]:
        """Numbers of the versions that the catalog has and that count."""
        return frozenset(version.number for version in every_version(self._catalog, rules.SETTLED))

    def _take_in(self, wanted: Sequence[int], ground: Ground) -> None:
        walk = VersionWalk(ground, self._repository.boundary, self._progress)
        for document, size, digest in self._documents(wanted):
            reached = walk.version(document)
            wrong = next((fault for fault in sorted(reached.faults) if fault.is_loss), None)
            if wrong is not None or reached.entries is None:
                assert wrong is not None, "a list of entities that cannot be had is a loss"
                self._quarantine(document.number, self._ledger.finding(wrong.finding), document)
            else:
                self._accept(document, size, digest, reached, ground)
            if len(self._versions) + len(self._doubtful) >= ADOPTED_AT_ONCE:
                self._adopt(ground)
        self._adopt(ground)

    def _documents(self, wanted: Sequence[int]) -> Iterator[tuple[VersionDocument, int, bytes]]:
        """Document, its stored bytes and their BLAKE3-256; damaged ones are quarantined on the way."""
        for number in wanted:
            try:
                document, digest, size = self._repository.stored_document(number)
            except NotFound:
                continue
            except (CorruptData, Unsupported) as error:
                found = self._ledger.note_error(version_key(number), error)
                self._quarantine(number, self._ledger.finding(found))
            except Conflict as error:
                found = self._ledger.note(version_key(number), DamageKind.MALFORMED, error.what)
                self._quarantine(number, self._ledger.finding(found))
            else:
                yield document, size, digest

    def _accept(
        self, document: VersionDocument, size: int, digest: bytes, reached: Reached, ground: Ground
    ) -> None:
        version = replace(
            _adopted(document, size, digest, reached, self._copies(document, ground)),
            packs=tuple(
                NewPack(pack.name, pack.stored_bytes, pack.chunks, pack.holds_nodes)
                for pack in document.packs
                if pack.name in ground.packs.view.packs
            ),
        )
        try:
            rules.check_adopted(version)
        except CorruptData as error:
            found = self._ledger.note_error(version_key(document.number), error)
            self._quarantine(document.number, self._ledger.finding(found))
            return
        self._live.update(pack.name for pack in version.packs)
        self._versions.append(version)

    def _copies(self, document: VersionDocument, ground: Ground) -> int:
        """Second copies of dictionaries that were put with the document's packs."""
        return sum(
            frame.chunks
            for pack in document.packs
            if pack.holds_nodes and pack.name in ground.packs.view.packs
            for frame in ground.packs.trailers.layout(pack.name).trailer.frames
            if frame.kind is ChunkKind.DICTIONARY
        )

    def _quarantine(self, number: int, finding: Finding, document: VersionDocument | None = None) -> None:
        self._quarantined.append(
            QuarantinedDocument(number, finding.object, finding.kind, finding.what, finding.hint)
        )
        begin = NewVersion(Trigger.SYSTEM, VersionKind.FULL)
        created_at = self._catalog.now()
        if document is not None:
            begin, created_at = _begun(document), datetime.fromisoformat(document.created_at)
        text = f"its document was not taken in: {finding.what} ({finding.object})"
        doubtful = QuarantinedVersion(number, created_at, begin, CorruptData.code, text)
        try:
            rules.check_quarantined(doubtful)
        except CorruptData:
            least = NewVersion(Trigger.SYSTEM, VersionKind.FULL)
            doubtful = QuarantinedVersion(number, created_at, least, CorruptData.code, text)
        self._doubtful.append(doubtful)

    def _adopt(self, ground: Ground) -> None:
        """Hand over what was gathered, with the packs of earlier, forgotten versions that it needs."""
        if not (self._versions or self._doubtful):
            return
        needed = with_bases(ground, ground.needed_packs() - self._live) - self._live
        if self._versions and needed:
            last = self._versions[-1]
            others = tuple(self._pack(name, ground) for name in sorted(needed))
            self._versions[-1] = replace(last, packs=(*last.packs, *others))
            self._live |= needed
        self._catalog.adopt(
            self._versions,
            journal=self._listing.journal,
            quarantined=self._doubtful,
            journaled=self._journaled,
        )
        self._adopted += [version.number for version in self._versions]
        self._versions, self._doubtful = [], []

    def _pack(self, name: PackName, ground: Ground) -> NewPack:
        trailer = ground.packs.trailers.layout(name).trailer
        holds_nodes = any(frame.kind not in _DATA_KINDS for frame in trailer.frames)
        return NewPack(name, self._listing.packs[name], trailer.chunks, holds_nodes)


def _begun(document: VersionDocument) -> NewVersion:
    """What the document knows of the beginning."""
    source = document.source
    return NewVersion(
        trigger=Trigger(document.trigger),
        kind=VersionKind(document.kind),
        reason=document.reason,
        name=document.name,
        description=document.description,
        tags=document.tags,
        metadata=document.metadata,
        created_by=document.created_by,
        protected=document.protected,
        source_url=source.url,
        source_database=source.database,
        source_server_version=source.server_version,
        source_system_identifier=source.system_identifier,
        included=document.included,
        excluded=document.excluded,
        included_schemas=document.included_schemas,
        parent=document.parent,
    )


def _adopted(
    document: VersionDocument, size: int, digest: bytes, reached: Reached, copies: int
) -> AdoptedVersion:
    """The version as its session would have committed it. How often it had to start again is not in
    the document; the stored bytes of the whole are those of the chunks that it needs now."""
    assert reached.entries is not None
    entities = tuple(
        summary_of(entry, read) for entry, read in zip(reached.entries, document.read, strict=True)
    )
    created_at = datetime.fromisoformat(document.created_at)
    finished_at = datetime.fromisoformat(document.finished_at)
    return AdoptedVersion(
        number=document.number,
        created_at=created_at,
        begin=_begun(document),
        result=VersionResult(
            state=VersionState(document.state),
            entities=entities,
            omissions=document.omissions,
            records=document.records,
            original_bytes=document.original_bytes,
            added_bytes=document.added_bytes + size,
            stored_bytes=reached.stored_bytes + size,
            objects_written=len(document.packs) + copies + 1,
            checksum=document.checksum,
            document_hash=digest,
        ),
        duration_seconds=max(0.0, (finished_at - created_at).total_seconds()),
        packs=(),
    )
