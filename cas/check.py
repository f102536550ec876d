"""Proving that a repository holds what its versions say, at three depths, and saying what it does not.

structure   config, documents, lists of entities, definitions, schemas and every tree node are read and
            proven; every record, large value and piece is located in a pack of the listing; counts and
            checksums are recomputed. Trailers come from the local cache where it has them.
packs       also the trailer of every pack is fetched from the store and fits its size.
bytes       also every pack is read whole: it is what its name says, every frame is decoded, every
            chunk's id recomputed and compared in full with what the versions name; so are the second
            copies of dictionaries.

Nothing is changed in the store. What it refuses or fails to answer (StoreFault) is no damage and ends
the check.
"""

import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from blake3 import blake3

from cas.check_packs import Bodies, ProvenGround, packs_of_store
from cas.closure.bases import Bases, with_bases
from cas.closure.ground import COPY_HINT, Ground
from cas.closure.listing import Listing, list_store, listed_ground, note_lost, suspicious
from cas.closure.versions import VersionWalk
from cas.damage import DamageKind, Fault, Finding, Ledger
from cas.engine.repository import Repository
from cas.errors import Conflict, CorruptData, NotFound, Unsupported
from cas.format.config import parse_config
from cas.format.document import VersionDocument
from cas.format.names import (
    CONFIG,
    dictionary_key,
    notes_key,
    pack_key,
    version_key,
)
from cas.ids import ChunkKind, PackName
from cas.noting import stored_notes
from cas.progress import Progress, Silent
from cas.store.interface import ObjectMissing
from cas.temporary import temporary_faults

NOTES_HINT = "Until they are brought back from a copy of the store, nothing can be forgotten"

DICTIONARY_HINT = "The one in its pack serves; bring this copy back before both are lost"


class CheckLevel(StrEnum):
    """How deep a check goes; each includes the ones before."""

    STRUCTURE = "structure"
    PACKS = "packs"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class Orphans:
    """What lies in the store and no version needs: no damage, it costs room until gc takes it.

    `packs` with `pack_bytes`: needed by no version, and in no document's list. `dictionaries`: second
    copies of dictionaries that no frame needs. `strangers`: keys that are none of this format.
    """

    packs: int
    pack_bytes: int
    dictionaries: int
    strangers: int


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was looked at, and what is wrong. `nodes`, `records` and `chunks` count what several versions
    share once. `pack_bytes`: stored bytes of packs that were read whole. `orphans`: only where all
    versions were checked."""

    level: CheckLevel
    versions: tuple[int, ...]
    entities: int
    nodes: int
    records: int
    packs: int
    pack_bytes: int
    chunks: int
    orphans: Orphans | None
    findings: tuple[Finding, ...]
    findings_left_off: int

    @property
    def is_clean(self) -> bool:
        """Nothing is wrong with anything that was looked at."""
        return not self.findings

    @property
    def lost_versions(self) -> tuple[int, ...]:
        """Versions that cannot be brought back in full, ascending."""
        return tuple(sorted({number for finding in self.findings for number in finding.lost_versions}))


def check_repository(
    repository: Repository,
    *,
    version: int | None = None,
    level: CheckLevel = CheckLevel.STRUCTURE,
    progress: Progress | None = None,
    expected: Collection[int] = (),
    noted: int = 0,
    rewritten: bool = False,
) -> CheckReport:
    """Check one version and all that it needs, or all versions and all packs. NotFound for a version
    that the store does not have; StoreFault where the store does not answer.

    expected: numbers that the catalog lists as complete or incomplete. The store alone cannot tell a
    document that was lost from one that was forgotten; with these, a lost one is found. noted: number of the
    last notes that the catalog has taken in; all up to it must be there. rewritten: garbage was collected,
    though no journal in this store says so: a replica has none.
    """
    with ExitStack() as stack:
        watcher = progress or Silent()
        return _Check(repository, version, level, watcher, expected, noted, rewritten, stack).run()


class _Check:
    """One run."""

    def __init__(
        self,
        repository: Repository,
        version: int | None,
        level: CheckLevel,
        progress: Progress,
        expected: Collection[int],
        noted: int,
        rewritten: bool,
        stack: ExitStack,
    ) -> None:
        self._repository = repository
        self._version = version
        self._level = level
        self._progress = progress
        self._expected = frozenset(expected)
        self._noted = noted
        self._rewritten = rewritten
        self._stack = stack
        self._ledger = Ledger()
        self._added: set[PackName] = set()
        self._last_digest: tuple[int, bytes | None] = (0, None)
        self._pack_bytes = self._chunks = self._packs = 0

    def run(self) -> CheckReport:
        self._progress.phase("list")
        self._check_config()
        listing = self._list()
        if self._version is None:
            self._check_notes(listing)
        bases, ground = self._ground(listing)
        copies = self._check_dictionaries(listing, bases)
        self._progress.phase("trees")
        walk = VersionWalk(ground, self._repository.boundary, self._progress)
        numbers = []
        for document in self._documents(listing):
            numbers.append(document.number)
            self._check_packs_of(document, listing, ground)
            walk.version(document)
        orphans = self._orphans(listing, ground, copies) if self._version is None else None
        return CheckReport(
            level=self._level,
            versions=tuple(numbers),
            entities=walk.entities,
            nodes=walk.trees.nodes,
            records=walk.trees.entries,
            packs=self._packs,
            pack_bytes=self._pack_bytes,
            chunks=self._chunks,
            orphans=orphans,
            findings=self._ledger.findings(),
            findings_left_off=self._ledger.left_off,
        )

    def _check_config(self) -> None:
        """Read the config again: the open repository only proves that it was good."""
        try:
            if parse_config(self._repository.store.get(CONFIG)) == self._repository.config:
                return
            found = self._ledger.note(CONFIG, DamageKind.MALFORMED, "the config was exchanged", COPY_HINT)
        except ObjectMissing:
            found = self._ledger.note(CONFIG, DamageKind.MISSING, "the config is missing", COPY_HINT)
        except (CorruptData, Unsupported) as error:
            found = self._ledger.note_error(CONFIG, error, COPY_HINT)
        self._ledger.lose(found)

    def _check_notes(self, listing: Listing) -> None:
        """What people said, from the first word to the last, without a gap: it tells what must not go."""
        for expected, number in enumerate((*listing.notes, None), 1):
            key = notes_key(expected)
            if number != expected:
                if number is not None or expected <= self._noted:
                    found = self._ledger.note(key, DamageKind.MISSING, "notes are missing", NOTES_HINT)
                    self._ledger.lose(found)
                return
            try:
                stored_notes(self._repository, number)
            except ObjectMissing:
                found = self._ledger.note(key, DamageKind.MISSING, "notes are missing", NOTES_HINT)
            except Conflict as error:
                found = self._ledger.note(key, DamageKind.MALFORMED, error.what, NOTES_HINT)
            except (CorruptData, Unsupported) as error:
                found = self._ledger.note_error(key, error, NOTES_HINT)
            else:
                continue
            self._ledger.lose(found)

    def _list(self) -> Listing:
        listing = list_store(self._repository)
        if self._rewritten:
            listing = replace(listing, journal=max(listing.journal, 1))
        numbers = sorted({*listing.numbers, *self._expected}) if self._version is None else (self._version,)
        return replace(listing, numbers=numbers)

    def _ground(self, listing: Listing) -> tuple[Bases, Ground]:
        """Everything that can be said of packs, and the ground on which versions are walked."""
        if self._level is CheckLevel.STRUCTURE:
            ground = listed_ground(self._repository, listing, self._ledger)
            bases = Bases(ground, listing.packs, None if self._version is None else self._scope(listing))
            bases.examine()
            return bases, ground
        scope = set(listing.packs) if self._version is None else self._scope(listing)
        self._packs = len(scope)
        with temporary_faults():
            directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="cas-check-")))
        self._progress.phase("packs")
        packs = packs_of_store(
            self._repository, listing.packs, scope, directory, self._ledger, self._progress
        )
        proven = ProvenGround(packs, self._ledger, self._repository.index, directory)
        suspicious(self._repository, proven, listing)
        bases = Bases(proven, listing.packs, scope)
        bases.examine()
        if self._level is CheckLevel.BYTES:
            self._progress.phase("bytes")
            bodies = Bodies(self._repository, proven, listing.packs, self._progress)
            bodies.examine(sorted(scope))
            self._pack_bytes, self._chunks = bodies.bytes, bodies.chunks
        return bases, proven

    def _scope(self, listing: Listing) -> set[PackName]:
        """The packs that the one version needs, as far as they can be told without reading them: those
        that nobody can tell anything of are among them."""
        ledger = Ledger()
        ground = listed_ground(self._repository, listing, ledger)
        walk = VersionWalk(ground, self._repository.boundary, Silent())
        needed: set[PackName] = set()
        for document in self._documents(listing, Ledger()):
            walk.version(document)
            needed.update(pack.name for pack in document.packs if pack.name in listing.packs)
        readable = (needed | ground.needed_packs()) & ground.packs.view.packs
        unreadable = listing.packs.keys() - ground.packs.view.packs
        return needed | with_bases(ground, readable) | unreadable

    def _documents(self, listing: Listing, ledger: Ledger | None = None) -> Iterator[VersionDocument]:
        """The documents, ascending; a damaged one is noted, one that was forgotten meanwhile is not."""
        ledger = ledger or self._ledger
        for number in listing.numbers:
            try:
                document, digest, _ = self._repository.stored_document(number)
            except NotFound:
                if self._version is not None:
                    raise
                if number in self._expected:
                    what = "the document of a version is missing"
                    found = ledger.note(version_key(number), DamageKind.MISSING, what, COPY_HINT)
                    ledger.touch(Fault(found, is_loss=True), number)
                continue
            except (CorruptData, Unsupported) as error:
                found = ledger.note_error(version_key(number), error, COPY_HINT)
                ledger.touch(Fault(found, is_loss=True), number)
                continue
            except Conflict as error:
                found = ledger.note(version_key(number), DamageKind.MALFORMED, error.what, COPY_HINT)
                ledger.touch(Fault(found, is_loss=True), number)
                continue
            self._check_chain(document, ledger)
            self._last_digest = number, digest
            yield document

    def _check_chain(self, document: VersionDocument, ledger: Ledger) -> None:
        """Whether the parent's document is still the one on which this version was built. One that is
        gone was perhaps forgotten."""
        if document.parent is None or document.previous is None:
            return
        if self._digest(document.parent) not in (None, document.previous):
            what = f"it is not the document on which version {document.number} was built"
            found = ledger.note(version_key(document.parent), DamageKind.HASH_MISMATCH, what, COPY_HINT)
            ledger.touch(Fault(found, is_loss=False), document.number)
            ledger.touch(Fault(found, is_loss=False), document.parent)

    def _digest(self, number: int) -> bytes | None:
        if self._last_digest[0] != number:
            try:
                digest = blake3(self._repository.store.get(version_key(number))).digest()
            except (ObjectMissing, CorruptData):
                digest = None
            self._last_digest = number, digest
        return self._last_digest[1]

    def _check_packs_of(self, document: VersionDocument, listing: Listing, ground: Ground) -> None:
        """The packs that a version added: there, and as large as it says. Once gc has rewritten packs
        (there are journals then), one that is gone is no damage by itself."""
        for pack in document.packs:
            self._added.add(pack.name)
            key = pack_key(pack.name)
            size = listing.packs.get(pack.name)
            found = self._ledger.of_object(key)
            if size is None and not listing.journal:
                found = note_lost(self._ledger, pack.name)
            elif size is not None and size != pack.stored_bytes:
                kind = DamageKind.TRUNCATED if size < pack.stored_bytes else DamageKind.MALFORMED
                found = self._ledger.note(key, kind, f"{size} bytes of {pack.stored_bytes}", COPY_HINT)
            elif pack.name in ground.packs.view.packs and self._level is not CheckLevel.STRUCTURE:
                frames = ground.packs.trailers.layout(pack.name).trailer.frames
                holds_nodes = any(frame.kind not in _DATA_KINDS for frame in frames)
                if (sum(frame.chunks for frame in frames), holds_nodes) != (pack.chunks, pack.holds_nodes):
                    what = f"the document of version {document.number} says something else of it"
                    found = self._ledger.note(key, DamageKind.MALFORMED, what)
            if found is not None:
                self._ledger.touch(Fault(found, is_loss=False), document.number)

    def _check_dictionaries(self, listing: Listing, bases: Bases) -> int:
        """Second copies: there for every dictionary in use, and equal to it. Returns those of no use."""
        chunk_id = self._repository.config.id_key.hasher(ChunkKind.DICTIONARY)
        for dictionary in sorted(bases.dictionaries - listing.dictionaries):
            what = "the second copy of a dictionary is missing"
            self._ledger.note(dictionary_key(dictionary), DamageKind.MISSING, what, DICTIONARY_HINT)
        if self._level is CheckLevel.BYTES:
            wanted = listing.dictionaries if self._version is None else bases.dictionaries
            for dictionary in sorted(listing.dictionaries & wanted):
                try:
                    plain = self._repository.store.get(dictionary_key(dictionary))
                except (ObjectMissing, CorruptData):
                    plain = b""
                if chunk_id(plain) != dictionary:
                    what = "the second copy of a dictionary is damaged"
                    key = dictionary_key(dictionary)
                    self._ledger.note(key, DamageKind.HASH_MISMATCH, what, DICTIONARY_HINT)
        return len(listing.dictionaries - bases.dictionaries)

    def _orphans(self, listing: Listing, ground: Ground, dictionaries: int) -> Orphans:
        candidates = listing.packs.keys() - self._added - ground.needed_packs()
        if candidates:
            readable = ground.needed_packs() & ground.packs.view.packs
            candidates -= with_bases(ground, readable)
        size = sum(listing.packs[name] for name in candidates)
        return Orphans(len(candidates), size, dictionaries, listing.strangers)


_DATA_KINDS = frozenset((ChunkKind.RECORD, ChunkKind.PIECE))
