"""Looking at what is no pack: config, notes, journals, documents, second copies of dictionaries; and at what
documents say of packs."""

from collections.abc import Callable, Collection, Iterator
from functools import partial

from blake3 import blake3

from cas.closure.bases import Bases
from cas.closure.ground import COPY_HINT, Ground
from cas.closure.listing import Listing, note_lost
from cas.damage import DamageKind, Fault, Ledger
from cas.engine.repository import Repository
from cas.errors import Conflict, CorruptData, NotFound, Unsupported
from cas.format.config import parse_config
from cas.format.document import VersionDocument
from cas.format.journal import Journal, parse_journal
from cas.format.malformed import malformed
from cas.format.names import CONFIG, dictionary_key, journal_key, notes_key, pack_key, version_key
from cas.ids import ChunkKind, PackName
from cas.noting import stored_notes
from cas.store.interface import ObjectMissing

NOTES_HINT = "Until they are brought back from a copy of the store, nothing can be forgotten"

DICTIONARY_HINT = "The one in its pack serves; bring this copy back before both are lost"

JOURNAL_HINT = "No version needs it; bring it back from a copy of the store"

_DATA_KINDS = frozenset((ChunkKind.RECORD, ChunkKind.PIECE))


class Objects:
    """Of one repository. What is wrong is noted in the ledger."""

    def __init__(self, repository: Repository, ledger: Ledger, expected: frozenset[int], noted: int) -> None:
        """`expected`: numbers whose documents must be there. `noted`: up to which notes all must be."""
        self._repository = repository
        self._ledger = ledger
        self.expected = expected
        self._noted = noted
        self.added: set[PackName] = set()
        """Packs that some document has added."""
        self._last_digest: tuple[int, bytes | None] = (0, None)

    def config(self) -> None:
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

    def notes(self, listing: Listing) -> None:
        """What people said, from the first word to the last, without a gap: it tells what must not go."""
        for expected, number in enumerate((*listing.notes, None), 1):
            key = notes_key(expected)
            if number != expected:
                if number is not None or expected <= self._noted:
                    found = self._ledger.note(key, DamageKind.MISSING, "notes are missing", NOTES_HINT)
                    self._ledger.lose(found)
                return
            parse = partial(stored_notes, self._repository, number)
            wrong = self._wrong(key, parse, "notes are missing", NOTES_HINT)
            if wrong is not None:
                self._ledger.lose(wrong)

    def journals(self, listing: Listing) -> None:
        """What gc announced: each that is there says what it said. Numbers may be left out: one may be spent
        by a collector that never put it."""
        for number in listing.journals:
            key = journal_key(number)
            self._wrong(key, partial(self._journal, number, key), "a journal is missing", JOURNAL_HINT)

    def _journal(self, number: int, key: str) -> Journal:
        journal = parse_journal(self._repository.store.get(key), key)
        if journal.number != number:
            raise malformed(f"journal {journal.number} under another name", key)
        if journal.repository_id != self._repository.id:
            raise Conflict("the journal belongs to another repository", where=key)
        return journal

    def _wrong(self, key: str, parse: Callable[[], object], missing: str, hint: str) -> int | None:
        """The finding about an object that cannot be parsed; None where it can."""
        try:
            parse()
        except ObjectMissing:
            return self._ledger.note(key, DamageKind.MISSING, missing, hint)
        except Conflict as error:
            return self._ledger.note(key, DamageKind.MALFORMED, error.what, hint)
        except (CorruptData, Unsupported) as error:
            return self._ledger.note_error(key, error, hint)
        return None

    def documents(
        self, numbers: Collection[int], ledger: Ledger | None = None, *, must_be_there: bool = False
    ) -> Iterator[VersionDocument]:
        """The documents, in this order; a damaged one is noted, one that was forgotten meanwhile is not.
        must_be_there: NotFound for one that is not."""
        ledger = ledger or self._ledger
        for number in numbers:
            try:
                document, digest, _ = self._repository.stored_document(number)
            except NotFound:
                if must_be_there:
                    raise
                if number in self.expected:
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

    def packs_of(
        self, document: VersionDocument, listing: Listing, ground: Ground, *, with_trailers: bool
    ) -> None:
        """The packs that a version added: there, and as large as it says. Once gc has rewritten packs
        (there are journals then), one that is gone is no damage by itself. with_trailers: look into their
        trailers, too."""
        for pack in document.packs:
            self.added.add(pack.name)
            key = pack_key(pack.name)
            size = listing.packs.get(pack.name)
            found = self._ledger.of_object(key)
            if size is None and not listing.journal:
                found = note_lost(self._ledger, pack.name)
            elif size is not None and size != pack.stored_bytes:
                kind = DamageKind.TRUNCATED if size < pack.stored_bytes else DamageKind.MALFORMED
                found = self._ledger.note(key, kind, f"{size} bytes of {pack.stored_bytes}", COPY_HINT)
            elif pack.name in ground.packs.view.packs and with_trailers:
                frames = ground.packs.trailers.layout(pack.name).trailer.frames
                holds_nodes = not set(frames.column("kind").tolist()) <= _DATA_KINDS
                if (int(frames.column("chunks").sum()), holds_nodes) != (pack.chunks, pack.holds_nodes):
                    what = f"the document of version {document.number} says something else of it"
                    found = self._ledger.note(key, DamageKind.MALFORMED, what)
            if found is not None:
                self._ledger.touch(Fault(found, is_loss=False), document.number)

    def dictionaries(self, listing: Listing, bases: Bases, *, is_whole: bool, with_bytes: bool) -> int:
        """Second copies: there for every dictionary in use, and equal to it. Returns those of no use.
        is_whole: also those of no use are read."""
        chunk_id = self._repository.config.id_key.hasher(ChunkKind.DICTIONARY)
        for dictionary in sorted(bases.dictionaries - listing.dictionaries):
            what = "the second copy of a dictionary is missing"
            self._ledger.note(dictionary_key(dictionary), DamageKind.MISSING, what, DICTIONARY_HINT)
        if with_bytes:
            wanted = listing.dictionaries if is_whole else bases.dictionaries
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
