"""A version leaves: its document and the frames that it needs become a small repository in one file.

It is written as it is made, and holds one pack of each sort in memory. The same version with the same options
out of the same stored frames gives the same bytes: there is no clock and no chance in it, and all is done by
the caller, in one order. Salts of packs are made of what is exported; such packs are never put into a
repository under their names (an import packs anew), so that a name that recurs does no harm there. What is
sealed for an age recipient has other bytes each time (cas/sealing/repeatable.py).
"""

import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from blake3 import blake3

from cas.bundles.archive import ArchiveWriter, Seal, Sink
from cas.bundles.frames import NeededFrames, Taken, WholePack
from cas.bundles.needs import needs_of
from cas.catalog.interface import Catalog
from cas.check_packs import packs_of_store
from cas.closure.ground import Packs
from cas.contents import Contents, open_contents
from cas.damage import Ledger
from cas.engine.compression import DEFAULT_LEVEL, Compressor, Dictionary
from cas.engine.inline import InlineExecutor
from cas.engine.packer import ClosedPack, Packer
from cas.engine.repository import Repository
from cas.errors import InvalidInput
from cas.format.bundle import HEAD, BundleHead, Since, encode_head
from cas.format.canonical import encode_json
from cas.format.config import encode_config
from cas.format.document import PackRef, ValueRef, VersionDocument, encode_document
from cas.format.entities import EntityEntry, encode_entities, version_checksum
from cas.format.large import encode_large
from cas.format.names import CONFIG, keys_key, pack_key, version_key
from cas.ids import ChunkId, ChunkKind
from cas.limits import LARGE_VALUE_BYTES
from cas.pinning import pinned
from cas.progress import Progress, Silent
from cas.sealing.key_ring import Labelled
from cas.sealing.repeatable import seal_of
from cas.temporary import temporary_faults

_SALTS_FOR = "cas 1 bundle salt"


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """`entities`: labels of those that leave; None: all. `since`: what this version has stays here. `slots`:
    what will open the bundle; none: it is not sealed."""

    entities: tuple[str, ...] | None = None
    since: int | None = None
    slots: Sequence[Labelled] = ()


@dataclass(frozen=True, slots=True)
class Exported:
    """What has left. `frames_copied`: those that were taken as they are stored."""

    version: int
    checksum: bytes
    entities: int
    records: int
    packs: int
    bytes: int
    chunks: int
    frames_copied: int


def export_version(
    repository: Repository,
    catalog: Catalog | None,
    number: int,
    out: Sink,
    request: ExportRequest | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write the bundle of a version into `out`. All of it is proven before it leaves: CorruptData where
    something cannot be. NotFound for a version or an entity that is not there; InvalidInput for a version to
    begin after that is no earlier one.

    catalog: keeps the versions while they are read; None where nobody deletes meanwhile.
    """
    asked = request or ExportRequest()
    if asked.since is not None and not 1 <= asked.since < number:
        raise InvalidInput(f"version {asked.since} is no earlier one than version {number}", where="--since")
    with ExitStack() as stack:
        if catalog is not None:
            for one in (number, asked.since):
                if one is not None:
                    stack.enter_context(pinned(repository.environment, catalog, one, "an export"))
        packs = stack.enter_context(all_packs(repository))
        return _Export(repository, packs, number, out, asked, progress or Silent()).run()


@contextmanager
def all_packs(repository: Repository) -> Iterator[Packs]:
    """The packs of a store in an index that is made in one way only, whatever was learned in which order; so
    that of several copies of a chunk always the same is found."""
    with temporary_faults():
        directory = tempfile.TemporaryDirectory(prefix="cas-bundle-")
    with directory as name:
        yield packs_of_store(repository, repository.packs(), (), Path(name), Ledger(), Silent())


class _Export:
    """One run."""

    def __init__(
        self,
        repository: Repository,
        packs: Packs,
        number: int,
        out: Sink,
        request: ExportRequest,
        progress: Progress,
    ) -> None:
        self._repository = repository
        self._request = request
        self._progress = progress
        self._whole = open_contents(repository, number, packs.reader)
        self._before = self._open_before(request.since, packs)
        self._entries = self._chosen()
        self._frames = NeededFrames(repository.store, repository.fetchers, repository.config.id_key, packs)
        self._archive = ArchiveWriter(out)
        self._options = self._options_text()
        self._purpose = self._repository.stored_document(number)[1] + self._options
        self._seal: Seal = lambda _, data: data
        self._refs: list[PackRef] = []
        self._copied = self._chunks = 0
        self._dictionaries: dict[ChunkId, Dictionary] = {}
        self._fits = (
            None
            if request.entities is None
            else frozenset(entry.dictionary for entry in self._entries if entry.dictionary)
        )
        """Dictionaries that may come along; None: all. One that was made of the records of an entity holds
        pieces of them, which nobody gets who did not ask for it."""
        self._there = frozenset(
            entry.dictionary for entry in (self._before.entries if self._before else ()) if entry.dictionary
        )
        """Dictionaries that whoever has the earlier version has, too."""
        inline = InlineExecutor()
        salts = count()
        self._packer = Packer(
            repository.config.id_key,
            Compressor(DEFAULT_LEVEL),
            self._deliver,
            workers=inline,
            uploads=inline,
            entropy=lambda length: self._salt(next(salts), length),
        )

    def run(self) -> Exported:
        head = self._head()
        self._begin(head)
        self._progress.phase("trees")
        self._mark()
        usable = self._mark_dictionaries()
        self._progress.phase("packs")
        for taken in self._frames.taken(usable, self._progress):
            if isinstance(taken, WholePack) and (holds_nodes := taken.holds_nodes) is not None:
                self._packer.put_pack(taken.stored, taken.trailer, holds_nodes=holds_nodes)
                self._chunks += taken.trailer.chunks
                self._copied += len(taken.trailer.frames)
                continue
            for part in self._frames.frames(taken.name) if isinstance(taken, WholePack) else (taken,):
                self._take(part, usable)
        document = self._document(head)
        key = version_key(document.number)
        self._archive.put(key, self._seal(key, encode_document(document)))
        self._archive.finish()
        return Exported(
            version=head.number,
            checksum=head.checksum,
            entities=len(self._entries),
            records=head.records,
            packs=len(self._refs),
            bytes=self._archive.bytes,
            chunks=self._chunks,
            frames_copied=self._copied,
        )

    def _open_before(self, since: int | None, packs: Packs) -> Contents | None:
        return None if since is None else open_contents(self._repository, since, packs.reader)

    def _chosen(self) -> tuple[EntityEntry, ...]:
        labels = self._request.entities
        if labels is None:
            return self._whole.entries
        if not labels:
            raise InvalidInput("no entity was chosen")
        chosen = {self._whole.entry(label).entity.label for label in labels}
        return tuple(entry for entry in self._whole.entries if entry.entity.label in chosen)

    def _mark(self) -> None:
        """All that leaves, but for dictionaries."""
        records = {entry.entity.label: entry for entry in self._entries}
        label = ""
        is_whole = self._request.entities is None
        for need in needs_of(self._whole, self._entries, self._before, with_list=is_whole):
            if need.label != label and need.label:
                label = need.label
                self._progress.entity(label, records[label].records, 0)
            self._frames.mark(need)
            self._progress.advance(label, need.records, 0)

    def _mark_dictionaries(self) -> frozenset[ChunkId]:
        """Those that frames may stand on come along, unless they are there; and those of the entities."""
        own = [entry.dictionary for entry in self._entries if entry.dictionary]
        usable = {one: None for one in self._frames.dictionaries() if self._may_leave(one)}
        for dictionary_id in usable | dict.fromkeys(own):
            if dictionary_id not in self._there:
                self._frames.mark_dictionary(dictionary_id)
        return frozenset(usable)

    def _may_leave(self, dictionary_id: ChunkId) -> bool:
        return dictionary_id in self._there or self._fits is None or dictionary_id in self._fits

    def _head(self) -> BundleHead:
        document = self._whole.document
        labels = tuple(entry.entity.label for entry in self._entries)
        return BundleHead(
            repository_id=document.repository_id,
            number=document.number,
            created_at=document.created_at,
            checksum=version_checksum(self._entries),
            reason=document.reason,
            name=document.name,
            database=document.source.database,
            entities=None if self._request.entities is None else labels,
            since=self._since(),
            records=sum(entry.records for entry in self._entries),
        )

    def _since(self) -> Since | None:
        before = self._before
        return None if before is None else Since(before.document.number, before.document.checksum)

    def _options_text(self) -> bytes:
        since = self._since()
        labels = [entry.entity.label for entry in self._entries]
        return encode_json(
            {
                "entities": None if self._request.entities is None else labels,
                "since": [since.number, since.checksum.hex()] if since else None,
            }
        )

    def _salt(self, ordinal: int, length: int) -> bytes:
        """Of the pack with this number: other packs of this bundle, and those of other versions and options,
        have other ones."""
        key = self._repository.config.id_key.derive(_SALTS_FOR)
        said = self._whole.document.checksum + ordinal.to_bytes(8, "little") + self._purpose
        return blake3(said, key=key).digest(length)

    def _begin(self, head: BundleHead) -> None:
        config = self._repository.config
        plain_head = encode_head(head)
        if not self._request.slots:
            self._archive.put(HEAD, plain_head)
            self._archive.put(CONFIG, encode_config(config))
            return
        seal = seal_of(config, self._request.slots, self._purpose, head.created_at)
        self._seal = seal.seal
        self._archive.put(HEAD, seal.seal(HEAD, plain_head))
        self._archive.put(CONFIG, seal.config_object)
        self._archive.put(keys_key(1), seal.keys_object)

    def _take(self, taken: Taken, usable: Collection[ChunkId]) -> None:
        self._chunks += len(taken.ids)
        frame, base = taken.frame, taken.base
        if frame is not None and (base is None or base in usable):
            self._packer.put_frame(frame, taken.stored, taken.ids, list(map(len, taken.plains)))
            self._copied += 1
            return
        dictionary = self._dictionary(base) if base is not None and base in usable else None
        self._packer.put(taken.kind, taken.ids, taken.plains, dictionary)

    def _dictionary(self, dictionary_id: ChunkId) -> Dictionary:
        """The same object for the same id: what the packer gathers together has one dictionary."""
        known = self._dictionaries.get(dictionary_id)
        if known is None:
            known = self._dictionaries[dictionary_id] = self._frames.reader.dictionary(dictionary_id)
        return known

    def _deliver(self, pack: ClosedPack) -> None:
        key = pack_key(pack.name)
        self._archive.put(key, self._seal(key, pack.stored))
        self._refs.append(PackRef(pack.name, len(pack.stored), pack.trailer.chunks, pack.holds_nodes))
        self._progress.stored(len(pack.stored))

    def _document(self, head: BundleHead) -> VersionDocument:
        """Ends the packs, and says what they hold."""
        document = self._whole.document
        if head.entities is not None:
            document = self._selected(document, head)
        self._packer.flush()
        packs = tuple(sorted(self._refs, key=lambda pack: pack.name))
        return replace(document, packs=packs, added_bytes=sum(pack.stored_bytes for pack in packs))

    def _selected(self, document: VersionDocument, head: BundleHead) -> VersionDocument:
        assert head.entities is not None
        labels = frozenset(head.entities)
        return replace(
            document,
            parent=None,
            previous=None,
            kind="selected",
            included=head.entities,
            excluded=(),
            included_schemas=(),
            entities=self._listed(encode_entities(self._entries)),
            records=head.records,
            original_bytes=sum(entry.payload_bytes for entry in self._entries),
            checksum=head.checksum,
            read=tuple(read for read in document.read if read.label in labels),
        )

    def _listed(self, plain: bytes) -> ValueRef:
        """A list of entities that was made here, as one chunk or in pieces."""
        if len(plain) <= LARGE_VALUE_BYTES:
            return ValueRef(self._put(ChunkKind.ENTITIES, plain))
        begins = range(0, len(plain), LARGE_VALUE_BYTES)
        pieces = [self._put(ChunkKind.PIECE, plain[at : at + LARGE_VALUE_BYTES]) for at in begins]
        return ValueRef(self._put(ChunkKind.LARGE, encode_large(len(plain), pieces)), is_large=True)

    def _put(self, kind: ChunkKind, plain: bytes) -> ChunkId:
        chunk_id = self._repository.config.id_key.hasher(kind)(plain)
        self._packer.put(kind, (chunk_id,), (plain,))
        return chunk_id
