"""Writing one version: reuse what is live, pack what is new, and the order that loses nothing.

    begin      catalog: session, number, pin, view                      (crash: a failed version)
    packs      register, put, for each                                  (crash: orphan packs)
    prepare    catalog: session open, lease good                        (crash: orphan packs)
    document   put create-only                                          (crash: orphan document)
    handshake  list journals, look for the parent's document            (crash: orphan document)
    commit     catalog, one transaction                                 (the version exists)

Nothing here deletes anything. A document whose session then failed stays: whoever rebuilds or collects
may have taken it in already, and under the same number may lie the document of another catalog.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt

from cas.catalog.interface import Catalog
from cas.catalog.model import NewPack, NewVersion, SessionHandle, Version, VersionResult
from cas.engine.chunk_reader import ChunkReader
from cas.engine.compression import DEFAULT_LEVEL, Compressor, Dictionary, train_dictionary
from cas.engine.decodable import Decodable
from cas.engine.node_packer import NodePacker, WaitingNode
from cas.engine.nodes_at_hand import NodesAtHand, RecentNodes
from cas.engine.own_chunks import OwnChunks
from cas.engine.packer import DATA_KINDS, ClosedPack, Packer
from cas.engine.places import Places, View
from cas.engine.predecessors import Predecessors
from cas.engine.putting import put_once
from cas.engine.repository import Repository
from cas.engine.segment import halves
from cas.errors import CasError, Conflict
from cas.format.document import PackRef, ValueRef, VersionDocument, encode_document
from cas.format.frame import Frame
from cas.format.large import encode_large
from cas.format.malformed import over_limit
from cas.format.names import dictionary_key, pack_key, version_key
from cas.format.pack import Trailer
from cas.ids import ChunkId, ChunkKind
from cas.limits import (
    DEFAULT_DELTA_DEPTH,
    LARGE_VALUE_BYTES,
    MAX_CHUNK_BYTES,
    MAX_DELTA_DEPTH,
    MIB,
    SESSION_RENEW_SECONDS,
)
from cas.store.interface import ObjectExists, ObjectMissing
from cas.tree.counting import NewLeaf

FORGOTTEN_BYTES = 8 * MIB
"""Records of distinct entities from this size on are not remembered one by one. What is still on its way
at their end is gathered then, in some 30 ms."""


@dataclass(frozen=True, slots=True)
class WriteSettings:
    """How a session works. `threads` compress, beside the caller. `delta_depth`: how many deltas may build
    on each other before a node is stored whole again; 0 stores all whole. Longer chains store less and read
    more: at 16 a changed node costs about 250 bytes in the long run, at 32 about 165."""

    level: int = DEFAULT_LEVEL
    threads: int = 1
    delta_depth: int = DEFAULT_DELTA_DEPTH


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a batch of records. `large`: positions whose id is that of a LARGE chunk; `new`: how
    many were not stored before; `bytes`: plain bytes of all payloads."""

    ids: list[ChunkId]
    large: list[int]
    new: int
    bytes: int


class WriteSession:
    """One version in the making. One caller thread. End it by `commit` or `abandon`."""

    def __init__(
        self,
        repository: Repository,
        catalog: Catalog,
        new: NewVersion,
        settings: WriteSettings | None = None,
        on_stored: Callable[[int], None] | None = None,
        recent: RecentNodes | None = None,
    ) -> None:
        """Begin. on_stored: told the stored bytes of each delivered pack, from another thread. recent: nodes
        that were read of the tree that is built upon.

        Conflict where the store knows versions or journals that the catalog does not: then the
        catalog is older than the store and must be rebuilt first.
        """
        self._repository = repository
        self._catalog = catalog
        self._settings = settings or WriteSettings()
        self._on_stored = on_stored or (lambda _: None)
        self._recent = recent
        require_same_history(repository, catalog)
        self.handle: SessionHandle = catalog.begin(new)
        try:
            self._start(new)
        except BaseException as error:
            self._fail(error)
            raise

    def _start(self, new: NewVersion) -> None:
        self._parent = new.parent
        listed = set(self._repository.packs())
        reusable = set(self.handle.view) & listed
        lost = self._repository.learn(reusable) | (reusable & self._catalog.checking.damaged())
        self.lost_packs = (set(self.handle.view) - listed) | lost
        """Live packs that the store no longer has, or that are known to be damaged: their chunks are stored
        anew where they recur."""
        self._view = View(reusable - lost)
        self._base = self._repository.index.frozen()
        self._reusable = Decodable(self._base, self._repository.trailers, self._view)
        self._reused = np.zeros(len(self._base), dtype=np.bool_)
        self._packs: list[PackRef] = []
        self.reused_bytes = 0
        self._copies_bytes = 0
        self._copies = 0
        key = self._repository.config.id_key
        self._hashers = {kind: key.hasher(kind) for kind in ChunkKind}
        self._record_ids = key.batch_hasher(ChunkKind.RECORD)
        environment = self._repository.environment
        self._workers = environment.executor(self._settings.threads, "cas-pack")
        self._uploads = environment.executor(1, "cas-put")
        self._packer = Packer(
            key,
            Compressor(self._settings.level),
            self._deliver,
            workers=self._workers,
            uploads=self._uploads,
            entropy=environment.entropy,
        )
        self._own = OwnChunks(self._repository.index, self._packer.undelivered_records)
        self._heartbeat = environment.heartbeat(
            lambda: self._catalog.renew(self.handle.id), SESSION_RENEW_SECONDS
        )

    @cached_property
    def reader(self) -> ChunkReader:
        """A reader of what was live when the session began: what may be built upon."""
        return self._repository.reader_of(self._view)

    @cached_property
    def tree_nodes(self) -> NodesAtHand:
        """The nodes of the trees that are built upon."""
        return NodesAtHand(self.reader, self._repository.newest_nodes, self._recent)

    @property
    def objects_written(self) -> int:
        """Objects put so far, the document not counted."""
        return len(self._packs) + self._copies

    @property
    def added_bytes(self) -> int:
        """Stored bytes of what was put so far."""
        return sum(pack.stored_bytes for pack in self._packs) + self._copies_bytes

    def begin_entity(self, expected_bytes: int = 0, *, distinct: bool = False) -> None:
        """What is put from now on belongs to another entity, of about this size (0: not known). `distinct`:
        no two of its records are equal, since each holds its key."""
        self._own.begin_entity(forgets=distinct and expected_bytes >= FORGOTTEN_BYTES)

    def put_records(self, payloads: Sequence[bytes], dictionary: Dictionary | None = None) -> Stored:
        """Store payloads that are not there yet; equal ones are stored once."""
        lengths = list(map(len, payloads))
        size = sum(lengths)
        if max(lengths, default=0) > LARGE_VALUE_BYTES:
            return self._put_with_large(payloads, dictionary, size)
        ids = self._record_ids(payloads)
        return Stored(ids, [], self._store(ChunkKind.RECORD, ids, payloads, dictionary), size)

    def _put_with_large(self, payloads: Sequence[bytes], dictionary: Dictionary | None, size: int) -> Stored:
        hasher = self._hashers[ChunkKind.RECORD]
        ids: list[ChunkId] = []
        large: list[int] = []
        new = 0
        for position, payload in enumerate(payloads):
            if len(payload) > LARGE_VALUE_BYTES:
                large.append(position)
                large_id, is_new = self._put_large(payload)
                ids.append(large_id)
                new += is_new
            else:
                ids.append(hasher(payload))
        small = [position for position in range(len(payloads)) if position not in set(large)]
        new += self._store(
            ChunkKind.RECORD, [ids[at] for at in small], [payloads[at] for at in small], dictionary
        )
        return Stored(ids, large, new, size)

    def _put_large(self, payload: bytes) -> tuple[ChunkId, int]:
        pieces: list[ChunkId] = []
        for begin in range(0, len(payload), LARGE_VALUE_BYTES):
            piece = payload[begin : begin + LARGE_VALUE_BYTES]
            piece_id = self._hashers[ChunkKind.PIECE](piece)
            self._store(ChunkKind.PIECE, [piece_id], [piece], None)
            pieces.append(piece_id)
        plain = encode_large(len(payload), pieces)
        large_id = self._hashers[ChunkKind.LARGE](plain)
        return large_id, self._store(ChunkKind.LARGE, [large_id], [plain], None)

    def put_value(self, kind: ChunkKind, plain: bytes) -> ValueRef:
        """Store a document part, in pieces where it is large."""
        if len(plain) > LARGE_VALUE_BYTES:
            return ValueRef(self._put_large(plain)[0], is_large=True)
        return ValueRef(self.put_chunk(kind, plain))

    def put_chunk(self, kind: ChunkKind, plain: bytes) -> ChunkId:
        """Store a document part that is always one chunk. CorruptData(limit) above MAX_CHUNK_BYTES."""
        if len(plain) > MAX_CHUNK_BYTES:
            raise over_limit(f"{kind.name.lower()} of {len(plain)} bytes")
        chunk_id = self._hashers[kind](plain)
        self._store(kind, [chunk_id], [plain], None)
        return chunk_id

    def nodes(
        self, before: ChunkId | None, watch: Callable[[Sequence[NewLeaf]], None] | None = None
    ) -> NodePacker:
        """A writer of one tree's nodes; `before` is the root of the tree that it follows. `watch` is told of
        the leaves, in the order in which they are put."""
        predecessors = None
        if before is not None and self._settings.delta_depth:
            predecessors = Predecessors(self.tree_nodes, before, self._reusable)
        return NodePacker(self._hashers[ChunkKind.NODE], partial(self._store_nodes, predecessors), watch)

    def _store_nodes(self, predecessors: Predecessors | None, nodes: Sequence[WaitingNode]) -> None:
        """Pack the nodes that are new, as deltas where their predecessors allow it."""
        where = {node.id: node for node in nodes}
        ids, _ = self._absent(ChunkKind.NODE, list(where), [node.plain for node in where.values()])
        fresh = [where[node_id] for node_id in ids]
        if predecessors is not None:
            fresh = self._store_deltas(fresh, predecessors)
        self._packer.put(ChunkKind.NODE, [node.id for node in fresh], [node.plain for node in fresh])

    def _store_deltas(self, nodes: Sequence[WaitingNode], predecessors: Predecessors) -> list[WaitingNode]:
        """Pack those whose predecessors allow it; gives the others."""
        whole: list[WaitingNode] = []
        deltas: dict[ChunkId, bytes] = {}
        bases = predecessors.find([(node.level, node.last_key) for node in nodes])
        for node, base in zip(nodes, bases, strict=True):
            if (
                base is None
                or base.depth >= self._settings.delta_depth
                or not self._packer.put_delta(
                    ChunkKind.NODE, node.id, node.plain, base.plain, base.id, base.depth + 1
                )
            ):
                whole.append(node)
            else:
                deltas[node.id] = node.plain
        self.tree_nodes.wrote(deltas, [base.id for base in bases if base is not None])
        return whole

    def train(self, samples: Sequence[bytes], expected_bytes: int) -> Dictionary | None:
        """Train and store a dictionary for records like these; None where it would not pay.

        A second copy goes under a name of its own, since a lost dictionary would lose an entity.
        """
        plain = train_dictionary(samples, expected_bytes)
        if plain is None:
            return None
        dictionary = Dictionary(self._hashers[ChunkKind.DICTIONARY](plain), plain)
        self.put_dictionary(dictionary)
        return dictionary

    def put_dictionary(self, dictionary: Dictionary) -> None:
        """Store one, and its second copy, where it is not there yet."""
        plain = dictionary.plain
        if self._store(ChunkKind.DICTIONARY, [dictionary.id], [plain], None):
            self.put_second_copy(dictionary)

    def put_second_copy(self, dictionary: Dictionary) -> None:
        """That of a dictionary which is put in a pack."""
        with suppress(ObjectExists):
            self._repository.store.put(dictionary_key(dictionary.id), dictionary.plain, create_only=True)
            self._copies += 1
            self._copies_bytes += len(dictionary.plain)

    def holds(self, ids: Sequence[ChunkId]) -> npt.NDArray[np.bool_]:
        """For each whether it may be built upon as it was stored before the session began."""
        there: npt.NDArray[np.bool_] = self._reusable.locate(ids).pack >= 0
        return there

    def put_pack(self, stored: bytearray, trailer: Trailer, *, holds_nodes: bool) -> bool:
        """Store a pack of another store of the same id key, which the caller has proven and gives away, where
        none of its chunks is there yet; else False, and nothing happens. Its dictionaries are put besides."""
        if len(self._base) and self._reusable.at_most(*halves(trailer.short_ids), MAX_DELTA_DEPTH).any():
            return False
        if not self._own.take_all(trailer.short_ids, holds_nodes=holds_nodes):
            return False
        self._packer.put_pack(stored, trailer, holds_nodes=holds_nodes)
        return True

    def put_frame(
        self,
        frame: Frame,
        stored: bytes,
        ids: Sequence[ChunkId],
        plains: Sequence[bytes],
        dictionary: Dictionary | None = None,
    ) -> Sequence[ChunkId]:
        """Store a frame of another store of the same id key, which the caller has just decoded, and whose ids
        it has recomputed: as it is, where none of its chunks is there yet; else those that are not. Its
        dictionary is put besides. Returns those that were new."""
        new_ids, new_plains = self._absent(frame.kind, ids, plains)
        if len(new_ids) == len(ids):
            self._packer.put_frame(frame, stored, ids, list(map(len, plains)))
        else:
            self._packer.put(frame.kind, new_ids, new_plains, dictionary)
        return new_ids

    def put_chunks(
        self,
        kind: ChunkKind,
        ids: Sequence[ChunkId],
        plains: Sequence[bytes],
        dictionary: Dictionary | None = None,
    ) -> Sequence[ChunkId]:
        """Store chunks of which the caller has recomputed the ids. Returns those that were new."""
        new_ids, new_plains = self._absent(kind, ids, plains)
        self._packer.put(kind, new_ids, new_plains, dictionary)
        return new_ids

    def known_dictionary(self, dictionary_id: ChunkId) -> Dictionary | None:
        """A dictionary of an earlier version, where it is still to be had within the view."""
        if self._repository.index.locate((dictionary_id,), self._view).pack[0] < 0:
            return None
        with suppress(CasError):
            return self.reader.dictionary(dictionary_id)
        return None

    def _store(
        self,
        kind: ChunkKind,
        ids: Sequence[ChunkId],
        plains: Sequence[bytes],
        dictionary: Dictionary | None,
    ) -> int:
        """Pack those that neither the view nor this session holds. Returns how many."""
        if not ids:
            return 0
        new_ids, new_plains = self._absent(kind, ids, plains)
        self._packer.put(kind, new_ids, new_plains, dictionary)
        return len(new_ids)

    def _absent(
        self, kind: ChunkKind, ids: Sequence[ChunkId], plains: Sequence[bytes]
    ) -> tuple[Sequence[ChunkId], Sequence[bytes]]:
        """Those that neither the view nor this session holds."""
        if len(self._base):
            found = self._reusable.locate(ids)
            self._count_reused(found)
            ids, plains = _chosen(ids, plains, np.flatnonzero(found.pack < 0).tolist())
        if kind is ChunkKind.RECORD:
            return _chosen(ids, plains, self._own.fresh_records(ids))
        return _chosen(ids, plains, self._own.fresh(ids, holds_nodes=kind not in DATA_KINDS))

    def _count_reused(self, found: Places) -> None:
        """Each chunk of earlier versions counts once, however many records are equal."""
        rows, first = np.unique(found.row[found.row >= 0], return_index=True)
        fresh = ~self._reused[rows]
        self.reused_bytes += int(found.share[found.row >= 0][first[fresh]].sum())
        self._reused[rows] = True

    def _deliver(self, pack: ClosedPack) -> None:
        """Register, put, learn: on the upload thread. The name is registered before the bytes go, so
        that gc never takes a pack in flight for a stranger."""
        chunks = pack.trailer.chunks
        self._catalog.register_pack(
            self.handle.id, NewPack(pack.name, len(pack.stored), chunks, pack.holds_nodes)
        )
        put_once(self._repository.store, pack_key(pack.name), pack.stored)
        self._repository.index.add(pack.name, pack.trailer)
        self._own.delivered(pack.name, pack.trailer.short_ids, holds_nodes=pack.holds_nodes)
        self._packs.append(PackRef(pack.name, len(pack.stored), chunks, pack.holds_nodes))
        self._on_stored(len(pack.stored))

    def close_packs(self) -> tuple[PackRef, ...]:
        """Everything that was put is durable when this returns."""
        self._packer.flush()
        return tuple(sorted(self._packs, key=lambda pack: pack.name))

    def commit(self, document: VersionDocument, result: VersionResult) -> Version:
        """Make the version exist. On failure call `abandon`."""
        self._catalog.prepare(self.handle.id)
        store = self._repository.store
        try:
            put_once(store, version_key(document.number), encode_document(document))
        except ObjectExists as error:
            raise Conflict(
                f"the store already holds a version {document.number}",
                where=store.url,
                hint="Another catalog writes to this store; `cas catalog rebuild` takes in what is there",
            ) from error
        journal = self._repository.journal()
        if self._parent is not None:
            self._require_parent(self._parent)
        packs = [pack.name for pack in self._packs]
        version = self._catalog.commit(self.handle.id, result, journal=journal, packs=packs)
        self.tree_nodes.keep()
        self._stop()
        return version

    def _require_parent(self, parent: int) -> None:
        try:
            self._repository.store.size(version_key(parent))
        except ObjectMissing as error:
            raise Conflict(
                f"version {parent}, on which this one builds, vanished from the store",
                where=self._repository.store.url,
                hint="Another catalog may delete from this store; run again",
            ) from error

    def abandon(self, error: BaseException) -> None:
        """End without a version. The failure is listed; packs that were put are left to gc."""
        self._packer.abandon()
        self._stop()
        self._fail(error)

    def _fail(self, error: BaseException) -> None:
        code = error.code if isinstance(error, CasError) else "INTERRUPTED"
        text = str(error) or type(error).__name__
        with suppress(CasError):
            self._catalog.fail(self.handle.id, code, text)

    def _stop(self) -> None:
        self._heartbeat.stop()
        self._workers.shutdown(wait=True)
        self._uploads.shutdown(wait=True)


def _chosen(
    ids: Sequence[ChunkId], plains: Sequence[bytes], kept: Sequence[int]
) -> tuple[Sequence[ChunkId], Sequence[bytes]]:
    """What stands at these positions, of which none is twice."""
    if len(kept) == len(ids):
        return ids, plains
    return [ids[at] for at in kept], [plains[at] for at in kept]


def require_same_history(repository: Repository, catalog: Catalog) -> None:
    """Rule 4 of the protocol: a store that knows more than the catalog must be taken in first."""
    strangers = set(repository.numbers()) - catalog.known_numbers()
    if strangers or repository.journal() > catalog.journal():
        raise Conflict(
            "the store holds versions or journals that the catalog does not know",
            where=repository.store.url,
            hint="The catalog is older than the store, or another one. `cas catalog rebuild` takes them in",
        )
